/** The daemon's surroundings as the outside sees them: socket, files, port; and what happens where they cannot be opened. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { callControl, type ControlCall } from '../src/adapters/control/client.ts';
import { CertletError } from '../src/errors.ts';
import { hookEvent, ManualClock } from './adapters/hooks/hook-fakes.ts';
import { openStore, systemClock } from '../src/assembly.ts';
import type { LogFields, LogLevel } from '../src/ports.ts';
import { openSurroundings } from '../src/surroundings.ts';
import { CertletHost } from './fixtures/certlet-host.ts';
import { CommandHost } from './fixtures/command-host.ts';
import { startFakeCluster } from './fixtures/cluster/fake-cluster.ts';
import { sampleSnapshot } from './fixtures/snapshots.ts';

const cluster = await startFakeCluster({ approveServing: true });
t.teardown(() => cluster.close());

async function answer(socket: string, call: ControlCall): Promise<{ readonly status: number; readonly text: string }> {
  const reply = await callControl(socket, call);
  if (reply.kind !== 'answer') throw new Error(`control socket: ${reply.kind}`);
  return reply;
}

t.test('a daemon with everything: socket, port, textfile, hooks', async (t) => {
  const touched = join(t.testdir({}), 'hook');
  const textfile = join(t.testdir({}), 'node', 'certlet.prom');
  const host = new CertletHost(t, cluster, {
    metrics: { address: '127.0.0.1:0', textfile },
    hooks: [
      { name: 'failing', command: ['/bin/sh', '-c', `echo "$CERTLET_PURPOSE" >> ${touched}; exit 3`], on: ['client'] },
    ],
  });
  const socket = join(host.runtimeDir, 'control.sock');
  const daemon = host.start(['run']);
  await host.until(({ upToDate, hooks }) => upToDate && hooks.length > 0);
  t.match(host.status(), {
    process: { command: 'run', pid: daemon.child.pid },
    certificates: [{ phase: 'valid' }, { phase: 'valid' }],
    hooks: [{ hook: 'command failing', purpose: 'client', message: /exit code 3/ }],
  });
  t.match(readFileSync(touched, 'utf8'), /^client\n/);

  t.match(await answer(socket, { method: 'GET', path: '/health' }), { status: 200 });
  const metrics = await answer(socket, { method: 'GET', path: '/metrics' });
  t.match(metrics.text, /^certlet_attempts_total\{purpose="serving",certificate="serving",result="issued"\} 1$/m);
  t.match(metrics.text, /^kubelet_certificate_manager_client_ttl_seconds 31\d{6}$/m);
  t.match(metrics.text, /^certlet_hook_problems 1$/m);
  t.match(readFileSync(textfile, 'utf8'), /^# HELP kubelet_certificate_manager_client_ttl_seconds/);
  t.equal(statSync(textfile).mode & 0o777, 0o644);

  t.match(await answer(socket, { method: 'PUT', path: '/log-level', body: { level: 'debug' } }), { status: 200 });
  t.match(await answer(socket, { method: 'GET', path: '/log-level' }), { text: '{"level":"debug"}\n' });

  const good = readFileSync(host.settingsPath, 'utf8');
  writeFileSync(host.settingsPath, '{"nodeIP": ["nonsense"]}');
  const refused = await answer(socket, { method: 'POST', path: '/reload' });
  t.equal(refused.status, 422);
  t.match(JSON.parse(refused.text), { error: { code: 'ERR_CONFIG_INVALID', message: /nodeIP/ } });

  const started = host.status()?.process.startedAt;
  writeFileSync(host.settingsPath, JSON.stringify({ ...(JSON.parse(good) as object), hooks: [] }));
  // The changed file may have been noticed already; asking for it is answered either way, by this generation or the next.
  await host.until(
    ({ process, hooks }) => process.stoppedAt === undefined && process.startedAt !== started && hooks.length === 0,
  );
  t.match(
    await answer(socket, { method: 'GET', path: '/log-level' }),
    { text: '{"level":"info"}\n' },
    'the level of the settings again',
  );
  t.equal((await daemon.end('SIGTERM')).code, 0);
});

t.test(
  'before the first round: starting, no metrics, and orders wait for it; they were taken and forgotten',
  async (t) => {
    const host = new CommandHost(t, { rotateServerCertificates: false });
    const { context } = host.session();
    const settings = await context.loadSettings();
    const log = await context.openLog(settings.log);
    const surroundings = await openSurroundings(settings, {
      command: 'run',
      log,
      clock: systemClock(),
      pid: 7,
      confirmLock: async () => undefined,
      version: '0',
      store: openStore(settings, log),
      agent: () => undefined,
      control: { reload: async () => undefined, logLevel: () => 'info', setLogLevel: () => undefined },
    });
    const ask = (call: ControlCall): ReturnType<typeof answer> => answer(host.socket, call);
    t.match(await ask({ method: 'GET', path: '/status' }), { status: 503, text: /STARTING/ });
    t.match(await ask({ method: 'GET', path: '/health' }), { status: 503, text: /"reasons":\["starting"\]/ });
    t.match(await ask({ method: 'GET', path: '/metrics' }), { status: 200, text: /^$/ });
    t.equal(surroundings.status(), undefined);
    t.match(await ask({ method: 'POST', path: '/renew', body: { purposes: ['serving'] } }), { status: 409 });

    let taken = false;
    const order = ask({ method: 'POST', path: '/renew' }).finally(() => (taken = true));
    await ask({ method: 'GET', path: '/health' });
    t.notOk(taken);
    surroundings.publish(sampleSnapshot());
    t.match(await order, { status: 202, text: /\["client"\]/ });
    t.match(await ask({ method: 'GET', path: '/status' }), { status: 200, text: /"pid": 7/ });
    t.match(surroundings.status(), { process: { pid: 7 }, certificates: [{ purpose: 'client' }, {}] });
    await surroundings.close();
  },
);

t.test('nobody could tell who had asked for certificates, for the settings or for another log level', async (t) => {
  const host = new CommandHost(t);
  const { context } = host.session();
  const settings = await context.loadSettings();
  const lines: LogFields[] = [];
  const SHOWS: readonly LogLevel[] = ['error', 'warn', 'info', 'debug'];
  let level: LogLevel = 'info';
  const surroundings = await openSurroundings(settings, {
    command: 'run',
    log: {
      log: (at, event, fields) =>
        void (SHOWS.indexOf(at) <= SHOWS.indexOf(level) && lines.push({ at, event, ...fields })),
    },
    clock: systemClock(),
    pid: 7,
    confirmLock: async () => undefined,
    version: '0',
    store: openStore(settings, await context.openLog(settings.log)),
    agent: () => undefined,
    control: { reload: async () => undefined, logLevel: () => level, setLogLevel: (next) => void (level = next) },
  });
  const by = 'root, sudo of mia';
  surroundings.publish(sampleSnapshot());
  await answer(host.socket, { method: 'POST', path: '/renew', by });
  await answer(host.socket, { method: 'POST', path: '/reload', by });
  await answer(host.socket, { method: 'PUT', path: '/log-level', body: { level: 'error' }, by });
  await answer(host.socket, { method: 'PUT', path: '/log-level', body: { level: 'warn' } });
  await answer(host.socket, { method: 'PUT', path: '/log-level', body: { level: 'warn' }, by });
  await answer(host.socket, { method: 'PUT', path: '/log-level', body: { level: 'debug' } });
  t.match(lines, [
    { at: 'info', event: 'Asked for new certificates', by, purposes: ['client', 'serving'] },
    { at: 'info', event: 'Asked to read the settings again', by },
    { event: 'The log level is another one now', by, level: 'error', before: 'info' },
    { at: 'info', event: 'The log level is another one now', by: 'certlet', level: 'debug', before: 'warn' },
  ]);
  t.equal(lines.length, 4, 'the same level again is no news');
  await surroundings.close();
});

t.test('the hooks of a daemon that lost its lock wrote their record', async (t) => {
  const host = new CommandHost(t);
  const { context } = host.session();
  const settings = await context.loadSettings();
  const log = await context.openLog(settings.log);
  const record = join(settings.stateDir, 'hooks.json');
  for (const [lost, written] of [
    [true, false],
    [false, true],
  ]) {
    const surroundings = await openSurroundings(settings, {
      command: 'once',
      log,
      clock: systemClock(),
      pid: 7,
      confirmLock: async () => {
        if (lost) throw new CertletError('ERR_STORE_DETACHED', 'the folder was moved');
      },
      version: '0',
      store: openStore(settings, log),
      agent: () => undefined,
    });
    await surroundings.after.rotated(hookEvent(), context.signal);
    t.equal(existsSync(record), written);
    await surroundings.close();
  }
});

t.test(
  'once waited ten seconds more, outside of its timeout, for the version of a kubelet that had not begun',
  async (t) => {
    const { context } = new CommandHost(t).session();
    const settings = await context.loadSettings();
    const said: LogFields[] = [];
    const log = { log: (_level: LogLevel, _event: string, fields: LogFields) => void said.push(fields) };
    // Nobody moves it: whatever waits for the time never ends.
    const clock = new ManualClock();
    const store = openStore(settings, log);
    const surroundings = await openSurroundings(settings, {
      command: 'once',
      log,
      clock,
      pid: 7,
      confirmLock: async () => undefined,
      version: '0',
      store,
      agent: () => undefined,
    });
    await surroundings.after.rotated({ ...hookEvent(), kubeletVersion: undefined }, context.signal);
    await clock.sleeping(1);
    await surroundings.settled();
    t.ok(
      said.some(({ do: todo, remedy }) => String(todo ?? remedy).includes('kubelet.version')),
      JSON.stringify(said),
    );
    await surroundings.close();
  },
);

t.test(
  'events by option: a rotation is told to the cluster, and a node that may not write events goes on',
  async (t) => {
    const host = new CertletHost(t, cluster, { events: true });
    const { code, stderr } = await host.run(['once', '--timeout', '60s']);
    t.equal(code, 0, stderr);
    t.ok(
      cluster.requests.some(({ path, method }) => method === 'POST' && path.includes('/events')),
      'an event was posted',
    );
  },
);

t.test('where nothing can be opened it says so once and goes on', async (t) => {
  const host = new CertletHost(t, cluster, {
    runtimeDir: '/proc/certlet',
    metrics: { address: '127.0.0.1:1', textfile: '/proc/certlet.prom' },
    log: { format: 'json' },
  });
  const daemon = host.start(['run']);
  await daemon.printed('stderr', /"Certificate is current","purpose":"serving"/);
  const { code, stderr } = await daemon.end('SIGTERM');
  t.equal(code, 0);
  const warned = stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { level: string; event: string })
    .filter(({ level }) => level === 'warn')
    .map(({ event }) => event);
  for (const event of ['No control socket', 'Cannot write the status file', 'Cannot write the metrics file']) {
    t.equal(warned.filter((each) => each === event).length, 1, event);
  }
});
