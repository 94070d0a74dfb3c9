/** The edges of the process: what a stream and its surroundings make of the log, and what stands for the real ones. */
import { chmodSync, closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { fileIdentity } from '../../src/adapters/log/journal.ts';
import {
  columnsOf,
  loadChosenSettings,
  openChosenLog,
  type Output,
  type ProcessEdge,
  realProcess,
  showsColour,
  writesToJournal,
} from '../../src/cli/command-context.ts';
import { CommandHost, MemoryStream, type SessionOptions } from '../fixtures/command-host.ts';

for (const { terminal, environment, shows } of [
  { terminal: true, environment: {}, shows: true },
  { terminal: true, environment: { TERM: 'xterm' }, shows: true },
  { terminal: true, environment: { NO_COLOR: '' }, shows: true },
  { terminal: true, environment: { NO_COLOR: '0' }, shows: false },
  { terminal: true, environment: { NO_COLOR: '1', TERM: 'xterm' }, shows: false },
  { terminal: true, environment: { TERM: 'dumb' }, shows: false },
  { terminal: false, environment: { TERM: 'xterm' }, shows: false },
]) {
  t.test(`colours: terminal ${String(terminal)} with ${JSON.stringify(environment)} ${String(shows)}`, async (t) => {
    t.equal(showsColour(new MemoryStream(terminal), environment), shows);
  });
}

t.test('a stream that does not say whether it is a terminal is none', async (t) => {
  const stream: Output = Object.assign(new MemoryStream(false), { isTTY: undefined }) as unknown as Output;
  t.equal(showsColour(stream, {}), false);
});

/** The edge of a session whose standard error is this descriptor. */
function edgeWith(fd: number | undefined, journalStream: string | undefined): ProcessEdge {
  const stderr = Object.assign(new MemoryStream(false), { fd }) as unknown as Output;
  return { ...realProcess(), stderr, environment: { JOURNAL_STREAM: journalStream } };
}

t.test('the journal is told by device and inode of standard error', async (t) => {
  const path = join(t.testdir({ log: '' }), 'log');
  const fd = openSync(path, 'r');
  const { dev, ino } = fileIdentity(fd) ?? { dev: 0n, ino: 0n };
  const own = `${String(dev)}:${String(ino)}`;
  for (const [name, edge, is] of [
    ['its own', edgeWith(fd, own), true],
    ['another inode: it was redirected', edgeWith(fd, `${String(dev)}:${String(ino + 1n)}`), false],
    ['another device', edgeWith(fd, `${String(dev + 1n)}:${String(ino)}`), false],
    ['no variable', edgeWith(fd, undefined), false],
    ['an empty one', edgeWith(fd, ''), false],
    ['no descriptor', edgeWith(undefined, own), false],
  ] as const) {
    t.equal(writesToJournal(edge), is, name);
  }
  closeSync(fd);
  t.equal(writesToJournal(edgeWith(fd, own)), false, 'closed');
});

const logged = async (format: 'auto' | 'json' | 'text' | 'journal', edge: ProcessEdge): Promise<string> => {
  const log = await openChosenLog({ format, level: 'warn' }, { ...edge, now: () => new Date('2030-01-01T00:00:00Z') });
  log.log('info', 'Less than was asked for');
  log.log('warn', 'Something', { file: '/x' });
  return (edge.stderr as unknown as MemoryStream).text;
};

t.test('auto is for the journal there and plain text elsewhere; a format that was asked for is that', async (t) => {
  const fd = openSync(join(t.testdir({ log: '' }), 'log'), 'r');
  t.teardown(() => closeSync(fd));
  const { dev, ino } = fileIdentity(fd) ?? { dev: 0n, ino: 0n };
  const own = `${String(dev)}:${String(ino)}`;
  t.match(await logged('auto', edgeWith(fd, own)), /^<4>Something/);
  t.match(await logged('auto', edgeWith(fd, undefined)), /^2030-01-01T00:00:00.*Something/);
  t.match(await logged('text', edgeWith(fd, own)), /^2030-01-01T00:00:00.*Something/);
  t.match(await logged('journal', edgeWith(fd, undefined)), /^<4>Something/);
  t.match(JSON.parse(await logged('json', edgeWith(fd, own))), { file: '/x' });
});

for (const { name, hostnameOverride, id, machine } of [
  {
    name: 'named by its host, with an id',
    hostnameOverride: '',
    id: `${'0123456789abcdef'.repeat(2)}\n`,
    machine: /^[0-9a-f]{16}$/,
  },
  {
    name: 'named by its host, before the first boot is done',
    hostnameOverride: '',
    id: 'uninitialized\n',
    machine: undefined,
  },
  { name: 'named by its host, without an id', hostnameOverride: '', id: undefined, machine: undefined },
  { name: 'named by its settings', hostnameOverride: 'n1', id: '0123456789abcdef'.repeat(2), machine: undefined },
]) {
  t.test(`the machine of a node ${name}`, async (t) => {
    const host = new CommandHost(t, { hostnameOverride });
    mkdirSync(join(host.folder, 'etc'));
    if (id !== undefined) writeFileSync(join(host.folder, 'etc/machine-id'), id);
    const session: SessionOptions = { hostRoot: host.folder };
    const { edge } = host.session(session).context;
    const settings = await loadChosenSettings({ settingsPath: host.settingsPath, settingFlags: {} }, edge);
    if (machine === undefined) t.notOk('machine' in settings);
    else t.match(settings.machine, machine);
    t.notMatch(JSON.stringify(settings), '0123456789abcdef0123456789abcdef', 'the id itself is not shown around');
  });
}

t.test('a settings file that was named must be there, and must not be anybody’s', async (t) => {
  const host = new CommandHost(t);
  const { edge } = host.session().context;
  const load = (settingsPath: string) => loadChosenSettings({ settingsPath, settingFlags: {} }, edge);
  await t.rejects(load(join(host.folder, 'none')), { code: 'ERR_CONFIG_INVALID', message: /there is no such file/ });
  chmodSync(host.settingsPath, 0o666);
  await t.rejects(load(host.settingsPath), { code: 'ERR_CONFIG_INVALID', message: /can be changed by other users/ });
});

t.test('the real process: listeners come and go with what was given back', async (t) => {
  const edge = realProcess();
  t.equal(edge.hostRoot, '/');
  t.equal(edge.userId, process.geteuid?.() ?? 0);
  t.strictSame(edge.argv, process.argv.slice(2));
  t.equal(edge.stderr, process.stderr);
  t.ok(edge.hostname().length > 0);
  t.ok(Math.abs(edge.now().getTime() - Date.now()) < 60_000);
  for (const [event, listen] of [
    ['SIGHUP', (listener: () => void) => edge.onSignal('SIGHUP', listener)],
    ['uncaughtException', (listener: () => void) => edge.onUncaught(listener)],
    ['warning', (listener: () => void) => edge.onWarning(listener)],
  ] as const) {
    const before = process.listenerCount(event);
    let heard = 0;
    const undo = listen(() => (heard += 1));
    t.equal(process.listenerCount(event), before + 1, event);
    const own = process.listeners(event as 'SIGHUP').at(-1);
    own?.('SIGHUP');
    t.equal(heard, 1);
    undo();
    t.equal(process.listenerCount(event), before);
  }
});

for (const { name, stream, columns } of [
  { name: 'a terminal that tells no width was 40 columns wide', stream: { isTTY: true, columns: 0 }, columns: 80 },
  { name: 'a terminal without a width', stream: { isTTY: true }, columns: 80 },
  { name: 'a terminal', stream: { isTTY: true, columns: 132 }, columns: 132 },
  { name: 'a pipe', stream: { columns: 132 }, columns: undefined },
]) {
  t.test(`how long lines may get: ${name}`, async (t) => {
    t.equal(
      columnsOf(Object.assign(new MemoryStream(false), { isTTY: undefined }, stream) as unknown as Output),
      columns,
    );
  });
}
