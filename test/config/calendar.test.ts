import fc from 'fast-check';
import t from 'tap';
import { windowStarts } from '../../src/adapters/window-starts.ts';
import { calendarExpression, timeZone } from '../../src/config/calendar.ts';
import type { Problem } from '../../src/config/codec.ts';

function read(codec: ReturnType<typeof timeZone>, value: unknown) {
  const problems: Problem[] = [];
  const result = codec.read(value, ['start'], problems);
  return { result, problems: problems.map(({ text }) => text) };
}

for (const given of [
  '0 2 * * 6',
  '*/15 1-5 1,15 * *',
  '0  2 * jan-mar Mon,Fri',
  '0 0 * * 7',
  '5-50/5 * * * *',
  '0 2 29 2 *',
  '0 2 31 */3 *',
  '0 2 30 2 6',
]) {
  t.test(`a calendar expression: ${given}`, async (t) => {
    t.strictSame(read(calendarExpression(), given), { result: given.replace(/ +/g, ' ').toLowerCase(), problems: [] });
  });
}

for (const [given, problem] of [
  ['0 2 * *', /five fields.*got 4/],
  ['0 0 2 * * 6', /got 6/],
  ['@daily', /such as "0 2 \* \* 6"/],
  ['60 2 * * *', /expected a minute from 0 to 59.*"60"/],
  ['0 24 * * *', /expected an hour/],
  ['0 2 0 * *', /day of the month/],
  ['0 2 * foo *', /month/],
  ['0 2 * * 8', /day of the week/],
  ['0 2 * * 5-1', /day of the week/],
  ['0 2/3 * * *', /hour/],
  ['*/0 2 * * *', /minute/],
  ['1,,2 2 * * *', /minute/],
  ['0 2 30 2 *', /no month has such a day: 30 2/],
  ['0 2 31 4,jun,9-9 *', /no month has such a day/],
  ['0 2 30 2 */2', /no month has such a day: 30 2/],
  [5, /five fields/],
] as const) {
  t.test(`no calendar expression: ${String(given)}`, async (t) => {
    const { result, problems } = read(calendarExpression(), given);
    t.equal(result, undefined);
    t.match(problems, [problem]);
  });
}

t.test('whatever the settings take, the calendar reads, and it comes', async () => {
  const field = (min: number, max: number) => {
    const value = fc.integer({ min, max }).map(String);
    const range = fc
      .tuple(fc.integer({ min, max }), fc.integer({ min, max }))
      .map(([a, b]) => `${String(Math.min(a, b))}-${String(Math.max(a, b))}`);
    const stepped = fc.tuple(fc.constantFrom('*'), fc.integer({ min: 1, max })).map(([a, n]) => `${a}/${String(n)}`);
    return fc
      .array(fc.oneof(value, range, stepped, fc.constant('*')), { minLength: 1, maxLength: 3 })
      .map((parts) => parts.join(','));
  };
  const expression = fc
    .tuple(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7))
    .map((fields) => fields.join(' '));
  fc.assert(
    fc.property(expression, (start) => {
      const { result, problems } = read(calendarExpression(), start);
      const next = windowStarts({ start: result ?? start, timeZone: 'UTC' })(new Date('2026-01-01T00:00:00Z'));
      return (next === undefined) === problems.some((text) => text.startsWith('no month has such a day'));
    }),
    { numRuns: 60 },
  );
});

t.test('a time zone of the database, and none', async (t) => {
  t.strictSame(read(timeZone(), 'Europe/Berlin'), { result: 'Europe/Berlin', problems: [] });
  t.match(
    read(timeZone(), '-01').problems,
    [/no time zone/],
    'an offset has no summer, and is no zone of the database',
  );
  t.match(read(timeZone(), 'Europe/Atlantis').problems, [/no time zone; timedatectl list-timezones/]);
});
