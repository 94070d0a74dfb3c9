/** Handshakes with a real TLS server that behaves as kubelets of different releases do. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import t, { type Test } from 'tap';
import { lookServed } from '../../../src/adapters/probe/served-certificate.ts';
import { judgeLooks } from '../../../src/kubelet/served.ts';
import { parseChain } from '../../../src/pki/certificate.ts';
import { createAuthority } from '../../fixtures/cluster/authority.ts';
import { type KubeletRelease, ServingKubelet } from '../../fixtures/serving-kubelet.ts';

const ca = createAuthority({ name: 'kubernetes' });
const NAMES = ['n1', 'n1.example'];
const older = ca.issue({ commonName: 'system:node:n1', dnsNames: NAMES, ipAddresses: ['127.0.0.1'] });
const newer = ca.issue({ commonName: 'system:node:n1', dnsNames: NAMES, ipAddresses: ['127.0.0.1'] });
const never = new AbortController().signal;
const { leaf: oldLeaf } = parseChain(older.chainPem);
const { leaf: newLeaf } = parseChain(newer.chainPem);
const OLD = {
  serial: oldLeaf.serial,
  dates: { notBefore: oldLeaf.notBefore, notAfter: oldLeaf.notAfter, selfSigned: false },
};

async function started(t: Test, release: KubeletRelease) {
  let pair = older;
  const kubelet = new ServingKubelet(release, () => pair);
  await kubelet.start();
  t.teardown(() => kubelet.stop());
  const at = { addresses: ['127.0.0.1'], port: kubelet.port };
  return { kubelet, at, renew: () => void (pair = newer) };
}

for (const { release, served } of [
  { release: '1.20', served: { kind: 'stale', ...OLD, to: 'every client' } },
  { release: '1.31', served: { kind: 'stale', ...OLD, to: 'clients that connect by address' } },
  { release: '1.36', served: { kind: 'current' } },
] as const) {
  t.test(`a kubelet ${release} after a swap of its pair: ${served.kind}, and nothing in its log`, async (t) => {
    const { kubelet, at, renew } = await started(t, release);
    t.strictSame(judgeLooks(await lookServed(at, NAMES, never), oldLeaf), { kind: 'current' });
    renew();
    t.strictSame(judgeLooks(await lookServed(at, NAMES, never), newLeaf), served);
    await kubelet.restart();
    t.strictSame(judgeLooks(await lookServed(at, NAMES, never), newLeaf), { kind: 'current' }, 'after a restart');
    t.strictSame(kubelet.asked, ['', ...NAMES, '', ...NAMES, '', ...NAMES]);
    t.strictSame(kubelet.complaints, []);
  });
}

t.test('nothing listens: absent, at whichever address', async (t) => {
  const { kubelet, at } = await started(t, '1.36');
  await kubelet.stop();
  t.strictSame(await lookServed({ ...at, addresses: ['127.0.0.1', '::1'] }, NAMES, never), [{ kind: 'absent' }]);
});

t.test('a kubelet that listens at one address alone is found there', async (t) => {
  const { at } = await started(t, '1.36');
  const looks = await lookServed({ ...at, addresses: ['127.0.0.2', '127.0.0.1'] }, [], never);
  t.match(looks, [{ kind: 'served', serial: oldLeaf.serial, fingerprint: oldLeaf.fingerprint }]);
});

t.test('something that speaks no TLS: not known, with the reason', async (t) => {
  const server = createServer(
    (socket) => void socket.on('error', () => undefined).end('HTTP/1.1 400 Bad Request\r\n\r\n'),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const looks = await lookServed({ addresses: ['127.0.0.1'], port }, ['n1'], never);
  t.match(judgeLooks(looks, newLeaf), { kind: 'unclear', error: /./ });
});

t.test('stopped in the middle: rejects with the reason of the signal', async (t) => {
  const server = createServer((socket) => void socket.on('error', () => undefined));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => void server.close());
  const stop = new AbortController();
  const { port } = server.address() as AddressInfo;
  const look = lookServed({ addresses: ['127.0.0.1'], port }, [], stop.signal);
  await once(server, 'connection');
  stop.abort(new Error('enough'));
  await t.rejects(look, { message: 'enough' });
});
