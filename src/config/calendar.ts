import { type Codec, reject, type SettingPath, type Problem } from './codec.ts';
import { refined, text } from './values.ts';

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
interface Field {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly words?: readonly string[];
}

/** crontab(5). The seventh day is Sunday, too. */
const FIELDS: readonly [Field, Field, Field, Field, Field] = [
  { name: 'a minute', min: 0, max: 59 },
  { name: 'an hour', min: 0, max: 23 },
  { name: 'a day of the month', min: 1, max: 31 },
  { name: 'a month', min: 1, max: 12, words: MONTHS },
  { name: 'a day of the week', min: 0, max: 7, words: DAYS },
];

/** Five fields as in crontab(5): minute, hour, day of the month, month, day of the week. */
export function calendarExpression(): Codec<string> {
  const plain = text({
    pattern: '^[0-9A-Za-z*,/ -]+$',
    what: 'five fields as in crontab(5), such as "0 2 * * 6"',
    maxLength: 120,
  });
  return refined(plain, (given, path, problems) => {
    const words = given.trim().split(/ +/);
    if (words.length !== FIELDS.length)
      return reject(
        problems,
        path,
        `expected five fields (minute, hour, day of the month, month, day of the week), got ${String(words.length)}`,
      );
    const wrong = FIELDS.findIndex((field, index) => !isField(words[index] ?? '', field));
    const field = FIELDS[wrong];
    if (field === undefined) {
      const [, , day = '', month = '', weekday = ''] = words;
      // A day of the week is enough by itself only where neither field contains a *.
      if (weekday.includes('*') && !everComes(day, month))
        return reject(problems, path, `no month has such a day: ${day} ${month} (day of the month, month)`);
      return words.join(' ').toLowerCase();
    }
    return reject(
      problems,
      path,
      `expected ${field.name} from ${String(field.min)} to ${String(field.max)}, a range, a list or *, got ${JSON.stringify(words[wrong])}`,
    );
  });
}

/** A list of values, ranges and `*`, the latter two with steps. */
const isField = (word: string, field: Field): boolean => word.split(',').every((part) => isPart(part, field));

function isPart(part: string, field: Field): boolean {
  const [range = '', step, ...more] = part.split('/');
  if (more.length > 0 || !isStep(step, field)) return false;
  if (range === '*') return true;
  const ends = range.split('-').map((end) => valueOf(end, field));
  const [from = Number.NaN, to = from] = ends;
  // A single value has no steps.
  if (ends.length > 2 || (ends.length === 1 && step !== undefined)) return false;
  return field.min <= from && from <= to && to <= field.max;
}

const isStep = (step: string | undefined, { max }: Field): boolean =>
  step === undefined || (/^[0-9]{1,2}$/.test(step) && Number(step) >= 1 && Number(step) <= max);

/** Of February in a leap year. */
const MONTH_DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Such as 30 2: in no year. */
function everComes(day: string, month: string): boolean {
  const [, , days, months] = FIELDS;
  return MONTH_DAYS.some(
    (last, index) =>
      takes(month, months, index + 1) && Array.from({ length: last }).some((_, before) => takes(day, days, before + 1)),
  );
}

/** Whether a field that has been judged takes a value. */
const takes = (word: string, field: Field, value: number): boolean =>
  word.split(',').some((part) => {
    const [range = '', step = '1'] = part.split('/');
    const [from = field.min, to = from] =
      range === '*' ? [field.min, field.max] : range.split('-').map((end) => valueOf(end, field));
    return from <= value && value <= to && (value - from) % Number(step) === 0;
  });

function valueOf(text: string, { min, words = [] }: Field): number {
  const named = words.indexOf(text.toLowerCase());
  if (named >= 0) return named + min;
  return /^[0-9]{1,2}$/.test(text) ? Number(text) : Number.NaN;
}

/** A name of the IANA time zone database that this program knows. */
export function timeZone(): Codec<string> {
  const plain = text({ pattern: '^[A-Za-z0-9_+/-]+$', what: 'a time zone such as Europe/Berlin', maxLength: 64 });
  return refined(plain, (zone: string, path: SettingPath, problems: Problem[]) => {
    // Newer programs take offsets such as -01 for zones.
    if (/^[+-]/.test(zone)) return noZone(zone, path, problems);
    try {
      return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return noZone(zone, path, problems);
    }
  });
}

const noZone = (zone: string, path: SettingPath, problems: Problem[]): undefined =>
  reject(problems, path, `${zone} is no time zone; timedatectl list-timezones lists them`);
