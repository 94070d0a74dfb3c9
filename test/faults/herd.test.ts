/**
 * A fleet that acts in the same instant must not arrive in the same instant: rates of many nodes on a fake clock.
 * `CERTLET_NODES=N` takes another fleet; `CERTLET_SHOW=1` draws the requests over time.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { retryDelayMs } from '../../src/rotation/rules/retry.ts';
import { seededChance } from '../fixtures/fakes/chance.ts';
import type { FleetReport, ScenarioName } from './fixtures/fleet-scenarios.ts';
import { chiSquare, histogram, perSecond, type RateSummary, shares, summarise } from './soak/rates.ts';

const HOUR = 3_600_000;
const NODES = Number(process.env['CERTLET_NODES'] ?? 300);
const SPREAD_SECONDS = 60;
/** The promise: a site's power cut must not show as more than this. */
const PEAK_TO_MEAN = 3;
/** The longest delay between tries of a server that does not answer: within it everybody has come back. */
const RETRY_WINDOW_SECONDS = 300;

const shown = (rate: RateSummary): string =>
  `peak ${String(rate.peakPerSecond)}/s, mean ${rate.meanPerSecond.toFixed(1)}/s, ratio ${rate.peakToMean.toFixed(2)}`;

const figure = (name: string, value: string, nodes = NODES): void =>
  console.log(`# figure ${name}: ${String(nodes)} nodes, ${value}`);

const run = promisify(execFile);

async function play(
  name: ScenarioName,
  nodes = NODES,
): Promise<FleetReport & { readonly momentsMs: readonly number[] }> {
  const program = join(import.meta.dirname, 'fixtures/fleet-scenarios.ts');
  const { stdout } = await run(process.execPath, [program, name, String(nodes)], { maxBuffer: 2 ** 28 });
  const report = JSON.parse(stdout) as FleetReport;
  const momentsMs = report.moments.map(([at]) => at);
  if (process.env['CERTLET_SHOW'] !== undefined) console.log(`${name}\n${histogram(perSecond(momentsMs, 0, 400), 40)}`);
  return { ...report, momentsMs };
}

t.jobs = 2;

t.test('a power cut: no second of the spread carries more than three times its mean', async (t) => {
  const fleet = await play('power cut');
  const rate = summarise(fleet.momentsMs, 0, SPREAD_SECONDS);
  t.equal(fleet.upToDate, NODES, 'all are up to date again');
  t.ok(rate.requests >= NODES, `${String(rate.requests)} requests`);
  t.ok(rate.peakToMean <= PEAK_TO_MEAN, shown(rate));
  t.notOk(
    fleet.moments.some(([at]) => at >= SPREAD_SECONDS * 1000 && at < 2 * SPREAD_SECONDS * 1000),
    'the spread ends when it says',
  );
  t.equal(fleet.created, 2 * NODES, 'nobody asks for a certificate');
  figure('power cut', shown(rate));
  const later = summarise(fleet.momentsMs, 2 * SPREAD_SECONDS * 1000, 20 * 60);
  t.ok(later.peakPerSecond <= rate.peakPerSecond, `no later second is busier: ${shown(later)}`);
  figure('the twenty minutes after a power cut', shown(later));
});

t.test('a site that was off for months comes back in one instant: by what each node has, and spread', async (t) => {
  const nodes = 200;
  const kind = nodes / 4;
  const fleet = await play('a long time off', nodes);
  t.strictSame(
    fleet.askers?.['kinds'],
    [kind, kind, 0, 0].map(String),
    'own certificate, bootstrap credential, and two kinds that have none',
  );
  const asked = fleet.askers?.['all'] ?? [];
  t.equal(
    asked.filter((as) => as === 'bootstrap').length,
    kind,
    'the credential is used by those alone whose certificate is over, once',
  );
  const missing = fleet.missing ?? [];
  t.equal(
    missing.filter((text) => /is a link to .*where nothing is, and the client certificate expired/.test(text)).length,
    kind,
  );
  t.equal(
    missing.filter((text) => /^no bootstrap kubeconfig at .*, and the client certificate expired/.test(text)).length,
    kind,
  );
  const rate = summarise(fleet.momentsMs, 0, SPREAD_SECONDS);
  t.ok(rate.peakPerSecond <= nodes / 6, shown(rate));
  // So few nodes come in one of these seconds that chance alone doubles one.
  const inFives = summarise(
    fleet.momentsMs.map((at) => at / 5),
    0,
    SPREAD_SECONDS / 5,
  );
  t.ok(inFives.peakToMean <= PEAK_TO_MEAN, `in five seconds: ${shown(inFives)}`);
  figure('back after a long time off', shown(rate), nodes);
});

for (const name of ['power cut with the API server', 'first bootstrap without an API server'] as const) {
  t.test(`${name}: after an hour the fleet comes back spread over the retry window`, async (t) => {
    const fleet = await play(name);
    t.equal(fleet.upToDate, NODES);
    // So few nodes come in one of these seconds that chance alone doubles one: ten of them together show a herd and no noise.
    const inTens = fleet.momentsMs.map((at) => at / 10);
    const rate = summarise(inTens, 0, RETRY_WINDOW_SECONDS / 10);
    const text = `peak ${String(rate.peakPerSecond)} in ten seconds, mean ${rate.meanPerSecond.toFixed(1)}, ratio ${rate.peakToMean.toFixed(2)}`;
    t.ok(rate.peakToMean <= PEAK_TO_MEAN, text);
    const early = fleet.moments.filter(([at]) => at < RETRY_WINDOW_SECONDS * 1000).length;
    t.ok(early >= NODES, 'the window has them all');
    figure(`${name}, return after an hour`, text);
  });
}

for (const name of [
  'restart of the API server under waiting requests',
  'one of several API servers ends under waiting requests',
] as const) {
  t.test(`${name}: the fleet does not come back in one second`, async (t) => {
    const fleet = await play(name);
    const rate = summarise(fleet.momentsMs, 0, SPREAD_SECONDS);
    t.ok(rate.peakPerSecond <= NODES / 2, shown(rate));
    t.equal(fleet.created, NODES, 'nobody asks twice');
    t.equal(fleet.watching, NODES, 'all wait again');
    figure(name, shown(rate));
  });
}

t.test('certificates issued in one minute are renewed evenly over 70 to 90 % of their life', async (t) => {
  const fleet = await play('mass renewal');
  const readings = summarise(
    fleet.momentsMs.filter((at) => at > 60_000),
    60_000,
    600,
  );
  t.ok(readings.peakPerSecond < NODES / 20, `the Nodes are not read in one second: ${shown(readings)}`);
  const creates = fleet.moments.filter(([, what]) => what === 'create').map(([at]) => at);
  const lifetimeMs = 2 * HOUR;
  const issued = creates.filter((at) => at < 60_000);
  t.equal(issued.length, 2 * NODES, 'issued within a minute');
  const renewals = creates.slice(issued.length).map((at) => at / lifetimeMs);
  t.equal(renewals.length, 2 * NODES, 'everybody has come by 90 %');
  t.ok(Math.min(...renewals) >= 0.699, 'nobody comes before 70 %');
  // Two requests each, so a busy second shows as a herd only where many are due: in the mean of this fleet 0.4 a second. Twenty of them make eight.
  const perTwenty = summarise(
    creates.slice(issued.length).map((at) => at / 20),
    (0.7 * lifetimeMs) / 20,
    (0.2 * lifetimeMs) / 20_000,
  );
  t.ok(perTwenty.peakToMean <= PEAK_TO_MEAN, `in twenty seconds: ${shown(perTwenty)}`);
  const parts = shares(
    renewals.map((life) => (life - 0.7) / 0.2),
    12,
  );
  const spread = chiSquare(parts);
  // Eleven degrees of freedom: an even spread is above 40 once in thirty thousand runs.
  t.ok(spread < 40, `chi-square ${spread.toFixed(1)} of ${parts.join(' ')}`);
  figure(
    'mass renewal',
    `${String(renewals.length)} renewals, busiest twenty seconds ${perTwenty.peakToMean.toFixed(2)} times the mean, chi-square ${spread.toFixed(1)} over 12 parts`,
  );
});

for (const row of [
  {
    name: 'half of a fleet came again in the same instant, one second after its first failure',
    failures: 1,
  },
  { name: 'the second retry of a fleet comes spread', failures: 2 },
  { name: 'the tenth retry of a fleet comes spread', failures: 10 },
]) {
  t.test(row.name, async (t) => {
    const chance = seededChance(row.failures);
    const input = {
      msToExpiry: undefined,
      refusedBackoffMs: HOUR,
      failures: row.failures,
    };
    const error = {
      code: 'ERR_API_UNREACHABLE',
      retryAfterMs: undefined,
    } as const;
    const delays = Array.from({ length: 10_000 }, () => retryDelayMs({ ...input, error, roll: chance.roll() }));
    const [shortest, longest] = [Math.min(...delays), Math.max(...delays)];
    const parts = shares(
      delays.map((delay) => (delay - shortest) / (longest - shortest)),
      20,
    );
    t.ok(Math.max(...parts) < 1.5 * (delays.length / parts.length), `shares ${parts.join(' ')}`);
  });
}
