import t from 'tap';
import type { ManagerSnapshot } from '../../src/rotation/snapshot.ts';
import { type HookProblemFacts, type ProcessStatus, statusDocument } from '../../src/status/document.ts';
import { healthOf, type Liveness, STATE_EXIT, stateWords, type Verdict, verdictOf } from '../../src/status/verdict.ts';
import { NOW, sampleFacts, sampleManager, sampleSnapshot, waitingServing } from '../fixtures/snapshots.ts';

const at = (text: string): Date => new Date(text);
const hook: HookProblemFacts = {
  hook: 'restart-kubelet',
  purpose: 'client',
  message: 'the flag was not taken',
  remedy: undefined,
  since: NOW,
  attempts: 1,
  nextAttempt: undefined,
};
const failed = { code: 'ERR_API_UNREACHABLE', message: 'no route', remedy: undefined, at: NOW } as const;

interface Row {
  readonly name: string;
  readonly managers: readonly ManagerSnapshot[];
  readonly now?: Date;
  readonly hooks?: readonly HookProblemFacts[];
  readonly command?: ProcessStatus['command'];
  readonly liveness?: Liveness;
  readonly everyMs?: number;
  readonly verdict: Verdict;
}

const HOUR = 3_600_000;
const SHORT = sampleFacts({ notBefore: NOW, notAfter: new Date(NOW.getTime() + HOUR) });

const rows: readonly Row[] = [
  { name: 'a good certificate is healthy', managers: [sampleManager()], verdict: { state: 'healthy', reasons: [] } },
  {
    name: 'a kubeconfig that is broken beside a good pair was called healthy',
    managers: [
      sampleManager({
        phase: 'valid',
        lastError: { code: 'ERR_KUBECONFIG_INVALID', message: '/k:4:1: not YAML', remedy: undefined, at: NOW },
      }),
    ],
    verdict: { state: 'waiting', reasons: ['client: /k:4:1: not YAML'] },
  },
  {
    name: 'a rotation under way is healthy',
    managers: [sampleManager({ phase: 'proving', reason: 'showing it' })],
    verdict: { state: 'healthy', reasons: [] },
  },
  {
    name: 'a pause after the start, without a failure, is healthy',
    managers: [sampleManager({ phase: 'waiting to retry', reason: 'spreading the first request after a start' })],
    verdict: { state: 'healthy', reasons: [] },
  },
  {
    name: 'a failure that is tried again is waiting',
    managers: [sampleManager({ phase: 'waiting to retry', reason: 'no route', lastError: failed })],
    verdict: { state: 'waiting', reasons: ['client: waiting to retry: no route'] },
  },
  {
    name: 'a rotation that a person must approve is waiting although the certificate is good',
    managers: [sampleManager({ phase: 'waiting for approval', reason: 'the request waits for approval' })],
    verdict: { state: 'waiting', reasons: ['client: waiting for approval: the request waits for approval'] },
  },
  {
    name: 'a placeholder is not issued, so waiting',
    managers: [sampleManager(), waitingServing()],
    verdict: {
      state: 'waiting',
      reasons: ['serving: not issued; waiting for approval: the request waits for approval'],
    },
  },
  {
    name: 'no certificate at all is waiting',
    managers: [sampleManager({ certificate: undefined, phase: 'requesting', reason: 'asking' })],
    verdict: { state: 'waiting', reasons: ['client: not issued; requesting: asking'] },
  },
  {
    name: 'a hook that fails is waiting',
    managers: [sampleManager()],
    hooks: [hook],
    verdict: { state: 'waiting', reasons: ['hook restart-kubelet: the flag was not taken'] },
  },
  {
    name: 'past its deadline, but not past nine tenths of its life, is not yet overdue',
    managers: [sampleManager()],
    now: at('2026-11-27T00:00:00Z'),
    verdict: { state: 'healthy', reasons: [] },
  },
  {
    name: 'past nine tenths, but before its deadline, is not overdue either (certificates that came late)',
    managers: [sampleManager({ rotationDeadline: at('2026-12-20T00:00:00Z') })],
    now: at('2026-12-10T00:00:00Z'),
    verdict: { state: 'healthy', reasons: [] },
  },
  {
    name: 'past both is expiring',
    managers: [sampleManager({ phase: 'waiting to retry', reason: 'no route' })],
    now: at('2026-12-10T04:11:00Z'),
    verdict: {
      state: 'expiring',
      reasons: ['client: expires in 24 days and its renewal is overdue; waiting to retry: no route'],
    },
  },
  {
    name: 'past both without a known deadline is expiring',
    managers: [sampleManager({ rotationDeadline: undefined })],
    now: at('2026-12-10T04:11:00Z'),
    verdict: { state: 'expiring', reasons: ['client: expires in 24 days and its renewal is overdue; valid: valid'] },
  },
  {
    name: 'past its end is expired',
    managers: [sampleManager()],
    now: at('2027-01-05T04:11:00Z'),
    verdict: { state: 'expired', reasons: ['client: expired 2 days ago'] },
  },
  {
    name: 'the worst of several counts, and every reason is told',
    managers: [sampleManager(), waitingServing()],
    now: at('2027-01-05T04:11:00Z'),
    verdict: {
      state: 'expired',
      reasons: [
        'client: expired 2 days ago',
        'serving: not issued; waiting for approval: the request waits for approval',
      ],
    },
  },
  {
    name: 'a daemon that is down makes unknown of healthy',
    managers: [sampleManager()],
    liveness: 'down',
    verdict: { state: 'unknown', reasons: ['the daemon is not running: nothing is renewed'] },
  },
  {
    name: 'but an expired certificate stays expired',
    managers: [sampleManager()],
    liveness: 'down',
    now: at('2027-01-05T04:11:00Z'),
    verdict: {
      state: 'expired',
      reasons: ['client: expired 2 days ago', 'the daemon is not running: nothing is renewed'],
    },
  },
  {
    name: 'a timer run that has ended is as it should be',
    managers: [sampleManager()],
    command: 'once',
    liveness: 'down',
    verdict: { state: 'healthy', reasons: [] },
  },
  {
    name: 'a timer whose runs are missing is unknown: it said healthy for months',
    managers: [sampleManager()],
    command: 'once',
    everyMs: HOUR,
    liveness: 'down',
    now: new Date(sampleSnapshot().startedAt.getTime() + 3 * HOUR),
    verdict: {
      state: 'unknown',
      reasons: ['certlet once has not run for 3 hours, though it should every 60 minutes: nothing is renewed'],
    },
  },
  {
    name: 'a timer whose last run is two intervals old is as it should be',
    managers: [sampleManager()],
    command: 'once',
    everyMs: HOUR,
    liveness: 'down',
    now: new Date(sampleSnapshot().startedAt.getTime() + 2 * HOUR),
    verdict: { state: 'healthy', reasons: [] },
  },
  {
    name: 'a certificate that lives too short for the timer is named, a placeholder is not',
    managers: [
      sampleManager({ certificate: SHORT, rotationDeadline: undefined, receivedAt: SHORT.notBefore }),
      waitingServing(),
    ],
    command: 'once',
    everyMs: HOUR,
    now: SHORT.notBefore,
    verdict: {
      state: 'waiting',
      reasons: [
        'serving: not issued; waiting for approval: the request waits for approval',
        'client: lives 60 minutes, too short for a run every 60 minutes; use certlet.service in place of the timer',
      ],
    },
  },
  {
    name: 'where its receipt is not known, all of its life counts',
    managers: [sampleManager({ certificate: SHORT, rotationDeadline: undefined, receivedAt: undefined })],
    command: 'once',
    everyMs: HOUR / 2,
    now: SHORT.notBefore,
    verdict: { state: 'healthy', reasons: [] },
  },
  {
    name: 'nothing runs where a daemon is enabled: root was told healthy, from the disk or what a timer run left',
    managers: [sampleManager()],
    command: 'none',
    liveness: 'missing',
    verdict: { state: 'unknown', reasons: ['the daemon is not running: nothing is renewed'] },
  },
  {
    name: 'nothing managed is unknown',
    managers: [],
    verdict: { state: 'unknown', reasons: ['no certificate is managed yet'] },
  },
];

for (const row of rows) {
  const { name, managers, now = NOW, hooks = [], command = 'run', liveness = 'running', everyMs, verdict } = row;
  t.test(`verdictOf: ${name}`, async (t) => {
    const parts = { command, pid: 1, version: '1', everyMs, now, hooks };
    const document = statusDocument(sampleSnapshot({ managers }), parts);
    t.strictSame(verdictOf(document, now, liveness), verdict);
  });
}

for (const { name, managers, words } of [
  {
    name: 'a hook that failed beside good certificates was "waiting"',
    managers: [sampleManager()],
    words: 'degraded: hook restart-kubelet failed',
  },
  { name: 'a certificate that waits besides', managers: [waitingServing()], words: 'waiting' },
  {
    name: 'one that has expired besides',
    managers: [sampleManager({ certificate: sampleFacts({ notAfter: at('2026-11-20T04:11:00Z') }) })],
    words: 'expired',
  },
]) {
  t.test(`the state in words: ${name}`, async (t) => {
    const parts = {
      command: 'run',
      pid: 1,
      version: '1',
      now: NOW,
      hooks: [hook, { ...hook, purpose: 'serving' }],
    } as const;
    const document = statusDocument(sampleSnapshot({ managers }), parts);
    t.equal(stateWords(document, verdictOf(document, NOW, 'running')), words);
  });
}

t.test('every state has an exit code of its own', async (t) => {
  t.strictSame(STATE_EXIT, { healthy: 0, waiting: 3, expiring: 4, expired: 5, unknown: 6 });
});

for (const { name, managers, silentMs, now, health } of [
  { name: 'good certificates are healthy', managers: [sampleManager()], health: { healthy: true, reasons: [] } },
  {
    name: 'what waits beside a good certificate is healthy',
    managers: [sampleManager({ phase: 'waiting for approval', reason: 'x' })],
    health: { healthy: true, reasons: [] },
  },
  {
    name: 'a loop that hangs is not',
    managers: [sampleManager()],
    silentMs: 91_000,
    health: { healthy: false, reasons: ['the loop has not come round for 91 seconds'] },
  },
  {
    name: 'a placeholder is not',
    managers: [sampleManager(), waitingServing()],
    health: { healthy: false, reasons: ['serving: not issued; waiting for approval: the request waits for approval'] },
  },
  {
    name: 'an expired certificate is not',
    managers: [sampleManager({ certificate: sampleFacts({ notAfter: at('2026-11-20T04:11:00Z') }) })],
    health: { healthy: false, reasons: ['client: expired 24 hours ago'] },
  },
] as readonly { name: string; managers: ManagerSnapshot[]; silentMs?: number; now?: Date; health: unknown }[]) {
  t.test(`healthOf: ${name}`, async (t) => {
    const document = statusDocument(sampleSnapshot({ managers }), {
      command: 'run',
      pid: 1,
      version: '1',
      now: NOW,
      hooks: [],
    });
    t.strictSame(healthOf(document, new Date(NOW.getTime() - (silentMs ?? 0)), now ?? NOW), health);
  });
}
