/** Several API servers: which is asked, what moves, and what does not. */
import t, { type Test } from 'tap';
import type { CertletError } from '../../../src/errors.ts';
import { apiFault } from '../../fixtures/fakes/api.ts';
import { CLUSTER, DAY, FakeHost, type HostOptions, HOUR, MINUTE } from '../../fixtures/fakes/host.ts';
import { absent, BOOTSTRAP_PATH } from '../../fixtures/fakes/kubeconfigs.ts';

const A = CLUSTER.server;
const B = 'https://b.test:6443';
const C = 'https://c.test:6443';

class Servers extends FakeHost {
  readonly faults = new Map<string, CertletError>();

  constructor(options: HostOptions = {}) {
    super({ servers: [B, C], ...options });
    this.api.fault = ({ server }) => this.faults.get(server);
  }

  down(...servers: readonly string[]): void {
    for (const server of servers) this.faults.set(server, apiFault('ERR_API_UNREACHABLE', 'connect ECONNREFUSED'));
    this.api.breakWatches(apiFault('ERR_API_UNREACHABLE', 'the connection broke'));
  }

  up(...servers: readonly string[]): void {
    for (const server of servers) this.faults.delete(server);
  }

  askedSince(index: number): readonly string[] {
    return [...new Set(this.api.calls.slice(index).map(({ server }) => server))];
  }

  get kubeconfigServer(): string | undefined {
    const { node } = this.kubeconfigs;
    return node.kind === 'usable' ? node.config.cluster.server : undefined;
  }
}

function newHost(t: Test, options: HostOptions = {}): Servers {
  const host = new Servers(options);
  t.teardown(() => host.stop());
  return host;
}

t.test("while the kubeconfig's server answers nobody else is asked", async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  await host.clock.advance(HOUR);
  t.strictSame(host.askedSince(0), [A]);
});

for (const row of [
  { name: 'is unreachable', fault: apiFault('ERR_API_UNREACHABLE', 'connect ECONNREFUSED') },
  { name: 'answers 503', fault: apiFault('ERR_API_SERVER', '503') },
]) {
  t.test(`a first bootstrap whose server ${row.name} goes to the next one, in the same attempt`, async (t) => {
    const host = newHost(t);
    const started = host.clock.now();
    host.faults.set(A, row.fault);
    await host.bootstrap();
    t.strictSame(host.clock.now(), started, 'no time passed');
    t.equal(host.log.of('Asking another API server').length, 1);
    t.equal(host.kubeconfigServer, A, 'the kubeconfig stays as it is');
    t.equal(host.agent?.snapshot().servers?.inUse, B);
  });
}

t.test(
  'the one that answered stays in use; the dead one is looked at again slowly, and told when it is back',
  async (t) => {
    const host = newHost(t);
    await host.bootstrap();
    host.down(A);
    await host.clock.advance(2 * HOUR);
    t.equal(host.agent?.snapshot().servers?.inUse, B);
    const since = host.api.calls.length;
    await host.clock.advance(2 * HOUR);
    const looks = host.api.calls.slice(since).filter(({ server }) => server === A);
    t.ok(looks.length >= 11 && looks.length <= 17, `${String(looks.length)} looks in two hours`);
    t.strictSame(host.askedSince(since), [B, A], 'C is not asked while B answers');
    host.up(A);
    await host.clock.advance(15 * MINUTE);
    t.equal(host.log.of('An API server answers again').length, 1);
    t.equal(host.agent?.snapshot().servers?.inUse, B);
    t.equal(host.log.of('Asking another API server').length, 1);
  },
);

t.test('a pending request survives the move: one request, watched on at the next server', async (t) => {
  const host = newHost(t);
  host.api.approve = 'manual';
  host.start();
  await host.clock.settle();
  const [name = ''] = host.api.pendingNames;
  host.down(A);
  await host.clock.advance(MINUTE);
  t.equal(host.api.watchers(name), 1);
  const since = host.api.calls.length;
  host.api.approveRequest(name);
  await host.until(() => host.isUpToDate, MINUTE);
  t.strictSame(host.askedSince(since), [B]);
  t.equal([...host.api.requests.values()].filter(({ csr }) => csr.signerName?.endsWith('client-kubelet')).length, 1);
});

t.test('a request that was carried out and not answered is known again at the next server', async (t) => {
  const host = newHost(t);
  host.api.approve = 'manual';
  const create = host.api.create.bind(host.api);
  let lost = false;
  host.api.create = (body, username) => {
    const csr = create(body, username);
    if (lost) return csr;
    lost = true;
    host.down(A);
    throw apiFault('ERR_API_UNREACHABLE', 'the connection broke');
  };
  host.start();
  await host.clock.settle();
  t.equal(host.api.requests.size, 1, 'one live request');
  t.equal(host.log.of('csr for this node already exists, reusing').length, 1);
});

t.test('a server whose TLS is refused does not send the node to another one', async (t) => {
  for (const code of ['ERR_API_TLS', 'ERR_API_TLS_DATES', 'ERR_API_TLS_NO_NAMES'] as const) {
    const host = newHost(t);
    host.faults.set(A, apiFault(code, 'not signed by the CA'));
    host.start();
    await host.clock.advance(HOUR);
    t.strictSame(host.askedSince(0), [A]);
    t.equal(host.manager('client').lastError?.code, code);
    await host.stop();
  }
});

t.test('another one whose TLS is refused is told once and passed over', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  host.faults.set(B, apiFault('ERR_API_TLS', 'not signed by the CA'));
  host.down(A);
  await host.clock.advance(3 * HOUR);
  t.equal(host.agent?.snapshot().servers?.inUse, C);
  t.match(host.log.of('An API server is not trusted and is passed over'), [{ level: 'warn', fields: { server: B } }]);
});

t.test('none answers: the error is that of the one in use, and all come back into use by themselves', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  host.down(A, B, C);
  await host.agent?.renew(['client']);
  const since = host.api.calls.length;
  await host.clock.advance(HOUR);
  t.match(host.manager('client').lastError, { code: 'ERR_API_UNREACHABLE' });
  const perHour = host.api.calls.length - since;
  t.ok(perHour < 150, `${String(perHour)} requests in the hour`);
  host.up(C);
  await host.clock.advance(15 * MINUTE);
  t.equal(host.agent?.snapshot().servers?.inUse, C);
  t.equal(host.isUpToDate, true);
});

t.test('moveKubeconfig: the kubeconfig follows after that time, and the kubelet is restarted once', async (t) => {
  const host = newHost(t, { moveKubeconfigMs: 10 * MINUTE });
  await host.bootstrap();
  host.down(A);
  await host.clock.advance(9 * MINUTE);
  t.equal(host.kubeconfigServer, A);
  await host.clock.advance(10 * MINUTE);
  t.equal(host.kubeconfigServer, B);
  t.equal(host.restarts.length, 1);
  t.match(host.log.of('The kubeconfig names another API server now'), [{ fields: { server: B, instead: A } }]);
  host.up(A);
  await host.clock.advance(DAY);
  t.equal(host.kubeconfigServer, B, 'the bootstrap kubeconfig goes on to name the old one, which is no offer');
  t.equal(host.restarts.length, 1);
  await host.restart(MINUTE);
  await host.clock.advance(HOUR);
  t.equal(host.kubeconfigServer, B, 'neither after a restart');
});

t.test('without moveKubeconfig the kubeconfig stays', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  host.down(A);
  await host.clock.advance(DAY);
  t.equal(host.kubeconfigServer, A);
  t.equal(host.restarts.length, 0);
});

t.test('moveKubeconfig: no more than once an hour, also over a restart', async (t) => {
  const host = newHost(t, { moveKubeconfigMs: 10 * MINUTE });
  await host.bootstrap();
  host.down(A);
  await host.until(() => host.restarts.length === 1, HOUR);
  host.down(B);
  await host.clock.advance(20 * MINUTE);
  await host.restart(MINUTE);
  await host.clock.advance(20 * MINUTE);
  t.equal(host.kubeconfigServer, B);
  await host.clock.advance(HOUR);
  t.equal(host.kubeconfigServer, C);
  t.equal(host.restarts.length, 2);
  const [first, second] = host.restarts.map((date) => date.getTime());
  t.ok((second ?? 0) - (first ?? 0) >= HOUR);
});

t.test('the server that the kubeconfig named first is asked also after the kubeconfig has left it', async (t) => {
  const host = newHost(t, { moveKubeconfigMs: 10 * MINUTE });
  await host.bootstrap();
  host.down(A);
  await host.until(() => host.kubeconfigServer === B, HOUR);
  host.up(A);
  await host.restart(2 * HOUR);
  host.down(B, C);
  await host.clock.advance(10 * MINUTE);
  t.equal(host.agent?.snapshot().servers?.inUse, A);
});

t.test('moveKubeconfig: a restart that was not taken is asked for again, also after a crash', async (t) => {
  const host = newHost(t, { moveKubeconfigMs: 10 * MINUTE });
  await host.bootstrap();
  host.restartFault = () => apiFault('ERR_HOOK', 'the flag was not taken');
  host.down(A);
  await host.until(() => host.kubeconfigServer === B, HOUR);
  t.equal(host.log.of('Could not have the kubelet restarted').length, 1);
  await host.clock.advance(HOUR);
  t.equal(host.log.of('Could not have the kubelet restarted').length, 1, 'told once');
  await host.stop();
  host.restartFault = undefined;
  host.start();
  await host.clock.advance(5 * MINUTE);
  t.equal(host.restarts.length, 1);
});

t.test(
  'a bootstrap kubeconfig that was not there during a move took the kubeconfig back to the server that was left',
  async (t) => {
    const host = newHost(t, { moveKubeconfigMs: 10 * MINUTE });
    await host.bootstrap();
    const { bootstrap } = host.kubeconfigs;
    host.kubeconfigs.bootstrap = absent(BOOTSTRAP_PATH);
    host.agent?.filesChanged();
    host.down(A);
    await host.until(() => host.kubeconfigServer === B, HOUR);
    host.up(A);
    host.kubeconfigs.bootstrap = bootstrap;
    host.agent?.filesChanged();
    await host.clock.advance(HOUR);
    t.equal(host.kubeconfigServer, B);
  },
);

t.test('a certificate that ended after a move took the kubeconfig back to the server that was left', async (t) => {
  const host = newHost(t, { moveKubeconfigMs: 10 * MINUTE });
  host.api.lifetimeMs = 10 * DAY;
  await host.bootstrap();
  host.down(A);
  await host.until(() => host.kubeconfigServer === B, HOUR);
  host.up(A);
  await host.restart(11 * DAY);
  await host.clock.advance(10 * MINUTE);
  t.equal(host.isUpToDate, true, 'by the bootstrap credential');
  t.equal(host.kubeconfigServer, B);
});

t.test('moveKubeconfig: another server in the bootstrap kubeconfig is an offer as ever', async (t) => {
  const host = newHost(t, { moveKubeconfigMs: 10 * MINUTE });
  await host.bootstrap();
  host.down(A);
  await host.until(() => host.kubeconfigServer === B, HOUR);
  host.offerToken('abcdef.0123456789abcdef', { ...CLUSTER, server: 'https://new.test:6443' });
  host.agent?.filesChanged();
  await host.clock.advance(10 * MINUTE);
  t.equal(host.kubeconfigServer, 'https://new.test:6443');
});

t.test("an offer that does not answer itself is not taken over for another server's answer", async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  const gone = 'https://gone.test:6443';
  host.faults.set(gone, apiFault('ERR_API_UNREACHABLE', 'connect ECONNREFUSED'));
  host.offerToken('abcdef.0123456789abcdef', { ...CLUSTER, server: gone });
  host.agent?.filesChanged();
  await host.clock.advance(HOUR);
  t.equal(host.kubeconfigServer, A);
});

const endpointsOf = (...ips: readonly string[]): object => ({
  subsets: [{ addresses: ips.map((ip) => ({ ip })), ports: [{ name: 'https', port: 6443 }] }],
});

t.test('servers from Endpoints: verified before they count, remembered over a restart', async (t) => {
  const host = newHost(t, { servers: [], serversFromEndpoints: true });
  host.api.endpoints = endpointsOf('10.0.0.1', '10.0.0.2', '10.0.0.3');
  const bad = 'https://10.0.0.2:6443';
  host.faults.set(bad, apiFault('ERR_API_TLS', 'not signed by the CA'));
  await host.bootstrap();
  await host.clock.advance(10 * MINUTE);
  t.strictSame(host.servers.record.found, ['https://10.0.0.1:6443', 'https://10.0.0.3:6443']);
  t.match(host.log.of('An API server is not trusted and is passed over'), [{ fields: { server: bad } }]);
  host.down(A);
  await host.restart(MINUTE);
  await host.clock.advance(10 * MINUTE);
  t.equal(host.agent?.snapshot().servers?.inUse, 'https://10.0.0.1:6443');
  t.equal(host.isUpToDate, true);
});

t.test('a list that cannot be read changes nothing, and is told once', async (t) => {
  const host = newHost(t, { servers: [], serversFromEndpoints: true });
  host.api.fault = ({ what }) => (what === 'endpoints' ? apiFault('ERR_API_FORBIDDEN', 'no') : undefined);
  await host.bootstrap();
  await host.clock.advance(3 * HOUR);
  t.strictSame(host.servers.record.found, []);
  t.equal(host.log.of('Cannot read the API servers of the cluster').length, 1);
});

t.test('what went wrong about the servers was told the first time alone, however often it came back', async (t) => {
  const host = newHost(t, { servers: [], serversFromEndpoints: true });
  host.api.endpoints = endpointsOf('10.0.0.1');
  await host.bootstrap();
  for (const times of [1, 2]) {
    host.api.fault = ({ what }) => (what === 'endpoints' ? apiFault('ERR_API_FORBIDDEN', 'no') : undefined);
    await host.clock.advance(3 * HOUR);
    t.equal(host.log.of('Cannot read the API servers of the cluster').length, times);
    host.api.fault = () => undefined;
    await host.clock.advance(3 * HOUR);
  }
});

t.test('a disk that takes no note is told, and keeps nobody from the next server', async (t) => {
  const host = newHost(t, { moveKubeconfigMs: 10 * MINUTE });
  host.servers.fail = () => apiFault('ERR_STORE_IO', 'EIO');
  await host.bootstrap();
  host.down(A);
  await host.clock.advance(HOUR);
  t.equal(host.kubeconfigServer, B);
  t.equal(host.log.of('Cannot note what is known of the API servers').length, 1);
  t.equal(host.restarts.length, 1);
});

t.test('the clock was set back by a year: the API servers of the cluster were read again a year later', async (t) => {
  const host = newHost(t, { servers: [], serversFromEndpoints: true });
  host.api.endpoints = endpointsOf('10.0.0.1');
  await host.bootstrap();
  await host.clock.advance(10 * MINUTE);
  host.api.endpoints = endpointsOf('10.0.0.3');
  await host.clock.step(-365 * DAY);
  await host.clock.advance(10 * MINUTE);
  t.strictSame(host.servers.record.found, ['https://10.0.0.3:6443']);
});

t.test(
  'the clock was set back by a year: the restart for a moved kubeconfig was asked for again a year later',
  async (t) => {
    const host = newHost(t, { moveKubeconfigMs: 10 * MINUTE });
    await host.bootstrap();
    host.restartFault = () => apiFault('ERR_HOOK', 'the flag was not taken');
    host.down(A);
    await host.until(() => host.kubeconfigServer === B, HOUR);
    host.restartFault = undefined;
    await host.clock.step(-365 * DAY);
    await host.clock.advance(15 * MINUTE);
    t.equal(host.restarts.length, 1);
  },
);

t.test('the clock was set back by a year: a server that was away was looked at again a year later', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  host.down(A);
  await host.clock.advance(HOUR);
  host.up(A);
  await host.clock.step(-365 * DAY);
  await host.clock.advance(15 * MINUTE);
  const state = host.agent?.snapshot().servers?.servers.find(({ server }) => server === A)?.state;
  t.equal(state, 'up');
});
