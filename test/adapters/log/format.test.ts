import fc from 'fast-check';
import t from 'tap';
import { jsonLine, journalLine, textLine } from '../../../src/adapters/log/format.ts';
import type { LogRecord } from '../../../src/adapters/log/format.ts';
import type { LogFields } from '../../../src/ports.ts';
import { Secret } from '../../../src/secret.ts';
import { ANY_CHARACTER } from '../../fixtures/any-character.ts';

const time = new Date(2030, 0, 3, 4, 5, 6);
const record = (event: string, fields: LogFields = {}, level: LogRecord['level'] = 'info'): LogRecord => ({
  time,
  level,
  event,
  fields,
});

const ROWS: readonly {
  readonly name: string;
  readonly event: string;
  readonly fields: LogFields;
  readonly line: string;
}[] = [
  { name: 'an event without fields', event: 'Rotating certificates', fields: {}, line: '<6>Rotating certificates' },
  { name: 'plain values bare', event: 'e', fields: { n: 1, ok: true, s: 'a/b:c' }, line: '<6>e n=1 ok=true s=a/b:c' },
  { name: 'absent values not at all', event: 'e', fields: { a: undefined, b: 2 }, line: '<6>e b=2' },
  { name: 'empty text quoted', event: 'e', fields: { s: '' }, line: '<6>e s=""' },
  { name: 'text with blanks quoted', event: 'e', fields: { s: 'a b' }, line: '<6>e s="a b"' },
  { name: 'quotes and backslashes escaped', event: 'e', fields: { s: 'a"\\b' }, line: String.raw`<6>e s="a\"\\b"` },
  { name: 'an equals sign quoted', event: 'e', fields: { s: 'CN=n1' }, line: '<6>e s="CN=n1"' },
  {
    name: 'a secret that begins on the next line was printed',
    event: 'e',
    fields: { s: 'header: Bearer\nabcdefghijklmnop' },
    line: '<6>e s="header: Bearer [secret]"',
  },
  { name: 'lines become one, in words', event: 'a\nb', fields: { s: 'c\r\n\td' }, line: '<6>a; b s="c; d"' },
  {
    name: 'a list of problems on one line, and no \\n in it',
    event: 'e',
    fields: { error: 'settings: 2 problems:\n  /c.yaml:1: a: "x" is none\n  /c.yaml:2: b: is none\n' },
    line: String.raw`<6>e error="settings: 2 problems: /c.yaml:1: a: \"x\" is none; /c.yaml:2: b: is none"`,
  },
  {
    name: 'a lone carriage return and a separator of lines escaped',
    event: 'a\rb\u2028c',
    fields: {},
    line: String.raw`<6>a\rb\u2028c`,
  },
  {
    name: 'terminal escapes and reading marks shown, not obeyed',
    event: '\u001b[31m',
    fields: { s: '\u009b\u202ex' },
    line: String.raw`<6>\u001b[31m s="\u009b\u202ex"`,
  },
  { name: 'lists joined by commas', event: 'e', fields: { l: ['a', 'b c'] }, line: '<6>e l="a,b c"' },
  {
    name: 'dates in UTC to the second',
    event: 'e',
    fields: { d: new Date('2027-01-03T04:11:00.123Z') },
    line: '<6>e d=2027-01-03T04:11:00Z',
  },
  {
    name: 'a remedy last and as it is typed, what is to be known of it apart',
    event: 'e',
    fields: { remedy: 'echo \'a b\'   # said "aloud"', n: 1 },
    line: String.raw`<6>e n=1 why="said \"aloud\"" fix: echo 'a b'`,
  },
  {
    name: 'the explanations of a line and of its remedy together',
    event: 'e',
    fields: { why: 'expired', remedy: 'certlet check   # as root' },
    line: '<6>e why="expired; as root" fix: certlet check',
  },
  {
    name: 'what no command does is no fix, and a field as any other',
    event: 'e',
    fields: { remedy: '# Put a "kubeconfig" there.   # none is usable', n: 1 },
    line: String.raw`<6>e n=1 do="Put a \"kubeconfig\" there." why="none is usable"`,
  },
  { name: 'dates that are none', event: 'e', fields: { d: new Date(Number.NaN) }, line: '<6>e d=unknown' },
];
for (const row of ROWS) {
  t.test(`journal: ${row.name}`, async (t) => {
    t.equal(journalLine(record(row.event, row.fields)), row.line);
  });
}

t.test('journal: each level has its syslog priority', async (t) => {
  const levels = ['error', 'warn', 'info', 'debug'] as const;
  t.strictSame(
    levels.map((level) => journalLine(record('e', {}, level))),
    ['<3>e', '<4>e', '<6>e', '<7>e'],
  );
});

t.test('text: the time in UTC, level, event and fields; colour only where asked for', async (t) => {
  t.equal(textLine(record('Waiting', { a: 1 }, 'warn'), { colour: false }), '2030-01-03T04:05:06Z WARN  Waiting a=1');
  t.equal(
    textLine(record('Waiting', {}, 'error'), { colour: true }),
    '2030-01-03T04:05:06Z \u001b[31mERROR\u001b[0m Waiting',
  );
});

t.test('json: one object with kept types, and no field can hide time, level or event', async (t) => {
  const line = jsonLine(
    record('a\nb', { n: 1, ok: false, l: ['x', 'y'], d: time, gone: undefined, level: 'fake', event: 'fake' }),
  );
  t.notMatch(line, /\n/);
  t.strictSame(JSON.parse(line), {
    time: time.toISOString().replace('.000', ''),
    level: 'info',
    event: 'a\nb',
    n: 1,
    ok: false,
    l: ['x', 'y'],
    d: time.toISOString().replace('.000', ''),
    level_: 'fake',
    event_: 'fake',
  });
});

t.test('a secret or an object that slipped past the types is not printed', async (t) => {
  const fields = { secret: new Secret('hush'), deep: { token: 'hush' }, list: [new Secret('hush')] };
  const slipped = record('e', fields as unknown as LogFields);
  for (const line of [journalLine(slipped), jsonLine(slipped), textLine(slipped, { colour: false })]) {
    t.notMatch(line, /hush/);
  }
});

t.test('a value of a megabyte becomes a short one that says so', async (t) => {
  const line = journalLine(record('e', { body: 'x'.repeat(1_000_000) }));
  t.ok(line.length < 5000);
  t.match(line, /… \(995904 more characters\)/);
});

t.test('whatever text comes, one call is one line without control characters', async () => {
  const text = fc.string({ unit: ANY_CHARACTER, maxLength: 60 });
  fc.assert(
    fc.property(
      text,
      fc.dictionary(fc.constantFrom('a', 'time', 'level'), fc.oneof(text, fc.array(text))),
      (event, fields) => {
        for (const line of [
          journalLine(record(event, fields)),
          jsonLine(record(event, fields)),
          textLine(record(event, fields), { colour: false }),
        ]) {
          // oxlint-disable-next-line no-control-regex -- they are what must be absent
          if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(line)) return false;
        }
        JSON.parse(jsonLine(record(event, fields)));
        return true;
      },
    ),
  );
});

t.test('values were quoted in one way on a terminal and in another in the journal', async () => {
  const line = fc.record({ event: fc.string(), fields: fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.string()) });
  fc.assert(
    fc.property(line, ({ event, fields }) => {
      const said = record(event, fields);
      const afterPriority = journalLine(said).slice('<6>'.length);
      const afterTime = textLine(said, { colour: false }).replace(/^\S+ INFO {2}/, '');
      return afterPriority === afterTime;
    }),
  );
});
