import type { FleetProcesses, FleetView } from './fleet-processes.ts';
import { histogram, perSecond, type RateSummary, summarise } from './rates.ts';
import type { Target } from './target.ts';

/** The promise: the peak second after a site's power cut carries at most so many times the mean of the spread. */
const PEAK_TO_MEAN = 3;
/** With fewer nodes chance alone makes such seconds: the peak is shown and not judged. */
const FEWEST_JUDGED = 200;
/** A machine that was away for so long made the peak itself. */
const LONGEST_STALL_MS = 500;
/** A renewal comes four times in a second only where that many are due in it: below, chance alone makes such seconds. */
const FEWEST_DUE_PER_SECOND = 4;

export interface SoakPlan {
  readonly fleet: FleetProcesses;
  readonly target: Target;
  /** The spread of a start. */
  readonly seconds: number;
  /** How long the API server is away. */
  readonly outageSeconds: number;
  /** Of the certificates of the first bootstrap. */
  readonly lifetimeMs: number;
  /** No scenario takes longer. */
  readonly limitMs: number;
  readonly say: (line: string) => void;
}

export type Scenario = (plan: SoakPlan) => Promise<readonly string[]>;

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

const figure = (plan: SoakPlan, name: string, text: string): void => plan.say(`# figure ${name}: ${text}`);

interface Told {
  readonly rate: RateSummary;
  readonly complaints: readonly string[];
}

interface Happened {
  readonly name: string;
  readonly fromMs: number;
  /** The mean is that of all requests over so many seconds; without it, from the first to the last request. */
  readonly windowSeconds?: number;
  readonly view: FleetView;
}

/** Prints what the cluster saw since `fromMs`. */
async function tell(plan: SoakPlan, { name, fromMs, windowSeconds, view }: Happened): Promise<Told> {
  const { fleet, target } = plan;
  const { momentsMs, kinds } = await target.seen();
  await target.forget();
  const lastMs = momentsMs.reduce((latest, moment) => Math.max(latest, moment), fromMs);
  const firstMs = momentsMs.reduce((earliest, moment) => Math.min(earliest, moment), lastMs);
  // This machine reads the disks of all nodes one after the other; a site's nodes each read their own. So the rate counts from the first request on.
  const startMs = Math.max(fromMs, firstMs);
  const seconds = Math.max(1, Math.ceil((lastMs - startMs + 1) / 1000));
  const seen = summarise(momentsMs, startMs, seconds);
  const meanPerSecond = windowSeconds === undefined ? seen.meanPerSecond : seen.requests / windowSeconds;
  const rate = { ...seen, meanPerSecond, peakToMean: seen.requests === 0 ? 0 : seen.peakPerSecond / meanPerSecond };
  plan.say(`\n## ${name}\n   from       mean   peak  requests per second`);
  plan.say(histogram(perSecond(momentsMs, startMs, seconds)));
  plan.say(
    `   ${
      Object.entries(kinds)
        .map(([kind, count]) => `${kind} ${String(count)}`)
        .join(', ') || 'no request'
    }`,
  );
  // During a renewal every node stays up to date: there is no last one to wait for.
  const lastNode =
    view.lastAtMs === undefined || view.lastAtMs < fromMs
      ? ''
      : `, last node after ${((view.lastAtMs - fromMs) / 1000).toFixed(1)} s`;
  figure(
    plan,
    name,
    `${String(fleet.nodes)} nodes, ${String(rate.requests)} requests, peak ${String(rate.peakPerSecond)}/s at second ${String(rate.peakAtSeconds)}, ` +
      `mean ${rate.meanPerSecond.toFixed(1)}/s, ratio ${rate.peakToMean.toFixed(2)}, ` +
      `first request after ${((startMs - fromMs) / 1000).toFixed(1)} s${lastNode}`,
  );
  const problems = Object.entries(view.problems).map(([code, count]) => `${code} ${String(count)}`);
  plan.say(
    `   memory per node ${(view.bytesPerNode / 1024).toFixed(0)} KiB, open files ${String(view.openFiles)}, ` +
      `longest stall ${(view.stallMs / 1000).toFixed(2)} s, problems so far: ${problems.join(', ') || 'none'}`,
  );
  const behind = fleet.nodes - view.upToDate;
  return { rate, complaints: behind === 0 ? [] : [`${name}: ${String(behind)} nodes did not come back in time`] };
}

async function seenKind(plan: SoakPlan, kind: string): Promise<number> {
  return (await plan.target.seen()).kinds[kind] ?? 0;
}

const certificates = (plan: SoakPlan): number => plan.fleet.nodes * (plan.target.serving ? 2 : 1);

/** Every node is new and starts in the same second. */
async function bootstrap(plan: SoakPlan): Promise<readonly string[]> {
  await plan.target.setLifetime(plan.lifetimeMs);
  const fromMs = Date.now();
  await plan.fleet.start(plan.seconds);
  const view = await plan.fleet.untilUpToDate(plan.limitMs);
  const created = await seenKind(plan, 'create certificatesigningrequests');
  const name = 'mass first bootstrap';
  const { rate, complaints } = await tell(plan, { name, fromMs, view });
  const perCertificate = rate.requests / certificates(plan);
  figure(plan, 'requests per certificate', perCertificate.toFixed(2));
  figure(plan, 'memory per node', `${(view.bytesPerNode / 1024).toFixed(0)} KiB`);
  const extra = created - certificates(plan);
  return extra > 0 ? [...complaints, `${name}: ${String(extra)} signing requests too many`] : complaints;
}

/** The certificates of the bootstrap come of age: 70 to 90 % of their life. */
async function renewal(plan: SoakPlan): Promise<readonly string[]> {
  const { target, lifetimeMs, fleet } = plan;
  const issuedMs = Date.now();
  await target.setLifetime(365 * 86_400_000);
  await fleet.forgetStalls();
  // The last node was served just now, the first one some time ago: both renew within this.
  const endMs = issuedMs + 0.9 * lifetimeMs + 5_000;
  while (Date.now() < endMs) {
    await pause(Math.min(5_000, endMs - Date.now()));
    await fleet.view();
  }
  const view = await fleet.untilUpToDate(plan.limitMs);
  const { createdMs } = await target.seen();
  const { complaints } = await tell(plan, { name: 'mass renewal', fromMs: issuedMs, view });
  const [first, last] = [Math.min(...createdMs), Math.max(...createdMs)];
  const seconds = Math.max(1, Math.ceil((last - first + 1) / 1000));
  const due = summarise(createdMs, first, seconds);
  plan.say('   signing requests alone');
  plan.say(histogram(perSecond(createdMs, first, seconds)));
  figure(
    plan,
    'signing requests of the renewal',
    `${String(due.requests)} from second ${((first - issuedMs) / 1000).toFixed(0)} to ${((last - issuedMs) / 1000).toFixed(0)}, ` +
      `peak ${String(due.peakPerSecond)}/s, mean ${due.meanPerSecond.toFixed(1)}/s, ratio ${due.peakToMean.toFixed(2)}, ` +
      `longest stall of this machine ${(view.stallMs / 1000).toFixed(2)} s`,
  );
  const told: string[] = [];
  if (createdMs.length !== certificates(plan))
    told.push(`${String(createdMs.length)} signing requests for ${String(certificates(plan))} certificates`);
  // What this machine did not do in a second of stall, it does in the next one.
  const judged = due.meanPerSecond >= FEWEST_DUE_PER_SECOND && view.stallMs < LONGEST_STALL_MS;
  if (judged && due.peakToMean > PEAK_TO_MEAN)
    told.push(`the peak second carries ${due.peakToMean.toFixed(2)} times the mean`);
  return [...complaints, ...told.map((problem) => `mass renewal: ${problem}`)];
}

/** The whole site loses power and comes back in the same second, with every pair in hand. */
async function powerCut(plan: SoakPlan): Promise<readonly string[]> {
  await plan.fleet.stop();
  await plan.target.forget();
  const fromMs = Date.now();
  await plan.fleet.start(plan.seconds);
  await pause(plan.seconds * 1000);
  const view = await plan.fleet.untilUpToDate(plan.limitMs);
  const name = 'mass start after a power cut';
  const { rate, complaints } = await tell(plan, { name, fromMs, windowSeconds: plan.seconds, view });
  const broken = plan.fleet.nodes >= FEWEST_JUDGED && rate.peakToMean > PEAK_TO_MEAN;
  const promise = `${name}: the peak second carries ${rate.peakToMean.toFixed(2)} times the mean, promised are ${String(PEAK_TO_MEAN)}`;
  return broken ? [...complaints, promise] : complaints;
}

/** The power cut took the API server along, which comes back later than the nodes. */
async function outage(plan: SoakPlan): Promise<readonly string[]> {
  const { fleet, target } = plan;
  await fleet.stop();
  await target.down();
  await target.forget();
  await fleet.start(plan.seconds);
  await pause(plan.outageSeconds * 1000);
  // Before the call: a real API server answers the first nodes some time before it says that it is ready.
  const fromMs = Date.now();
  await target.up();
  const view = await fleet.untilUpToDate(plan.limitMs);
  return (await tell(plan, { name: `API server back after ${String(plan.outageSeconds)} s`, fromMs, view })).complaints;
}

export const SCENARIOS: Readonly<Record<string, Scenario>> = { bootstrap, renewal, 'power-cut': powerCut, outage };
