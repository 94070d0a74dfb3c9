/** Clocks that are wrong, clocks that are set, hosts that sleep, servers that live in another year. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { SLICE_MS, SystemClock, type TimeSource } from '../../src/adapters/system-clock.ts';
import type { Purpose } from '../../src/csr/template.ts';
import { apiFault, type FakeCall } from '../fixtures/fakes/api.ts';
import { DAY, FakeHost, HOUR, MINUTE } from '../fixtures/fakes/host.ts';
import type { InstallSight } from './fixtures/dst-installs.ts';

const YEAR = 365 * DAY;
const PURPOSES: readonly Purpose[] = ['client', 'serving'];
/** "No hot loop, ever" in numbers: two certificates, their retries, a Node read every few minutes. */
const MOST_IN_AN_HOUR = 130;

t.setTimeout(20 * MINUTE);

function newHost(t: Test, options: ConstructorParameters<typeof FakeHost>[0] = {}, now?: string): FakeHost {
  const host = new FakeHost(options, now);
  t.teardown(() => host.stop());
  return host;
}

type Fault = (call: FakeCall) => ReturnType<FakeHost['api']['fault']>;

/** TLS as it is: the server's certificate is good for a year on either side of the true time, and the node judges that by its own clock. */
function strictTls(host: FakeHost, fault: Fault): void {
  const { api, clock } = host;
  const trueMs = api.now().getTime();
  const [notBefore, notAfter] = [new Date(trueMs - YEAR / 2), new Date(trueMs + YEAR / 2)];
  api.fault = (call) => {
    api.glimpsed = {
      serverDate: api.now(),
      certificate: {
        subject: 'CN=kube-apiserver',
        issuer: 'CN=kubernetes',
        names: 'DNS:kubernetes',
        notBefore,
        notAfter,
      },
    };
    const now = clock.now();
    if (now < notBefore) return apiFault('ERR_API_TLS_DATES', 'certificate is not yet valid');
    if (now > notAfter) return apiFault('ERR_API_TLS_DATES', 'certificate has expired');
    return fault(call);
  };
}

/** The most requests within one hour of true time. The node's clock jumps, so the server's is taken. */
class RequestWatch {
  readonly #host: FakeHost;
  readonly momentsMs: number[] = [];
  /** The most undecided requests of one certificate at any moment. */
  mostLive = 0;
  /** Signing requests that the server took. */
  posted = 0;

  constructor(host: FakeHost) {
    this.#host = host;
    const { api } = host;
    const { called, create } = api;
    api.called = (...parts) => {
      this.momentsMs.push(api.now().getTime());
      return called.apply(api, parts);
    };
    api.create = (body, username) => {
      const made = create.call(api, body, username);
      this.posted += 1;
      this.#count();
      return made;
    };
  }

  busiestHour(): number {
    let busiest = 0;
    let first = 0;
    for (const [index, moment] of this.momentsMs.entries()) {
      while ((this.momentsMs[first] ?? moment) < moment - HOUR) first += 1;
      busiest = Math.max(busiest, index - first + 1);
    }
    return busiest;
  }

  #count(): void {
    for (const purpose of PURPOSES) {
      const live = [...this.#host.api.requests.values()].filter(
        ({ csr }) => csr.conditions.length === 0 && csr.signerName?.endsWith('serving') === (purpose === 'serving'),
      );
      this.mostLive = Math.max(this.mostLive, live.length);
    }
  }
}

interface Stage {
  readonly name: string;
  /** Brings the node there; the cause lasts until `mend`. */
  readonly reach: (host: FakeHost) => Promise<void>;
  readonly fault?: Fault;
  readonly mend?: (host: FakeHost) => void;
}

const unreachable: Fault = () => apiFault('ERR_API_UNREACHABLE', 'connect ECONNREFUSED');

const STAGES: readonly Stage[] = [
  { name: 'no certificate', reach: (host) => host.clock.advance(2 * MINUTE), fault: unreachable },
  {
    name: 'pending',
    reach: async (host) => {
      host.api.approve = 'manual';
      await host.clock.advance(5 * MINUTE);
    },
    mend: (host) => {
      host.api.approve = 'automatic';
      for (const name of host.api.pendingNames) host.api.approveRequest(name);
    },
  },
  {
    name: 'staged, unproven',
    reach: (host) => host.clock.advance(5 * MINUTE),
    fault: ({ what }) => (what === 'review' ? apiFault('ERR_API_SERVER', 'etcd') : undefined),
  },
  { name: 'valid', reach: (host) => host.clock.advance(20 * MINUTE) },
  {
    name: 'due, the API server down',
    reach: async (host) => {
      await host.clock.advance(20 * MINUTE);
      strictTls(host, unreachable);
      await host.clock.step(28 * DAY);
      await host.clock.advance(10 * MINUTE);
    },
  },
  {
    name: 'backing off',
    reach: (host) => host.clock.advance(30 * MINUTE),
    fault: () => apiFault('ERR_API_SERVER', '503'),
  },
  {
    name: 'denied',
    reach: async (host) => {
      host.api.approve = 'deny';
      await host.clock.advance(10 * MINUTE);
    },
    mend: (host) => {
      host.api.approve = 'automatic';
    },
  },
  {
    name: 'expired, the API server down',
    reach: async (host) => {
      await host.clock.advance(20 * MINUTE);
      strictTls(host, unreachable);
      await host.clock.step(31 * DAY);
      await host.clock.advance(10 * MINUTE);
    },
  },
];

const STEPS: readonly (readonly [text: string, ms: number])[] = [
  ['a minute', MINUTE],
  ['an hour', HOUR],
  ['a day', DAY],
  ['a year', YEAR],
  ['ten years', 10 * YEAR],
];

/** What is wrong with what the node says of itself now. */
function unsaid(host: FakeHost): readonly string[] {
  const { last, clock } = host;
  if (last === undefined) return ['nothing at all'];
  const ageMs = clock.now().getTime() - last.at.getTime();
  const late = ageMs < 0 || ageMs > MINUTE ? [`the loop stands still: last round ${last.at.toISOString()}`] : [];
  const silent = last.managers.filter(({ reason, phase }) => reason === '' || phase === 'starting');
  return [...late, ...silent.map(({ purpose, phase }) => `${purpose}: ${phase} without a reason`)];
}

let cells = 0;
for (const stage of STAGES) {
  for (const [text, ms] of STEPS) {
    for (const sign of [1, -1]) {
      t.test(
        `${stage.name}, the clock is set ${sign > 0 ? 'ahead' : 'back'} by ${text}, and an hour later right`,
        async (t) => {
          cells += 1;
          const host = newHost(t);
          host.api.lifetimeMs = 30 * DAY;
          strictTls(host, stage.fault ?? (() => undefined));
          const watch = new RequestWatch(host);
          host.start();
          await stage.reach(host);
          const before = watch.posted;
          await host.setClock(sign * ms);
          await host.clock.advance(HOUR);
          t.strictSame(unsaid(host), [], 'it says what it waits for');
          t.ok(watch.posted - before <= 2, `${String(watch.posted - before)} new requests`);
          strictTls(host, () => undefined);
          stage.mend?.(host);
          await host.setClock(-sign * ms);
          await host.clock.advance(MINUTE);
          t.strictSame(unsaid(host), []);
          // A denial that was told twice holds back for two hours.
          await host.until(() => host.isUpToDate, stage.name === 'denied' ? 3 * HOUR : 20 * MINUTE);
          for (const purpose of PURPOSES) t.ok(host.leaf(purpose).notAfter > host.api.now(), `${purpose} valid`);
          t.ok(watch.busiestHour() <= MOST_IN_AN_HOUR, `${String(watch.busiestHour())} requests in an hour`);
          t.ok(watch.mostLive <= 1, `${String(watch.mostLive)} live requests`);
          t.equal(host.thrown, undefined);
        },
      );
    }
  }
}

for (const row of [
  { name: 'new', pairs: false },
  { name: 'with pairs in hand', pairs: true },
]) {
  t.test(
    `a node ${row.name} starts in 1970: told by a look at the server, up within two minutes of the clock being set`,
    async (t) => {
      const host = newHost(t);
      strictTls(host, () => undefined);
      if (row.pairs) {
        await host.bootstrap();
        await host.stop();
      }
      const offMs = host.clock.now().getTime() - 5 * MINUTE;
      await host.setClock(-offMs);
      const created = host.count('create');
      const watch = new RequestWatch(host);
      let glimpses = 0;
      const { glimpse } = host.api;
      host.api.glimpse = () => {
        glimpses += 1;
        return glimpse.call(host.api);
      };
      host.start();
      await host.clock.advance(3 * HOUR);
      const { phase, reason, command } = host.manager('client');
      if (row.pairs) {
        t.equal(phase, 'waiting for the clock');
        t.match(reason, /the certificate begins at 20.*, which is in the future/);
      } else {
        t.match(
          reason,
          /not yet valid; the server's certificate is valid from 20.* this node's clock \(1970.* days behind/,
        );
        t.match(command, /timedatectl/);
        t.ok(glimpses > 0 && glimpses < 100, `${String(glimpses)} looks`);
      }
      t.equal(host.last?.clockSkewMs, undefined, 'what was seen without verification is not believed');
      t.equal(host.count('create'), created, 'and nothing is asked because of it');
      t.ok(watch.busiestHour() <= MOST_IN_AN_HOUR, `${String(watch.busiestHour())} requests in an hour`);
      await host.setClock(offMs);
      await host.until(() => host.isUpToDate, 2 * MINUTE);
      t.equal(host.count('create'), 2, 'one request for each certificate in all');
    },
  );
}

for (const row of [
  { name: 'a certificate of a year', lifetimeMs: YEAR, creates: 2 },
  { name: 'a certificate that fell due meanwhile', lifetimeMs: 33 * DAY, creates: 4 },
  { name: 'a certificate that expired meanwhile', lifetimeMs: 20 * DAY, creates: 4 },
]) {
  t.test(`asleep for a month with ${row.name}`, async (t) => {
    const host = newHost(t);
    host.api.lifetimeMs = row.lifetimeMs;
    const watch = new RequestWatch(host);
    await host.bootstrap();
    await host.clock.step(31 * DAY);
    await host.clock.advance(5 * MINUTE);
    t.equal(host.isUpToDate, true);
    t.equal(host.count('create'), row.creates);
    t.ok(host.leaf('client').notAfter > host.clock.now());
    t.ok(watch.busiestHour() <= MOST_IN_AN_HOUR);
  });
}

t.test('asleep for a month while a request waits: the same request, and what was issued meanwhile', async (t) => {
  const host = newHost(t);
  host.api.approve = 'manual';
  host.start();
  await host.clock.advance(5 * MINUTE);
  const [name = ''] = host.api.pendingNames;
  await host.clock.step(31 * DAY);
  await host.clock.advance(5 * MINUTE);
  t.equal(host.count('create'), 1);
  host.api.approveRequest(name);
  await host.until(() => host.isUpToDate, 2 * MINUTE);
  t.equal(host.count('create'), 2);
});

for (const row of [
  { name: 'ten minutes', lifetimeMs: 10 * MINUTE, forMs: 4 * HOUR, strideMs: MINUTE, most: 90 },
  { name: 'an hour', lifetimeMs: HOUR, forMs: 12 * HOUR, strideMs: 10 * MINUTE, most: 36 },
  { name: 'ten years', lifetimeMs: 10 * YEAR, forMs: 19 * YEAR, strideMs: 20 * DAY, most: 6 },
]) {
  t.test(`certificates of ${row.name} are renewed in time, for good`, async (t) => {
    const host = newHost(t);
    host.api.lifetimeMs = row.lifetimeMs;
    const watch = new RequestWatch(host);
    await host.bootstrap();
    // Only its own certificate can renew it.
    host.kubeconfigs.bootstrap = { kind: 'absent', path: host.kubeconfigs.bootstrap.path };
    const endMs = host.clock.now().getTime() + row.forMs;
    while (host.clock.now().getTime() < endMs && t.passing()) {
      if (row.strideMs > HOUR) await host.clock.step(row.strideMs);
      await host.clock.advance(row.strideMs > HOUR ? MINUTE : row.strideMs);
      for (const purpose of PURPOSES) {
        if (host.leaf(purpose).notAfter <= host.clock.now())
          t.fail(`${purpose} expired at ${host.clock.now().toISOString()}`);
      }
    }
    const created = host.count('create');
    t.ok(created >= 4 && created <= row.most, `${String(created)} signing requests`);
    t.ok(watch.busiestHour() <= MOST_IN_AN_HOUR, `${String(watch.busiestHour())} requests in an hour`);
    t.ok(watch.mostLive <= 1);
  });
}

const LIFE = 4 * HOUR;
const OFFSETS: readonly (readonly [text: string, ms: number])[] = [
  ['three minutes', 3 * MINUTE],
  ['an hour', HOUR],
  ['three hours and a half', 3.5 * HOUR],
  ['a day', DAY],
  ['ten years', 10 * YEAR],
];

for (const [text, ms] of OFFSETS) {
  for (const sign of [1, -1]) {
    const where = sign > 0 ? 'ahead' : 'behind';

    t.test(`the whole server is ${text} ${where}: the node lives by the server's clock, without a token`, async (t) => {
      const host = newHost(t);
      host.api.lifetimeMs = LIFE;
      host.api.aheadMs = sign * ms;
      const watch = new RequestWatch(host);
      host.start();
      await host.clock.advance(10 * MINUTE);
      host.kubeconfigs.bootstrap = { kind: 'absent', path: host.kubeconfigs.bootstrap.path };
      for (let tens = 0; tens < 60 && t.passing(); tens += 1) {
        await host.clock.advance(10 * MINUTE);
        const { notAfter } = host.leaf('client');
        if (notAfter <= host.api.now()) t.fail(`expired for the server after ${String(tens * 10)} minutes`);
      }
      judge(t, host, watch);
    });

    t.test(`the Date header alone is ${text} ${where}: no certificate expires for it`, async (t) => {
      const host = newHost(t);
      host.api.lifetimeMs = LIFE;
      const watch = new RequestWatch(host);
      host.start();
      const { onDate } = host.api;
      await host.clock.advance(10 * MINUTE);
      host.kubeconfigs.bootstrap = { kind: 'absent', path: host.kubeconfigs.bootstrap.path };
      // It begins to lie once the node has its certificates.
      host.api.onDate = (date, at) => onDate(new Date(date.getTime() + sign * ms), at);
      for (let tens = 0; tens < 60 && t.passing(); tens += 1) {
        await host.clock.advance(10 * MINUTE);
        for (const purpose of PURPOSES) {
          const { notAfter } = host.leaf(purpose);
          if (notAfter <= host.clock.now()) t.fail(`${purpose} expired after ${String(tens * 10)} minutes`);
        }
      }
      judge(t, host, watch);
    });
  }
}

/** Ten hours of certificates of four: two renewals of each at the usual pace; a doubtful clock may cost more, never many. */
function judge(t: Test, host: FakeHost, watch: RequestWatch): void {
  const created = host.count('create');
  t.ok(created >= 4 && created <= 90, `${String(created)} signing requests in ten hours`);
  t.ok(watch.busiestHour() <= MOST_IN_AN_HOUR, `${String(watch.busiestHour())} requests in an hour`);
  t.ok(watch.mostLive <= 1);
  t.strictSame(unsaid(host), []);
}

/** Time that passes only while somebody pauses, and at once. */
class QuickTime implements TimeSource {
  readonly pauses: number[] = [];
  #nowMs = Date.parse('2030-01-01T00:00:00Z');
  readonly #asleepAt: ReadonlyMap<number, number>;

  constructor(asleepAt: ReadonlyMap<number, number> = new Map()) {
    this.#asleepAt = asleepAt;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  async pause(ms: number): Promise<void> {
    await Promise.resolve();
    this.pauses.push(ms);
    this.#nowMs += ms + (this.#asleepAt.get(this.pauses.length) ?? 0);
  }
}

for (const row of [
  { name: 'forty days', asleep: new Map<number, number>() },
  { name: 'forty days with a month of suspend in them', asleep: new Map([[1000, 30 * DAY]]) },
]) {
  t.test(`a sleep of ${row.name} ends when it is over, in slices that no timer overflows at`, async (t) => {
    const time = new QuickTime(row.asleep);
    const from = time.nowMs();
    await new SystemClock(time).sleepUntil(new Date(from + 40 * DAY), new AbortController().signal);
    t.equal(time.nowMs() - from, 40 * DAY);
    t.ok(time.pauses.every((ms) => ms <= SLICE_MS && ms < 2 ** 31));
  });
}

const ZONES: readonly (readonly [zone: string, start: string, why: string])[] = [
  ['Europe/Berlin', '2030-10-26T23:30:00Z', 'an hour comes twice'],
  ['Europe/Berlin', '2030-03-31T00:00:00Z', 'an hour is left out'],
  ['Australia/Lord_Howe', '2030-04-06T13:30:00Z', 'half an hour comes twice'],
  ['America/St_Johns', '2030-11-03T03:00:00Z', 'an hour comes twice, off by half an hour'],
  ['Pacific/Apia', '2011-12-30T08:30:00Z', 'a day is left out'],
  ['UTC', '2030-06-30T23:30:00Z', 'nothing happens'],
];

const run = promisify(execFile);

for (const [zone, start, why] of ZONES) {
  t.test(`file names in ${zone}, where ${why}: the pair installed last is current, whatever its name`, async (t) => {
    const program = join(import.meta.dirname, 'fixtures/dst-installs.ts');
    const env = { ...process.env, TZ: zone };
    const { stdout } = await run(process.execPath, [program, start, '15', '12'], { env });
    const sights = JSON.parse(stdout) as readonly InstallSight[];
    t.equal(sights.length, 12);
    for (const { at, file, target, files, isCurrent } of sights) {
      t.match(target, /^kubelet-client-\d{4}(-\d\d){5}\.pem$/);
      t.ok(file.endsWith(target) && files.includes(target), `${at}: the link names what was written`);
      t.ok(isCurrent, `${at}: it is found as the current pair`);
      t.ok(files.length <= 3, `${at}: ${String(files.length)} files kept`);
    }
  });
}

t.teardown(() => console.log(`# figure clock steps: ${String(cells)} cells of stage and step`));
