/** Troubles on fakes and a fake clock, for hours each: what the journal has of them. */
import type { Test } from 'tap';
import { acquireLock } from '../../src/adapters/lock.ts';
import { apiError } from '../../src/adapters/api/api-errors.ts';
import { networkError } from '../../src/adapters/api/network-errors.ts';
import { CertletError } from '../../src/errors.ts';
import { bench, rotate } from '../adapters/hooks/restart-bench.ts';
import { hookEvent, ScriptedHook } from '../adapters/hooks/hook-fakes.ts';
import { HookRecord } from '../../src/adapters/hooks/hook-record.ts';
import { NodeFileSystem } from '../../src/adapters/file-system.ts';
import { RotationHooks } from '../../src/adapters/hooks/rotation-hooks.ts';
import { hookRetryMs } from '../../src/host-hooks.ts';
import type { LevelledLogger } from '../../src/adapters/log/logger.ts';
import { Daemon, type DaemonEdge } from '../../src/daemon.ts';
import { CommandHost } from '../fixtures/command-host.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';
import { FakeClock } from '../fixtures/fakes/clock.ts';
import { FakePublication } from '../fixtures/fakes/cluster-ca.ts';
import { CLUSTER, DAY, FakeHost, type HostOptions, HOUR, MINUTE } from '../fixtures/fakes/host.ts';
import { BOOTSTRAP_PATH, usable } from '../fixtures/fakes/kubeconfigs.ts';
import { Secret } from '../../src/secret.ts';
import { serveTerms } from '../../src/approve/terms.ts';
import { Troubles } from '../../src/trouble.ts';
import { HourlyLog } from './lines.ts';

/** How long each trouble lasts. */
export const HOURS = 3;

export type Stand = Test;

/** A trouble: `play` makes it, lets the hours pass, and gives the log. */
export interface Trouble {
  readonly name: string;
  /** Lines in its first hour, and at most in each one after. */
  readonly first: number;
  readonly after: number;
  /** How the lines come, for the page. */
  readonly what?: string;
  readonly play: (t: Stand) => Promise<HourlyLog>;
}

const CA = createAuthority({ name: 'kubernetes' }).pem;
const FOLLOW: NonNullable<HostOptions['followCa']> = {
  source: 'cluster-info',
  refreshMs: HOUR,
  verifiedForMs: DAY,
  ownFile: '/pki/cluster-ca.crt',
  rootCommand: () => 'certlet join',
};
const TOKEN = { kind: 'token', token: new Secret('abcdef.0123456789abcdef') } as const;

/** A node that follows the cluster's CA, before its first start. */
function node(t: Stand, options: HostOptions = {}): { readonly host: FakeHost; readonly log: HourlyLog } {
  const host = new FakeHost({ followCa: FOLLOW, kubeletVersion: 'v1.20.2', ...options });
  t.teardown(() => host.stop());
  const cluster = new FakePublication(CA);
  cluster.playOn(host.api);
  host.kubeconfigs.bootstrap = usable(BOOTSTRAP_PATH, { ...CLUSTER, caPem: CA }, TOKEN);
  const log = new HourlyLog(host.clock);
  const keep = host.log.log.bind(host.log);
  host.log.log = (...line) => {
    keep(...line);
    log.log(...line);
  };
  return { host, log };
}

/** It has begun before the node first starts. */
const atFirst =
  (begin: (host: FakeHost) => void, options: HostOptions = {}): Trouble['play'] =>
  async (t) => {
    const { host, log } = node(t, options);
    begin(host);
    log.begin();
    host.start();
    await host.clock.advance(HOURS * HOUR);
    return log;
  };

/** It begins when both certificates of a node are due. */
const whenDue =
  (begin: (host: FakeHost) => void): Trouble['play'] =>
  async (t) => {
    const { host, log } = node(t);
    await host.bootstrap();
    await host.clock.advance(HOUR);
    await host.agent?.renew(['client', 'serving']);
    log.begin();
    begin(host);
    await host.clock.advance(HOURS * HOUR);
    return log;
  };

/** It begins on a node that has both certificates and asks for none. */
const meanwhile =
  (begin: (host: FakeHost) => void): Trouble['play'] =>
  async (t) => {
    const { host, log } = node(t);
    await host.bootstrap();
    await host.clock.advance(HOUR);
    log.begin();
    begin(host);
    await host.clock.advance(HOURS * HOUR);
    return log;
  };

const asked = {
  what: 'POST /apis/certificates.k8s.io/v1/certificatesigningrequests',
  server: 'https://cluster.test:6443',
  identity: { kind: 'certificate', label: 'client certificate' },
} as const;

const broken = (code: string): CertletError =>
  networkError(Object.assign(new Error(code), { code }), { ...asked, proxy: undefined });
const answered = (status: number, retryAfterMs?: number): CertletError =>
  apiError(asked, { status, body: '', retryAfterMs });

/** Whoever asks with a credential is answered so. */
const everybody =
  (error: () => CertletError) =>
  ({ api }: FakeHost): void => {
    api.fault = ({ as }) => (as === 'nobody' ? undefined : error());
  };
/** Every answer is this one. */
const everything =
  (error: () => CertletError) =>
  ({ api }: FakeHost): void => {
    api.fault = () => error();
  };
const disk =
  (error: CertletError) =>
  ({ store }: FakeHost): void => {
    store.fail = (call) => (/^(install|write|accept|relink)/.test(call) ? error : undefined);
  };

async function failingHook(t: Stand): Promise<HourlyLog> {
  const [clock, stop] = [new FakeClock(), new AbortController()];
  const log = new HourlyLog(clock);
  const hook = new ScriptedHook('reload');
  hook.failures = Number.POSITIVE_INFINITY;
  const record = new HookRecord(new NodeFileSystem(), t.testdir());
  const hooks = new RotationHooks({ hooks: [hook], clock, log, retryAfterMs: hookRetryMs, record });
  await hooks.rotated(hookEvent(), stop.signal);
  for (const end = clock.now().getTime() + HOURS * HOUR; clock.now().getTime() < end; ) {
    await hooks.settled();
    await clock.advance(MINUTE / 2);
  }
  stop.abort();
  return log;
}

async function staleKubelet(t: Stand): Promise<HourlyLog> {
  const all = bench(t, { ownFile: '1' });
  const log = new HourlyLog(all.clock);
  const keep = all.log.log.bind(all.log);
  all.log.log = (...line) => {
    keep(...line);
    log.log(...line);
  };
  const hooks = all.start();
  const began = all.clock.now().getTime();
  await rotate(all, hooks);
  while (all.clock.now().getTime() - began < HOURS * HOUR) {
    all.clock.advance(all.clock.untilNextMs ?? MINUTE);
    await all.settle(hooks);
  }
  all.stop.abort();
  return log;
}

/** An approver that finds no API server. */
async function lonelyApprover(): Promise<HourlyLog> {
  const [clock, stop] = [new FakeClock(), new AbortController()];
  const log = new HourlyLog(clock);
  const done = serveTerms(
    {
      election: undefined,
      times: {
        now: () => clock.now(),
        ticks: () => clock.now().getTime(),
        pause: (ms, signal) => clock.sleepUntil(new Date(clock.now().getTime() + ms), signal),
      },
      chance: { roll: () => 0.5 },
      log,
      troubles: new Troubles(),
      serve: async () => {
        throw broken('ECONNREFUSED');
      },
      becameLeader: () => undefined,
      failed: () => undefined,
    },
    stop.signal,
  );
  await clock.advance(HOURS * HOUR);
  stop.abort();
  await done;
  return log;
}

/** A second daemon, as systemd starts it, beside one that holds the lock. */
async function secondDaemon(t: Stand): Promise<HourlyLog> {
  const host = new CommandHost(t);
  const held = await acquireLock(host.certDir, { label: 'certlet run' });
  t.teardown(() => held.release());
  return lockedOut(t, host, { NOTIFY_SOCKET: 'nobody' });
}

/** The daemon itself, on the real disk. */
async function lockedOut(
  t: Stand,
  host = new CommandHost(t, { certDir: '/proc/version/pki' }),
  environment: DaemonEdge['environment'] = {},
): Promise<HourlyLog> {
  const { context, stop } = host.session();
  const clock = new FakeClock();
  const log = new HourlyLog(clock);
  const levelled: LevelledLogger = { level: () => 'info', setLevel: () => undefined, log: log.log.bind(log) };
  const edge = {
    environment,
    userId: process.geteuid?.() ?? 0,
    pid: process.pid,
    version: '0',
    settingsPath: host.settingsPath,
    loadSettings: () => context.loadSettings(),
    onReload: () => () => undefined,
    signal: stop.signal,
    clock,
  };
  log.log('info', 'Starting certlet');
  const ended = new Daemon(edge, await context.loadSettings(), levelled).run();
  for (const end = clock.now().getTime() + HOURS * HOUR; clock.now().getTime() < end; ) {
    // Its turn on the real disk is over when it sleeps.
    while (clock.sleeping === 0) await new Promise(setImmediate);
    await clock.advance(MINUTE);
  }
  stop.abort();
  await ended;
  return log;
}

/** In the order of the page. */
export const TROUBLES: readonly Trouble[] = [
  {
    name: 'API server refuses connections',
    first: 6,
    after: 2,
    play: whenDue(everything(() => broken('ECONNREFUSED'))),
  },
  {
    name: 'API server does not answer',
    first: 6,
    after: 2,
    play: whenDue(everything(() => broken('UND_ERR_CONNECT_TIMEOUT'))),
  },
  { name: 'API server answers 503', first: 6, after: 2, play: whenDue(everything(() => answered(503))) },
  {
    name: 'API server asks to slow down (429)',
    first: 6,
    after: 2,
    play: whenDue(everything(() => answered(429, 5_000))),
  },
  {
    name: 'name of the API server does not resolve',
    first: 6,
    after: 2,
    play: whenDue(everything(() => broken('ENOTFOUND'))),
  },
  {
    name: 'certificate of the API server is of another CA',
    first: 6,
    after: 2,
    play: whenDue(everything(() => broken('UNABLE_TO_VERIFY_LEAF_SIGNATURE'))),
  },
  { name: 'bootstrap token is refused (401)', first: 5, after: 2, play: atFirst(everybody(() => answered(401))) },
  { name: 'client certificate is refused (401)', first: 6, after: 2, play: whenDue(everybody(() => answered(401))) },
  { name: 'no role for requests (403)', first: 5, after: 2, play: whenDue(everybody(() => answered(403))) },
  {
    name: 'nobody approves',
    first: 3,
    after: 1,
    what: 'reminders after 10 s, 1 h, 6 h, 24 h, then daily',
    play: atFirst((host) => void (host.api.approve = 'manual')),
  },
  {
    name: 'both requests are denied',
    first: 5,
    after: 0,
    what: 'asked again after hours',
    play: whenDue(({ api }) => {
      api.approve = 'deny';
      api.approveServing = 'deny';
    }),
  },
  {
    name: 'approved and not signed',
    first: 3,
    after: 1,
    what: 'the same reminders',
    play: atFirst((host) => void (host.api.sign = false)),
  },
  {
    name: 'cert-dir is full',
    first: 6,
    after: 2,
    play: whenDue(disk(new CertletError('ERR_STORE_FULL', 'cannot write /pki: no space left on the disk (ENOSPC)'))),
  },
  {
    name: 'cert-dir is read-only',
    first: 6,
    after: 2,
    play: whenDue(disk(new CertletError('ERR_STORE_READ_ONLY', 'cannot write /pki: it is read-only (EROFS)'))),
  },
  { name: 'cert-dir cannot be used at the start', first: 6, after: 2, play: (t) => lockedOut(t) },
  {
    name: 'another certlet holds the cert-dir',
    first: 6,
    after: 2,
    what: 'the service waits for it',
    play: secondDaemon,
  },
  {
    name: 'a hook fails',
    first: 5,
    after: 0,
    what: 'tried nine times, then after the next rotation or start',
    play: failingHook,
  },
  { name: 'kubelet serves an older pair', first: 6, after: 1, what: 'looked at hourly', play: staleKubelet },
  {
    name: 'clock is ten minutes off',
    first: 1,
    after: 1,
    what: 'named once an hour',
    play: meanwhile((host) => void (host.api.aheadMs = 10 * MINUTE)),
  },
  {
    name: 'the kubelet rotates in the same folder',
    first: 2,
    after: 0,
    what: 'once for each certificate',
    play: meanwhile((host) => {
      host.store.shelves.client.foreign = ['/pki/kubelet-client-x.pem'];
      host.store.shelves.serving.foreign = ['/pki/kubelet-server-x.pem'];
    }),
  },
  { name: 'approver finds no API server', first: 5, after: 2, play: lonelyApprover },
];
