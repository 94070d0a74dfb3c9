import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { PURPOSES } from '../../src/csr/template.ts';
import type { Chance } from '../../src/ports.ts';
import { seededChance } from '../fixtures/fakes/chance.ts';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { NodeFolder } from './program.ts';

/** So many random moments at least; `CERTLET_KILLS` asks for more, `CERTLET_SEED` repeats a run. */
const KILLS = Number(process.env['CERTLET_KILLS'] ?? 200);
const SEED = Number(process.env['CERTLET_SEED'] ?? Date.now() % 1_000_000);
const LANES = 3;

/** What must hold at every instant: the link is absent, before anything was there, or names one whole, matching pair. */
function look(t: Test, node: NodeFolder, had: Set<string>): void {
  for (const purpose of PURPOSES) {
    const pair = node.current(purpose);
    if (pair === undefined && had.has(purpose)) t.fail(`the ${purpose} link is gone`);
    if (pair !== undefined) had.add(purpose);
  }
}

/** How long a program works from its first line on, as seen lately: kills are spread over that. */
let spanMs = 300;

/** Kills one node's certlet at random moments until it gets through; gives the number of kills. */
async function torture(t: Test, node: NodeFolder, chance: Chance): Promise<number> {
  const had = new Set<string>();
  for (let kills = 0; ; kills += 1) {
    const program = node.run('once', '--timeout', '100s');
    let timer: NodeJS.Timeout | undefined;
    const kill = (afterMs: number): void => {
      timer = setTimeout(() => program.signal('SIGKILL'), afterMs);
    };
    let first = 0;
    const begun = program
      .until(() => program.lines.length > 0)
      .then(() => {
        first = Date.now();
        if (kills < 6) kill(chance.roll() * spanMs);
      });
    const ended = await program.exited;
    clearTimeout(timer);
    await begun.catch(() => undefined);
    look(t, node, had);
    if (ended === 'SIGKILL') continue;
    if (ended !== 0) t.fail(`${node.name}: ended with ${String(ended)}: ${JSON.stringify(program.lines.slice(-2))}`);
    spanMs = 0.7 * spanMs + 0.3 * (Date.now() - first);
    return kills;
  }
}

t.test(`kill -9 at ${String(KILLS)} random moments (CERTLET_SEED=${String(SEED)})`, { timeout: 300_000 }, async (t) => {
  const cluster = await startFakeCluster({ approveServing: true });
  t.teardown(() => cluster.close());
  const folder = t.testdir({});
  const chance = seededChance(SEED);
  let kills = 0;
  let nodes = 0;
  const lane = async (): Promise<void> => {
    while (kills < KILLS) {
      nodes += 1;
      const node = new NodeFolder(join(folder, `n${String(nodes)}`), `n${String(nodes)}`);
      mkdirSync(node.path);
      node.writeSettings();
      node.writeBootstrap(cluster.bootstrapKubeconfig());
      kills += await torture(t, node, chance);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  t.ok(kills >= KILLS);
  // One request for each certificate of each node, however often it was killed.
  t.equal(cluster.csrs.length, 2 * nodes, `${String(kills)} kills, ${String(nodes)} nodes`);
});
