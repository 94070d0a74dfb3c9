import t from 'tap';
import type { UnitState } from '../../../src/adapters/systemd/unit-states.ts';
import { type LastRun, lastRunFindings } from '../../../src/check/rules/last-runs.ts';

const AT = '2026-11-30T01:00:00Z';
const LATER = new Date('2026-11-30T01:00:01Z');
const FAILED: LastRun = {
  taker: { kind: 'restart', service: 'certlet-kubelet-restart' },
  hook: 'restart-kubelet',
  result: {
    run: 'a',
    phase: 'ended',
    service: 'exit-code',
    unit: 'kubelet.service',
    at: AT,
    load: 'loaded',
    active: 'inactive',
    sub: 'dead',
  },
  newestAt: new Date('2026-11-30T00:59:59Z'),
};
const LOOK = 'journalctl -u certlet-kubelet-restart.service -e';

const NOW = new Date('2026-11-30T01:00:10Z');

const states = (active: string, activeSince: Date, restarts: number | undefined) => ({
  kind: 'told' as const,
  units: new Map([['kubelet.service', { active, activeSince, restarts } as UnitState]]),
});

for (const { name, run = {}, result = {}, told = [], seen = states('active', new Date(0), 0), now = NOW, found } of [
  {
    name: 'a restart that failed',
    found: [
      `warning kubelet.restart-failed: the last restart after a rotation failed: kubelet.service could not be restarted at ${AT}: result exit-code; systemd says: loaded, inactive, dead | ${LOOK}`,
    ],
  },
  {
    name: 'a unit that was restarted and failed',
    result: { service: 'success', active: 'failed', sub: 'failed' },
    found: [
      `warning kubelet.restart-failed: the last restart after a rotation failed: kubelet.service was to be restarted at ${AT} and has failed (failed, failed) | systemctl status kubelet.service   # why it failed; what was tried: ${LOOK}`,
    ],
  },
  {
    name: 'a reload that took too long',
    run: { taker: { kind: 'reload', service: 'certlet-reload@proxy' }, hook: 'reload proxy' },
    result: { service: 'timeout', unit: 'kube-proxy.service' },
    found: [
      `warning reload.failed: the last reload after a rotation failed: kube-proxy.service could not be reloaded at ${AT}: not in time (timeout); systemd says: loaded, inactive, dead | journalctl -u certlet-reload@proxy.service -e`,
    ],
  },
  {
    name: 'a privileged hook that failed',
    run: { taker: { kind: 'hook', service: 'certlet-hook@site' }, hook: 'privileged site', newestAt: undefined },
    result: { unit: 'certlet-hook@site.service', load: '', active: '', sub: '' },
    found: [
      `warning hook.failed: the last run of a privileged hook failed: certlet-hook@site.service could not be run to its end at ${AT}: result exit-code | journalctl -u certlet-hook@site.service -e`,
    ],
  },
  { name: 'systemd cannot be asked', seen: { kind: 'untold', reason: 'x' } as const, found: [/^warning kubelet/] },
  { name: 'a unit that is tried again and again', seen: states('activating', LATER, 3), found: [/^warning kubelet/] },
  { name: 'a restart that succeeded', result: { service: 'success', active: 'active', sub: 'running' }, found: [] },
  { name: 'one that runs', result: { phase: 'running', service: '' } as const, found: [] },
  { name: 'another certificate has come since', run: { newestAt: LATER }, found: [] },
  { name: 'somebody has started the unit since', seen: states('active', LATER, 0), found: [] },
  {
    name: 'a certificate that came in the second of the run, which was taken for a later one',
    run: { newestAt: new Date('2026-11-30T01:00:00.400Z') },
    found: [/^warning kubelet/],
  },
  {
    name: 'a unit in the active moment of a crash loop, which was taken for started by somebody',
    seen: states('active', LATER, 3),
    found: [/^warning kubelet/],
  },
  {
    name: 'the same by a systemd that counts nothing',
    seen: states('active', LATER, undefined),
    found: [/^warning kubelet/],
  },
  {
    name: 'a unit that stays up after a crash loop',
    seen: states('active', LATER, 3),
    now: new Date('2026-11-30T01:01:01Z'),
    found: [],
  },
  { name: 'the daemon tells of it', told: ['restart-kubelet'], found: [] },
] as const) {
  t.test(`last run: ${name}`, async (t) => {
    const one: LastRun = { ...FAILED, ...run, result: { ...FAILED.result, ...result } };
    const lines = lastRunFindings([one], { told: new Set(told), states: seen, now }).map(
      ({ verdict, id, what, remedy = '' }) => `${verdict} ${id}: ${what} | ${remedy}`,
    );
    t.match(lines, found);
    t.equal(lines.length, found.length);
  });
}
