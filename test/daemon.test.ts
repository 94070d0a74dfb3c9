/** `certlet run` in the test's own process: a cert-dir that cannot be used, settings that change and go bad, a lock that is taken meanwhile. */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from './fixtures/eventually.ts';
import t, { type Test } from 'tap';
import { callControl } from '../src/adapters/control/client.ts';
import { PUBLISHER_LOCK } from '../src/adapters/status-file.ts';
import { openStore } from '../src/assembly.ts';
import { acquireLock } from '../src/adapters/lock.ts';
import type { LevelledLogger } from '../src/adapters/log/logger.ts';
import type { Clock } from '../src/ports.ts';
import { runStatus } from '../src/cli/commands/status.ts';
import { Daemon, type DaemonEdge } from '../src/daemon.ts';
import type { StatusDocument } from '../src/status/document.ts';
import { timestamp } from '../src/timestamp.ts';
import { CommandHost, type Session } from './fixtures/command-host.ts';
import { FakeClock } from './fixtures/fakes/clock.ts';

interface Running extends Session {
  readonly host: CommandHost;
  readonly ended: Promise<void>;
  readonly log: LevelledLogger;
  /** As SIGHUP does. */
  readonly reload: () => void;
  /** Settles when the settings have been read once more. */
  readonly loaded: () => Promise<void>;
}

/** A service on a host without a kubeconfig: it waits for a person, in every state that is tested here. */
async function running(
  t: Test,
  settings: Readonly<Record<string, unknown>> = {},
  host = new CommandHost(t, settings),
  own: { readonly clock?: Clock; readonly log?: LevelledLogger; readonly environment?: DaemonEdge['environment'] } = {},
) {
  const session = host.session();
  const { context, stop, stderr } = session;
  const listeners = new Set<() => void>();
  const first = await context.loadSettings();
  const log = own.log ?? (await context.openLog({ ...first.log, format: 'text' }));
  const lookers = new Set<() => void>();
  const service = new Daemon(
    {
      environment: own.environment ?? {},
      userId: process.geteuid?.() ?? 0,
      pid: process.pid,
      version: '0',
      settingsPath: host.settingsPath,
      loadSettings: async () => {
        try {
          return await context.loadSettings();
        } finally {
          // After whoever asked has had the answer.
          setImmediate(() => {
            for (const looker of lookers) looker();
          });
        }
      },
      onReload: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      signal: stop.signal,
      ...(own.clock === undefined ? {} : { clock: own.clock }),
    },
    first,
    log,
  );
  const ended = service.run();
  t.teardown(async () => {
    stop.abort();
    await ended.catch(() => undefined);
    stderr.destroy();
  });
  const reload = (): void => {
    for (const listener of listeners) listener();
  };
  const loaded = (): Promise<void> => new Promise((done) => lookers.add(done));
  return { ...session, host, ended, log, reload, loaded } satisfies Running;
}

const WAITS = /no bootstrap kubeconfig at/;
/** Whole at once: half a file would be other settings. */
function replace(host: CommandHost, text: string): void {
  const next = `${host.settingsPath}.next`;
  writeFileSync(next, text, { mode: 0o644 });
  renameSync(next, host.settingsPath);
}
function change(host: CommandHost, more: object): void {
  const now = JSON.parse(readFileSync(host.settingsPath, 'utf8')) as object;
  replace(host, JSON.stringify({ ...now, ...more }));
}

t.test('a cert-dir whose parent is a file is waited out, and a stop ends the wait', async (t) => {
  const { stderr, stop, ended } = await running(t, { certDir: '/proc/version/pki' });
  await stderr.shows(/Cannot use the cert-dir.*code=/);
  stop.abort();
  await ended;
  t.notMatch(stderr.text, /Certificate is current/);
});

t.test(
  'the next try that a line tells of is not kept: the same error every 45 seconds, each with a false date',
  async (t) => {
    const clock = new FakeClock();
    const told: { readonly at: Date; readonly retry: Date }[] = [];
    const log: LevelledLogger = {
      level: () => 'info',
      setLevel: () => undefined,
      log: (_level, event, fields) => {
        const retry = fields?.['retry'];
        if (event === 'Cannot use the cert-dir' && retry instanceof Date) told.push({ at: clock.now(), retry });
      },
    };
    const host = new CommandHost(t, { certDir: '/proc/version/pki' });
    const { stop, ended } = await running(t, {}, host, { clock, log });
    const end = clock.now().getTime() + 30 * 60_000;
    while (clock.now().getTime() < end) {
      // Its turn on the real disk is over when it sleeps.
      while (clock.sleeping === 0) await new Promise(setImmediate);
      await clock.advance(45_000);
    }
    t.ok(told.length > 5, `${String(told.length)} tries`);
    const longest = Math.max(...told.map(({ at, retry }) => retry.getTime() - at.getTime()));
    t.ok(longest <= 3 * 60_000, `${String(longest)} ms: a certificate of an hour outlives a disk that is mended`);
    const early = told.slice(1).filter(({ at }, index) => at < (told[index]?.retry ?? at));
    t.strictSame(early, []);
    stop.abort();
    await ended;
  },
);

t.test('a daemon that met a once of three seconds stood still for three minutes', async (t) => {
  const clock = new FakeClock();
  const told: { readonly at: Date; readonly retry: Date; readonly level: string }[] = [];
  let again: Date | undefined;
  const log: LevelledLogger = {
    level: () => 'info',
    setLevel: () => undefined,
    log: (level, event, fields) => {
      if (event === 'The cert-dir can be used again') again = clock.now();
      const retry = fields?.['retry'];
      if (event === 'Cannot use the cert-dir' && retry instanceof Date) told.push({ at: clock.now(), retry, level });
    },
  };
  const host = new CommandHost(t);
  const held = await acquireLock(host.certDir, { label: 'certlet once' });
  await running(t, {}, host, { clock, log, environment: { NOTIFY_SOCKET: 'nobody' } });
  const passes = async (ms: number, until: () => boolean): Promise<void> => {
    const begun = clock.now().getTime();
    while (clock.now().getTime() - begun < ms && !until()) {
      // Its turn on the real disk is over when it sleeps.
      while (clock.sleeping === 0) await new Promise(setImmediate);
      await clock.advance(500);
    }
  };
  await passes(3_000, () => false);
  t.ok(told.length >= 2, 'it has looked again while the once lasts');
  await passes(30 * 60_000, () => false);
  const pauses = told.map(({ at, retry }) => retry.getTime() - at.getTime());
  t.ok(Math.max(...pauses) <= 30_000, `${String(Math.max(...pauses))} ms`);
  t.equal(told.filter(({ level }) => level === 'error').length, 4, 'at once, after 1, 5 and 15 minutes');
  await held.release();
  const free = clock.now().getTime();
  await passes(5 * 60_000, () => again !== undefined);
  t.ok((again?.getTime() ?? Number.NaN) - free <= 30_000, 'it has the lock within seconds');
});

t.test('status called a daemon that cannot use its cert-dir not running, and told to start it', async (t) => {
  const { host, stderr, reload } = await running(t, { certDir: '/proc/version/pki' });
  await stderr.shows(/Cannot use the cert-dir/);
  const shown = await callControl(host.socket, { method: 'GET', path: '/status' });
  t.match(shown, { status: 200, text: /"trouble": \{\s+"code": "ERR_STORE_[A-Z]+"/ });
  t.match(await callControl(host.socket, { method: 'GET', path: '/metrics' }), {
    status: 200,
    text: /^certlet_attempts_total\{purpose="client",certificate="client",result="ERR_STORE_[A-Z]+"\} \d+$/m,
  });
  t.match(await callControl(host.socket, { method: 'GET', path: '/health' }), { status: 503, text: /\/proc\/version/ });
  const told = host.session({ userId: 0 });
  t.equal(
    await runStatus(told.context, {
      name: 'status',
      output: 'text',
      certificate: undefined,
      watch: false,
      verbose: false,
    }),
    6,
  );
  t.match(told.stdout.text, /certlet +runs and can renew nothing: .*\/proc\/version/);
  t.notMatch(told.stdout.text, /NOT RUNNING|systemctl start/i);
  const document = host.session({ userId: 0 });
  await runStatus(document.context, {
    name: 'status',
    output: 'json',
    certificate: undefined,
    watch: false,
    verbose: false,
  });
  t.match(document.stdout.text, /the daemon can renew nothing: .*\/proc\/version/);
  const file = await eventually('the status file', () => readFileSync(join(host.runtimeDir, 'status.json'), 'utf8'));
  t.match(JSON.parse(file), { trouble: { message: /\/proc\/version/ }, certificates: [{ failing: { tries: 1 } }, {}] });
  change(host, { certDir: host.certDir });
  reload();
  await stderr.shows(WAITS);
  t.notMatch(stderr.text, /No control socket/);
  t.match(await callControl(host.socket, { method: 'GET', path: '/status' }), { status: 200 });
});

t.test('a second daemon wrote the status file and took the socket of the first', async (t) => {
  const first = await running(t);
  await first.stderr.shows(WAITS);
  const path = join(first.host.runtimeDir, 'status.json');
  const other = new CommandHost(t, { runtimeDir: first.host.runtimeDir, certDir: '/proc/version/pki' });
  const second = await running(t, {}, other);
  await second.stderr.shows(/Cannot use the cert-dir/);
  second.stop.abort();
  await second.ended;
  t.notMatch(readFileSync(path, 'utf8'), /proc.version|stoppedAt/, 'the first one publishes');
  t.match(await callControl(first.host.socket, { method: 'GET', path: '/health' }), { kind: 'answer' });
});

t.test('a cert-dir that cannot be used is left at once when the settings name another', async (t) => {
  const { host, stderr, reload } = await running(t, { certDir: '/proc/version/pki' });
  await stderr.shows(/Cannot use the cert-dir/);
  change(host, { certDir: host.certDir });
  reload();
  await stderr.shows(WAITS);
  t.match(stderr.text, /Settings reloaded/);
});

t.test('after a reload status gave a process of 12 minutes for one that had just started', async (t) => {
  const clock = new FakeClock();
  const begun = clock.now();
  const { host, stderr, reload } = await running(t, {}, undefined, { clock });
  await stderr.shows(WAITS);
  await clock.advance(12 * 60_000);
  reload();
  await stderr.shows(/no bootstrap kubeconfig at[^]*Settings reloaded[^]*no bootstrap kubeconfig at/);
  const shown = await callControl(host.socket, { method: 'GET', path: '/status' });
  const { process } = JSON.parse(shown.kind === 'answer' ? shown.text : '{}') as StatusDocument;
  t.match(process, { startedAt: timestamp(clock.now()), processStartedAt: timestamp(begun) });
});

t.test('within a reload the daemon was gone, its lock free, and what was asked of it lost', async (t) => {
  const { host, context, stderr, reload, loaded } = await running(t);
  await stderr.shows(WAITS);
  const settings = await context.loadSettings();
  const store = openStore(settings, { log: () => undefined });
  const path = join(host.runtimeDir, 'status.json');
  const found: string[] = [];
  const look = async (): Promise<void> => {
    const reply = await callControl(host.socket, { method: 'GET', path: '/status' }).catch(String);
    if (typeof reply === 'string' || reply.kind !== 'answer')
      return void found.push(`status: ${JSON.stringify(reply)}`);
    if (reply.status !== 200 || /"phase": "starting"/.test(reply.text)) found.push(`status: ${reply.text}`);
    if (/stoppedAt/.test(readFileSync(path, 'utf8'))) found.push('the status file says that it has stopped');
    for (const folder of [host.certDir, host.runtimeDir]) {
      const file = folder === host.certDir ? {} : { file: PUBLISHER_LOCK };
      const lock = await acquireLock(folder, { label: 'certlet renew', ...file }).catch(() => undefined);
      if (lock !== undefined) found.push(`${folder} is free`);
      await lock?.release();
    }
  };
  await eventually('the status file', () => existsSync(path) || undefined);
  for (let reloads = 0; reloads < 20; reloads += 1) {
    const read = loaded();
    reload();
    for (let looks = 0; looks < 3; looks += 1) await look();
    await read;
    const before = new Date();
    const reply = await callControl(host.socket, { method: 'POST', path: '/renew' }).catch(String);
    t.match(reply, { kind: 'answer', status: 202 });
    const { renewWantedAt } = await store.readHistory('client');
    if (renewWantedAt === undefined || renewWantedAt < before) found.push('a wish is lost');
  }
  t.strictSame([...new Set(found)], []);
  t.equal(stderr.text.match(/Settings reloaded/g)?.length, 20);
  t.notMatch(stderr.text, /No control socket|Cannot use|Another certlet/);
});

t.test('a reload makes a socket and a lock anew that somebody has removed', async (t) => {
  const { host, stderr, reload } = await running(t);
  await stderr.shows(WAITS);
  rmSync(host.socket);
  reload();
  await eventually('the socket', () => existsSync(host.socket) || undefined);
  renameSync(host.runtimeDir, `${host.runtimeDir}.old`);
  reload();
  await eventually('the socket', () => existsSync(host.socket) || undefined);
  await t.rejects(acquireLock(host.runtimeDir, { label: 'certlet renew', file: PUBLISHER_LOCK }), {
    code: 'ERR_LOCK_HELD',
  });
  t.match(await callControl(host.socket, { method: 'GET', path: '/log-level' }), { status: 200 });
});

t.test('after a reload with another runtime folder the old one says that nobody is there', async (t) => {
  const { host, stderr, reload } = await running(t);
  await stderr.shows(WAITS);
  const next = join(host.folder, 'run2');
  change(host, { runtimeDir: next });
  reload();
  await eventually('the new socket', () => existsSync(join(next, 'control.sock')) || undefined);
  t.notOk(existsSync(host.socket));
  t.match(readFileSync(join(host.runtimeDir, 'status.json'), 'utf8'), /stoppedAt/);
  const lock = await acquireLock(host.runtimeDir, { label: 'certlet renew', file: PUBLISHER_LOCK });
  await lock.release();
});

t.test('an edited settings file is taken by itself; one that was only touched is not', async (t) => {
  const { host, stderr, loaded } = await running(t);
  await stderr.shows(WAITS);
  const looked = loaded();
  change(host, {});
  await looked;
  t.notMatch(stderr.text, /Settings reloaded/);
  change(host, { log: { level: 'debug' } });
  await stderr.shows(/Settings reloaded/);
  t.equal(stderr.text.match(/Settings reloaded/g)?.length, 1);
});

t.test('the same complaint about an edited settings file is told once, an order is answered each time', async (t) => {
  const { host, stderr, reload } = await running(t);
  await stderr.shows(WAITS);
  const complaints = (): number => stderr.text.match(/The new settings cannot be used/g)?.length ?? 0;
  replace(host, 'certDri: /x\n');
  await stderr.shows(/The new settings cannot be used.*certDri/);
  replace(host, 'certDri: /x\n# still wrong\n');
  // Another complaint shows that the one before has been judged.
  replace(host, 'nodeIp: x\n');
  await stderr.shows(/The new settings cannot be used.*nodeIp/);
  t.equal(complaints(), 2);
  replace(host, 'nodeIp: x\ncertDri: /x\n');
  await stderr.shows(/settings: 2 problems: \S+:1: nodeIp: is not .*; \S+:2: certDri: is not .*/);
  t.notMatch(stderr.text, '\\n');
  replace(host, 'certDir: "/x\n');
  await stderr.shows(/The new settings cannot be used.*\S+:\d+:\d+: .* fix: \$\{EDITOR:-vi\} \+\d+ /);
  t.notMatch(stderr.text, '\\n');
  reload();
  await stderr.shows(/(?:The new settings cannot be used[^]*){3}/);
  const reply = await callControl(host.socket, { method: 'POST', path: '/reload' });
  t.match(reply, { kind: 'answer', status: 422 });
});

t.test(
  'a lock that another certlet holds ends it at the start, is waited for by a service, and waited for after a reload',
  async (t) => {
    const host = new CommandHost(t);
    const other = new CommandHost(t);
    const held = await acquireLock(host.certDir, { label: 'certlet once' });
    const first = await running(t, {}, host);
    await t.rejects(first.ended, { code: 'ERR_LOCK_HELD' });

    // systemd starts what has ended again, and each start was half a dozen lines.
    const service = await running(t, {}, host, { environment: { NOTIFY_SOCKET: 'nobody' } });
    await service.stderr.shows(/Cannot use the cert-dir.*code=ERR_LOCK_HELD/);
    service.stop.abort();
    await service.ended;
    await held.release();

    const { stderr, reload } = await running(t, {}, host);
    await stderr.shows(WAITS);
    const foreign = await acquireLock(other.certDir, { label: 'certlet once' });
    change(host, { certDir: other.certDir });
    reload();
    await stderr.shows(/Cannot use the cert-dir.*code=ERR_LOCK_HELD/);
    await foreign.release();
  },
);

t.test('a cert-dir that was moved under the running daemon is not written anew without its lock', async (t) => {
  const { host, stderr, ended } = await running(t);
  await stderr.shows(WAITS);
  renameSync(host.certDir, `${host.certDir}.old`);
  // A change of a watched file begins a round over the disk.
  writeFileSync(join(host.folder, 'bootstrap-kubelet.conf'), '{}', { mode: 0o600 });
  await t.rejects(ended, { code: 'ERR_STORE_DETACHED', message: /is not there any more: the folder was moved/ });
  t.notOk(existsSync(host.certDir), 'nothing was made in its place');
});

t.test('a settings file that goes away leaves the old settings in force', async (t) => {
  const { host, stderr, reload, stop, ended } = await running(t);
  await stderr.shows(WAITS);
  rmSync(host.settingsPath);
  reload();
  await stderr.shows(/The new settings cannot be used; keeping the old ones/);
  stop.abort();
  await ended;
});
