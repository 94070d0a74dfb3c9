import t, { type Test } from 'tap';
import { requestName, templateDigest } from '../../../src/csr/template.ts';
import { clientTemplate } from '../../fixtures/specs.ts';
import { encodePrivateKey, generatePrivateKey } from '../../../src/pki/keys.ts';
import { createRequest } from '../../../src/pki/pkcs10.ts';
import { CertletError } from '../../../src/errors.ts';
import { endsRequest } from '../../../src/rotation/request/request.ts';
import { checkIssued } from '../../../src/rotation/request/received.ts';
import { createAuthority } from '../../fixtures/cluster/authority.ts';
import { apiFault } from '../../fixtures/fakes/api.ts';
import { DAY, FakeHost, HOUR, MINUTE } from '../../fixtures/fakes/host.ts';

const authority = createAuthority({ name: 'ca' });
const key = await generatePrivateKey('ECDSA-P256');
const template = clientTemplate({ nodeName: 'n1', keyEncipherment: true });
const requestPem = createRequest(template, key);
const day = (number: number): Date => new Date(Date.UTC(2030, 0, number));

for (const row of [
  { name: 'in time: usable', issuedUntil: day(20), code: undefined },
  {
    name: 'expired while the node was off: a new request soon, no refusal',
    issuedUntil: day(9),
    code: 'ERR_ISSUED_EXPIRED',
  },
  {
    name: 'expired before it was asked for: the signer is at fault',
    issuedUntil: day(4),
    code: 'ERR_ISSUED_UNACCEPTABLE',
  },
  {
    name: 'expired and for another node',
    issuedUntil: day(9),
    commonName: 'system:node:n2',
    code: 'ERR_ISSUED_UNACCEPTABLE',
  },
]) {
  t.test(`a certificate looked at on the 10th, asked for on the 5th, ${row.name}`, async (t) => {
    const { certPem } = authority.sign(requestPem, {
      notBefore: day(1),
      notAfter: row.issuedUntil,
      usages: template.usages,
      ...(row.commonName === undefined ? {} : { commonName: row.commonName, organizations: ['system:nodes'] }),
    });
    const record = {
      purpose: 'client',
      name: requestName(key.publicKeyDer, template),
      keyPem: encodePrivateKey(key),
      requestPem,
      template,
      templateDigest: templateDigest(template),
      nodeName: 'n1',
      certDir: '/var/lib/kubelet/pki',
      createdAt: day(5),
      issuedPem: certPem,
    } as const;
    const check = (): unknown => checkIssued(record, { local: day(10), earliest: day(10), latest: day(10) });
    if (row.code === undefined) return t.doesNotThrow(check);
    return t.throws(check, { code: row.code });
  });
}

t.test('the request that it came of is over: the next attempt makes a new one', async (t) => {
  t.ok(endsRequest(new CertletError('ERR_ISSUED_EXPIRED', 'expired'), { uid: 'u' }));
});

/** A client pair of twelve hours is issued, but its proof finds no answer; then the clock is set ahead by a day, and `fault` begins. */
async function doubted(t: Test, fault?: FakeHost['api']['fault']): Promise<FakeHost> {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  host.api.lifetimeMs = 12 * HOUR;
  host.api.fault = ({ what }) => (what === 'review' ? apiFault('ERR_API_UNREACHABLE', 'no') : undefined);
  host.start();
  await host.clock.advance(5 * MINUTE);
  t.equal(host.manager('client').pending?.received, true);
  if (fault !== undefined) {
    host.api.fault = fault;
    // Nothing confirms the clock.
    host.api.onDate = () => undefined;
  }
  await host.setClock(DAY);
  return host;
}

for (const code of ['ERR_API_TLS_DATES', 'ERR_API_UNREACHABLE', 'ERR_API_SERVER'] as const) {
  t.test(
    `a staged pair that only an unconfirmed clock calls expired is kept while the server answers ${code}`,
    async (t) => {
      const host = await doubted(t, () => apiFault(code, 'a fault'));
      await host.clock.advance(HOUR);
      t.match(host.manager('client'), { pending: { received: true }, lastError: { code } });
      t.equal(host.count('create'), 1);
    },
  );
}

t.test('… is proven once the server has told the time', async (t) => {
  const host = await doubted(t);
  host.api.fault = () => undefined;
  await host.until(() => host.store.shelves.client.pending === undefined, 10 * MINUTE);
  t.equal(host.manager('client').certificate?.selfSigned, false);
  t.equal(host.api.calls.filter(({ what, as }) => what === 'create' && as === 'bootstrap').length, 1);
});

t.test('… is replaced when the server says that the clock is right', async (t) => {
  const host = await doubted(t);
  host.api.aheadMs = 0;
  host.api.fault = () => undefined;
  await host.until(() => host.isUpToDate, 10 * MINUTE);
  t.equal(host.count('create'), 3);
});

t.test('… a 401 on the way counts against the credential that asked', async (t) => {
  const host = await doubted(t, () => apiFault('ERR_API_UNAUTHORIZED', 'no'));
  await host.clock.advance(10 * MINUTE);
  t.match(host.manager('client'), { pending: { received: true }, lastError: { code: 'ERR_API_UNAUTHORIZED' } });
});
