import t from 'tap';
import { parseEnvironmentFile } from '../../src/kubelet/environment-file.ts';
import { commandOf, mergeService } from '../../src/kubelet/unit-file.ts';

const unit = (text: string, path = '/u'): { path: string; text: string } => ({ path, text });

t.test('the last ExecStart after an empty one counts, with the file that gave it', async (t) => {
  const service = mergeService([
    unit('[Service]\nExecStart=/old --x', '/usr/lib/systemd/system/kubelet.service'),
    unit('[Service]\nExecStart=\nExecStart = /new --y\n', '/etc/systemd/system/kubelet.service.d/10.conf'),
    unit('[Unit]\nExecStart=/not/here\n[Install]\nExecStart=', '/etc/systemd/system/kubelet.service.d/20.conf'),
  ]);
  t.equal(service.execStart, '/new --y');
  t.equal(service.execStartPath, '/etc/systemd/system/kubelet.service.d/10.conf');
});

t.test('an empty ExecStart at the end leaves no command', async (t) => {
  t.equal(mergeService([unit('[Service]\nExecStart=/a\nExecStart=')]).execStart, undefined);
  t.equal(mergeService([]).execStart, undefined);
});

t.test('lines go on after a backslash, over comments, and comments end nowhere else', async (t) => {
  const text =
    '[Service]\r\n; note\nExecStart=/a \\\n  --b \\\n# comment with \\\n; another\n  --c\n  # indented comment\nEnvironment=X=1';
  const service = mergeService([unit(text)]);
  t.equal(service.execStart, '/a --b --c');
  t.equal(service.environment.get('X'), '1');
});

t.test('a continuation at the end of the file is taken', async (t) => {
  t.equal(mergeService([unit('[Service]\nExecStart=/a \\\n --b \\')]).execStart, '/a --b');
});

t.test('Environment= adds up, is unquoted, and an empty one forgets', async (t) => {
  const service = mergeService([
    unit('[Service]\nEnvironment=GONE=1\nEnvironment=\nEnvironment="A=x y" B=2 nonsense =3\nEnvironment=B=3'),
  ]);
  t.strictSame(
    [...service.environment],
    [
      ['A', 'x y'],
      ['B', '3'],
    ],
  );
});

t.test('EnvironmentFile= is a list, may be optional, and an empty one forgets', async (t) => {
  const service = mergeService([
    unit('[Service]\nEnvironmentFile=/gone\nEnvironmentFile=\nEnvironmentFile=-/a\nEnvironmentFile=/b'),
  ]);
  t.strictSame(service.environmentFiles, [
    { path: '/a', optional: true },
    { path: '/b', optional: false },
  ]);
});

for (const row of [
  { text: '/bin/k --a', command: '/bin/k --a', expands: true },
  { text: '-/bin/k', command: '/bin/k', expands: true },
  { text: ':-/bin/k', command: '/bin/k', expands: false },
  { text: '+/bin/k', command: '/bin/k', expands: true },
]) {
  t.test(`prefixes of ${row.text}`, async (t) => {
    t.strictSame(commandOf(row.text), { command: row.command, expands: row.expands });
  });
}

for (const row of [
  {
    name: 'kubeadm-flags.env',
    text: 'KUBELET_KUBEADM_ARGS="--container-runtime-endpoint=unix:///x --node-ip=10.0.0.7"\n',
    want: { KUBELET_KUBEADM_ARGS: '--container-runtime-endpoint=unix:///x --node-ip=10.0.0.7' },
  },
  { name: 'comments and blank lines', text: '# a\n; b\n\n  A=1\n', want: { A: '1' } },
  {
    name: 'blanks at the end go, quoted ones stay',
    text: 'A= x y  \nB="x "  \nC=x" "\n',
    want: { A: 'x y', B: 'x ', C: 'x" "' },
  },
  { name: 'single quotes are literal', text: "A='a\\nb $X'\n", want: { A: 'a\\nb $X' } },
  { name: 'escapes in double quotes', text: 'A="a\\"b\\$c\\\\d\\e"\n', want: { A: 'a"b$c\\d\\e' } },
  { name: 'escapes outside of quotes', text: 'A=a\\ b\\"\n', want: { A: 'a b"' } },
  { name: 'a continued line', text: 'A=a\\\nb\nB="c\\\nd"\n', want: { A: 'ab', B: 'cd' } },
  { name: 'a line break in quotes', text: 'A="a\nb"\nB=1', want: { A: 'a\nb', B: '1' } },
  { name: 'what is no assignment is left out', text: 'export A=1\nnonsense\n1A=2\nB=2\n', want: { B: '2' } },
  { name: 'empty values and the last one wins', text: 'A=\nB=1\nB=2', want: { A: '', B: '2' } },
  { name: 'quoted parts one after the other, then bare text', text: `A="a b" 'c'd "e"\n`, want: { A: 'a bcd "e"' } },
  { name: 'nothing', text: '', want: {} },
  { name: 'line ends of another system', text: 'A=1\r\nB=2\r\n', want: { A: '1', B: '2' } },
]) {
  t.test(`environment file: ${row.name}`, async (t) => {
    t.strictSame(Object.fromEntries(parseEnvironmentFile(row.text)), row.want);
  });
}
