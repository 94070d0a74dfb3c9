/** Problems of the settings hold words of whoever wrote the file: each is one line, in which nothing steers a terminal. */
import t from 'tap';
import { parseInventory } from '../../src/approve/inventory.ts';
import { loadApproverSettings, loadSettings } from '../../src/config.ts';
import type { Codec, Fields } from '../../src/config/codec.ts';
import { SETTINGS_CODEC } from '../../src/config/fields.ts';
import { isCertletError } from '../../src/errors.ts';

const filePath = '/etc/certlet/config.yaml';
const EVIL = '\u001b[31mevil\ncertlet: all is well\r\u0007\u009b\u202e\u2028';
/** In front of it, so that it comes past more than the first look. */
const BEFORE = ['', '/', 'https://'];
// oxlint-disable-next-line no-control-regex -- control characters are what this looks for
const STEERS = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/u;

/** What a person is told; undefined where it is taken. */
function told(read: () => unknown): string | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (!isCertletError(error)) throw error;
    return error.message;
  }
}

const settings = (tree: unknown): string | undefined =>
  told(() => loadSettings({ flags: {}, fileText: JSON.stringify(tree), filePath, osHostname: 'node-1' }));

/** Trees in which one text of all that can be set is `word`, and one key of every map. */
function* trees(fields: Fields, word: string): Generator<Readonly<Record<string, unknown>>> {
  yield { [word]: 1 };
  for (const [name, { codec }] of Object.entries(fields))
    for (const value of values(codec, word)) yield { [name]: value };
}

function* values(codec: Codec<unknown>, word: string): Generator {
  yield word;
  if (codec.fields !== undefined) yield* trees(codec.fields, word);
  if (codec.items !== undefined) for (const value of values(codec.items, word)) yield [value];
}

/** One line, or a heading and as many lines as it says, with nothing in them that steers. */
function isHarmless(message: string): boolean {
  const [first = '', ...rest] = message.split('\n');
  return !STEERS.test(message) && (rest.length === 0 || first === `settings: ${String(rest.length)} problems:`);
}

t.test('a key or value of the settings formed a line of its own and coloured the terminal', async (t) => {
  let refused = 0;
  const bad: string[] = [];
  for (const before of BEFORE)
    for (const tree of trees(SETTINGS_CODEC.fields ?? {}, `${before}${EVIL}`)) {
      const message = settings(tree);
      if (message === undefined) continue;
      refused += 1;
      if (!isHarmless(message)) bad.push(encodeURI(message));
    }
  t.strictSame(bad.slice(0, 3), [], `${String(bad.length)} of ${String(refused)}`);
  t.ok(refused > 100, String(refused));
});

t.test('it is told as what it is, and not all of a long one', async (t) => {
  t.equal(
    settings({ '\u001b[31mevil\n\u0007': 1 }),
    `settings: ${filePath}:1: \\u001b[31mevil\\n\\u0007: is not a setting`,
  );
  t.equal(
    settings({ log: { ['x'.repeat(1000)]: 1 } }),
    `settings: ${filePath}:1: log.${'x'.repeat(80)}…: is not a setting`,
  );
});

t.test('nor do they in the settings of the approver', async (t) => {
  const read = (tree: unknown): string | undefined => told(() => loadApproverSettings(JSON.stringify(tree), filePath));
  for (const tree of [{ [EVIL]: 1 }, { approve: { [EVIL]: 1 } }, { approve: { namesFrom: EVIL } }]) {
    const message = read(tree) ?? '';
    t.ok(message !== '' && isHarmless(message), encodeURI(message));
  }
});

t.test('nor in an inventory', async (t) => {
  for (const tree of [
    { [EVIL]: 1 },
    { nodes: [{ [EVIL]: 1 }] },
    ...['name', 'nameMatches'].flatMap((field) =>
      [`${EVIL}(`, `(${EVIL}`].map((text) => ({ nodes: [{ [field]: text }] })),
    ),
    ...['addresses', 'names', 'namesMatch'].map((field) => ({ nodes: [{ name: 'n1', [field]: [`${EVIL}(`] }] })),
  ]) {
    const message = told(() => parseInventory(JSON.stringify(tree), '/etc/certlet/inventory.yaml')) ?? '';
    t.match(message, /^\/etc\/certlet\/inventory\.yaml/);
    // What is left of these is escaped wherever it is told; a line and a colour are not.
    for (const sign of ['\n', '\u001b']) t.notOk(message.includes(sign), encodeURI(JSON.stringify(tree)));
  }
});
