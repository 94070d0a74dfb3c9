/** A mistake in certlet (or in a library of it) is told as one, wherever an adapter turns errors into those of the network or the disk. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { networkError } from '../../src/adapters/api/network-errors.ts';
import { credentialSource } from '../../src/adapters/api/credential-source.ts';
import { identityOf } from '../../src/adapters/api/credential-label.ts';
import { callControl } from '../../src/adapters/control/client.ts';
import { createDiscoveryFetch } from '../../src/adapters/discovery-fetch.ts';
import { errnoOf, fileError } from '../../src/adapters/file-errors.ts';
import { type FileSystem, NodeFileSystem } from '../../src/adapters/file-system.ts';
import { createKubeconfigFiles } from '../../src/adapters/kubeconfig-files.ts';
import { openMetricsEndpoint } from '../../src/adapters/metrics-endpoint.ts';
import type { Settings } from '../../src/config.ts';
import { restartFlag } from '../../src/adapters/systemd/flag-hook.ts';
import { asCertletError, isDefect } from '../../src/errors.ts';
import { presentPairs } from '../../src/host-hooks.ts';
import { kubeletSpecs } from '../fixtures/specs.ts';
import { Bench } from './store/bench.ts';
import { ManualClock } from './hooks/hook-fakes.ts';

const never = new AbortController().signal;
const broken = new TypeError('this[Client].connect is not a function');
const coded = (error: Error, code: string): Error => Object.assign(error, { code });

/** A disk on which this one operation is a mistake. */
function brokenDisk(operation: keyof FileSystem): FileSystem {
  return Object.assign(Object.create(new NodeFileSystem()) as FileSystem, {
    [operation]: () => Promise.reject(broken),
  });
}

interface Row {
  readonly where: string;
  readonly work: (t: Test) => unknown;
}

const rows: readonly Row[] = [
  {
    where: 'a request to the API server, that was said to be unreachable',
    work: () =>
      networkError(broken, {
        identity: identityOf({ kind: 'none' }),
        server: 'https://a',
        what: 'GET /x',
        proxy: undefined,
      }),
  },
  {
    where: 'a request through a proxy, wrapped by undici',
    work: () =>
      networkError(coded(new Error('proxy', { cause: broken }), 'UND_ERR_PRX_CONN'), {
        identity: identityOf({ kind: 'none' }),
        server: 'https://a',
        what: 'GET /x',
        proxy: 'p:3128',
      }),
  },
  {
    where: 'the discovery of join',
    work: () => createDiscoveryFetch({})('no address', { kind: 'system' }, never),
  },
  {
    where: 'the control socket',
    work: async (t) => {
      const path = join(t.testdir(), 's');
      const server = createServer().listen(path);
      t.teardown(() => server.close());
      await once(server, 'listening');
      return callControl(path, { method: 'GET', path: '/no\npath' });
    },
  },
  {
    where: 'the metrics endpoint',
    work: () => openMetricsEndpoint({ host: '127.0.0.1', port: 70_000, setting: 'metrics.address' }, () => ''),
  },
  {
    where: 'the flag for the kubelet',
    work: (t) =>
      restartFlag({ fs: brokenDisk('rename'), clock: new ManualClock(), runtimeDir: t.testdir() }).raise('client'),
  },
  {
    where: 'a token file',
    work: () => {
      const options = {
        cluster: { server: 'https://a', insecureSkipTlsVerify: false },
        environment: {},
        execTimeoutMs: 1,
      };
      const credential = { kind: 'tokenFile', path: 5 as unknown as string } as const;
      return credentialSource(credential, {
        ...options,
        now: () => new Date(),
        onPluginOutput: () => undefined,
      }).present(never);
    },
  },
  {
    where: 'a file that a kubeconfig names',
    work: (t) => {
      const path = join(t.testdir(), 'k.conf');
      const cluster = '{name: c, cluster: {server: "https://a", certificate-authority: ca.pem}}';
      writeFileSync(
        path,
        `clusters: [${cluster}]\ncontexts: [{name: c, context: {cluster: c}}]\ncurrent-context: c\n`,
        { mode: 0o600 },
      );
      const disk = new NodeFileSystem();
      const read: FileSystem['read'] = (name, limit) =>
        name.endsWith('ca.pem') ? Promise.reject(broken) : disk.read(name, limit);
      const fs = Object.assign(Object.create(disk) as FileSystem, { read });
      const files = createKubeconfigFiles({
        fs,
        bootstrapPath: undefined,
        nodePath: path,
        uid: process.geteuid?.() ?? 0,
        searchPath: '',
      });
      return files.readNode();
    },
  },
  {
    where: 'the pair behind a link, that hooks took for absent',
    work: () =>
      presentPairs(
        { specs: kubeletSpecs({ certDir: '/x' }), kubeconfig: '/k', kubelet: {} } as unknown as Settings,
        {
          fs: new NodeFileSystem(),
          store: { currentPath: () => '/x/y', current: () => Promise.reject(broken) },
        } as unknown as Parameters<typeof presentPairs>[1],
      ),
  },
  {
    where: 'a folder above the cert-dir, that was said to be empty',
    work: (t) => {
      const bench = new Bench(t.testdir({ pki: {} }));
      const disk = new NodeFileSystem();
      const readdir: FileSystem['readdir'] = (path) =>
        path === dirname(bench.certDir) ? Promise.reject(broken) : disk.readdir(path);
      const fs = Object.assign(Object.create(disk) as FileSystem, { readdir });
      return bench.store({ fs }).inspect('client');
    },
  },
  { where: 'an operation on the disk', work: () => fileError(coded(broken, 'ERR_INVALID_ARG_TYPE'), '/x') },
];

for (const { where, work } of rows) {
  t.test(`a defect is told as one: ${where}`, async (t) => {
    const told = await (async () => work(t))().catch((error: unknown) => error);
    t.ok(told instanceof Error, `nothing was told: ${String(told)}`);
    t.equal(asCertletError(told).code, 'ERR_INTERNAL', String(told));
    t.notMatch(String(told), /unexpected: proxy/, 'what was thrown first is told');
    t.notOk(told instanceof Error && /unreachable|cannot be read|listen/.test(told.message), String(told));
  });
}

for (const row of [
  { name: 'a TypeError', error: broken, is: true },
  { name: 'a ReferenceError', error: new ReferenceError('x is not defined'), is: true },
  { name: 'a RangeError', error: new RangeError('Invalid array length'), is: true },
  { name: 'one inside an error of a library', error: new Error('failed', { cause: broken }), is: true },
  { name: 'one for each address of a name', error: new AggregateError([broken]), is: true },
  {
    name: 'what the system said, in a TypeError around it',
    error: new TypeError('fetch failed', { cause: coded(new Error('no'), 'ECONNREFUSED') }),
    is: false,
  },
  { name: 'foreign text that is no JSON', error: new SyntaxError('Unexpected token'), is: false },
  { name: 'a reset', error: coded(new Error('reset'), 'ECONNRESET'), is: false },
  { name: 'what is no error', error: 'TypeError', is: false },
])
  t.test(`${row.is ? 'a defect' : 'no defect'}: ${row.name}`, async (t) => {
    t.equal(isDefect(row.error), row.is);
  });

t.test('a path with a zero byte is the fault of who wrote it, and a file error', async (t) => {
  const error = await new NodeFileSystem().read('a\0b', 10).catch((thrown: unknown) => thrown);
  t.equal(errnoOf(error), 'ERR_INVALID_ARG_VALUE');
  t.match(fileError(error, 'a'), { code: 'ERR_STORE_IO' });
});
