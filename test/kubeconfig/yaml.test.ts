import * as fc from 'fast-check';
import t from 'tap';
import { CertletError } from '../../src/errors.ts';
import { encodeYaml, parseOnlyYaml, parseYaml } from '../../src/kubeconfig/yaml.ts';

const BOMB = `a: &a [x,x,x,x,x,x,x,x,x,x]
b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]
c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]
d: [*c,*c,*c,*c,*c,*c,*c]
`;

for (const row of [
  { name: 'an unclosed list', text: 'a: [1, 2', at: '/f:1:9', words: 'must be' },
  { name: 'the same key twice', text: 'a: 1\nb: 2\na: 3', at: '/f:3:1', words: 'the same key stands twice' },
  { name: 'a tab as indentation', text: 'a:\n\tb: 1', at: '/f:2:1', words: 'a tab is used' },
  { name: 'an unknown tag', text: 'a: !secret abc', at: '/f:1:4', words: 'an unknown tag' },
  { name: 'an unclosed quote', text: 'token: "hidden', at: '/f:1:15', words: 'Missing closing' },
  { name: 'an unquoted value with a colon', text: 'a: b: c', at: '/f:1:4', words: 'needs quotes' },
  { name: 'a value that begins with @', text: 'a: @hidden', at: '/f:1:4', words: 'needs quotes' },
  { name: 'text after a quoted value', text: "a: 'x' hidden", at: '/f:1:8', words: 'a value has ended' },
  { name: 'a bad directive', text: '%YAML 3\n---\na: 1', at: '/f:1:7', words: 'BAD_DIRECTIVE' },
  { name: 'aliases that explode', text: BOMB, at: '/f:1:1', words: 'aliases cannot be expanded' },
  {
    name: 'more marks than any such file has',
    text: `a: 1\nb: ${'['.repeat(20_001)}`,
    at: '/f:2:1',
    words: 'more values',
  },
  { name: 'thousands of levels', text: `a: ${'['.repeat(19_000)}`, at: '/f:1', words: 'nests too deeply' },
  { name: 'more than a mebibyte', text: `a: ${'x'.repeat(1024 * 1024)}`, at: '/f', words: 'larger than 1 MiB' },
]) {
  t.test(`parseYaml refuses ${row.name} and says where`, async (t) => {
    const error = t.throws(() => parseYaml(row.text, '/f'), CertletError) as CertletError;
    t.equal(error.code, 'ERR_KUBECONFIG_INVALID');
    t.equal(error.message.startsWith(`${row.at}:`), true, error.message);
    t.match(error.message, row.words);
    t.notMatch(error.message, /hidden|abc/, 'the text, which may be secret, is not quoted');
    t.ok(error.remedy);
  });
}

t.test('parseYaml throws the code that the caller gives', async (t) => {
  t.throws(() => parseYaml('a: [', '/c', 'ERR_CONFIG_INVALID'), { code: 'ERR_CONFIG_INVALID' });
});

for (const row of [
  { name: 'a trailing ---', text: 'a: 1\n---\n', more: undefined },
  { name: 'a trailing ...', text: 'a: 1\n...\n', more: undefined },
  { name: 'a comment behind ---', text: '---\na: 1\n---\n# end\n', more: undefined },
  { name: 'an empty document and null', text: 'a: 1\n---\n...\n---\nnull\n', more: undefined },
  { name: 'a second document', text: 'a: 1\n---\na: 2\n', more: { line: 2, column: 1 } },
  { name: 'a second document behind an empty one', text: 'a: 1\n---\n---\na: 2\n', more: { line: 3, column: 1 } },
  { name: 'a second document behind ...', text: 'a: 1\n...\na: 2\n', more: { line: 3, column: 1 } },
  { name: 'a second document that is no YAML', text: 'a: 1\n---\na: [\n', more: { line: 2, column: 1 } },
  {
    name: 'a second document of thousands of levels',
    text: `a: 1\n---\n${'['.repeat(19_000)}`,
    more: { line: 2, column: 1 },
  },
]) {
  t.test(`${row.name} does not keep the first document from being read`, async (t) => {
    const document = parseYaml(row.text, '/f');
    t.same(document.value, { a: 1 });
    t.same(document.more, row.more);
    if (row.more === undefined) t.same(parseOnlyYaml(row.text, '/f', 'ERR_CONFIG_INVALID').value, { a: 1 });
    else {
      t.throws(() => parseOnlyYaml(row.text, '/f', 'ERR_CONFIG_INVALID'), {
        code: 'ERR_CONFIG_INVALID',
        message: `/f:${String(row.more.line)}:1: several YAML documents in one file`,
      });
    }
  });
}

t.test('parseYaml reads JSON, merge keys, aliases and an empty file', async (t) => {
  t.same(parseYaml('{"a": [1, true, null]}', '/f').value, { a: [1, true, null] });
  t.same(parseYaml('x: &x {a: 1}\nz: {<<: *x, b: 2}', '/f').value, { x: { a: 1 }, z: { a: 1, b: 2 } });
  const empty = parseYaml('', '/f');
  t.equal(empty.value, null);
  t.equal(empty.locate(['a']), undefined);
});

t.test('locate gives the place of a value, or of its nearest ancestor', async (t) => {
  const document = parseYaml('a:\n  b:\n  - c: 1\n  - d: 2\n', '/f');
  t.same(document.locate(['a', 'b', 1, 'd']), { line: 4, column: 8 });
  t.same(document.locate(['a', 'b', 1, 'missing']), { line: 4, column: 5 });
  t.same(document.locate(['missing']), { line: 1, column: 1 });
  t.same(document.locate([]), { line: 1, column: 1 });
});

t.test('encodeYaml quotes text that a YAML 1.1 reader such as the kubelet takes for something else', async (t) => {
  t.equal(
    encodeYaml({ a: 'yes', b: '012', c: '12:30:45', d: 'plain', e: 'on' }),
    'a: "yes"\nb: "012"\nc: "12:30:45"\nd: plain\ne: "on"\n',
  );
  t.equal(encodeYaml({ long: 'word '.repeat(50) }).split('\n').length, 2, 'long text is not folded');
});

t.test('a key or text of << was written as a merge, which no reader could carry out', async (t) => {
  const text = encodeYaml({ '<<': 0, a: '<<', b: ['<<'] });
  t.equal(text, '"<<": 0\na: "<<"\nb:\n  - "<<"\n');
  t.same(parseYaml(text, '/f').value, { '<<': 0, a: '<<', b: ['<<'] });
});

t.test('whatever is encoded is parsed back the same', async () => {
  fc.assert(
    fc.property(
      fc.dictionary(
        fc.string({ minLength: 1 }),
        fc.oneof(fc.string(), fc.boolean(), fc.integer(), fc.array(fc.string())),
      ),
      (data) => {
        const back = parseYaml(encodeYaml(data), '/f').value ?? {};
        return JSON.stringify(back) === JSON.stringify(data);
      },
    ),
    { numRuns: 300 },
  );
});

t.test('a template that was not filled in was printed by the parser, with its token', async (t) => {
  const warned: string[] = [];
  const listener = ({ message }: Error): void => void warned.push(message);
  process.on('warning', listener);
  t.teardown(() => process.off('warning', listener));
  for (const text of ['token: {{abcdef.hidden}}', 'token: {[hidden]: 1}', '? [hidden]\n: 1']) parseYaml(text, '/f');
  // Warnings come at the next turn.
  await new Promise((done) => setImmediate(done));
  t.strictSame(warned, []);
});
