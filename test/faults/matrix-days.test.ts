/** The same API error for a day, without sockets: a bounded number of requests in any hour. */
import t from 'tap';
import { CertletError, type ErrorCode } from '../../src/errors.ts';
import { FakeApi } from '../fixtures/fakes/api.ts';
import { FakeClock } from '../fixtures/fakes/clock.ts';
import { SimulatedNode } from './fixtures/simulated-node.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const figures = { days: 0, busiestHour: 0 };

t.setTimeout(10 * MINUTE_MS);

const CODES = [
  'ERR_API_UNREACHABLE',
  'ERR_API_TLS',
  'ERR_API_TLS_DATES',
  'ERR_API_UNAUTHORIZED',
  'ERR_API_FORBIDDEN',
  'ERR_API_ANONYMOUS',
  'ERR_API_NOT_FOUND',
  'ERR_API_CONFLICT',
  'ERR_API_REJECTED',
  'ERR_API_THROTTLED',
  'ERR_API_SERVER',
  'ERR_API_PROTOCOL',
  'ERR_API_UNSUPPORTED',
] as const satisfies readonly ErrorCode[];

/** The most calls within any hour. */
function busiestHour(calls: readonly { readonly at: Date }[]): number {
  let [first, busiest] = [0, 0];
  calls.forEach(({ at }, index) => {
    while (at.getTime() - calls[first]!.at.getTime() > HOUR_MS) first += 1;
    busiest = Math.max(busiest, index - first + 1);
  });
  return busiest;
}

for (const code of CODES) {
  t.test(`${code} for a day, of each request: a bounded number in any hour, and all comes when it ends`, async (t) => {
    for (const what of ['every request', 'create', 'watch', 'review', 'node', 'discover']) {
      const clock = new FakeClock();
      const api = new FakeApi(clock);
      const node = new SimulatedNode(clock, api);
      api.fault = (call) =>
        what === 'every request' || call.what === what
          ? new CertletError(code, 'a day of this', { remedy: '# None.' })
          : undefined;
      node.start();
      await clock.advance(24 * HOUR_MS);
      figures.days += 1;
      figures.busiestHour = Math.max(figures.busiestHour, busiestHour(api.calls));
      t.ok(busiestHour(api.calls) <= 130, `${what}: ${String(busiestHour(api.calls))} requests in the busiest hour`);
      api.fault = () => undefined;
      // A server that takes requests and refuses each certificate that came of one is asked once in 1, 2, 4 and then 8 hours.
      const pairsRefused = code === 'ERR_API_UNAUTHORIZED' && what === 'review';
      await clock.advanceUntil(() => node.last?.upToDate === true, (pairsRefused ? 10 : 2) * HOUR_MS);
      await node.stop();
      const live = api.pendingNames.length;
      t.equal(live, 0, 'no request is left over');
    }
  });
}

t.teardown(() => {
  console.log(
    `# figure days of one API error: ${String(figures.days)}, at most ${String(figures.busiestHour)} requests in an hour`,
  );
});
