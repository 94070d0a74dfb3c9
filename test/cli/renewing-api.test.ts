/** The approver's API of a kubeconfig that others renew: when it is read again, and what of it makes new connections. */
import assert from 'node:assert';
import t from 'tap';
import { RenewingApi } from '../../src/cli/renewing-api.ts';
import { CertletError, type ErrorCode } from '../../src/errors.ts';
import type { ClientConfig, Credential } from '../../src/kubeconfig/client-config.ts';

import { Secret } from '../../src/secret.ts';
import { FakeClusterApi } from '../fixtures/fakes/cluster-api.ts';
import { proxyOf } from '../fixtures/proxy-url.ts';

const MINUTE_MS = 60_000;
const { signal } = new AbortController();

const tokenOf = (text: string): Credential => ({ kind: 'token', token: new Secret(text) });
const pairOf = (chainPem: string, key: string): Credential => ({
  kind: 'certificate',
  chainPem,
  keyPem: new Secret(key),
});
const pluginOf = (value: string): Credential => ({
  kind: 'exec',
  plugin: {
    apiVersion: 'v1',
    command: '/bin/x',
    args: [],
    env: [{ name: 'A', value }],
    provideClusterInfo: false,
  },
});

function configOf(credential: Credential, cluster: Partial<ClientConfig['cluster']> = {}): ClientConfig {
  return {
    source: '/admin.conf',
    cluster: { server: 'https://192.0.2.1:6443', insecureSkipTlsVerify: false, ...cluster },
    credential,
    files: [],
    warnings: [],
  };
}

/** A kubeconfig that the test changes, and what was opened of it. */
class World {
  nowMs = 0;
  reads = 0;
  /** Thrown by the API instead of an answer. */
  answer: ErrorCode | undefined;
  file: () => ClientConfig;
  readonly opened: FakeClusterApi[] = [];
  readonly api: RenewingApi;

  constructor(first: ClientConfig = configOf(tokenOf('first'))) {
    this.file = () => first;
    const parts = {
      read: async () => {
        this.reads += 1;
        return this.file();
      },
      open: () => {
        const opened = new FakeClusterApi(
          () => {
            if (this.answer !== undefined) throw new CertletError(this.answer, 'said the server');
            return {};
          },
          `connection ${String(this.opened.length + 1)}`,
        );
        this.opened.push(opened);
        return opened;
      },
      ticks: () => this.nowMs,
    };
    this.api = new RenewingApi(parts, first);
  }

  async ask(): Promise<string> {
    await this.api.request('GET', '/x', undefined, signal).catch((error: unknown) => {
      if (this.answer === undefined) throw error;
    });
    return this.api.identity.label;
  }
}

async function watchOnce({ api }: World): Promise<void> {
  for await (const event of api.watch('/x', {}, signal)) assert.ok(event);
}

for (const { name, before, after, isNew } of [
  { name: 'the same', before: configOf(tokenOf('a')), after: configOf(tokenOf('a')), isNew: false },
  { name: 'another token', before: configOf(tokenOf('a')), after: configOf(tokenOf('b')), isNew: true },
  { name: 'another kind', before: configOf(tokenOf('a')), after: configOf({ kind: 'none' }), isNew: true },
  { name: 'the same pair', before: configOf(pairOf('c', 'k')), after: configOf(pairOf('c', 'k')), isNew: false },
  { name: 'another certificate', before: configOf(pairOf('c', 'k')), after: configOf(pairOf('d', 'k')), isNew: true },
  { name: 'another key', before: configOf(pairOf('c', 'k')), after: configOf(pairOf('c', 'l')), isNew: true },
  { name: 'the same plugin', before: configOf(pluginOf('1')), after: configOf(pluginOf('1')), isNew: false },
  {
    name: 'another variable of a plugin',
    before: configOf(pluginOf('1')),
    after: configOf(pluginOf('2')),
    isNew: true,
  },
  {
    name: 'a token file with new text: the connection reads that itself',
    before: configOf({ kind: 'tokenFile', path: '/t', token: new Secret('a') }),
    after: configOf({ kind: 'tokenFile', path: '/t', token: new Secret('b') }),
    isNew: false,
  },
  {
    name: 'another token file',
    before: configOf({ kind: 'tokenFile', path: '/t' }),
    after: configOf({ kind: 'tokenFile', path: '/u' }),
    isNew: true,
  },
  {
    name: 'another CA',
    before: configOf(tokenOf('a'), { caPem: '1' }),
    after: configOf(tokenOf('a'), { caPem: '2' }),
    isNew: true,
  },
  {
    name: 'another server',
    before: configOf(tokenOf('a')),
    after: configOf(tokenOf('a'), { server: 'https://192.0.2.2:6443' }),
    isNew: true,
  },
  {
    name: 'another password of the proxy',
    before: configOf(tokenOf('a'), { proxyUrl: proxyOf('http://u:one@192.0.2.9:3128') }),
    after: configOf(tokenOf('a'), { proxyUrl: proxyOf('http://u:two@192.0.2.9:3128') }),
    isNew: true,
  },
  {
    name: 'the same proxy',
    before: configOf(tokenOf('a'), { proxyUrl: proxyOf('http://u:one@192.0.2.9:3128') }),
    after: configOf(tokenOf('a'), { proxyUrl: proxyOf('http://u:one@192.0.2.9:3128') }),
    isNew: false,
  },
  {
    name: 'other warnings and files alone',
    before: configOf(tokenOf('a')),
    after: { ...configOf(tokenOf('a')), warnings: ['w'], files: ['/f'] },
    isNew: false,
  },
]) {
  t.test(`a kubeconfig with ${name} ${isNew ? 'is connected anew' : 'keeps its connections'}`, async (t) => {
    const world = new World(before);
    world.file = () => after;
    world.nowMs = MINUTE_MS;
    t.equal(await world.ask(), isNew ? 'connection 2' : 'connection 1');
    t.equal(world.opened.length, isNew ? 2 : 1);
    t.equal(world.opened[0]?.closed, isNew ? 1 : 0, 'the old one is closed, and only then');
    world.nowMs += MINUTE_MS;
    await world.ask();
    t.equal(world.opened.length, isNew ? 2 : 1, 'what was compared is kept');
  });
}

t.test('it is read once a minute and not before', async (t) => {
  const world = new World();
  for (const [nowMs, reads] of [
    [0, 0],
    [MINUTE_MS - 1, 0],
    [MINUTE_MS, 1],
    [MINUTE_MS + 1, 1],
    [2 * MINUTE_MS - 1, 1],
    [5 * MINUTE_MS, 2],
  ] as const) {
    world.nowMs = nowMs;
    await world.ask();
    t.equal(world.reads, reads, `at ${String(nowMs)}`);
  }
});

for (const { code, reads } of [
  { code: 'ERR_API_UNAUTHORIZED', reads: 1 },
  { code: 'ERR_API_FORBIDDEN', reads: 0 },
  { code: 'ERR_API_UNREACHABLE', reads: 0 },
  { code: 'ERR_API_SERVER', reads: 0 },
] as const) {
  for (const { by, ask } of [
    { by: 'a request', ask: (world: World) => world.api.request('GET', '/x', undefined, signal) },
    { by: 'discovery', ask: (world: World) => world.api.discover(signal) },
    { by: 'a watch', ask: watchOnce },
  ]) {
    t.test(
      `after ${code} of ${by} the next call ${reads === 0 ? 'reads nothing' : 'reads the kubeconfig'}`,
      async (t) => {
        const world = new World();
        world.answer = code;
        await t.rejects(ask(world), { code });
        t.equal(world.reads, 0);
        world.answer = undefined;
        world.file = () => configOf(tokenOf('second'));
        t.equal(await world.ask(), reads === 0 ? 'connection 1' : 'connection 2');
        t.equal(world.reads, reads);
      },
    );
  }
}

t.test('each way of asking looks first', async (t) => {
  for (const ask of [
    async ({ api }: World) => api.discover(signal),
    async ({ api }: World) => api.request('GET', '/x', undefined, signal),
    watchOnce,
  ]) {
    const world = new World();
    world.file = () => configOf(tokenOf('second'));
    world.nowMs = MINUTE_MS;
    await ask(world);
    t.equal(world.opened[0]?.asked.length, 0);
    t.equal(world.opened[1]?.asked.length, 1);
  }
});

t.test('a kubeconfig that cannot be read leaves the connection, and is tried a minute later', async (t) => {
  const world = new World();
  world.file = () => {
    throw new CertletError('ERR_CREDENTIAL_INVALID', 'the pair is being swapped');
  };
  world.nowMs = MINUTE_MS;
  t.equal(await world.ask(), 'connection 1');
  t.equal(world.opened[0]?.asked.length, 1, 'it was asked all the same');
  world.file = () => configOf(tokenOf('second'));
  t.equal(await world.ask(), 'connection 1');
  world.nowMs += MINUTE_MS;
  t.equal(await world.ask(), 'connection 2');
});

t.test('a mistake of the program is not taken for a file that cannot be read', async (t) => {
  const world = new World();
  world.file = () => {
    throw new TypeError('x is not a function');
  };
  world.nowMs = MINUTE_MS;
  await t.rejects(world.ask(), TypeError);
});

t.test('an old connection that cannot be closed disturbs nobody, and close() closes the one there is', async (t) => {
  const world = new World();
  const [first] = world.opened;
  if (first !== undefined) first.close = () => Promise.reject(new Error('broken pipe'));
  world.file = () => configOf(tokenOf('second'));
  world.nowMs = MINUTE_MS;
  t.equal(await world.ask(), 'connection 2');
  await world.api.close();
  t.equal(world.opened[1]?.closed, 1);
});
