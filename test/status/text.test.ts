import { stripVTControlCharacters } from 'node:util';
import t from 'tap';
import { clientSpec, servingSpec } from '../fixtures/specs.ts';
import type { AgentSnapshot } from '../../src/rotation/snapshot.ts';
import { diskStatus } from '../../src/status/disk.ts';
import {
  type HookProblemFacts,
  type ProcessStatus,
  statusDocument,
  type WarningStatus,
} from '../../src/status/document.ts';
import type { PlannedFacts } from '../../src/status/planned.ts';
import type { ServedFacts } from '../../src/status/served.ts';
import { type Source, statusReport } from '../../src/status/text.ts';
import { spanText } from '../../src/timestamp.ts';
import { relativeText } from '../../src/status/times.ts';
import { verdictOf } from '../../src/status/verdict.ts';
import { NOW, sampleFacts, sampleManager, sampleSnapshot, waitingServing } from '../fixtures/snapshots.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

for (const [ms, text] of [
  [0, '0 seconds'],
  [SECOND, '1 second'],
  [-119 * SECOND, '119 seconds'],
  [120 * SECOND, '2 minutes'],
  [119 * MINUTE, '119 minutes'],
  [2 * HOUR, '2 hours'],
  [2 * DAY - 1, '47 hours'],
  [2 * DAY, '2 days'],
  [400 * DAY, '400 days'],
] as const) {
  t.test(`spanText: ${String(ms)} ms is ${text}`, async (t) => {
    t.equal(spanText(ms), text);
  });
}

t.test('relativeText tells distance and moment, in the form of the journal', async (t) => {
  t.equal(relativeText(new Date('2027-01-03T04:11:00Z'), NOW), 'in 43 days (2027-01-03T04:11:00Z)');
  t.equal(relativeText(new Date('soon'), NOW), 'at an unknown time');
  t.equal(relativeText(new Date('2026-11-21T04:06:00Z'), NOW), '5 minutes ago (2026-11-21T04:06:00Z)');
});

interface ReportOptions {
  readonly source?: Source;
  readonly colour?: boolean;
  readonly hooks?: readonly HookProblemFacts[];
  readonly command?: ProcessStatus['command'];
  readonly processStartedAt?: Date;
  readonly now?: Date;
  readonly columns?: number;
  readonly details?: boolean;
  readonly warnings?: readonly WarningStatus[];
  readonly served?: readonly ServedFacts[];
  readonly planned?: readonly PlannedFacts[];
}

function report(snapshot: AgentSnapshot, options: ReportOptions = {}): string {
  const {
    source = { kind: 'socket' },
    colour = false,
    hooks = [],
    command = 'run',
    now = NOW,
    warnings = [],
    served = [],
    planned = [],
    processStartedAt,
  } = options;
  const parts = { command, pid: 7, version: '0.1.0', processStartedAt, now, hooks, warnings, served, planned };
  const document = statusDocument(snapshot, parts);
  const down = source.kind === 'file' && !source.running;
  const verdict = verdictOf(document, now, down ? 'down' : 'running');
  const { columns, details = true } = options;
  return statusReport(document, { source, verdict, now, colour, columns, details });
}

t.test('a node that waits for the approval of its serving certificate', async (t) => {
  t.equal(
    report(sampleSnapshot()),
    `n1: waiting
  certlet         0.1.0 (run), process 7, started 11 minutes ago (2026-11-21T04:00:00Z)
  time off        survives being off until 2027-01-03T04:11:00Z (43 days)
  API server      https://192.0.2.1:6443
  kubelet         v1.20.2

CERTIFICATE  STATE        EXPIRES               LEFT     NEXT    WAITS FOR
client       valid        2027-01-03T04:11:00Z  43 days  9 days  -
serving      self-signed  -                     -        -       approval

client   valid (43 days left)
  subject         O=system:nodes, CN=system:node:n1
  issuer          CN=cluster-ca
  serial          1f
  issued          322 days ago (2026-01-03T04:11:00Z)
  expires         in 43 days (2027-01-03T04:11:00Z)
  next rotation   in 9 days (2026-12-01T00:00:00Z)
  file            /var/lib/kubelet/pki/kubelet-client-current.pem
  last success    321 days ago (2026-01-03T04:16:00Z)

serving  waiting for approval; a self-signed pair stands in until the first one is issued
  reason          the request waits for approval
  since           10 minutes ago (2026-11-21T04:01:00Z)
  request         node-csr-abc, posted, made 10 minutes ago (2026-11-21T04:01:00Z)
  file            /var/lib/kubelet/pki/kubelet-server-current.pem
  fix:            kubectl certificate approve node-csr-abc
`,
  );
});

t.test('a request that the API server never took is no request that waits for an approval', (t) => {
  const remedy = 'kubectl create clusterrolebinding certlet-bootstrap --clusterrole=x --group=system:bootstrappers';
  const error = { code: 'ERR_API_FORBIDDEN', message: '403', remedy, at: NOW } as const;
  const manager = waitingServing({
    phase: 'waiting to retry',
    reason: '403',
    command: undefined,
    pending: { name: 'node-csr-abc', createdAt: NOW, posted: false, approved: false, received: false },
    lastError: error,
  });
  const text = report(sampleSnapshot({ managers: [manager] }));
  t.match(text, /\n {2}request {9}node-csr-abc, requesting, made in 0 seconds \(2026-11-21T04:11:00Z\)\n/);
  t.match(text, `\n  fix:            ${remedy}\n`);
  t.notMatch(text, /approve/);
  t.end();
});

t.test('a night of trouble: expired, refused, clock off, a hook that fails', async (t) => {
  const lastError = {
    code: 'ERR_CSR_DENIED',
    message: 'certificate signing request node-csr-x is denied, reason: NotAllowed, message: no',
    remedy: 'certlet renew   # after mending what the reason names',
    at: new Date('2026-11-21T04:00:00Z'),
  } as const;
  const manager = sampleManager({
    certificate: sampleFacts({
      notAfter: new Date('2026-11-20T04:11:00Z'),
      dnsNames: ['n1'],
      ipAddresses: ['192.0.2.7'],
    }),
    phase: 'waiting to retry',
    reason: 'spreading',
    failing: { since: new Date('2026-11-21T04:00:00Z'), tries: 9 },
    since: new Date('2026-11-21T04:00:00Z'),
    nextAttempt: new Date('2026-11-21T05:00:00Z'),
    lastError,
  });
  const hook: HookProblemFacts = {
    hook: 'restart-kubelet',
    purpose: 'client',
    message: 'the flag was not taken within 60 s',
    remedy: 'systemctl enable --now certlet-kubelet-restart.path',
    since: new Date('2026-11-21T04:00:00Z'),
    attempts: 1,
    nextAttempt: undefined,
  };
  const again = { ...hook, attempts: 2, nextAttempt: new Date('2026-11-21T04:15:00Z'), remedy: undefined };
  const snapshot = sampleSnapshot({
    managers: [manager],
    server: undefined,
    kubeletVersion: undefined,
    clockSkewMs: -300_000,
  });
  t.equal(
    report(snapshot, { hooks: [hook, again] }),
    `n1: expired
  certlet         0.1.0 (run), process 7, started 11 minutes ago (2026-11-21T04:00:00Z)
  time off        survived none of it: the client certificate is over, and a bootstrap credential is needed
  clock           5 minutes behind the API server
  fix:            timedatectl set-ntp true

CERTIFICATE  STATE    EXPIRES               LEFT          NEXT        WAITS FOR
client       EXPIRED  2026-11-20T04:11:00Z  24 hours ago  49 minutes  the next try

client   EXPIRED 24 hours ago; waiting to retry
  subject         O=system:nodes, CN=system:node:n1
  names           n1, 192.0.2.7
  issuer          CN=cluster-ca
  serial          1f
  issued          322 days ago (2026-01-03T04:11:00Z)
  expires         24 hours ago (2026-11-20T04:11:00Z)
  next rotation   in 9 days (2026-12-01T00:00:00Z)
  reason          spreading
  failing         for 11 minutes (since 2026-11-21T04:00:00Z), 9 tries
  next attempt    in 49 minutes (2026-11-21T05:00:00Z)
  file            /var/lib/kubelet/pki/kubelet-client-current.pem
  last success    321 days ago (2026-01-03T04:16:00Z)
  last error      ERR_CSR_DENIED, 11 minutes ago (2026-11-21T04:00:00Z): certificate signing request node-csr-x is denied, reason: NotAllowed, message: no
  fix:            certlet renew
  why:            after mending what the reason names

hook restart-kubelet  failed after the client rotation
  error           the flag was not taken within 60 s
  failing         for 11 minutes (since 2026-11-21T04:00:00Z), 1 attempt
  next attempt    after the next rotation or start
  fix:            systemctl enable --now certlet-kubelet-restart.path

hook restart-kubelet  failed after the client rotation
  error           the flag was not taken within 60 s
  failing         for 11 minutes (since 2026-11-21T04:00:00Z), 2 attempts
  next attempt    in 4 minutes (2026-11-21T04:15:00Z)
`,
  );
  t.match(report({ ...snapshot, clockSkewMs: 300_000 }), /clock {11}5 minutes ahead of the API server/);
});

const file = (running: boolean): Source => ({ kind: 'file', path: '/run/certlet/status.json', running });

for (const { name, options, lines } of [
  {
    name: 'the status file of a daemon whose socket is not for us says how old it is',
    options: { source: file(true), now: new Date('2026-11-21T04:12:00Z') },
    lines: [
      'certlet         0.1.0 (run), process 7, started 12 minutes ago (2026-11-21T04:00:00Z)',
      'read from       /run/certlet/status.json, last changed 0 seconds ago (2026-11-21T04:12:00Z)',
    ],
  },
  {
    name: 'a daemon that has read its settings anew is as old as its process',
    options: { processStartedAt: new Date('2026-11-21T03:30:00Z') },
    lines: [
      'certlet         0.1.0 (run), process 7, started 41 minutes ago (2026-11-21T03:30:00Z), began anew 11 minutes ago (2026-11-21T04:00:00Z)',
    ],
  },
  {
    name: 'the first agent of a process, a moment later than that, is no news',
    options: { processStartedAt: new Date('2026-11-21T03:59:58Z') },
    lines: ['certlet         0.1.0 (run), process 7, started 11 minutes ago (2026-11-21T03:59:58Z)'],
  },
  {
    name: 'a dead daemon is told in capitals, with the command',
    options: { source: file(false) },
    lines: ['certlet         NOT RUNNING (0.1.0, process 7 is gone)', 'fix:            systemctl start certlet'],
  },
  {
    name: 'a timer run that has ended is no alarm',
    options: { source: file(false), command: 'once' },
    lines: ['certlet         0.1.0, last run by certlet once, started 11 minutes ago (2026-11-21T04:00:00Z)'],
  },
] as readonly { name: string; options: ReportOptions; lines: readonly string[] }[]) {
  t.test(name, async (t) => {
    const told = report(sampleSnapshot({ managers: [sampleManager()] }), options).replace(
      'in 0 seconds',
      '0 seconds ago',
    );
    for (const line of lines) t.ok(told.includes(`  ${line}\n`), `${line}\n${told}`);
  });
}

t.test('a daemon that stopped in order says when', async (t) => {
  const document = statusDocument(sampleSnapshot(), { command: 'run', pid: 7, version: '0.1.0', now: NOW, hooks: [] });
  const stopped = { ...document, process: { ...document.process, stoppedAt: '2026-11-21T04:10:00Z' } };
  const text = statusReport(stopped, {
    source: file(false),
    verdict: { state: 'unknown', reasons: [] },
    now: NOW,
    colour: false,
  });
  t.match(text, /NOT RUNNING \(0\.1\.0, process 7 is gone, stopped 60 seconds ago \(2026-11-21T04:10:00Z\)\)/);
});

t.test('what the disk alone tells', async (t) => {
  const about = { nodeName: 'n1', version: '0.1.0', now: NOW };
  const client = {
    spec: clientSpec(),
    currentPath: '/pki/kubelet-client-current.pem',
    facts: sampleFacts(),
    history: {},
  } as const;
  const serving = {
    spec: servingSpec(),
    currentPath: '/pki/kubelet-server-current.pem',
    facts: undefined,
    history: {},
  } as const;
  const document = diskStatus([client, serving], about);
  const verdict = verdictOf(document, NOW, 'down');
  t.equal(verdict.state, 'waiting');
  const text = statusReport(document, { source: { kind: 'disk', certDir: '/pki' }, verdict, now: NOW, colour: false });
  t.match(
    text,
    /^ {2}certlet {9}not running; this was read from the disk\n {2}fix: {12}systemctl start certlet\n {2}read from {7}\/pki\n/m,
  );
  const source = { kind: 'disk', certDir: '/pki', starting: true } as const;
  const beside = statusReport(document, { source, verdict, now: NOW, colour: false });
  t.match(beside, /^ {2}certlet {9}has just started; this was read from the disk\n {2}read from/m);
  t.match(text, /^client {7}valid {7}2027-01-03T04:11:00Z  43 days {2}now {3}-$/m);
  t.match(text, /^serving {6}not issued  - .* a daemon$/m);
  t.equal(verdictOf(diskStatus([client], about), NOW, 'down').state, 'healthy');
  const placeholder = diskStatus([{ ...serving, facts: sampleFacts({ selfSigned: true }) }], about);
  t.match(placeholder.certificates, [{ placeholder: true, rotationDeadline: undefined }]);
});

t.test('an overdue renewal is told beside what is left', async (t) => {
  const now = new Date('2026-12-10T04:11:00Z');
  t.match(
    report(sampleSnapshot({ managers: [sampleManager()] }), { now }),
    /^client {3}valid, RENEWAL OVERDUE \(24 days left\); its renewal has not begun$/m,
  );
});

t.test('a request that is approved and a rotation under way', async (t) => {
  const pending = { name: 'node-csr-abc', createdAt: NOW, posted: true, approved: true, received: false };
  const manager = sampleManager({ phase: 'waiting for issuance', reason: 'approved', pending });
  const text = report(sampleSnapshot({ managers: [manager] }));
  t.match(text, /^client {3}valid, waiting for issuance \(43 days left\)$/m);
  t.match(text, /^ {2}request {9}node-csr-abc, approved, made/m);
});

t.test('colour goes around words, never into the columns', async (t) => {
  const coloured = report(sampleSnapshot(), { colour: true });
  t.ok(coloured.startsWith('\u001b[1mn1\u001b[0m: \u001b[33mwaiting\u001b[0m\n'));
  t.equal(stripVTControlCharacters(coloured), report(sampleSnapshot()));
});

t.test('where nothing runs no moment is made up since when', async (t) => {
  const manager = sampleManager({ phase: 'not managed', reason: 'certlet does not run', certificate: undefined });
  const document = statusDocument(sampleSnapshot({ managers: [manager] }), {
    command: 'none',
    pid: 0,
    version: '1',
    now: NOW,
    hooks: [],
  });
  const verdict = { state: 'waiting', reasons: [] } as const;
  const source = { kind: 'disk', certDir: '/pki' } as const;
  t.match(statusReport(document, { source, verdict, now: NOW, colour: false }), /certlet +not running/);
});

t.test('an expired certificate is never called valid, whatever the daemon was at', async (t) => {
  const expired = sampleManager({ certificate: sampleFacts({ notAfter: new Date('2026-11-20T04:11:00Z') }) });
  for (const phase of ['valid', 'starting', 'waiting to retry', 'not managed'] as const) {
    for (const details of [true, false]) {
      t.notMatch(
        report(sampleSnapshot({ managers: [{ ...expired, phase, reason: 'why' }] }), { details }),
        /\bvalid\b/,
        phase,
      );
    }
  }
});

t.test('without details a good certificate is one line, and a bad one has what is wrong and the fix', async (t) => {
  const text = report(sampleSnapshot(), { details: false });
  t.notMatch(text, /^client {3}valid \(/m);
  t.match(text, /^serving {2}waiting for approval.*\n {2}reason .*\n {2}since .*\n {2}request .*\n {2}fix: /m);
  t.notMatch(text, /kubelet-server-current\.pem/);
});

for (const columns of [60, 80, 120]) {
  t.test(`at ${String(columns)} columns no line is longer, but for paths and what is copied`, async (t) => {
    const warnings = [
      { at: '2026-11-21T04:10:00Z', level: 'warn', event: `One ${'long '.repeat(30)}line`, times: 2 },
    ] as const;
    for (const details of [true, false]) {
      const lines = report(sampleSnapshot(), { columns, details, warnings }).split('\n');
      t.strictSame(
        lines.filter((line) => line.length > columns && !/fix:|\.pem$/.test(line)),
        [],
      );
    }
  });
}

for (const { served, row } of [
  { served: { kind: 'current' }, row: /on port 10250 +this pair, for 5 minutes \(since/ },
  {
    served: { kind: 'stale', serial: '1e', to: 'clients that connect by address' },
    row: /on port 10250 +another one, serial 1e, to clients that connect by address, for 5 minutes \(since/,
  },
  { served: { kind: 'absent' }, row: /on port 10250 +nobody listens/ },
  { served: { kind: 'unclear', error: 'wrong version number' }, row: /on port 10250 +not known: wrong version number/ },
] as const) {
  t.test(`details tell what is served: ${served.kind}`, async (t) => {
    const since = new Date(NOW.getTime() - 5 * MINUTE);
    const snapshot = sampleSnapshot({ managers: [sampleManager({ purpose: 'serving' })] });
    t.match(report(snapshot, { served: [{ purpose: 'serving', served, port: 10_250, since }] }), row);
  });
}

t.test('a restart of the kubelet that waits is told without details, too, with what ends the wait', async (t) => {
  const at = new Date(NOW.getTime() + 3 * DAY);
  const planned = [{ purpose: 'serving', since: NOW, at, by: 'window' }] as const;
  const snapshot = sampleSnapshot({ managers: [sampleManager({ purpose: 'serving' })] });
  for (const details of [true, false])
    t.match(
      report(snapshot, { planned, details }),
      /kubelet restart +in 3 days \(2026-11-24T04:11:00Z\), in its window\n +fix: +certlet renew --restart-now\n/,
    );
  const early = report(snapshot, { planned: [{ ...planned[0], by: 'end' }] });
  t.match(early, /before its window, since what it uses ends/);
});

t.test('the last warnings stand at the end, with their age', async (t) => {
  const warnings: readonly WarningStatus[] = [
    { at: '2026-11-21T04:01:00Z', level: 'warn', event: 'Clock skew between this node and the API server', times: 1 },
    { at: '2026-11-21T04:10:59Z', level: 'warn', event: 'Failed', purpose: 'client', code: 'ERR_TIMEOUT', times: 4 },
  ];
  t.match(
    report(sampleSnapshot(), { warnings }),
    `
Last warnings (journalctl -u certlet)
  10 minutes ago  Clock skew between this node and the API server
  1 second ago    Failed (client, ERR_TIMEOUT), 4 times
`,
  );
});
