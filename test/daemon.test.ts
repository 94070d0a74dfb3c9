/** `certlet run` in the test's own process: a cert-dir that cannot be used, a lock that another has. */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from './fixtures/eventually.ts';
import t from 'tap';
import { callControl } from '../src/adapters/control/client.ts';
import { PUBLISHER_LOCK } from '../src/adapters/status-file.ts';
import { acquireLock } from '../src/adapters/lock.ts';
import type { LevelledLogger } from '../src/adapters/log/logger.ts';
import { runStatus } from '../src/cli/commands/status.ts';
import { CommandHost } from './fixtures/command-host.ts';
import { change, running, WAITS } from './fixtures/running-daemon.ts';
import { FakeClock } from './fixtures/fakes/clock.ts';

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

t.test('status had no word of a daemon that waits for a once', async (t) => {
  const host = new CommandHost(t);
  const held = await acquireLock(host.certDir, { label: 'certlet once' });
  const publishes = await acquireLock(host.runtimeDir, { label: 'certlet once', file: PUBLISHER_LOCK });
  const service = await running(t, {}, host, { environment: { NOTIFY_SOCKET: 'nobody' } });
  await service.stderr.shows(/Cannot use the cert-dir.*code=ERR_LOCK_HELD/);
  const asked = host.session({ userId: 0 });
  const args = { name: 'status', output: 'text', certificate: undefined, watch: false, verbose: false } as const;
  t.equal(await runStatus(asked.context, args), 6);
  t.match(
    asked.stdout.text,
    /certlet +runs and can renew nothing: .* is managed by process \d+ \(certlet once, since /,
  );
  await publishes.release();
  await held.release();
  await service.stderr.shows(WAITS);
  const status = await eventually('the status file', () => readFileSync(join(host.runtimeDir, 'status.json'), 'utf8'));
  t.match(JSON.parse(status), { process: { command: 'run' } });
  t.match(await callControl(host.socket, { method: 'GET', path: '/health' }), { kind: 'answer' });
  t.notMatch(service.stderr.text, /No control socket|Another certlet/);
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
