/** How much the journal says in each trouble, counted: it must neither drown a night's log nor keep quiet. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import t from 'tap';
import { networkError } from '../../src/adapters/api/network-errors.ts';
import { FakeHost, HOUR, MINUTE } from '../fixtures/fakes/host.ts';
import { logLinesPage } from './page.ts';
import { HOURS, TROUBLES } from './troubles.ts';

const MOST_IN_FIRST_HOUR = 6;
const MOST_AFTER = 2;

for (const { name, first, after, play } of TROUBLES) {
  t.test(`the journal was full of one trouble: ${name}`, async (t) => {
    const log = await play(t);
    const [begun = [], ...later] = Array.from({ length: HOURS }, (_, hour) => log.inHour(hour));
    t.ok(first <= MOST_IN_FIRST_HOUR && after <= MOST_AFTER);
    t.ok(begun.length <= first, `at most ${String(first)}: ${begun.join('; ')}`);
    t.ok(begun.length >= first - 1, `and no fewer than the page says: ${begun.join('; ')}`);
    for (const hour of later) t.ok(hour.length <= after, `at most ${String(after)}: ${hour.join('; ')}`);
    const silent = later.every((hour) => hour.length === 0);
    t.equal(silent, after === 0, 'goes on being told, where the page says so');
  });
}

t.test('docs/log-lines.md says what the tests count', async (t) => {
  const page = readFileSync(resolve(import.meta.dirname, '../../docs/log-lines.md'), 'utf8');
  t.equal(page, logLinesPage(), 'made anew by: npm exec node test/noise/page.ts > docs/log-lines.md');
});

t.test('the end of a trouble was not told, and silence hid how often it was tried', async (t) => {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  await host.bootstrap();
  await host.clock.advance(HOUR);
  const { fault } = host.api;
  const asked = {
    what: 'POST /apis/certificates.k8s.io/v1/certificatesigningrequests',
    server: 'https://cluster.test:6443',
    identity: { kind: 'certificate', label: 'client certificate' },
    proxy: undefined,
  } as const;
  host.api.fault = () => networkError(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }), asked);
  const began = host.clock.now();
  await host.agent?.renew(['client']);
  await host.clock.advance(23 * MINUTE);
  const failed = host.log.of('Failed while requesting a signed certificate');
  const { failing } = host.manager('client');
  t.equal(failing?.tries, failed.length, 'status counts what is told at debug, too');
  t.ok(Math.abs((failing?.since.getTime() ?? 0) - began.getTime()) < MINUTE);
  t.ok(failed.filter(({ level }) => level === 'debug').length > 3, 'most tries are for who looks closely');
  host.api.fault = fault;
  await host.until(() => host.manager('client').failing === undefined, 10 * MINUTE);
  await host.clock.advance(HOUR);
  const ended = host.log.of('Requesting a signed certificate works again');
  t.match(ended, [{ level: 'info', fields: { purpose: 'client', tries: failed.length, after: /^2\d minutes$/ } }]);
});
