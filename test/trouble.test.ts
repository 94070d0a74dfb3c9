/** How much is told of what fails again and again. */
import t from 'tap';
import { isToldNow, troubleKey, Troubles } from '../src/trouble.ts';

const MINUTE_MS = 60_000;
const START = Date.parse('2030-01-01T00:00:00Z');
const at = (minutes: number): Date => new Date(START + minutes * MINUTE_MS);
const REFUSED = {
  code: 'ERR_API_UNREACHABLE',
  message: 'POST /apis/x at https://192.0.2.1:6443: nothing listens there',
};
const FULL = { code: 'ERR_STORE_FULL', message: 'no space left' };

t.test('one trouble, tried every ten seconds for four hours, is told at these minutes', async (t) => {
  const troubles = new Troubles();
  const told: number[] = [];
  for (let minute = 0; minute < 240; minute += 1 / 6)
    if (troubles.levelOf('request', REFUSED, { at: at(minute), loud: 'warn' }) === 'warn')
      told.push(Math.round(minute));
  t.strictSame(told, [0, 1, 6, 21, 56, 86, 116, 146, 176, 206, 236]);
});

t.test('a clock that was set does not silence it', async (t) => {
  t.equal(isToldNow({ times: 5, at: at(0) }, at(-300)), true);
  t.equal(isToldNow({ times: 5, at: at(0) }, at(-1)), false);
});

for (const { name, one, other, same } of [
  { name: 'another moment and port', one: 'lost at 03:12:01 by :6443', other: 'lost at 04:00:00 by :6444', same: true },
  {
    name: 'another request',
    one: 'certificate signing request node-csr-iLteqoiiHDf0jEIQTJJFM4aTXPOrrQS81y9lwjAn64I is denied, reason: No',
    other: 'certificate signing request node-csr-Mx6lT_3Ex1xCdDzh4Eg4wHj_sbq5oHjEw3QBemX84LU is denied, reason: No',
    same: true,
  },
  {
    name: 'met by another request',
    one: 'GET /api at https://a:1: silence',
    other: 'POST /apis/b at https://a:1: silence',
    same: true,
  },
  { name: 'another reason', one: 'is denied, reason: No', other: 'is denied, reason: Never', same: false },
  {
    name: 'another cause',
    one: 'GET /api at https://a:1: silence',
    other: 'GET /api at https://a:1: refused',
    same: false,
  },
])
  t.test(`${name} is ${same ? 'the same' : 'another'} trouble`, async (t) => {
    const keys = [one, other].map((message) => troubleKey({ code: 'ERR', message }));
    t.equal(keys[0] === keys[1], same, keys.join(' | '));
  });

t.test('a change is told at once, and going back to what was told keeps its pace', async (t) => {
  const troubles = new Troubles();
  const level = (failure: typeof FULL, minutes: number) =>
    troubles.levelOf('request', failure, { at: at(minutes), loud: 'error' });
  t.equal(level(REFUSED, 0), 'error');
  t.equal(level(FULL, 0.1), 'error');
  t.equal(level(REFUSED, 0.2), 'debug');
  t.equal(level(FULL, 0.3), 'debug');
});

t.test('two things in one trouble say it once each and share the reminders', async (t) => {
  const troubles = new Troubles();
  const level = (thing: string, minutes: number) => troubles.levelOf(thing, REFUSED, { at: at(minutes), loud: 'warn' });
  t.equal(level('client', 0), 'warn');
  t.equal(level('serving', 0), 'warn');
  t.equal(level('serving', 4), 'debug');
  t.equal(level('serving', 5), 'warn');
  t.equal(level('client', 5), 'debug');
});

t.test('what only goes along tells nothing that was told, and reminds of nothing while another does', async (t) => {
  const troubles = new Troubles();
  const level = (thing: string, failure: typeof FULL, minutes: number) =>
    troubles.levelOf(thing, failure, { at: at(minutes), loud: 'warn', echo: thing === 'proof' });
  t.equal(level('client', REFUSED, 0), 'warn');
  t.equal(level('proof', REFUSED, 0), 'debug');
  t.equal(level('proof', FULL, 0), 'warn', 'news of its own');
  t.equal(level('proof', FULL, 300), 'debug');
  troubles.over('client', at(300));
  t.equal(level('proof', FULL, 301), 'warn', 'it is alone now');
});

t.test('the end is told once, with all tries, and the next trouble begins anew', async (t) => {
  const troubles = new Troubles();
  for (const minute of [0, 1, 5, 11]) troubles.levelOf('request', REFUSED, { at: at(minute), loud: 'warn' });
  t.strictSame(troubles.over('request', at(23)), { since: at(0), after: '23 minutes', tries: 4 });
  t.equal(troubles.over('request', at(23)), undefined);
  t.equal(troubles.levelOf('request', REFUSED, { at: at(24), loud: 'warn' }), 'warn');
  t.equal(troubles.over('request', at(25)), undefined, 'one failed try needs no word about its end');
});

t.test('after a release the first failure is told, and the end still counts from the beginning', async (t) => {
  const troubles = new Troubles();
  const level = (failures: number, minutes: number) =>
    troubles.levelOf('request', REFUSED, { at: at(minutes), loud: 'warn', failures });
  t.strictSame([level(1, 0), level(2, 0.5), level(1, 0.6), level(2, 0.7)], ['warn', 'debug', 'warn', 'debug']);
  t.match(troubles.over('request', at(180)), { tries: 4, after: '3 hours' });
});

t.test('a server that answers with other words each time does not fill the memory', async (t) => {
  const troubles = new Troubles();
  const word = (index: number): string => 'abcdefghij'.charAt(index % 10).repeat(1 + (index % 23));
  for (let index = 0; index < 230; index += 1) {
    const failure = { code: 'ERR', message: word(index) };
    troubles.levelOf('request', failure, { at: at(0), loud: 'warn' });
  }
  t.equal(troubles.size <= 13, true, String(troubles.size));
});

t.test('whoever words the same failure anew at each try had a line for each of them', async (t) => {
  const troubles = new Troubles();
  const letters = 'abcdefghijklmnopqrstuvwxyz';
  const word = (index: number): string => letters.charAt(index % 26) + letters.charAt(Math.floor(index / 26) % 26);
  const told: number[] = [];
  for (let index = 0; index < 26 * 26; index += 1) {
    const failure = { code: 'ERR', message: `no, says ${word(index)}` };
    const minute = (index * 10) / 60;
    if (troubles.levelOf('request', failure, { at: at(minute), loud: 'warn', failures: index + 1 }) === 'warn')
      told.push(minute);
  }
  t.ok(told.filter((minute) => minute < 60).length <= 17, String(told));
  t.strictSame(
    told.filter((minute) => minute >= 60),
    [88],
  );
  t.equal(troubles.size <= 13, true, String(troubles.size));
});

t.test('a failure of another kind is told at once after hours of ever new words', async (t) => {
  const troubles = new Troubles();
  const level = (message: string, minutes: number) =>
    troubles.levelOf('request', { code: 'ERR', message }, { at: at(minutes), loud: 'warn' });
  for (const letter of 'abcdefghijklmnopqrstuvwxyz') level(letter, 0);
  t.equal(level('no space left', 180), 'warn');
});

for (const [what, text] of [
  ['of other scripts', 'é'.repeat(500_000)],
  ['without a blank', 'a.'.repeat(250_000)],
  ['of words', 'a b '.repeat(125_000)],
] as const)
  t.test(`a text of half a megabyte ${what} held the program up for minutes, and its memory`, async (t) => {
    const key = troubleKey({ code: 'ERR', message: text });
    t.ok(key.length <= 1100, String(key.length));
  });
