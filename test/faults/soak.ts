/**
 * `npm run soak -- --nodes 2000 [--seconds N] [--against fake|real] [--workers N] [--scenarios a,b] [--outage N]`: that many nodes in few processes against one
 * API server on this machine. Shows what the server sees and ends by itself, with 1 where a promise is broken. All traffic stays on 127.0.0.1.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { controlPlaneMissing } from '../cluster/fixtures/assets.ts';
import { FleetProcesses } from './soak/fleet-processes.ts';
import { SCENARIOS } from './soak/scenarios.ts';
import { fakeTarget, realTarget } from './soak/target.ts';

const MOST_NODES = 5_000;
const MOST_SECONDS = 600;
const MOST_OUTAGE_SECONDS = 7_200;

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '60' },
    against: { type: 'string', default: 'fake' },
    workers: { type: 'string' },
    scenarios: { type: 'string' },
    outage: { type: 'string' },
  },
});

function count(name: string, text: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  console.error(`--${name} takes a whole number from 1 to ${String(most)}, not ${text}`);
  process.exit(2);
}

const nodes = count('nodes', values.nodes, MOST_NODES);
const seconds = count('seconds', values.seconds, MOST_SECONDS);
const outageSeconds = count('outage', values.outage ?? String(2 * seconds), MOST_OUTAGE_SECONDS);
const workers = count('workers', values.workers ?? String(Math.max(2, Math.min(8, cpus().length))), 16);
const real = values.against === 'real';
const names = (values.scenarios ?? 'bootstrap,renewal,power-cut,outage').split(',');
for (const name of names) {
  if (SCENARIOS[name] !== undefined) continue;
  console.error(`--scenarios knows ${Object.keys(SCENARIOS).join(', ')}, not ${name}`);
  process.exit(2);
}
if (real) {
  const missing = controlPlaneMissing();
  if (missing !== undefined) {
    console.error(missing);
    process.exit(2);
  }
}

/** A renewal takes a fifth of a life: with twenty times the spread it lasts four spreads. */
const lifetimeMs = names.includes('renewal') ? Math.max(20 * seconds, 600) * 1000 : 365 * 86_400_000;
const limitMs = Math.max(600, 10 * seconds) * 1000;
const complaints: string[] = [];
const target = real ? await realTarget() : await fakeTarget();
const { bootstrapKubeconfig, serving } = target;
const fleet = new FleetProcesses(nodes, workers, { bootstrapKubeconfig, serving });
try {
  await fleet.ready();
  console.log(
    `${String(nodes)} nodes in ${String(workers)} processes against ${target.label}, spread ${String(seconds)} s`,
  );
  for (const name of names) {
    const scenario = SCENARIOS[name];
    const say = (line: string): void => console.log(line);
    if (scenario !== undefined)
      complaints.push(...(await scenario({ fleet, target, seconds, outageSeconds, lifetimeMs, limitMs, say })));
  }
} finally {
  fleet.close();
  await target.close();
}
for (const complaint of complaints) console.log(`BROKEN ${complaint}`);
console.log(complaints.length === 0 ? '\nall promises kept' : `\n${String(complaints.length)} promises broken`);
process.exitCode = complaints.length === 0 ? 0 : 1;
