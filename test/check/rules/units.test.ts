import t from 'tap';
import type { UnitState } from '../../../src/adapters/systemd/unit-states.ts';
import { failedStart, tellsOfDaemon, type UnitQuestion, unitFindings } from '../../../src/check/rules/units.ts';

const running: UnitState = {
  load: 'loaded',
  active: 'active',
  sub: 'running',
  enabled: 'enabled',
  result: 'success',
  exitStatus: undefined,
  invocation: 'good start',
  needsReload: false,
  activeSince: undefined,
  restarts: 0,
  nextRun: undefined,
};
const failed: UnitState = {
  ...running,
  active: 'failed',
  sub: 'failed',
  result: 'exit-code',
  exitStatus: 78,
  invocation: 'bad start',
};
const sandbox = { strict: true, writable: [], closed: [], user: undefined };
const daemon = { service: true, timer: false, sandbox };
const timer = { service: false, timer: true, sandbox };

const told = (units: Readonly<Record<string, Partial<UnitState>>>): UnitQuestion['states'] => ({
  kind: 'told',
  units: new Map(Object.entries(units).map(([name, state]) => [name, { ...running, ...state }])),
});

for (const { name, states, units = daemon, errors = [], found } of [
  { name: 'all is well', states: told({ 'certlet.service': {}, 'kubelet.service': {} }), found: [] },
  {
    name: 'a masked daemon',
    states: told({ 'certlet.service': { load: 'masked', active: 'inactive' } }),
    found: ['problem daemon.masked: systemctl unmask certlet.service && systemctl enable --now certlet.service'],
  },
  {
    name: 'masked, and no unit file is left to be read',
    states: told({ 'certlet.service': { load: 'masked', active: 'inactive' } }),
    units: { service: false, timer: false, sandbox: undefined },
    found: ['problem daemon.masked: systemctl unmask certlet.service && systemctl enable --now certlet.service'],
  },
  {
    name: 'a daemon that failed',
    states: told({ 'certlet.service': failed }),
    errors: ['certlet: settings: certDir: is no path'],
    found: [
      'problem daemon.failed: systemctl restart certlet.service   # once that is mended; what it said: journalctl -u certlet.service -e',
    ],
  },
  {
    name: 'a daemon that is started again and again',
    states: told({ 'certlet.service': { active: 'activating', sub: 'auto-restart', result: 'watchdog' } }),
    found: [
      'problem daemon.failed: systemctl restart certlet.service   # once that is mended; what it said: journalctl -u certlet.service -e',
    ],
  },
  {
    name: 'unit files that systemd has not read',
    states: told({ 'certlet.service': { needsReload: true }, 'kubelet.service': { needsReload: true } }),
    found: [
      'warning daemon.changed: systemctl daemon-reload && systemctl restart certlet.service',
      'note kubelet.changed: systemctl daemon-reload   # kubelet.service has them after its next restart',
    ],
  },
  {
    name: 'a timer at work',
    states: told({ 'certlet-once.timer': { nextRun: new Date('2026-11-30T01:30:21Z') }, 'certlet-once.service': {} }),
    units: timer,
    found: ['ok timer.next: undefined'],
  },
  {
    name: 'a timer that does not run, and whose last run failed',
    states: told({ 'certlet-once.timer': { active: 'inactive' }, 'certlet-once.service': failed }),
    units: timer,
    found: [
      'problem timer.stopped: systemctl start certlet-once.timer',
      'problem timer.failed: systemctl restart certlet-once.service   # once that is mended; what it said: journalctl -u certlet-once.service -e',
    ],
  },
  {
    name: 'a masked timer, and a masked one-shot',
    states: told({ 'certlet-once.timer': { load: 'masked' }, 'certlet-once.service': { load: 'masked' } }),
    units: timer,
    found: [
      'problem timer.masked: systemctl unmask certlet-once.timer && systemctl enable --now certlet-once.timer',
      'problem timer.masked: systemctl unmask certlet-once.service && systemctl start certlet-once.service',
    ],
  },
  {
    name: 'a kubelet that is masked',
    states: told({ 'certlet.service': {}, 'kubelet.service': { load: 'masked' } }),
    found: ['problem kubelet.masked: systemctl unmask kubelet'],
  },
  {
    name: 'a kubelet whose unit cannot be loaded',
    states: told({ 'certlet.service': {}, 'kubelet.service': { load: 'bad-setting' } }),
    found: ['problem kubelet.not-loaded: systemd-analyze verify kubelet.service   # says what is wrong with its files'],
  },
  {
    name: 'no systemctl',
    states: { kind: 'untold', reason: 'systemctl cannot be run: spawn systemctl ENOENT' } as const,
    found: ['skipped daemon.systemd: undefined'],
  },
  {
    name: 'no systemctl and no unit: a container',
    states: { kind: 'untold', reason: 'x' } as const,
    units: { service: false, timer: false, sandbox: undefined },
    found: [],
  },
]) {
  t.test(`systemd and the units: ${name}`, async (t) => {
    const findings = unitFindings({ states, units, kubelet: 'kubelet.service', errors });
    t.strictSame(
      findings.map(({ verdict, id, remedy }) => `${verdict} ${id}: ${String(remedy)}`),
      found,
    );
    for (const error of errors) t.match(findings[0]?.what, error, 'its own last error');
  });
}

t.test('a unit that failed was told with what an earlier start had failed of', async (t) => {
  t.equal(failedStart(told({ 'certlet.service': failed }), daemon), 'bad start');
  t.equal(
    failedStart(
      told({ 'certlet.service': failed, 'certlet-once.service': { ...failed, invocation: 'bad run' } }),
      timer,
    ),
    'bad run',
  );
  t.equal(failedStart(told({ 'certlet.service': {} }), daemon), undefined);
  t.equal(failedStart({ kind: 'untold', reason: 'x' }, daemon), undefined);
});

t.test('a daemon that failed is not told as stopped besides', async (t) => {
  const findings = unitFindings({
    states: told({ 'certlet.service': failed }),
    units: daemon,
    kubelet: undefined,
    errors: [],
  });
  t.ok(tellsOfDaemon(findings));
  t.notOk(tellsOfDaemon([]));
});
