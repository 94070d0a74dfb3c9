import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { bundleProgram } from '../../config/tooling/bundle.ts';
import { parsePair } from '../../src/pki/certificate.ts';
import type { Chance } from '../../src/ports.ts';
import { Secret } from '../../src/secret.ts';
import { seededChance } from '../fixtures/fakes/chance.ts';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import type { SigningTask } from '../fixtures/cluster/settings.ts';
import { STAGED_FOLDER } from '../fixtures/program.ts';
import { NodeFolder } from '../integration/program.ts';
import { exporterEntry, makeExporterFolder, proxyEntry } from '../integration/two-more.ts';

/** So many random moments at least; `CERTLET_KILLS` asks for more, `CERTLET_SEED` repeats a run. */
const KILLS = Number(process.env['CERTLET_KILLS'] ?? 200);
const SEED = Number(process.env['CERTLET_SEED'] ?? Date.now() % 1_000_000);
const LANES = 3;
/** On a busy machine fewer moments must do; the number is told. */
const LIMIT_MS = process.env['CERTLET_KILLS'] === undefined ? 150_000 : 600_000;

const CERTIFICATES = ['client', 'serving', 'kube-proxy', 'node-exporter'];

/** What must hold at every instant: a link is absent, before anything was there, or names one whole, matching pair. */
function look(t: Test, node: NodeFolder, had: Set<string>): void {
  for (const purpose of CERTIFICATES) {
    const pair = node.current(purpose);
    if (pair === undefined && had.has(purpose)) t.fail(`the ${purpose} link is gone`);
    if (pair !== undefined) had.add(purpose);
  }
  // One of the two may be ahead; a key that others can read may not be there at any instant.
  const key = statSync(node.file('certs/node-exporter/tls.key'), { throwIfNoEntry: false });
  if (key !== undefined && (key.mode & 0o007) !== 0) t.fail('others can read the key');
}

/** When it has got through: both files are those of the pair, the kubeconfig names the other, and the reload is wanted. */
function lookAtTheEnd(t: Test, node: NodeFolder): void {
  const text = (name: string): string => readFileSync(node.file(name), 'utf8');
  const two = new Secret(text('certs/node-exporter/tls.crt') + text('certs/node-exporter/tls.key'));
  const ends = CERTIFICATES.map((purpose) => node.current(purpose)?.chain.leaf.selfSigned);
  t.strictSame(ends, [false, false, false, false], `${node.name}: all four are issued`);
  t.equal(
    parsePair(two).chain.leaf.serial,
    node.current('node-exporter')?.chain.leaf.serial,
    `${node.name}: two files`,
  );
  t.match(text('kube-proxy.conf'), '/certs/kube-proxy/kube-proxy-current.pem');
  t.ok(existsSync(node.file('run/reload/kube-proxy')), `${node.name}: the reload is wanted`);
}

/**
 * Loaded before the program: kills its own process when so many asynchronous operations have begun. What is synced or sent by then is
 * under way in other threads. Counted in work and not in time, the moments lie in the work however busy the machine is.
 */
const KILLER = `
let left = Number(process.argv.at(-1).slice('--kill='.length));
process.argv.pop();
const total = left;
require('node:async_hooks').createHook({ init() { if (--left === 0) process.kill(process.pid, 'SIGKILL'); } }).enable();
process.on('exit', () => require('node:fs').writeSync(2, JSON.stringify({ event: 'operations', count: total - left }) + '\\n'));
`;

interface Victim {
  /** Undefined for what is staged. */
  readonly file: string | undefined;
  readonly killer: string;
  readonly chance: Chance;
}

/** Operations of an undisturbed run, as seen lately. */
let operations = 4_000;

/** Kills one node's certlet at random moments until it gets through; gives the number of kills. */
async function torture(t: Test, node: NodeFolder, victim: Victim): Promise<number> {
  const had = new Set<string>();
  for (let kills = 0; ; kills += 1) {
    const moment = kills < 12 ? 1 + Math.floor(victim.chance.roll() * operations) : 1e9;
    const start = { nodeFlags: ['--require', victim.killer], file: victim.file };
    const program = node.runWith(start, 'once', '--timeout', '100s', `--kill=${String(moment)}`);
    const ended = await program.exited;
    look(t, node, had);
    if (ended === 'SIGKILL') continue;
    if (ended !== 0) t.fail(`${node.name}: ended with ${String(ended)}: ${JSON.stringify(program.lines.slice(-2))}`);
    lookAtTheEnd(t, node);
    if (kills === 0) operations = Number(program.of('operations')[0]?.['count']);
    return kills;
  }
}

t.test(`kill -9 at ${String(KILLS)} random moments (CERTLET_SEED=${String(SEED)})`, async (t) => {
  const others = { approveOthers: true, sign: ({ issue }: SigningTask) => issue().chainPem };
  const cluster = await startFakeCluster({ approveServing: true, ...others });
  t.teardown(() => cluster.close());
  const folder = t.testdir({});
  // One file starts twice as fast as the sources.
  const file = STAGED_FOLDER === undefined ? join(folder, 'certlet.cjs') : undefined;
  if (file !== undefined) await bundleProgram(file);
  const killer = join(folder, 'killer.cjs');
  writeFileSync(killer, KILLER);
  const chance = seededChance(SEED);
  const limit = Date.now() + LIMIT_MS;
  let kills = 0;
  let nodes = 0;
  const lane = async (): Promise<void> => {
    while (kills < KILLS && Date.now() < limit) {
      nodes += 1;
      const node = new NodeFolder(join(folder, `n${String(nodes)}`), `n${String(nodes)}`);
      mkdirSync(node.path);
      makeExporterFolder(node);
      node.writeSettings(proxyEntry(node) + exporterEntry(node));
      node.writeBootstrap(cluster.bootstrapKubeconfig());
      kills += await torture(t, node, { file, killer, chance });
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  t.ok(kills >= KILLS || Date.now() >= limit);
  t.comment(`${String(kills)} kills of ${String(nodes)} nodes`);
  // One request for each certificate of each node, however often it was killed.
  t.equal(cluster.csrs.length, CERTIFICATES.length * nodes, 'four requests for each node');
});
