import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import t from 'tap';
import { unifiedDiff } from '../../src/kubelet/unified-diff.ts';

t.test('a new file', async (t) => {
  t.equal(unifiedDiff('/etc/a', undefined, 'x\ny\n'), '--- /dev/null\n+++ /etc/a\n@@ -0,0 +1,2 @@\n+x\n+y\n');
});

t.test('a changed file', async (t) => {
  t.equal(
    unifiedDiff('/etc/a', 'a\nb\nc\n', 'a\nB\nc\nd\n'),
    '--- /etc/a\n+++ /etc/a\n@@ -1,3 +1,4 @@\n a\n-b\n+B\n c\n+d\n',
  );
});

t.test('one changed setting among a hundred lines showed all of them', async (t) => {
  const lines = Array.from({ length: 100 }, (_, at) => `line ${String(at + 1)}`);
  const before = `${lines.join('\n')}\n`;
  const after = before.replace('line 50\n', 'line L\n').replace('line 90\n', '');
  const around = (first: number, last: number): string =>
    lines
      .slice(first - 1, last)
      .map((line) => ` ${line}\n`)
      .join('');
  t.equal(
    unifiedDiff('/etc/a', before, after),
    `--- /etc/a\n+++ /etc/a\n@@ -47,7 +47,7 @@\n${around(47, 49)}-line 50\n+line L\n${around(51, 53)}` +
      `@@ -87,7 +87,6 @@\n${around(87, 89)}-line 90\n${around(91, 93)}`,
  );
});

t.test('nothing when nothing differs', async (t) => {
  t.equal(unifiedDiff('/etc/a', 'a\n', 'a\n'), '');
});

t.test('a last line that does not end is told as patch wants it', async (t) => {
  t.equal(
    unifiedDiff('/etc/a', 'a\nb', 'a\nb\n'),
    '--- /etc/a\n+++ /etc/a\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n',
  );
});

const hasPatch = spawnSync('patch', ['--version']).status === 0;

t.test('patch makes the new text out of the old one', { skip: !hasPatch && 'no patch here' }, async (t) => {
  const file = join(t.testdir({}), 'file');
  const text = fc
    .tuple(fc.array(fc.constantFrom('a', 'b', 'c', ''), { minLength: 1, maxLength: 24 }), fc.constantFrom('', '\n'))
    .map(([lines, end]) => `${lines.join('\n')}${end}`);
  fc.assert(
    fc.property(text, text, (before, after) => {
      writeFileSync(file, before);
      const diff = unifiedDiff('file', before, after);
      if (diff !== '') execFileSync('patch', ['--silent', file], { input: diff });
      return readFileSync(file, 'utf8') === after;
    }),
    { numRuns: 60 },
  );
});
