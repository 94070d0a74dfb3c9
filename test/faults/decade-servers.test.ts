/**
 * A decade of one node with three API servers and a reserve in seconds: servers that go and come, times off, a kubeconfig that follows, drawn at random
 * from a seed that is printed. After each event: never two live requests, never below the reserve while online, never a restart more than one an hour.
 * `CERTLET_SEED=N` repeats one; `CERTLET_YEARS` makes it longer.
 */
import t from 'tap';
import { CertletError } from '../../src/errors.ts';
import { FakeApi } from '../fixtures/fakes/api.ts';
import { seededChance } from '../fixtures/fakes/chance.ts';
import { FakeClock } from '../fixtures/fakes/clock.ts';
import { kubeletSpecs } from '../fixtures/specs.ts';
import { CLUSTER, SimulatedNode } from './fixtures/simulated-node.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const RESERVE = 21 * DAY;
const SERVERS = [CLUSTER.server, 'https://b.test:6443', 'https://c.test:6443'];
const YEARS = Number(process.env['CERTLET_YEARS'] ?? 10);
const FIRST_SEED = Number(process.env['CERTLET_SEED'] ?? Math.floor(Date.now() / 1000) % 100_000);

const EVENTS = [
  'a server goes',
  'two servers go',
  'all servers go',
  'a server fails',
  'off',
  'reboot',
  'nobody approves',
  'renew',
] as const;

class World {
  readonly clock = new FakeClock('2030-01-01T00:00:00Z');
  readonly api = new FakeApi(this.clock);
  readonly node: SimulatedNode;
  readonly chance: ReturnType<typeof seededChance>;
  readonly away = new Map<string, 'ERR_API_UNREACHABLE' | 'ERR_API_SERVER'>();
  readonly problems: string[] = [];
  events = 0;

  constructor(seed: number) {
    this.chance = seededChance(seed);
    this.api.lifetimeMs = [50, 90, 365][Math.floor(this.chance.roll() * 3)]! * DAY;
    this.node = new SimulatedNode(this.clock, this.api, {
      specs: kubeletSpecs({ reserveMs: RESERVE }),
      servers: SERVERS.slice(1),
      moveKubeconfigMs: 10 * MINUTE,
    });
    this.api.fault = ({ server }) => {
      const code = this.away.get(server);
      return code && new CertletError(code, 'away');
    };
  }

  go(count: number, code: 'ERR_API_UNREACHABLE' | 'ERR_API_SERVER' = 'ERR_API_UNREACHABLE'): void {
    const from = Math.floor(this.chance.roll() * SERVERS.length);
    for (let step = 0; step < count; step += 1) this.away.set(SERVERS[(from + step) % SERVERS.length]!, code);
    this.api.breakWatches(new CertletError('ERR_API_UNREACHABLE', 'the connection broke'));
  }

  /** Minutes at first, then hours, as a host that naps lets time go by; what must always hold is looked at after each. */
  async pass(ms: number, online: boolean): Promise<void> {
    const exactMs = Math.min(ms, 15 * MINUTE);
    await this.clock.advance(exactMs);
    await this.look(online);
    for (let leftMs = ms - exactMs; leftMs > 0; leftMs -= 6 * HOUR) {
      await this.clock.step(Math.min(leftMs, 6 * HOUR));
      await this.clock.advance(1);
      await this.look(online);
    }
  }

  async look(online: boolean): Promise<void> {
    const live = new Map<string | undefined, number>();
    for (const { csr } of this.api.requests.values())
      if (csr.conditions.length === 0) live.set(csr.signerName, (live.get(csr.signerName) ?? 0) + 1);
    for (const [signer, count] of live)
      if (count > 1) this.problems.push(`${String(count)} live requests to ${String(signer)}`);
    if (!online) return;
    for (const purpose of ['client', 'serving']) {
      const until = await this.node.validUntil(purpose);
      const leftMs = (until?.getTime() ?? 0) - this.clock.now().getTime();
      if (leftMs < RESERVE) this.problems.push(`${String(leftMs / DAY)} days left of the ${purpose} certificate`);
    }
  }

  /** A day on which everything works: online, and nothing owed at its end. */
  async calm(): Promise<void> {
    this.away.clear();
    this.api.approve = 'automatic';
    this.api.approveServing = 'automatic';
    if (!this.node.on) this.node.start();
    for (const name of this.api.pendingNames) this.api.approveRequest(name);
    await this.clock.advance(12 * MINUTE);
    await this.pass(DAY, true);
  }

  async happen(event: (typeof EVENTS)[number]): Promise<void> {
    const lastsMs = HOUR + this.chance.roll() * 15 * DAY;
    let online = true;
    if (event === 'a server goes') this.go(1);
    if (event === 'two servers go') this.go(2);
    if (event === 'a server fails') this.go(1, 'ERR_API_SERVER');
    if (event === 'all servers go') {
      this.go(3);
      online = false;
    }
    if (event === 'nobody approves') {
      this.api.approve = 'manual';
      this.api.approveServing = 'manual';
      online = false;
    }
    if (event === 'renew') await this.node.agent?.renew(['client', 'serving']);
    if (event === 'off' || event === 'reboot') {
      await this.node.stop();
      await this.clock.step(event === 'off' ? DAY + this.chance.roll() * 19 * DAY : HOUR);
      this.node.start();
      await this.clock.advance(20 * MINUTE);
    }
    await this.pass(lastsMs, online);
    this.events += 1;
  }
}

t.setTimeout(15 * MINUTE);
t.test(`a decade with three API servers and a reserve, seed ${String(FIRST_SEED)}`, async (t) => {
  t.setTimeout(15 * MINUTE);
  const world = new World(FIRST_SEED);
  const end = world.clock.now().getTime() + YEARS * 365 * DAY;
  world.node.start(FIRST_SEED);
  await world.clock.advance(MINUTE);
  await world.calm();
  while (world.clock.now().getTime() < end && world.problems.length === 0) {
    const event = EVENTS[Math.floor(world.chance.roll() * EVENTS.length)]!;
    await world.happen(event);
    await world.calm();
    for (const problem of world.problems)
      t.fail(`${problem} after ${event} (event ${String(world.events)}, ${world.clock.now().toISOString()})`);
    if (world.api.pendingNames.length > 0) t.fail(`a request is still live a day after ${event}`);
    for (const [name, { csr }] of world.api.requests) if (csr.conditions.length > 0) world.api.requests.delete(name);
  }
  await world.node.stop();
  const { restarts } = world.node;
  const tooSoon = restarts.filter((date, index) => index > 0 && date.getTime() - restarts[index - 1]!.getTime() < HOUR);
  t.strictSame(tooSoon, [], 'no two restarts within an hour');
  t.ok(world.events > YEARS && restarts.length > 0, `${String(world.events)} events, ${String(restarts.length)} moves`);
  t.notOk(
    world.api.calls.some(({ as }, index) => as === 'bootstrap' && index > 10),
    'nobody falls back to bootstrapping',
  );
  console.log(
    `# figure decade with servers: ${String(world.events)} events, ${String(restarts.length)} moves of the kubeconfig, seed ${String(FIRST_SEED)}`,
  );
});
