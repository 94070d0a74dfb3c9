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
    .tuple(fc.array(fc.constantFrom('a', 'b', 'c', ''), { minLength: 1, maxLength: 12 }), fc.constantFrom('', '\n'))
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
