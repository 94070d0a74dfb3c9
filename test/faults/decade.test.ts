/**
 * Years of nodes in seconds: API servers that go and come, CAs that are replaced, times off, moved clocks, denied requests, lost tokens, drawn at random together
 * from a seed; what must always hold is looked at after each stride (`fixtures/decade-rules.ts`). The same seeds each time, so that a change is what turns
 * it red; `CERTLET_SEED=random` or `CERTLET_SEED=N` takes others, with `CERTLET_SHOW=1` told event by event; `CERTLET_YEARS` and `CERTLET_NODES` make it longer.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import type { DecadeReport } from './fixtures/decade-program.ts';

const MINUTE_MS = 60_000;
const YEARS = Number(process.env['CERTLET_YEARS'] ?? 4);
/** Of neighbouring seeds, which are set to different things, four have everything. */
const NODES = Number(process.env['CERTLET_NODES'] ?? 4);
const SEED = process.env['CERTLET_SEED'] ?? '31001';
const FIRST_SEED = SEED === 'random' ? Math.floor(Date.now() / 1000) % 100_000 : Number(SEED);

const run = promisify(execFile);

async function play(seed: number): Promise<DecadeReport> {
  const program = join(import.meta.dirname, 'fixtures/decade-program.ts');
  const { stdout, stderr } = await run(process.execPath, [program, String(seed), String(YEARS)], {
    maxBuffer: 2 ** 28,
  });
  if (process.env['CERTLET_SHOW'] !== undefined) console.log(stderr);
  return JSON.parse(stdout) as DecadeReport;
}

t.setTimeout(20 * MINUTE_MS);
const reports: DecadeReport[] = [];
// Of the last: CAs changed in the very last minutes of a day.
const seeds = [
  ...Array.from({ length: NODES }, (_, index) => FIRST_SEED + index),
  ...(process.env['CERTLET_SEED'] === undefined ? [20_417] : []),
];
for (const seed of seeds) {
  t.test(`${String(YEARS)} years of a node, CERTLET_SEED=${String(seed)} CERTLET_NODES=1`, async (t) => {
    t.setTimeout(10 * MINUTE_MS);
    const report = await play(seed);
    t.strictSame(report.problems, [], JSON.stringify(report.settings));
    t.ok(report.events > YEARS, `${String(report.events)} events`);
    reports.push(report);
  });
}

const sum = (of: (report: DecadeReport) => number): number => reports.reduce((all, report) => all + of(report), 0);

t.test('all of it has happened', { skip: YEARS * NODES < 16 && 'too few years for that' }, async (t) => {
  t.ok(sum(({ moves }) => moves) > 0, 'kubeconfigs moved to another server');
  t.ok(sum(({ switches }) => switches) > 0, 'servers switched to another CA');
  t.ok(sum(({ restartsForCa }) => restartsForCa) > 0, 'kubelets were restarted for it');
  t.ok(sum(({ held }) => held) > 0, 'restarts waited for their window');
  t.ok(sum(({ late }) => late) > 0, 'nodes slept through it');
  console.log(
    `# figure simulated years: ${String(sum(({ years }) => years))} (${String(sum(({ events }) => events))} events, ${String(sum(({ switches }) => switches))} switches of servers to another CA, ${String(sum(({ moves }) => moves))} moves, ${String(sum(({ restarts }) => restarts))} restarts of kubelets (${String(sum(({ held }) => held))} in their window), ${String(sum(({ late }) => late))} late nodes; seeds from ${String(FIRST_SEED)})`,
  );
});
