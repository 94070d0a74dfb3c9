/**
 * A decade of one node with four certificates in seconds: rotations, outages, reboots, moved clocks, denied requests, changed CAs, drawn at random from a seed that
 * is printed. `CERTLET_SEED=N` repeats one; `CERTLET_YEARS` and `CERTLET_NODES` make it longer.
 */
import t from 'tap';
import { FakeApi } from '../fixtures/fakes/api.ts';
import { seededChance } from '../fixtures/fakes/chance.ts';
import { FakeClock } from '../fixtures/fakes/clock.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';
import { CertletError } from '../../src/errors.ts';
import { exporterSpec, kubeletSpecs, proxySpec } from '../fixtures/specs.ts';
import { SimulatedNode } from './fixtures/simulated-node.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const SPECS = [...kubeletSpecs(), proxySpec(), exporterSpec()];
/** Of one certificate in its busiest hour. */
const MOST_IN_AN_HOUR = 65;
const YEARS = Number(process.env['CERTLET_YEARS'] ?? 10);
const NODES = Number(process.env['CERTLET_NODES'] ?? 2);
const FIRST_SEED = Number(process.env['CERTLET_SEED'] ?? Math.floor(Date.now() / 1000) % 100_000);

/** What the world does to the node; each ends by itself. */
const EVENTS = [
  'nothing',
  'reboot',
  'off for weeks',
  'API server down',
  'API server answers 503',
  'nobody approves',
  'approver denies',
  'signer off',
  'CSRs deleted',
  'new client CA',
  'token gone',
  'address gained',
  'clock ahead',
  'clock behind',
] as const;

class World {
  readonly clock = new FakeClock('2030-01-01T00:00:00Z');
  readonly api = new FakeApi(this.clock);
  readonly node: SimulatedNode;
  readonly chance: ReturnType<typeof seededChance>;
  events = 0;

  constructor(seed: number) {
    this.chance = seededChance(seed);
    this.api.lifetimeMs = [1, 7, 30, 365][Math.floor(this.chance.roll() * 4)]! * DAY_MS;
    this.node = new SimulatedNode(this.clock, this.api, { specs: SPECS });
  }

  between(leastMs: number, mostMs: number): number {
    return leastMs + this.chance.roll() * (mostMs - leastMs);
  }

  /** Time goes by: exactly at first, then in strides, as a host that naps lets it go by. */
  async pass(ms: number): Promise<void> {
    const exactMs = Math.min(ms, 10 * MINUTE_MS);
    await this.clock.advance(exactMs);
    for (let leftMs = ms - exactMs; leftMs > 0; leftMs -= 6 * HOUR_MS)
      await this.clock.step(Math.min(leftMs, 6 * HOUR_MS));
    await this.clock.advance(1);
  }

  /** Calm: everything works again for a day. */
  async calm(): Promise<void> {
    this.api.fault = () => undefined;
    this.api.approve = 'automatic';
    this.api.approveServing = 'automatic';
    this.api.sign = true;
    if (!this.node.on) this.node.start();
    this.node.giveToken();
    for (const name of this.api.pendingNames) this.api.approveRequest(name);
    for (const { csr } of this.api.requests.values()) {
      if (csr.certificatePem === undefined && csr.conditions.every(({ type }) => type === 'Approved'))
        this.api.issue(csr.name);
    }
    await this.pass(DAY_MS);
  }

  async happen(event: (typeof EVENTS)[number]): Promise<void> {
    const { api, node } = this;
    const lastsMs = this.between(HOUR_MS, 20 * DAY_MS);
    switch (event) {
      case 'nothing':
        break;
      case 'reboot':
        await node.stop();
        await this.clock.step(this.between(MINUTE_MS, HOUR_MS));
        node.start();
        break;
      case 'off for weeks':
        await node.stop();
        await this.clock.step(this.between(DAY_MS, 60 * DAY_MS));
        node.start();
        break;
      case 'API server down':
        api.fault = () => new CertletError('ERR_API_UNREACHABLE', 'connect ECONNREFUSED');
        break;
      case 'API server answers 503':
        api.fault = () => new CertletError('ERR_API_SERVER', '503', { retryAfterMs: 5_000, status: 503 });
        break;
      case 'nobody approves':
        api.approve = 'manual';
        api.approveServing = 'manual';
        break;
      case 'approver denies':
        api.approve = 'deny';
        api.approveServing = 'deny';
        break;
      case 'signer off':
        api.sign = false;
        break;
      case 'CSRs deleted':
        for (const name of api.requests.keys()) api.remove(name);
        break;
      case 'new client CA':
        api.authority = createAuthority({
          name: `fake client CA ${String(this.events)}`,
          notBefore: new Date(this.clock.now().getTime() - 365 * DAY_MS),
          notAfter: new Date(this.clock.now().getTime() + 60 * 365 * DAY_MS),
        });
        break;
      case 'token gone':
        node.takeToken();
        break;
      case 'address gained':
        node.options = {
          ...node.options,
          nodeIPs: [...node.options.nodeIPs.slice(-3), `192.0.2.${String(this.events % 250)}`],
        };
        await node.stop();
        node.start();
        break;
      case 'clock ahead':
        await this.clock.step(this.between(MINUTE_MS, 40 * DAY_MS));
        break;
      case 'clock behind':
        await this.clock.step(-this.between(MINUTE_MS, 5 * DAY_MS));
        break;
    }
    await this.pass(lastsMs);
    this.events += 1;
  }
}

/** Calls in the busiest hour: what "no hot loop, ever" means in numbers. */
function busiestHour(times: readonly number[]): number {
  let busiest = 0;
  let first = 0;
  for (const [index, time] of times.entries()) {
    while (times[first]! < time - HOUR_MS || times[first]! > time) first += 1;
    busiest = Math.max(busiest, index - first + 1);
  }
  return busiest;
}

t.setTimeout(15 * 60_000);
let years = 0;
let events = 0;
for (let count = 0; count < NODES; count += 1) {
  const seed = FIRST_SEED + count;
  t.test(`a decade of a node, seed ${String(seed)}`, async (t) => {
    t.setTimeout(5 * 60_000);
    const world = new World(seed);
    const end = world.clock.now().getTime() + YEARS * 365 * DAY_MS;
    world.node.start(seed);
    await world.calm();
    while (world.clock.now().getTime() < end) {
      const event = EVENTS[Math.floor(world.chance.roll() * EVENTS.length)]!;
      const callsBefore = world.api.calls.length;
      await world.happen(event);
      await world.calm();
      const where = `after ${event} (event ${String(world.events)}, ${world.clock.now().toISOString()})`;
      const calls = world.api.calls.slice(callsBefore).map(({ at }) => at.getTime());
      if (busiestHour(calls) > MOST_IN_AN_HOUR * SPECS.length)
        t.fail(`hot: ${String(busiestHour(calls))} requests in an hour ${where}`);
      for (const { name: purpose, signerName } of SPECS) {
        const until = await world.node.validUntil(purpose);
        if (until === undefined || until <= world.clock.now()) {
          t.fail(`no valid ${purpose} certificate a day ${where}: ${String(world.node.phase(purpose))}`);
        }
        const posted = [...world.api.requests.values()].filter(({ csr }) => csr.signerName === signerName);
        const live = posted.filter(({ csr }) => csr.conditions.length === 0);
        if (live.length > 0)
          t.fail(`${String(live.length)} requests of the ${purpose} certificate still live ${where}`);
      }
      // The cleaner takes what is decided.
      for (const [name, { csr }] of world.api.requests) if (csr.conditions.length > 0) world.api.requests.delete(name);
      if (!t.passing()) break;
    }
    await world.node.stop();
    t.ok(world.events > YEARS, `${String(world.events)} events`);
    years += YEARS;
    events += world.events;
  });
}

t.teardown(() => {
  console.log(
    `# figure simulated years: ${String(years)} (${String(events)} events, seeds from ${String(FIRST_SEED)})`,
  );
});
