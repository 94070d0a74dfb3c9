import fc from 'fast-check';
import t from 'tap';
import type { Command, ParsedLine } from '../../src/cli/command.ts';
import { parseCommandLine } from '../../src/cli/command-line.ts';
import { flagsOf } from '../../src/cli/command-spec.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { settingFlags } from '../../src/cli/flags.ts';
import { wrongLineError } from '../../src/cli/wrong-line.ts';
import { quickCommandLine } from '../../src/cli/quick-line.ts';
import { CertletError } from '../../src/errors.ts';

async function parsed(...argv: readonly string[]): Promise<Extract<ParsedLine, { kind: 'command' }>> {
  const line = await parseCommandLine(argv);
  if (line.kind !== 'command') throw new Error(`expected a command, got ${line.kind}`);
  return line;
}

/** Help wraps its lines. */
const unwrapped = (text: string): string => text.replace(/\s+/g, ' ');

const join = {
  endpoint: undefined,
  token: undefined,
  tokenFile: undefined,
  caCertHashes: [],
  unsafeSkipCaVerification: false,
  discoveryFile: undefined,
  timeoutMs: 300_000,
  force: false,
  writeKubeconfig: false,
  seal: false,
};
const renew = {
  name: 'renew',
  output: 'text',
  certificate: undefined,
  dryRun: false,
  restartNow: false,
  wait: false,
  timeoutMs: 300_000,
} as const;

const status = { name: 'status', output: 'text', certificate: undefined, watch: false, verbose: false } as const;

const commands: readonly { readonly line: string; readonly command: Command }[] = [
  { line: 'run', command: { name: 'run' } },
  { line: 'once', command: { name: 'once', output: 'text', timeoutMs: 300_000 } },
  { line: 'once --timeout 90s', command: { name: 'once', output: 'text', timeoutMs: 90_000 } },
  { line: 'once --timeout=1h --timeout 2m', command: { name: 'once', output: 'text', timeoutMs: 120_000 } },
  {
    line: 'once --if-expiring 7d',
    command: { name: 'once', output: 'text', timeoutMs: 300_000, ifExpiringMs: 604_800_000 },
  },
  { line: 'once --every 1h', command: { name: 'once', output: 'text', timeoutMs: 300_000, everyMs: 3_600_000 } },
  { line: 'status', command: status },
  {
    line: 'status --output yaml --watch',
    command: { ...status, output: 'yaml', watch: true },
  },
  { line: 'status serving -v', command: { ...status, certificate: 'serving', verbose: true } },
  { line: 'status -w -o json', command: { ...status, output: 'json', watch: true } },
  { line: 'status -ojson', command: { ...status, output: 'json' } },
  { line: 'status -o=yaml', command: { ...status, output: 'yaml' } },
  { line: 'once -o json --timeout 90s', command: { name: 'once', output: 'json', timeoutMs: 90_000 } },
  { line: 'version', command: { name: 'version', output: 'text' } },
  { line: 'version -o json', command: { name: 'version', output: 'json' } },
  { line: 'renew', command: renew },
  { line: 'renew all --wait=1', command: { ...renew, wait: true } },
  { line: 'renew --restart-now', command: { ...renew, restartNow: true } },
  { line: 'renew serving --dry-run', command: { ...renew, certificate: 'serving', dryRun: true } },
  { line: 'renew --no-wait client --timeout 5s', command: { ...renew, certificate: 'client', timeoutMs: 5000 } },
  { line: 'check --output json', command: { name: 'check', output: 'json' } },
  { line: 'check --output=yaml', command: { name: 'check', output: 'yaml' } },
  { line: 'check --for short-lived', command: { name: 'check', output: 'text', outlook: 'short-lived' } },
  {
    line: 'check --for=kubelet-ca --kubelet-certificate-authority /ca.crt',
    command: { name: 'check', output: 'text', outlook: 'kubelet-ca', caFile: '/ca.crt' },
  },
  { line: 'once --output json', command: { name: 'once', output: 'json', timeoutMs: 300_000 } },
  { line: 'renew --dry-run --output yaml', command: { ...renew, dryRun: true, output: 'yaml' } },
  {
    line: 'adopt --output json',
    command: { name: 'adopt', output: 'json', write: false, writeKubeconfig: false, kubeProxy: true },
  },
  {
    line: 'reset --output json',
    command: { name: 'reset', output: 'json', yes: false, withBootstrapKubeconfig: false },
  },
  {
    line: 'adopt --write',
    command: { name: 'adopt', output: 'text', write: true, writeKubeconfig: false, kubeProxy: true },
  },
  { line: 'reset --yes', command: { name: 'reset', output: 'text', yes: true, withBootstrapKubeconfig: false } },
  { line: 'reset --yes=false', command: { name: 'reset', output: 'text', yes: false, withBootstrapKubeconfig: false } },
  { line: 'completion zsh', command: { name: 'completion', wanted: 'zsh', settingsPath: '/etc/certlet/config.yaml' } },
  {
    line: 'join 192.0.2.1:6443 --token-file - --discovery-token-ca-cert-hash sha256:aa --discovery-token-ca-cert-hash=sha256:bb',
    command: {
      name: 'join',
      output: 'text',
      join: { ...join, endpoint: '192.0.2.1:6443', tokenFile: '-', caCertHashes: ['sha256:aa', 'sha256:bb'] },
    },
  },
  {
    line: 'join --discovery-file /f --token abcdef.0123456789abcdef --force --timeout 1m',
    command: {
      name: 'join',
      output: 'text',
      join: { ...join, discoveryFile: '/f', token: 'abcdef.0123456789abcdef', force: true, timeoutMs: 60_000 },
    },
  },
  {
    line: 'join [::1]:6443 --token-file /t --discovery-token-unsafe-skip-ca-verification',
    command: {
      name: 'join',
      output: 'text',
      join: { ...join, endpoint: '[::1]:6443', tokenFile: '/t', unsafeSkipCaVerification: true },
    },
  },
];
for (const { line, command } of commands) {
  t.test(`certlet ${line}`, async (t) => {
    t.strictSame((await parsed(...line.split(' '))).command, command);
  });
}

for (const row of [
  { name: 'none', argv: ['run'], flags: {} },
  {
    name: 'the last of several wins',
    argv: ['run', '--kubeconfig=/a', '--kubeconfig', '/b'],
    flags: { kubeconfig: '/b' },
  },
  {
    name: 'lists grow and split at commas',
    argv: ['run', '--node-ip', 'a, b', '--node-ip=c,'],
    flags: { 'node-ip': ['a', 'b', 'c'] },
  },
  {
    name: 'numbers and times stay text for the settings to judge',
    argv: ['run', '--expiration-seconds', '0600', '--rotation-prune-grace', '1h'],
    flags: { 'expiration-seconds': '0600', 'rotation-prune-grace': '1h' },
  },
  { name: 'before the command', argv: ['--log-level', 'debug', 'run'], flags: { 'log-level': 'debug' } },
  { name: 'for a command that is no daemon', argv: ['status', '--runtime-dir', '/r'], flags: { 'runtime-dir': '/r' } },
  { name: 'an empty value is a value', argv: ['run', '--kubeconfig='], flags: { kubeconfig: '' } },
  { name: 'a value may hold an equals sign', argv: ['run', '--cert-dir=/a=b'], flags: { 'cert-dir': '/a=b' } },
  ...['', '=1', '=t', '=T', '=true', '=TRUE', '=True'].map((word) => ({
    name: `--events${word} is on, as the kubelet reads it`,
    argv: ['run', `--events${word}`],
    flags: { events: true },
  })),
  ...['=0', '=f', '=F', '=false', '=FALSE', '=False'].map((word) => ({
    name: `--rotate-server-certificates${word} is off`,
    argv: ['run', `--rotate-server-certificates${word}`],
    flags: { 'rotate-server-certificates': false },
  })),
  { name: 'negated', argv: ['run', '--no-rotate-server-certificates'], flags: { 'rotate-server-certificates': false } },
]) {
  t.test(`setting flags: ${row.name}`, async (t) => {
    const { settings } = await parsed(...row.argv);
    t.strictSame(settings, { settingsPath: undefined, settingFlags: row.flags });
  });
}

t.test('certlet approve on a host without settings wanted the settings file of which nobody had spoken', async (t) => {
  for (const [words, settingsPath] of [
    [['approve'], undefined],
    [['approve', '--print-rbac'], undefined],
    [['approve', '--config', '/c.yaml'], '/c.yaml'],
  ] as const) {
    const line = await parsed(...words);
    t.match(line, { kind: 'command', command: { name: 'approve' } });
    t.equal((line as { command: { settingsPath: unknown } }).command.settingsPath, settingsPath, words.join(' '));
  }
});

t.test('--config names the settings file', async (t) => {
  t.equal((await parsed('run', '--config', '/c.yaml')).settings.settingsPath, '/c.yaml');
});

/** The error that a line alone ends with. */
async function failing(argv: readonly string[]): Promise<never> {
  const line = await parseCommandLine(argv);
  if (line.kind !== 'wrong') throw new Error(`expected an error, got ${line.kind}`);
  throw await wrongLineError(line, async () => undefined);
}

for (const [line, message, help] of [
  ['', 'which command? See the list with --help', 'certlet --help'],
  ['stauts', '"stauts" is not a command; did you mean status?', 'certlet --help'],
  ['frobnicate', '"frobnicate" is not a command', 'certlet --help'],
  ['--frobnicate', 'certlet has no flag --frobnicate', 'certlet --help'],
  ['run --kubconfig /x', 'certlet run has no flag --kubconfig; did you mean --kubeconfig?', 'certlet run --help'],
  ['run --certDir=/x', 'certlet run has no flag --certDir; did you mean --cert-dir?', 'certlet run --help'],
  ['run --wait', 'certlet run has no flag --wait', 'certlet run --help'],
  ['completion bash --kubeconfig /x', 'certlet completion has no flag --kubeconfig', 'certlet completion --help'],
  ['run -x', 'certlet run has no flag --x', 'certlet run --help'],
  ['run now', 'certlet run takes no "now"', 'certlet run --help'],
  ['run -- now', '"now" is one word too many', 'certlet run --help'],
  ['renew client serving', 'certlet renew takes no "serving"', 'certlet renew --help'],
  [
    'renew Both',
    'CERTIFICATE: expected client, serving, all or another name of a certificate, got "Both"',
    'certlet renew --help',
  ],
  ['completion', 'SHELL: expected one of bash, zsh, fish, certificates, got nothing', 'certlet completion --help'],
  ['status --output xml', '--output: expected one of text, json, yaml, got "xml"', 'certlet status --help'],
  ['check --output xml', '--output: expected one of text, json, yaml, got "xml"', 'certlet check --help'],
  ['once --timeout', '--timeout: needs a value', 'certlet once --help'],
  ['run --kubeconfig --events', '--kubeconfig: needs a value', 'certlet run --help'],
  ['once --timeout 5', '--timeout: expected a time with its unit, such as 30s or 5m, got "5"', 'certlet once --help'],
  ['once --timeout 0s', '--timeout: expected a time with its unit, such as 30s or 5m, got "0s"', 'certlet once --help'],
  ['run --events=maybe', '--events: expected true or false, got "maybe"', 'certlet run --help'],
  ['run --no-kubeconfig', '--no-kubeconfig is not a flag: it takes a value', 'certlet run --help'],
] as const) {
  t.test(`refused: certlet ${line}`, async (t) => {
    const argv = line === '' ? [] : line.split(' ');
    await t.rejects(failing(argv), { code: 'ERR_USAGE', message, remedy: help });
    t.not(quickCommandLine(argv)?.kind, 'command');
  });
}

t.test('help: the list of commands', async (t) => {
  for (const argv of [['--help'], ['-h'], ['help']]) {
    const line = await parseCommandLine(argv);
    if (line.kind !== 'help') throw new Error(line.kind);
    for (const command of COMMANDS) t.ok(unwrapped(line.text).includes(command.summary), command.name);
  }
});

for (const command of COMMANDS) {
  t.test(`help: ${command.name}`, async (t) => {
    for (const argv of [
      [command.name, '--help'],
      ['help', command.name],
      [command.name, '-h'],
    ]) {
      const line = await parseCommandLine(argv, { columns: 100 });
      if (line.kind !== 'help') throw new Error(line.kind);
      t.ok(line.text.startsWith(`Usage: certlet ${command.name}`));
      for (const flag of command.flags) t.ok(line.text.includes(`--${flag.name}`), flag.name);
      for (const example of command.examples) t.ok(unwrapped(line.text).includes(example), example);
      t.match(line.text, /Exit codes:\n +0 {2}\w/);
      const long = line.text.split('\n').filter((text) => text.length > 100 && !text.includes('certlet join'));
      t.strictSame(long, [], 'fits the terminal');
    }
  });
}

for (const columns of [80, 50]) {
  t.test(
    `help in ${String(columns)} columns: no flag is broken, no description squeezed beside a long one`,
    async (t) => {
      for (const command of COMMANDS) {
        const line = await parseCommandLine([command.name, '--help'], { columns });
        if (line.kind !== 'help') throw new Error(line.kind);
        const shown = ['run', 'once'].includes(command.name);
        const flags = flagsOf(command).filter(({ setting }) => setting === undefined || shown);
        const lines = line.text.slice(0, line.text.indexOf('\nExamples:')).split('\n');
        for (const { name, summary } of flags) {
          const at = lines.findIndex((text) => new RegExp(`^ {2}(?: {4}|-\\w, )?--${name}(?= |$)`).test(text));
          t.ok(at >= 0, `${command.name}: --${name} stands whole at the beginning of a line`);
          const word = summary.split(' ')[0] ?? '';
          const beside = [lines[at] ?? '', lines[at + 1] ?? ''].map((text) => text.lastIndexOf(` ${word}`, 40) + 1);
          t.ok(
            beside.some((begin) => begin > 0 && begin <= columns * 0.4),
            `${command.name}: --${name} has its description in a wide column`,
          );
        }
        t.strictSame(
          lines.filter(
            (text) =>
              text.length > columns &&
              /\s/.test(
                text
                  .trim()
                  .replace('[default: ', '[')
                  .replace(/^(--\S+) (\S+)$/, '$1=$2'),
              ),
          ),
          [],
          command.name,
        );
      }
    },
  );
}

t.test('help of run lists every setting that has a flag', async (t) => {
  const line = await parseCommandLine(['run', '--help']);
  for (const flag of settingFlags())
    t.ok(line.kind === 'help' && new RegExp(`--${flag.name}(?= |\n)`).test(line.text), flag.name);
});

t.test('--version, also after a command', async (t) => {
  t.strictSame(await parseCommandLine(['--version']), { kind: 'version' });
  t.strictSame(await parseCommandLine(['run', '--version']), { kind: 'version' });
});

t.test('quick: other commands, help and version are left to the full parser', async (t) => {
  for (const line of [
    'status',
    'renew',
    '',
    '--events run',
    'run --help',
    'run -h',
    'once --version',
    'run --x',
    'once x',
  ]) {
    t.equal(quickCommandLine(line.split(' ')), undefined, line);
  }
});

t.test('quick: what it understands, the full parser understands alike', async (t) => {
  const known = [...settingFlags().map((flag) => `--${flag.name}`), '--config', '--timeout', '--bogus', '--no-events'];
  const value = fc.oneof(
    fc.constantFrom('/a', '5m', 'a,b', 'true', 'F', '1', '', '-', '--', '-x', 'info', 'auto'),
    fc.string(),
  );
  const word = fc.oneof(
    fc.constantFrom(...known),
    fc.tuple(fc.constantFrom(...known), value).map(([flag, text]) => `${flag}=${text}`),
    value,
  );
  let understood = 0;
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('run', 'once'), fc.array(word, { maxLength: 5 }), async (name, words) => {
      const argv = [name, ...words];
      const quick = quickCommandLine(argv);
      if (quick === undefined) return;
      understood += 1;
      t.same(await parseCommandLine(argv), quick, JSON.stringify(argv));
    }),
    { numRuns: 150 },
  );
  t.ok(understood > 20, `${String(understood)} lines compared`);
});

t.test('whatever is typed, the answer is a command, help or a usage error', async () => {
  const words = fc.constantFrom(
    ...COMMANDS.map(({ name }) => name),
    '--help',
    '--output',
    'json',
    '--',
    '-',
    '--=',
    '--no-',
    'client',
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(words, fc.string()), { maxLength: 5 }), async (argv) => {
      try {
        const { kind } = await parseCommandLine(argv);
        return ['command', 'help', 'version', 'wrong'].includes(kind);
      } catch (error) {
        return error instanceof CertletError && error.code === 'ERR_USAGE';
      }
    }),
    { numRuns: 150 },
  );
});
