/** What the shipped daemon holds while it has nothing to do, and what a first issuance costs, in counts: times are for `npm run bench`. */
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { bundle, NODE_FLAGS } from '../../config/tooling/bundle.ts';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { eventually } from '../fixtures/eventually.ts';
import { shortFolder } from '../fixtures/short-folder.ts';
import { NodeFolder, type Program } from '../integration/program.ts';

interface Facts {
  /** Paths of what was synced. */
  readonly syncs: readonly string[];
  readonly resources: readonly string[];
  readonly modules: readonly string[];
}

const folder = t.testdir({});
const file = join(folder, 'certlet-run.cjs');
const { inputs } = await bundle('src/main-run.ts', file, { names: false });

async function factsOf(program: Program, path: string): Promise<Facts> {
  rmSync(path, { force: true });
  program.signal('SIGUSR2');
  await eventually('the daemon to write down what it holds', () => existsSync(path) || undefined, 60);
  return JSON.parse(readFileSync(path, 'utf8')) as Facts;
}

/** More of these is more memory, more wake-ups or more wear, for years: whoever adds one says why here. */
const SYNCS = 34;
const REQUESTS = 7;
/** Of each kilobyte three come to be read at a start: the text, what it compiles to, and what both are checked by. */
const BUNDLE_BYTES = 925_000;
/** Two watched folders and the timer of the loop. */
const RESOURCES = ['FSEventWrap', 'FSEventWrap', 'Timeout'];
const MODULES =
  'async_hooks buffer child_process cluster crypto dgram diagnostics_channel events fs fs/promises http net os path perf_hooks process querystring sqlite stream stream/promises string_decoder timers timers/promises tls url util util/types v8 vm';

/** What Node loads for its own purposes: of these one more is no gain of ours. */
const OF_HTTP = /^_http_/;

t.test('a module, a timer, a watched folder or a sync more than the daemon had', async (t) => {
  const cluster = await startFakeCluster({ approveServing: true });
  t.teardown(() => cluster.close());
  const node = new NodeFolder(shortFolder(t));
  mkdirSync(node.file('run'));
  node.writeSettings();
  node.writeBootstrap(cluster.bootstrapKubeconfig());
  const report = node.file('facts.json');
  const nodeFlags = [...NODE_FLAGS, `--import=${pathToFileURL(join(import.meta.dirname, 'counter.ts')).href}`];
  const program = node.runWith({ file, nodeFlags, env: { FOOTPRINT: report } }, 'run');
  t.teardown(() => program.end('SIGKILL'));
  await program.said('Certificate rotation deadline determined', 2);
  // What the kubelet serves has been looked at, and nothing is left to look for.
  await program.said('Hook done');
  let facts = await factsOf(program, report);
  // The folder of status and flags is a tmpfs on a host.
  const synced = (): readonly string[] => facts.syncs.filter((path) => !path.startsWith(node.file('run')));
  const syncs = synced();
  t.comment(`figure ${String(syncs.length)} syncs, ${String(cluster.requests.length)} requests until both are current`);
  t.equal(syncs.length, SYNCS, syncs.join('\n'));
  t.equal(cluster.requests.length, REQUESTS);
  // A promise of the file system counts until it is collected; the pipes are the test's own. The rest goes by itself, such as idle connections.
  const held = (): readonly string[] => facts.resources.filter((name) => !/^(FSReqPromise|PipeWrap)$/.test(name));
  const deadline = performance.now() + 40_000;
  while (held().join() !== RESOURCES.join() && performance.now() < deadline) {
    await delay(50);
    facts = await factsOf(program, report);
  }
  t.strictSame(held(), RESOURCES);
  const modules = facts.modules.map((name) => name.replace('NativeModule ', '')).filter((name) => !OF_HTTP.test(name));
  t.strictSame(modules.sort(), MODULES.split(' '));
  t.strictSame(synced(), syncs, 'nothing has been written to the disk since');
  t.equal(cluster.requests.length, REQUESTS, 'and nothing was asked for');
});

t.test('the program of the daemon has grown', async (t) => {
  const { size } = statSync(file);
  t.comment(`figure ${String(size)} bytes of the daemon's bundle`);
  t.ok(size <= BUNDLE_BYTES, String(size));
  const names = Object.keys(inputs);
  for (const absent of [
    'node_modules/yargs/',
    'node_modules/fecha/',
    'node_modules/undici/lib/web/fetch/data-url',
    'node_modules/logform/node_modules/@colors/',
    'node_modules/string_decoder/',
    'node_modules/croner/',
    'src/check/',
    'src/cli/adopt',
    'src/cli/commands/join',
    'src/cli/commands.ts',
  ])
    t.notOk(
      names.some((name) => name.startsWith(absent)),
      absent,
    );
});
