import t, { type Test } from 'tap';
import type { CertletError } from '../../../src/errors.ts';
import { apiFault } from '../../fixtures/fakes/api.ts';
import { DAY, FakeHost, HOUR, MINUTE } from '../../fixtures/fakes/host.ts';

function newHost(t: Test, options: ConstructorParameters<typeof FakeHost>[0] = {}): FakeHost {
  const host = new FakeHost(options);
  t.teardown(() => host.stop());
  return host;
}

/** Fails every call from the given one on, as a process that was killed there does nothing any more. */
function killAt(host: FakeHost, call: number): void {
  let calls = 0;
  host.store.fail = (): CertletError | undefined => {
    calls += 1;
    return calls > call ? apiFault('ERR_STORE_IO', 'killed') : undefined;
  };
}

/** Store calls of an undisturbed bootstrap. */
async function callsOfBootstrap(t: Test): Promise<number> {
  const host = newHost(t);
  await host.bootstrap();
  return host.store.calls.length;
}

t.test('killed before any store call of a bootstrap, the next start finishes with the same requests', async (t) => {
  const total = await callsOfBootstrap(t);
  t.ok(total > 10);
  for (let call = 0; call < total; call += 1) {
    const host = newHost(t);
    killAt(host, call);
    host.start();
    await host.clock.settle();
    await host.stop();
    host.store.fail = () => undefined;
    host.start();
    await host.until(() => host.isUpToDate, 10 * MINUTE);
    t.equal(host.api.requests.size, 2, `killed before call ${String(call)}: ${host.store.calls[call] ?? ''}`);
    t.equal(host.store.shelves.client.pending, undefined);
    t.equal(host.store.shelves.serving.pending, undefined);
  }
});

t.test('killed before any store call of a renewal, the same', async (t) => {
  for (let call = 0; call < 14; call += 1) {
    const host = newHost(t);
    await host.bootstrap();
    killAt(host, call);
    await host.agent?.renew(['client', 'serving']).catch(() => undefined);
    await host.clock.settle();
    await host.stop();
    host.store.fail = () => undefined;
    const asked = host.api.requests.size;
    t.ok(asked <= 4);
    host.start();
    await host.until(() => host.isUpToDate, 10 * MINUTE);
    t.ok(host.api.requests.size === asked || host.store.shelves.client.pending === undefined);
    const live = [...host.api.requests.values()].filter(({ csr }) => csr.certificatePem === undefined);
    t.strictSame(live, [], `killed at ${String(call)}`);
    t.ok(host.api.requests.size <= 4, 'no second request for what was asked already');
  }
});

t.test('killed while the request waits: resumed by a GET and a watch, never posted again', async (t) => {
  const host = newHost(t);
  host.api.approve = 'manual';
  host.start();
  await host.clock.settle();
  for (let count = 0; count < 5; count += 1) await host.restart(HOUR);
  t.equal(host.count('create'), 1);
  t.equal(host.count('get'), 5);
  t.equal(host.log.of('Resuming the pending certificate signing request').length, 5);
  const [name = ''] = host.api.requests.keys();
  host.api.approveRequest(name);
  await host.until(() => host.isUpToDate, 5 * MINUTE);
});

t.test('another node name or a copied state folder: the record is dropped', async (t) => {
  const host = newHost(t);
  host.api.approve = 'manual';
  host.start();
  await host.clock.settle();
  await host.stop();
  host.options = { ...host.options, nodeName: 'n2', certDir: '/elsewhere' };
  host.start();
  await host.clock.settle();
  t.match(host.log.of('Dropping a pending request that is not for this node')[0]?.fields, {
    why: ['it asks for node n1', 'it belongs to /pki'],
  });
  t.equal(host.count('create'), 2);
});

for (const code of ['ERR_STORE_FULL', 'ERR_STORE_READ_ONLY', 'ERR_STORE_IO'] as const) {
  t.test(`${code} from the start: stays up, says so, goes on when the disk does`, async (t) => {
    const host = newHost(t);
    host.store.fail = (call) => (call.startsWith('inspect') ? undefined : apiFault(code, 'the disk'));
    host.start();
    await host.clock.advance(HOUR);
    t.equal(host.count('create'), 0);
    t.equal(host.isUpToDate, false);
    t.equal(host.thrown, undefined);
    const lines = host.log.of('Could not bring the files in order').length;
    t.ok(lines > 3 && lines < 60, `${String(lines)} lines in an hour`);
    t.equal(host.manager('client').lastError?.code, code);
    host.store.fail = () => undefined;
    await host.until(() => host.isUpToDate, 20 * MINUTE);
  });

  t.test(
    `${code} when the issued pair is to be installed: kept and installed later, nothing asked again`,
    async (t) => {
      const host = newHost(t);
      host.store.fail = (call) => (call === 'install client' ? apiFault(code, 'the disk') : undefined);
      host.start();
      await host.clock.advance(HOUR);
      t.equal(host.count('create'), 1);
      t.equal(host.manager('client').pending?.received, true);
      host.store.fail = () => undefined;
      await host.until(() => host.isUpToDate, 20 * MINUTE);
      t.equal(host.count('create'), 2);
    },
  );
}

t.test('a serving folder in trouble does not keep the client certificate from coming', async (t) => {
  const host = newHost(t);
  host.store.fail = (call) => (call === 'install serving' ? apiFault('ERR_STORE_IO', 'the disk') : undefined);
  host.start();
  await host.clock.advance(10 * MINUTE);
  t.equal(host.manager('client').phase, 'valid');
  t.equal(host.manager('serving').certificate, undefined);
  t.equal(host.count('create'), 1);
  host.store.fail = () => undefined;
  await host.until(() => host.isUpToDate, 20 * MINUTE);
});

t.test('a kubeconfig that cannot be written: told, and the serving certificate comes all the same', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  await host.stop();
  host.kubeconfigs.node = { kind: 'absent', path: '/etc/kubernetes/kubelet.conf' };
  host.store.shelves.serving.pairs = [];
  host.kubeconfigs.fail = () => apiFault('ERR_STORE_READ_ONLY', 'read-only');
  host.start();
  await host.clock.advance(10 * MINUTE);
  t.equal(host.manager('serving').phase, 'valid');
  t.equal(host.isUpToDate, false);
  t.ok(host.log.of('Could not bring the files in order').length > 0);
  host.kubeconfigs.fail = undefined;
  await host.until(() => host.isUpToDate, 20 * MINUTE);
  t.equal(host.kubeconfigs.node.kind, 'usable');
});

t.test('foreign files hold only their own prefix, until they go or a person decides', async (t) => {
  const host = newHost(t);
  host.api.lifetimeMs = DAY;
  await host.bootstrap();
  const { serial } = host.leaf('client');
  host.store.shelves.client.foreign = ['/pki/kubelet-client-2030-01-01-00-00-00.pem'];
  await host.clock.advance(10 * DAY);
  t.equal(host.manager('client').phase, 'held');
  t.match(host.manager('client').command, /rotateCertificates: false/);
  t.equal(host.log.of('The kubelet rotates here too; leaving this certificate alone').length, 1);
  t.equal(host.store.shelves.client.pairs[0]?.pair.chain.leaf.serial, serial, 'untouched');
  await host.restart(HOUR);
  await host.clock.advance(HOUR);
  t.equal(host.manager('client').phase, 'held', 'also after a restart');
  await host.agent?.renew(['client']);
  await host.until(() => host.isUpToDate, HOUR);
  t.not(host.leaf('client').serial, serial);
});

t.test('foreign files that appear while a request waits keep the issued pair staged', async (t) => {
  const host = newHost(t);
  host.api.approveServing = 'manual';
  await host.agent?.renew([]);
  host.start();
  await host.clock.advance(MINUTE);
  host.store.shelves.serving.foreign = ['/pki/kubelet-server-2030-01-01-00-00-00.pem'];
  await host.clock.advance(10 * MINUTE);
  for (const name of host.api.pendingNames) host.api.approveRequest(name);
  await host.clock.settle();
  t.equal(host.manager('serving').placeholder, true);
  t.equal(host.manager('serving').phase, 'held');
  host.store.shelves.serving.foreign = [];
  await host.until(() => host.isUpToDate, 30 * MINUTE);
  t.equal(host.count('create'), 2, 'the staged pair was used');
});

t.test('a link that disappears while the request waits is made again', async (t) => {
  const host = newHost(t);
  host.api.approveServing = 'manual';
  host.start();
  await host.clock.advance(MINUTE);
  host.store.shelves.serving.pairs = [];
  await host.clock.advance(6 * MINUTE);
  t.equal(host.store.shelves.serving.pairs.length, 1);
  t.equal(host.manager('serving').phase, 'waiting for approval');
});

t.test('a defect ends the loop, not silently, and leaves nothing running', async (t) => {
  const host = newHost(t);
  const defect = new TypeError('defect');
  await host.bootstrap();
  host.api.connect = () => {
    throw defect;
  };
  host.offerToken('fedcba.fedcba9876543210', {
    server: 'https://other.test',
    insecureSkipTlsVerify: false,
  });
  await host.clock.advance(10 * MINUTE);
  t.equal(host.thrown, defect);
});

t.test('so does one in the upkeep', async (t) => {
  const host = newHost(t);
  const defect = new TypeError('defect');
  host.store.prune = async () => Promise.reject(defect);
  await host.bootstrap();
  await host.clock.advance(6 * MINUTE);
  t.equal(host.thrown, defect);
});
