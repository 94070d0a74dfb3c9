/**
 * Each request of an agent with everything that a network, a proxy or an API server can do to it: real adapters over real TLS against the fake
 * cluster, on a fake clock. What must follow is in the table of `fixtures/api-cells.ts`. Then the same errors for a day, without sockets.
 */
import { generateKeyPairSync } from 'node:crypto';
import { readdirSync } from 'node:fs';
import t from 'tap';
import { createApiConnector } from '../../src/adapters/api/connector.ts';
import { ERROR_RULES } from '../../src/error-rules.ts';
import { CertletError, type ErrorCode } from '../../src/errors.ts';
import { Secret } from '../../src/secret.ts';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { deepJson, hugeJson, LOGIN_PAGE, type FaultKind } from '../fixtures/cluster/faults.ts';
import type { SigningTask } from '../fixtures/cluster/settings.ts';
import { FakeApi } from '../fixtures/fakes/api.ts';
import { FakeClock } from '../fixtures/fakes/clock.ts';
import { type ApiFate, FAULTS, fateOf, REQUESTS, type RequestKind } from './fixtures/api-cells.ts';
import { ApiWorld } from './fixtures/api-world.ts';
import { violations } from './fixtures/disk-checks.ts';
import { SimulatedNode } from './fixtures/simulated-node.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const REFUSED = 'Failed while requesting a signed certificate';
/** The next attempt is at most so far away a few minutes into a fault. */
const LONGEST_WAIT_MS: Readonly<Record<string, number>> = {
  retrySoon: 5 * MINUTE_MS,
  fallBackToBootstrap: 5 * MINUTE_MS,
  retrySlowly: 15 * MINUTE_MS,
};
const figures = { cells: 0, days: 0, busiestHour: 0, calls: 0 };

t.setTimeout(10 * MINUTE_MS);

/** An agent whose next requests include the one that is to go wrong. */
async function worldFor(request: RequestKind): Promise<ApiWorld> {
  if (request !== 'get') return await ApiWorld.open();
  // The object is read when an agent comes back to a request that it had posted.
  const world = await ApiWorld.open({ approval: 'never' });
  world.node.start();
  await world.settle();
  await world.node.stop();
  world.cluster.settings.approval = 'automatic';
  world.cluster.sync();
  return world;
}

function differences(world: ApiWorld, fate: ApiFate): readonly string[] {
  const { node, clock } = world;
  const client = node.manager('client');
  const problems: string[] = [];
  if (world.connector.calls > 40) problems.push(`${String(world.connector.calls)} requests`);
  if (fate === 'harmless') {
    const waiting = [client, node.manager('serving')].filter(({ phase }) => phase !== 'valid');
    return [...problems, ...waiting.map(({ purpose, phase, reason }) => `${purpose}: ${phase}: ${reason}`)];
  }
  if (client.phase !== 'waiting to retry') problems.push(`phase ${client.phase}`);
  if (client.lastError?.code !== fate) problems.push(`code ${String(client.lastError?.code)} instead of ${fate}`);
  const line = node.log.of(REFUSED).at(-1);
  if (line?.fields['code'] !== fate) problems.push(`no line with ${fate}`);
  if (line?.fields['retry'] === undefined) problems.push('the line does not say when it is tried again');
  const aheadMs = (client.nextAttempt?.getTime() ?? Number.NaN) - clock.now().getTime();
  const limitMs = LONGEST_WAIT_MS[ERROR_RULES[fate].action] ?? 0;
  if (!(aheadMs > 0 && aheadMs <= limitMs)) problems.push(`next attempt in ${String(aheadMs)} ms`);
  return problems;
}

/** Nothing is lost: once the fault is gone both certificates come, with one request for each. */
async function problemsAfter(world: ApiWorld, requests: number): Promise<readonly string[]> {
  const problems: string[] = [];
  if (!(await world.untilUpToDate())) problems.push(`not up to date: ${world.node.manager('client').reason}`);
  if (world.node.thrown !== undefined) problems.push('the loop ended');
  if (world.cluster.csrs.length > requests) problems.push(`${String(world.cluster.csrs.length)} signing requests`);
  return [...problems, ...violations(world.disk.image, ['client', 'serving'])];
}

async function cell(request: RequestKind, name: string): Promise<readonly string[]> {
  const world = await worldFor(request);
  try {
    const fault = world.cluster.faults.add(FAULTS[name]!.fault(), REQUESTS[request]);
    world.connector.calls = 0;
    if (request === 'get') await world.restart();
    else world.node.start();
    // A fresh certificate is refused for good after five minutes.
    const minutes = fateOf(request, name) === 'ERR_ISSUED_UNPROVEN' ? 4 : 10;
    // A silent server costs real time at each attempt.
    await world.pass(name.startsWith('silence') ? 15_000 : minutes * MINUTE_MS, 2_000);
    const found = differences(world, fateOf(request, name));
    const hit = fault.hits.length > 0 ? [] : ['no request was hit'];
    fault.release();
    return [...found, ...hit, ...(await problemsAfter(world, name === '404' && request === 'get' ? 3 : 2))];
  } finally {
    await world.close();
  }
}

for (const request of Object.keys(REQUESTS) as RequestKind[]) {
  t.test(`${request} goes wrong in every way`, async (t) => {
    t.setTimeout(3 * MINUTE_MS);
    for (const name of Object.keys(FAULTS)) {
      figures.cells += 1;
      t.strictSame(await cell(request, name), [], `${name}: ${fateOf(request, name)}`);
    }
  });
}

const OTHER = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
const DAY_MS = 24 * HOUR_MS;
const ago = (ms: number): Date => new Date(Date.now() - ms);
const reversed = (pem: string): string =>
  (pem.match(/-----BEGIN[^]*?END CERTIFICATE-----\n/g) ?? []).reverse().join('');

/** `client` and `serving`: which certificate waits for hours; undefined: the certificate is fine. */
const SIGNERS: Readonly<
  Record<
    string,
    { readonly sign: (task: SigningTask) => string; readonly waits?: 'client' | 'serving'; readonly says?: RegExp }
  >
> = {
  "another key's certificate": {
    sign: (task) => task.issue({ publicKey: OTHER }).chainPem,
    waits: 'client',
    says: /another key/,
  },
  'an expired certificate': {
    sign: (task) => task.issue({ notBefore: ago(2 * DAY_MS), notAfter: ago(DAY_MS) }).chainPem,
    waits: 'client',
    says: /expired at/,
  },
  'a certificate without names': {
    sign: (task) => task.issue({ dnsNames: [], ipAddresses: [] }).chainPem,
    waits: 'serving',
    says: /missing requested DNS names \[edge-1\]/,
  },
  'a certificate for another node': {
    sign: (task) => task.issue({ commonName: 'system:node:other' }).chainPem,
    waits: 'client',
    says: /common name is system:node:other/,
  },
  'a chain in the wrong order': {
    sign: (task) => reversed(task.issue().chainPem),
    waits: 'client',
    says: /another key/,
  },
  'a CA certificate': {
    sign: (task) => task.issue({ isCa: true, usages: [...task.usages, 'cert sign'] }).chainPem,
    waits: 'client',
    says: /CA certificate/,
  },
  garbage: { sign: () => 'garbage', waits: 'client', says: /no certificate/ },
  'garbage in PEM': {
    sign: () => '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
    waits: 'client',
    says: /no certificate/,
  },
  'a chain with text around the PEM': { sign: (task) => `subject=CN\n${task.issue().chainPem}\nend of chain\n` },
};

for (const [name, { sign, waits, says }] of Object.entries(SIGNERS)) {
  t.test(
    `a signer that gives ${name}: ${waits === undefined ? 'fine' : `the ${waits} certificate waits for an hour`}`,
    async (t) => {
      figures.cells += 1;
      const world = await ApiWorld.open({ sign, chainLength: 2 });
      t.teardown(() => world.close());
      world.node.start();
      await world.pass(2 * MINUTE_MS);
      if (waits !== undefined) {
        const { phase, lastError, nextAttempt } = world.node.manager(waits);
        t.match(
          { phase, lastError },
          { phase: 'waiting to retry', lastError: { code: 'ERR_ISSUED_UNACCEPTABLE', message: says } },
        );
        const aheadMs = (nextAttempt?.getTime() ?? 0) - world.clock.now().getTime();
        t.ok(aheadMs > 30 * MINUTE_MS && aheadMs <= HOUR_MS, `next attempt in ${String(aheadMs)} ms`);
        await world.restart();
        await world.pass(2 * MINUTE_MS);
        t.equal(world.cluster.csrs.length, waits === 'client' ? 1 : 2, 'nothing is asked anew, also after a restart');
      }
      world.cluster.settings.sign = undefined;
      for (let left = 80; left > 0 && !world.node.upToDate; left -= 1) await world.pass(MINUTE_MS, MINUTE_MS);
      t.ok(world.node.upToDate, 'and when the signer is mended, all comes');
    },
  );
}

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
  await world.pass(20 * MINUTE_MS);
  t.match(world.node.manager('client'), {
    pending: { received: true },
    lastError: { code: /ERR_API_ANONYMOUS|ERR_API_UNAUTHORIZED|ERR_ISSUED_/ },
  });
  t.equal(world.cluster.csrs.length, 1, 'one request');
  world.cluster.settings.stripClientCertificates = false;
  t.ok(await world.untilUpToDate());
});

t.test('an API server that is gone for an hour, and one that a black hole swallows', async (t) => {
  const world = await ApiWorld.open();
  t.teardown(() => world.close());
  await world.cluster.stop();
  world.node.start();
  await world.pass(HOUR_MS, 10_000);
  t.match(world.node.manager('client').lastError, { code: 'ERR_API_UNREACHABLE', message: /nothing listens there/ });
  t.ok(world.connector.calls < 60, `${String(world.connector.calls)} tries in an hour`);
  await world.cluster.start();
  t.ok(await world.untilUpToDate());
});

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

const CODES = [
  'ERR_API_UNREACHABLE',
  'ERR_API_TLS',
  'ERR_API_TLS_DATES',
  'ERR_API_UNAUTHORIZED',
  'ERR_API_FORBIDDEN',
  'ERR_API_ANONYMOUS',
  'ERR_API_NOT_FOUND',
  'ERR_API_CONFLICT',
  'ERR_API_REJECTED',
  'ERR_API_THROTTLED',
  'ERR_API_SERVER',
  'ERR_API_PROTOCOL',
  'ERR_API_UNSUPPORTED',
] as const satisfies readonly ErrorCode[];

/** The most calls within any hour. */
function busiestHour(calls: readonly { readonly at: Date }[]): number {
  let [first, busiest] = [0, 0];
  calls.forEach(({ at }, index) => {
    while (at.getTime() - calls[first]!.at.getTime() > HOUR_MS) first += 1;
    busiest = Math.max(busiest, index - first + 1);
  });
  return busiest;
}

for (const code of CODES) {
  t.test(`${code} for a day, of each request: a bounded number in any hour, and all comes when it ends`, async (t) => {
    for (const what of ['every request', 'create', 'watch', 'review', 'node', 'discover']) {
      const clock = new FakeClock();
      const api = new FakeApi(clock);
      const node = new SimulatedNode(clock, api);
      api.fault = (call) =>
        what === 'every request' || call.what === what
          ? new CertletError(code, 'a day of this', { remedy: 'none' })
          : undefined;
      node.start();
      await clock.advance(24 * HOUR_MS);
      figures.days += 1;
      figures.busiestHour = Math.max(figures.busiestHour, busiestHour(api.calls));
      t.ok(busiestHour(api.calls) <= 130, `${what}: ${String(busiestHour(api.calls))} requests in the busiest hour`);
      api.fault = () => undefined;
      await clock.advanceUntil(() => node.last?.upToDate === true, 2 * HOUR_MS);
      await node.stop();
      const live = api.pendingNames.length;
      t.equal(live, 0, 'no request is left over');
    }
  });
}

const openFiles = (): number => readdirSync('/proc/self/fd').length;

t.test('hundreds of broken answers leave no socket, no file descriptor and no memory behind', async (t) => {
  const cluster = await startFakeCluster();
  t.teardown(() => cluster.close());
  const kinds: readonly FaultKind[] = [
    { kind: 'reset', at: 'request' },
    { kind: 'reset', at: 'body' },
    { kind: 'half' },
    { kind: 'status', code: 401 },
    { kind: 'status', code: 503 },
    { kind: 'answer', body: LOGIN_PAGE, contentType: 'text/html' },
    { kind: 'answer', body: hugeJson(20_000_000) },
    { kind: 'answer', body: deepJson(1000) },
  ];
  const connector = createApiConnector({ version: 'test', environment: {}, now: () => new Date() });
  const access = { server: cluster.url, caPem: cluster.serverCa.pem, insecureSkipTlsVerify: false };
  const round = async (kind: FaultKind): Promise<void> => {
    const fault = cluster.faults.add(kind);
    const api = connector.connect(access, { kind: 'token', token: new Secret('abcdef.0123456789abcdef') });
    const { signal } = new AbortController();
    await t.rejects(api.discover(signal));
    await t.rejects(async () => {
      for await (const _event of api.watchCsr('v1', 'none', '1', signal));
      throw new CertletError('ERR_API_PROTOCOL', 'the watch ended');
    });
    figures.calls += 2;
    fault.release();
    await api.close();
  };
  const settled = async (): Promise<void> => {
    cluster.closeConnections();
    for (let turn = 0; turn < 200 && cluster.openConnections > 0; turn += 1)
      await new Promise((resolve) => setTimeout(resolve, 10));
  };
  for (const kind of kinds) await round(kind);
  await settled();
  const [files, { rss }] = [openFiles(), process.memoryUsage()];
  for (let count = 0; count < 12; count += 1) for (const kind of kinds) await round(kind);
  await settled();
  t.ok(openFiles() <= files + 2, `${String(openFiles())} descriptors after, ${String(files)} before`);
  const grownMiB = (process.memoryUsage().rss - rss) / 2 ** 20;
  t.ok(grownMiB < 150, `${grownMiB.toFixed(0)} MiB more`);
});

t.teardown(() => {
  console.log(`# figure API cells tried: ${String(figures.cells)}`);
  console.log(
    `# figure days of one API error: ${String(figures.days)}, at most ${String(figures.busiestHour)} requests in an hour`,
  );
  console.log(`# figure calls with broken answers without a leak: ${String(figures.calls)}`);
});
