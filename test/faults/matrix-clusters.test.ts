/** Clusters that change under the node: tokens that expire, CAs and servers that are replaced, balancers that end TLS. */
import t from 'tap';
import { CertletError } from '../../src/errors.ts';
import { FakeApi } from '../fixtures/fakes/api.ts';
import { FakeClock } from '../fixtures/fakes/clock.ts';
import { REQUESTS, waits } from './fixtures/api-cells.ts';
import { differences, problemsAfter } from './fixtures/api-differences.ts';
import { ApiWorld } from './fixtures/api-world.ts';
import { SimulatedNode } from './fixtures/simulated-node.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

t.setTimeout(10 * MINUTE_MS);

t.test('a bootstrap token that expires in the middle: the fresh one goes on with the same request', async (t) => {
  const world = await ApiWorld.open({ approval: 'never' });
  t.teardown(() => world.close());
  world.node.start();
  await world.settle();
  const [before] = world.cluster.csrs;
  world.cluster.settings.bootstrapTokens = [{ id: 'fresh1', secret: '0123456789abcdef' }];
  await world.pass(3 * MINUTE_MS);
  t.match(world.node.manager('client').lastError, { code: 'ERR_API_UNAUTHORIZED' });
  world.cluster.settings.approval = 'automatic';
  world.cluster.sync();
  world.disk.put('/etc/kubernetes/bootstrap-kubelet.conf', world.cluster.bootstrapKubeconfig());
  world.node.agent.filesChanged();
  t.ok(await world.untilUpToDate());
  t.equal(world.cluster.csrs.length, 2);
  t.ok(world.cluster.csrs.some(({ name }) => name === before?.name));
});

t.test('an API server that answers 401 for the Node alone: the serving certificate comes all the same', async (t) => {
  const world = await ApiWorld.open();
  t.teardown(() => world.close());
  world.cluster.faults.add({ kind: 'status', code: 401 }, REQUESTS.node);
  world.node.start();
  await world.settle();
  t.equal(world.node.manager('serving').phase, 'valid');
  t.equal(world.node.manager('serving').placeholder, false);
});

t.test('a balancer that strips client certificates: told as that, the issued pair is kept', async (t) => {
  const world = await ApiWorld.open({ stripClientCertificates: true });
  t.teardown(() => world.close());
  world.node.start();
  await world.pass(HOUR_MS, 5_000);
  t.strictSame(differences(world, waits('ERR_API_ANONYMOUS')), []);
  t.match(world.node.manager('client'), {
    pending: { received: true },
    lastError: {
      message: /403, the API server saw nobody \(system:anonymous\) although the client certificate .* was sent/,
      remedy: /something between ends TLS/,
    },
  });
  t.equal(world.cluster.csrs.length, 1, 'one request');
  world.cluster.settings.stripClientCertificates = false;
  t.strictSame(await problemsAfter(world, 2), []);
});

t.test(
  'the same before servers that know no anonymous user: refused for five minutes, then a few new pairs an hour',
  async (t) => {
    const world = await ApiWorld.open({ stripClientCertificates: true, anonymous: false });
    t.teardown(() => world.close());
    world.node.start();
    await world.pass(4 * MINUTE_MS, 5_000);
    t.strictSame(differences(world, waits('ERR_ISSUED_UNPROVEN')), []);
    t.match(world.node.manager('client'), {
      pending: { received: true },
      lastError: {
        message: /does not accept the certificate just issued.*: 401/,
        remedy: /a load balancer between must pass TLS through/,
      },
    });
    t.equal(world.cluster.csrs.length, 1);
    await world.pass(HOUR_MS, 5_000);
    t.match(world.node.manager('client').lastError, { code: /^ERR_ISSUED_(UNPROVEN|REFUSED)$/ });
    t.ok(world.node.log.entries.some(({ fields }) => fields['code'] === 'ERR_ISSUED_REFUSED'));
    t.ok(world.cluster.csrs.length <= 6, `${String(world.cluster.csrs.length)} requests in an hour`);
    world.cluster.settings.stripClientCertificates = false;
    t.ok(await world.untilUpToDate());
  },
);

t.test(
  'a control plane of three servers that change their client CA one by one: no node goes back to bootstrapping',
  async (t) => {
    const clock = new FakeClock();
    const api = new FakeApi(clock);
    const node = new SimulatedNode(clock, api);
    node.start();
    await clock.advanceUntil(() => node.last?.upToDate === true, 10 * MINUTE_MS);
    const from = api.calls.length;
    // Servers that have changed refuse the node's old certificate; each connection meets another server.
    let [changed, turn] = [0, 0];
    api.fault = (call) => {
      turn += 1;
      return call.as === 'node' && turn % 3 < changed
        ? new CertletError('ERR_API_UNAUTHORIZED', 'Unauthorized')
        : undefined;
    };
    for (changed = 1; changed < 3; changed += 1) {
      await node.stop();
      node.start();
      await clock.advance(HOUR_MS);
    }
    t.strictSame(
      api.calls.slice(from).filter(({ as }) => as === 'bootstrap'),
      [],
    );
    changed = 0;
    await clock.advance(HOUR_MS);
    t.equal(node.phase('client'), 'valid');
    await node.stop();
  },
);

t.test(
  'a cluster whose CA changes: the new one in the bootstrap kubeconfig is taken over after an accepted request',
  async (t) => {
    const world = await ApiWorld.open();
    t.teardown(() => world.close());
    world.node.start();
    t.ok(await world.untilUpToDate());
    world.cluster.rotateServerCa();
    world.cluster.closeConnections();
    await world.pass(12 * MINUTE_MS, 10_000);
    world.disk.put('/etc/kubernetes/bootstrap-kubelet.conf', world.cluster.bootstrapKubeconfig());
    world.node.agent.filesChanged();
    await world.pass(5 * MINUTE_MS, 5_000);
    t.equal(world.node.log.of('Taking over the cluster entry of the bootstrap kubeconfig').length, 1);
    t.ok(await world.untilUpToDate());
    t.equal(world.cluster.csrs.length, 2, 'no new certificate for that');
  },
);
