import t from 'tap';
import { calendarMs, everyMs, spanMs, timerFindings, timerMs } from '../../../src/check/rules/timer.ts';
import { sampleFacts } from '../../fixtures/snapshots.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

for (const [text, ms] of [
  ['hourly', HOUR],
  ['daily', 24 * HOUR],
  ['*:0/15', 15 * MINUTE],
  ['*:30', HOUR],
  ['*:20/15', 30 * MINUTE],
  ['*:30/45', HOUR],
  ['*:0/0', HOUR],
  ['06/6:00', 12 * HOUR],
  ['*/2:0/15', 2 * HOUR],
  ['*-*-* *:00:00', HOUR],
  ['*-*-* 00/6:00:00', 6 * HOUR],
  ['04:00', 24 * HOUR],
  ['Mon..Fri 04:00', undefined],
  ['', undefined],
] as const)
  t.test(`calendarMs: ${text}`, async (t) => t.equal(calendarMs(text), ms));

for (const [text, ms] of [
  ['15min', 15 * MINUTE],
  ['1h 30min', 90 * MINUTE],
  ['2 hours', 2 * HOUR],
  ['90s', 90_000],
  ['900', 15 * MINUTE],
  ['1 fortnight', undefined],
  ['soon', undefined],
] as const)
  t.test(`spanMs: ${text}`, async (t) => t.equal(spanMs(text), ms));

for (const [command, ms] of [
  ['/usr/bin/certlet once --timeout 5m --every 1h', HOUR],
  ['/usr/bin/certlet once --every=30m', 30 * MINUTE],
  ['/usr/bin/certlet once', undefined],
  ['/usr/bin/certlet once --every', undefined],
  [undefined, undefined],
] as const)
  t.test(`everyMs: ${String(command)}`, async (t) => t.equal(everyMs(command), ms));

t.test('timerMs: of several the shortest, of none that is known nothing', async (t) => {
  const none = { calendar: [], spans: [], delay: '0', fixedDelay: false };
  t.equal(timerMs({ ...none, calendar: ['daily', 'hourly'], spans: ['2h'] }), HOUR);
  t.equal(timerMs({ ...none, calendar: ['Mon 04:00'] }), undefined);
});

for (const [delay, fixedDelay, calendar, spans, ms] of [
  ['30min', true, ['hourly'], [], HOUR],
  ['30min', false, ['hourly'], [], 90 * MINUTE],
  ['30min', true, [], ['1h'], 90 * MINUTE],
  ['soon', false, ['hourly'], [], undefined],
] as const)
  t.test(`timerMs: ${fixedDelay ? 'the same' : 'another'} delay of ${delay} each time`, async (t) =>
    t.equal(timerMs({ delay, fixedDelay, calendar, spans }), ms),
  );

const units = {
  service: false,
  timer: true,
  calendar: ['hourly'],
  spans: [],
  delay: '30min',
  fixedDelay: true,
  sandbox: undefined,
  uid: undefined,
  command: 'certlet once --every 1h',
};
const notBefore = new Date('2030-01-01T00:00:00Z');
const short = sampleFacts({ notBefore, notAfter: new Date(notBefore.getTime() + HOUR) });
for (const { name, change, certificates = [], receivedAt, found } of [
  { name: 'no timer: nothing', change: { timer: false }, found: [] },
  { name: 'as shipped: good', change: {}, found: ['timer'] },
  { name: 'a timer that was made slower by hand', change: { calendar: ['daily'] }, found: ['timer.every'] },
  { name: 'a delay that is another each time', change: { fixedDelay: false }, found: ['timer.every'] },
  { name: 'a unit of 0.1.0 without --every', change: { command: 'certlet once' }, found: ['timer.every'] },
  { name: 'times that cannot be read', change: { calendar: ['Mon 04:00'] }, found: ['timer.unknown'] },
  { name: 'a certificate that lives too short', change: {}, certificates: [short], found: ['timer.client'] },
  {
    name: 'a placeholder does not count',
    change: {},
    certificates: [{ ...short, selfSigned: true }],
    found: ['timer'],
  },
  {
    name: 'an hour that was backdated by a day is called long enough',
    change: {},
    certificates: [{ ...short, notBefore: new Date(notBefore.getTime() - 24 * HOUR) }],
    receivedAt: notBefore,
    found: ['timer.client'],
  },
  { name: 'one of a year', change: {}, certificates: [sampleFacts()], found: ['timer'] },
]) {
  t.test(`timerFindings: ${name}`, async (t) => {
    const pairs = certificates.map((facts) => ({ purpose: 'client', facts, receivedAt }));
    t.strictSame(
      timerFindings({ ...units, ...change }, pairs).map(({ id }) => id),
      found,
    );
  });
}
