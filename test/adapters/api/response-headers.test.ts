import t from 'tap';
import { httpDate, plainText, retryAfterMs, warningTexts } from '../../../src/adapters/api/response-headers.ts';

const now = new Date('2026-11-22T10:00:00Z');

for (const row of [
  { name: 'absent', value: undefined, ms: undefined },
  { name: 'seconds', value: '7', ms: 7000 },
  { name: 'zero seconds', value: '0', ms: 0 },
  { name: 'seconds with blanks', value: ' 7 ', ms: 7000 },
  { name: 'more than an hour counts as an hour', value: '86400', ms: 3_600_000 },
  { name: 'a date', value: 'Sun, 22 Nov 2026 10:00:30 GMT', ms: 30_000 },
  { name: 'a date that is past', value: 'Sun, 22 Nov 2026 09:00:00 GMT', ms: 0 },
  { name: 'a date far away counts as an hour', value: 'Mon, 22 Nov 2027 10:00:00 GMT', ms: 3_600_000 },
  { name: 'a negative number', value: '-5', ms: undefined },
  { name: 'a word', value: 'soon', ms: undefined },
  { name: 'a date in another form', value: '2026-11-22T10:00:30Z', ms: undefined },
]) {
  t.test(`Retry-After: ${row.name}`, async (t) => {
    t.equal(retryAfterMs(row.value, now), row.ms);
  });
}

t.test('httpDate takes the form that servers send and nothing else', async (t) => {
  t.equal(httpDate('Sun, 22 Nov 2026 10:00:30 GMT')?.toISOString(), '2026-11-22T10:00:30.000Z');
  for (const bad of [undefined, '', 'Sun, 99 Xyz 2026 10:00:30 GMT', '1']) t.equal(httpDate(bad), undefined);
});

for (const row of [
  {
    name: 'one',
    values: ['299 - "certificates.k8s.io/v1beta1 is deprecated"'],
    texts: ['certificates.k8s.io/v1beta1 is deprecated'],
  },
  { name: 'two in one header', values: ['299 - "a", 299 host "b"'], texts: ['a', 'b'] },
  { name: 'two headers', values: ['299 - "a"', '299 - "b"'], texts: ['a', 'b'] },
  { name: 'quoted quotes', values: ['299 - "say \\"no\\""'], texts: ['say "no"'] },
  { name: 'a line break and an escape sequence', values: ['299 - "a\nb\u001b[31m"'], texts: ['a b [31m'] },
  { name: 'another code', values: ['199 - "a"'], texts: [] },
  { name: 'an empty text', values: ['299 - ""'], texts: [] },
  { name: 'no quotes', values: ['299 - a'], texts: [] },
  { name: 'none', values: [], texts: [] },
]) {
  t.test(`Warning headers: ${row.name}`, async (t) => {
    t.same(warningTexts(row.values), row.texts);
  });
}

t.test('plainText cuts long text', async (t) => {
  t.equal(plainText('x'.repeat(20), 10), `${'x'.repeat(9)}…`);
});
