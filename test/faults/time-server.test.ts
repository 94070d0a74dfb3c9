/** Servers that live in another year, and servers whose `Date` alone does. */
import t, { type Test } from 'tap';
import { DAY, type FakeHost, HOUR, MINUTE } from '../fixtures/fakes/host.ts';
import { MOST_IN_AN_HOUR, newHost, PURPOSES, RequestWatch, unsaid, YEAR } from './fixtures/time-host.ts';

t.setTimeout(20 * MINUTE);

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
