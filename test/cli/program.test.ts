import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import t, { type Test } from 'tap';
import {
  loadChosenSettings,
  openChosenLog,
  writesToJournal,
  type CommandContext,
  type ProcessEdge,
} from '../../src/cli/command-context.ts';
import { runProgram } from '../../src/cli/program.ts';
import type { Dispatch } from '../../src/cli/session.ts';
import { VERSION } from '../../src/cli/version.ts';
import { CertletError } from '../../src/errors.ts';
import { fileIdentity } from '../../src/adapters/log/journal.ts';

type Signal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

/** A process that keeps what is written and lets the test send signals. */
class FakeProcess implements ProcessEdge {
  readonly argv: readonly string[];
  readonly environment: Record<string, string | undefined> = {};
  readonly stdin = new PassThrough();
  readonly stdout = new Sink();
  readonly stderr = new Sink();
  readonly userId = process.geteuid?.() ?? 0;
  readonly exits: number[] = [];
  readonly listeners: { readonly name: string; readonly listener: (error?: unknown) => void }[] = [];

  constructor(...argv: readonly string[]) {
    this.argv = argv;
  }
  readonly hostname = (): string => 'Node-1';
  readonly hostRoot = '/nonexistent';
  readonly now = (): Date => new Date(2030, 0, 1);
  readonly exit = (code: number): void => {
    this.exits.push(code);
  };
  readonly onSignal = (signal: Signal, listener: () => void): (() => void) => this.#on(signal, listener);
  readonly onUncaught = (listener: (error: unknown) => void): (() => void) => this.#on('uncaught', listener);
  readonly onWarning = (listener: (warning: Error) => void): (() => void) =>
    this.#on('warning', listener as (error?: unknown) => void);

  send(name: string, error?: unknown): number {
    const heard = this.listeners.filter((entry) => entry.name === name);
    for (const { listener } of heard) listener(error);
    return heard.length;
  }

  #on(name: string, listener: (error?: unknown) => void): () => void {
    const entry = { name, listener };
    this.listeners.push(entry);
    return () => {
      const index = this.listeners.indexOf(entry);
      if (index !== -1) this.listeners.splice(index, 1);
    };
  }
}

class Sink extends Writable {
  text = '';
  isTTY = false;
  columns = 90;
  fd?: number;
  /** What the system answers to every write. */
  refuses?: Error;
  /** Gets what says that the reader has taken what is written. */
  reader?: (taken: () => void) => void;
  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    if (this.refuses !== undefined) return done(this.refuses);
    this.text += chunk.toString();
    if (this.reader === undefined) done();
    else this.reader(done);
  }
}

/** Settings in a file of the test's own. */
function settingsFile(test: Test, text: string): string {
  const path = join(test.testdir({ 'config.yaml': '' }), 'config.yaml');
  writeFileSync(path, text);
  chmodSync(path, 0o600);
  chmodSync(join(path, '..'), 0o755);
  return path;
}

/** Runs `certlet run` with this in place of the daemon. */
async function withCommand(edge: FakeProcess, body: (context: CommandContext) => Promise<number>): Promise<number> {
  const dispatch: Dispatch = (_command, context) => body(context);
  return runProgram(edge, dispatch);
}

t.test('--version and --help go to standard output and end with 0', async (t) => {
  const version = new FakeProcess('--version');
  t.equal(await runProgram(version), 0);
  t.equal(version.stdout.text, `certlet ${VERSION}\n`);
  const help = new FakeProcess('--help');
  t.equal(await runProgram(help), 0);
  t.match(help.stdout.text, /^certlet: the certificates of a Kubernetes node/);
  t.equal(help.stderr.text, '');
});

t.test('a usage error is a line, a remedy and 64', async (t) => {
  const edge = new FakeProcess('rum');
  t.equal(await runProgram(edge), 64);
  t.equal(edge.stderr.text, 'certlet: "rum" is not a command; did you mean run?\n  fix: certlet --help\n');
  t.equal(edge.stdout.text, '');
});

t.test('completion needs neither settings nor a log', async (t) => {
  const edge = new FakeProcess('completion', 'bash');
  t.equal(await runProgram(edge), 0);
  t.match(edge.stdout.text, /^# bash completion for certlet/);
});

t.test('settings with several problems are told one a line, and end with 78', async (t) => {
  const path = settingsFile(t, 'a: 1\nb: 2\n');
  const edge = new FakeProcess('run', '--config', path);
  const code = await withCommand(edge, async ({ loadSettings }) => {
    await loadSettings();
    return 0;
  });
  t.equal(code, 78);
  t.match(
    edge.stderr.text,
    /^certlet: settings: 2 problems:\n {2}.*:1: a: is not a setting\n {2}.*:2: b: is.*\n {2}fix: /,
  );
});

for (const row of [
  {
    name: 'flags that stand for settings',
    argv: ['run', '--key-algorithm', 'foo', '--node-ip', '1.2.3', '--cert-dir', 'rel'],
    names: ['--cert-dir', '--node-ip', '--key-algorithm'],
    code: 64,
  },
  {
    name: 'flags of the command and flags that stand for settings',
    argv: ['once', '--output', 'xml', '--timeout', '5', '--events=maybe', '--no-kubeconfig', '--log-level', 'loud'],
    names: ['--events', '--no-kubeconfig is', '--output', '--timeout', '--log-level'],
    code: 64,
  },
  {
    name: 'flags and the settings file',
    argv: ['once', '--timeout', '5', '--node-ip', '1.2.3'],
    file: 'nodeIP: []\nkeyAlgorithm: dsa\n',
    names: ['--timeout', ':2: keyAlgorithm', '--node-ip'],
    code: 78,
  },
  {
    name: 'a flag of the command and a single setting',
    argv: ['once', '--timeout', '5'],
    file: 'keyAlgorithm: dsa\n',
    names: ['--timeout', ':1: keyAlgorithm'],
    code: 78,
  },
]) {
  t.test(`wrong values of ${row.name} are all listed at once`, async (t) => {
    const edge = new FakeProcess(...row.argv, '--config', settingsFile(t, row.file ?? ''));
    const code = await withCommand(edge, async ({ loadSettings }) => {
      await loadSettings();
      return 0;
    });
    const [head, ...lines] = edge.stderr.text.trimEnd().split('\n');
    t.match(head, `${String(row.names.length)} problems:`);
    const told =
      row.file === undefined
        ? [/fix: .*--help/]
        : [/fix: \$\{EDITOR:-vi\} \+\d \/.*config\.yaml$/, /why: .*every setting; the command line: .*--help/];
    t.equal(lines.length, row.names.length + told.length, edge.stderr.text);
    for (const name of row.names)
      t.ok(
        lines.some((line) => line.includes(name)),
        `${name} in ${edge.stderr.text}`,
      );
    t.match(lines.slice(-told.length), told);
    t.equal(code, row.code);
  });
}

t.test('for the journal each of these lines has its priority', async (t) => {
  const edge = new FakeProcess('run');
  // Any open file will do for the identity that systemd announces.
  edge.stderr.fd = 0;
  const identity = fileIdentity(0);
  edge.environment['JOURNAL_STREAM'] = `${String(identity?.dev)}:${String(identity?.ino)}`;
  t.ok(writesToJournal(edge));
  await withCommand(edge, async () => {
    throw new CertletError('ERR_CONFIG_INVALID', 'settings: 2 problems:\nfirst\nsecond', { remedy: '# Mend it.' });
  });
  t.equal(
    edge.stderr.text,
    '<3>certlet: settings: 2 problems:\n<3>certlet: first\n<3>certlet: second\n<3>certlet: do: Mend it.\n',
  );
});

t.test('a defect comes with its stack, in the journal on one line', async (t) => {
  for (const journal of [false, true]) {
    const edge = new FakeProcess('run');
    if (journal) {
      edge.stderr.fd = 0;
      const identity = fileIdentity(0);
      edge.environment['JOURNAL_STREAM'] = `${String(identity?.dev)}:${String(identity?.ino)}`;
    }
    t.equal(await withCommand(edge, () => Promise.reject(new TypeError('x is undefined'))), 1);
    t.match(edge.stderr.text, /certlet: unexpected: x is undefined\n/);
    t.match(edge.stderr.text, /TypeError: x is undefined[\s\S]*program\.test/);
    if (journal)
      t.equal(
        edge.stderr.text
          .split('\n')
          .filter((line) => !line.startsWith('<3>'))
          .join(''),
        '',
      );
  }
});

t.test('a defect that threw no error is told with the place where it was noticed', async (t) => {
  const edge = new FakeProcess('run');
  // oxlint-disable-next-line no-throw-literal -- libraries do such things
  t.equal(await withCommand(edge, () => Promise.reject('a text')), 1);
  t.match(edge.stderr.text, /^certlet: unexpected: a text\n[\s\S]*\n\s+at /);
});

t.test('a command that ends because it was told to stop reports nothing', async (t) => {
  const edge = new FakeProcess('run');
  const code = await withCommand(edge, async ({ signal }) => {
    edge.send('SIGTERM');
    signal.throwIfAborted();
    return 0;
  });
  t.equal(code, 75);
  t.equal(edge.stderr.text, '');
  const failing = new FakeProcess('run');
  const failed = await withCommand(failing, async () => {
    failing.send('SIGTERM');
    throw new CertletError('ERR_INTERNAL', 'something else');
  });
  t.equal(failed, 1, 'another failure on the way out is told');
  t.match(failing.stderr.text, /something else/);
});

t.test('once the log is open, failures go through it', async (t) => {
  const edge = new FakeProcess('run');
  const code = await withCommand(edge, async ({ openLog }) => {
    await openLog({ level: 'info', format: 'json' });
    throw new CertletError('ERR_LOCK_HELD', 'held by process 7', { remedy: 'certlet status' });
  });
  t.equal(code, 75);
  t.match(JSON.parse(edge.stderr.text), {
    level: 'error',
    event: 'held by process 7',
    code: 'ERR_LOCK_HELD',
    remedy: 'certlet status',
  });
});

t.test('a token in a message does not reach the terminal', async (t) => {
  const edge = new FakeProcess('run');
  await withCommand(edge, () => Promise.reject(new Error('server said abcdef.0123456789abcdef')));
  t.notMatch(edge.stderr.text, /0123456789abcdef/);
  t.match(edge.stderr.text, /abcdef\.\[secret\]/);
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  t.test(`${signal} asks to stop; a second one finds nobody listening`, async (t) => {
    const edge = new FakeProcess('run');
    const code = await withCommand(edge, async ({ signal: stop }) => {
      t.equal(edge.send(signal), 1);
      t.ok(stop.aborted);
      t.equal(edge.send(signal), 0);
      return 0;
    });
    t.equal(code, 0);
    t.strictSame(edge.listeners, [], 'nothing is left behind');
  });
}

t.test('SIGHUP is heard only by a command that reloads', async (t) => {
  const edge = new FakeProcess('run');
  let reloads = 0;
  await withCommand(edge, async ({ onReload }) => {
    t.equal(edge.send('SIGHUP'), 0);
    const undo = onReload(() => {
      reloads += 1;
    });
    edge.send('SIGHUP');
    edge.send('SIGHUP');
    undo();
    t.equal(edge.send('SIGHUP'), 0);
    onReload(() => {});
    return 0;
  });
  t.equal(reloads, 2);
  t.strictSame(edge.listeners, []);
});

t.test('what nobody caught is told and ends the process', async (t) => {
  const edge = new FakeProcess('run');
  await withCommand(edge, async () => {
    edge.send('uncaught', new Error('lost'));
    return 0;
  });
  t.strictSame(edge.exits, [1]);
  t.match(edge.stderr.text, /certlet: unexpected: lost/);
});

t.test('a warning of a library was printed with the token that it is about; its name is told at debug', async (t) => {
  const edge = new FakeProcess('run', '--log-level', 'debug');
  await withCommand(edge, async ({ openLog, loadSettings }) => {
    edge.send('warning', new Error('before there is a log'));
    const { log } = await loadSettings();
    await openLog(log);
    edge.send('warning', Object.assign(new Error('a key with { secret }'), { name: 'DeprecationWarning' }));
    return 0;
  });
  t.match(edge.stderr.text, /Warning of a library.*DeprecationWarning/);
  t.notMatch(edge.stderr.text, /secret|before there/);
});

t.test("an error whose words are another's coloured the terminal", async (t) => {
  const edge = new FakeProcess('run');
  await withCommand(edge, async () => {
    throw new CertletError('ERR_CONTROL', 'of node \u001b[31mevil\u001b[2J');
  });
  t.equal(edge.stderr.text, 'certlet: of node \\u001b[31mevil\\u001b[2J\n');
});

t.test('a reader of standard output that goes away stops the command', async (t) => {
  const edge = new FakeProcess('status');
  await withCommand(edge, async ({ print, signal }) => {
    print('line\n');
    edge.stdout.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    edge.stderr.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    t.ok(signal.aborted);
    return 0;
  });
  t.equal(edge.stdout.text, 'line\n');
});

t.test('words of a token or a request could clear the screen and colour it', async (t) => {
  const edge = new FakeProcess('status');
  await withCommand(edge, async ({ print, printPainted }) => {
    print('a \u001b[H\u001b[J\u001b[31mb\n');
    printPainted('\u001b[31mours\u001b[0m \u001b[2J\n');
    return 0;
  });
  t.equal(edge.stdout.text, 'a \\u001b[H\\u001b[J\\u001b[31mb\n\u001b[31mours\u001b[0m \\u001b[2J\n');
});

t.test('a reader of standard output that goes away is no failure', async (t) => {
  const edge = new FakeProcess('status');
  edge.stdout.refuses = Object.assign(new Error('write EPIPE'), { code: 'EPIPE', errno: -32 });
  t.equal(await withCommand(edge, async ({ print }) => (print('line\n'), 0)), 0);
  t.equal(edge.stderr.text, '');
});

for (const row of [
  { name: 'success', ends: 0, code: 1 },
  { name: '"try again later", which units take for success', ends: 75, code: 1 },
  { name: 'a state that the code tells', ends: 5, code: 5 },
]) {
  t.test(`what standard output did not take is told, and ${row.name} is then ${String(row.code)}`, async (t) => {
    const edge = new FakeProcess('status');
    edge.stdout.refuses = Object.assign(new Error('ENOSPC: no space left on device, write'), {
      code: 'ENOSPC',
      errno: -28,
    });
    // In the very moment of the end: nobody has told of it yet.
    t.equal(await withCommand(edge, async ({ print }) => (print('line\n'), row.ends)), row.code);
    t.match(edge.stderr.text, /^certlet: standard output: no space left on device \(ENOSPC\)\n {2}do: [^\n]+\n$/);
  });
}

t.test('standard output that is lost while a command works stops it, and is told once', async (t) => {
  const edge = new FakeProcess('status');
  const code = await withCommand(edge, async ({ print, signal }) => {
    print('line\n');
    for (const _ of [1, 2])
      edge.stdout.emit('error', Object.assign(new Error('EIO: i/o error, write'), { code: 'EIO', errno: -5 }));
    signal.throwIfAborted();
    return 0;
  });
  t.equal(code, 1);
  t.equal(edge.stderr.text.match(/standard output: i\/o error \(EIO\)/g)?.length, 1);
});

t.test('what a slow reader has not taken was cut off a second after the end', async (t) => {
  const edge = new FakeProcess('status');
  let ended = false;
  const { promise: reads, resolve: reader } = Promise.withResolvers<() => void>();
  edge.stdout.reader = reader;
  const run = withCommand(edge, async ({ print }) => (print('line\n'), 0)).then((code) => {
    ended = true;
    return code;
  });
  const taken = await reads;
  await setImmediate();
  t.equal(ended, false, 'it waits');
  t.strictSame(edge.listeners, [], 'and a signal ends it');
  delete edge.stdout.reader;
  taken();
  t.equal(await run, 0);
});

t.test('settings come from the file that --config names, the flags and the host name', async (t) => {
  const path = settingsFile(t, 'certDir: /pki\n');
  const edge = new FakeProcess('run', '--config', path, '--log-level', 'debug');
  await withCommand(edge, async ({ loadSettings, settingsPath }) => {
    t.equal(settingsPath, path);
    t.match(await loadSettings(), { source: path, nodeName: 'node-1', certDir: '/pki', log: { level: 'debug' } });
    writeFileSync(path, 'certDir: /other\n');
    t.match(await loadSettings(), { certDir: '/other' }, 'read anew each time');
    return 0;
  });
  await t.rejects(loadChosenSettings({ settingsPath: `${path}.gone`, settingFlags: {} }, edge), {
    code: 'ERR_CONFIG_INVALID',
  });
});

t.test('the default settings path is told to commands', async (t) => {
  await withCommand(new FakeProcess('run'), async ({ settingsPath }) => {
    t.equal(settingsPath, '/etc/certlet/config.yaml');
    return 0;
  });
});

for (const row of [
  {
    name: 'text for a terminal, in colour',
    tty: true,
    env: {},
    format: 'auto',
    line: '2030-01-01T00:00:00Z \u001b[32mINFO \u001b[0m e',
  },
  {
    name: 'text without colour for NO_COLOR',
    tty: true,
    env: { NO_COLOR: '1' },
    format: 'auto',
    line: /^2030-01-01T00:00:00Z INFO  e/,
  },
  { name: 'text for a pipe', tty: false, env: {}, format: 'auto', line: /^2030-01-01T00:00:00Z INFO  e/ },
  {
    name: 'text where JOURNAL_STREAM was inherited',
    tty: false,
    env: { JOURNAL_STREAM: '1:2' },
    format: 'auto',
    line: /^2030/,
  },
  { name: 'as the settings say', tty: true, env: {}, format: 'journal', line: /^<6>e/ },
] as const) {
  t.test(`log format: ${row.name}`, async (t) => {
    const edge = new FakeProcess();
    edge.stderr.isTTY = row.tty;
    Object.assign(edge.environment, row.env);
    (await openChosenLog({ level: 'info', format: row.format }, edge)).log('info', 'e');
    t.match(edge.stderr.text, row.line);
  });
}
