/** Starts of a window where the clock is set for summer, in zones of all kinds. */
import t from 'tap';
import { windowStarts } from '../../src/adapters/window-starts.ts';

for (const { name, start, timeZone, after, want } of [
  {
    name: 'in UTC',
    start: '0 2 * * 6',
    timeZone: 'UTC',
    after: '2026-11-25T12:00:00Z',
    want: '2026-11-28T02:00:00.000Z',
  },
  {
    name: 'in winter',
    start: '0 2 * * *',
    timeZone: 'Europe/Berlin',
    after: '2026-12-01T12:00:00Z',
    want: '2026-12-02T01:00:00.000Z',
  },
  {
    name: 'in summer',
    start: '0 2 * * *',
    timeZone: 'Europe/Berlin',
    after: '2026-07-01T12:00:00Z',
    want: '2026-07-02T00:00:00.000Z',
  },
  {
    name: 'in the hour that is left out',
    start: '30 2 * * *',
    timeZone: 'Europe/Berlin',
    after: '2026-03-28T20:00:00Z',
    want: '2026-03-29T01:00:00.000Z',
  },
  {
    name: 'after that hour',
    start: '30 2 * * *',
    timeZone: 'Europe/Berlin',
    after: '2026-03-29T01:00:00Z',
    want: '2026-03-30T00:30:00.000Z',
  },
  {
    name: 'in the hour that comes twice',
    start: '30 2 * * *',
    timeZone: 'Europe/Berlin',
    after: '2026-10-24T20:00:00Z',
    want: '2026-10-25T00:30:00.000Z',
  },
  {
    name: 'not again when it comes a second time',
    start: '30 2 * * *',
    timeZone: 'Europe/Berlin',
    after: '2026-10-25T00:30:00Z',
    want: '2026-10-26T01:30:00.000Z',
  },
  {
    name: 'south of the equator',
    start: '0 3 * * sun',
    timeZone: 'Australia/Lord_Howe',
    after: '2026-12-01T00:00:00Z',
    want: '2026-12-05T16:00:00.000Z',
  },
  {
    name: 'a zone of half an hour',
    start: '0 0 1 * *',
    timeZone: 'Asia/Kolkata',
    after: '2026-06-15T00:00:00Z',
    want: '2026-06-30T18:30:00.000Z',
  },
  {
    name: 'at the end of a year',
    start: '15 23 31 dec *',
    timeZone: 'Pacific/Auckland',
    after: '2026-12-31T11:00:00Z',
    want: '2027-12-31T10:15:00.000Z',
  },
  {
    // crontab(5): only where both are restricted one of them is enough.
    name: 'the first Sunday of a month by */7, and not each of its first seven days',
    start: '0 2 1-7 * */7',
    timeZone: 'UTC',
    after: '2026-11-30T00:00:00Z',
    want: '2026-12-06T02:00:00.000Z',
  },
  {
    name: 'every other day of the month, where it is a Monday',
    start: '0 2 */2 * mon',
    timeZone: 'UTC',
    after: '2026-12-01T00:00:00Z',
    want: '2026-12-07T02:00:00.000Z',
  },
  {
    name: 'either of a day of the month and a weekday',
    start: '0 2 5 * mon',
    timeZone: 'UTC',
    after: '2026-12-01T00:00:00Z',
    want: '2026-12-05T02:00:00.000Z',
  },
  { name: 'never', start: '0 2 30 2 *', timeZone: 'UTC', after: '2026-01-01T00:00:00Z', want: undefined },
]) {
  t.test(`windowStarts: ${name}`, async (t) => {
    t.equal(windowStarts({ start, timeZone })(new Date(after))?.toISOString(), want);
  });
}
