/** Clocks that are set while something is under way, and a start in 1970. */
import t from 'tap';
import { apiFault } from '../fixtures/fakes/api.ts';
import { DAY, type FakeHost, HOUR, MINUTE } from '../fixtures/fakes/host.ts';
import {
  type Fault,
  MOST_IN_AN_HOUR,
  newHost,
  PURPOSES,
  RequestWatch,
  strictTls,
  unreachable,
  unsaid,
  YEAR,
} from './fixtures/time-host.ts';

t.setTimeout(20 * MINUTE);

interface Stage {
  readonly name: string;
  /** Brings the node there; the cause lasts until `mend`. */
  readonly reach: (host: FakeHost) => Promise<void>;
  readonly fault?: Fault;
  readonly mend?: (host: FakeHost) => void;
}

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
  { name: 'TLS fails on dates', aheadMs: YEAR, restart: false, code: 'ERR_API_TLS_DATES' },
  { name: 'TLS fails on dates, and certlet starts anew', aheadMs: YEAR, restart: true, code: 'ERR_API_TLS_DATES' },
  { name: 'the server answers with its date', aheadMs: 31 * DAY, restart: false, code: 'ERR_API_SERVER' },
  { name: 'the server answers with its date to a new start', aheadMs: 31 * DAY, restart: true, code: 'ERR_API_SERVER' },
]) {
  t.test(
    `an issued pair that waits for its proof is not dropped when the clock jumps past its life: ${row.name}`,
    async (t) => {
      const host = newHost(t);
      host.api.lifetimeMs = 30 * DAY;
      strictTls(host, ({ what }) => (what === 'review' ? apiFault('ERR_API_SERVER', 'etcd') : undefined));
      host.start();
      await host.clock.advance(5 * MINUTE);
      const { pending } = host.manager('client');
      t.equal(pending?.received, true);
      await host.setClock(row.aheadMs);
      if (row.restart) await host.restart();
      await host.clock.advance(HOUR);
      t.match(host.manager('client'), {
        pending: { name: pending?.name, received: true },
        lastError: { code: row.code },
      });
      strictTls(host, () => undefined);
      await host.setClock(-row.aheadMs);
      await host.until(() => host.isUpToDate, 20 * MINUTE);
      t.equal(host.count('create'), 2, 'one request for each certificate');
    },
  );
}

t.test('an issued pair that has expired by both clocks is replaced as soon as the server has said so', async (t) => {
  const host = newHost(t);
  host.api.lifetimeMs = HOUR;
  strictTls(host, ({ what }) => (what === 'review' ? apiFault('ERR_API_UNREACHABLE', 'no') : undefined));
  host.start();
  await host.clock.advance(5 * MINUTE);
  await host.stop();
  await host.clock.step(DAY);
  strictTls(host, () => undefined);
  host.start();
  await host.until(() => host.isUpToDate, 5 * MINUTE);
  t.equal(host.count('create'), 3);
});

t.teardown(() => console.log(`# figure clock steps: ${String(cells)} cells of stage and step`));
