import t from 'tap';
import { daemonFindings, type DaemonFacts, restartedUnitFindings } from '../../../src/check/rules/daemon.ts';
import type { ServiceSandbox } from '../../../src/kubelet/unit-file.ts';
import { type StatusDocument, statusDocument } from '../../../src/status/document.ts';
import { NOW, sampleManager, sampleSnapshot } from '../../fixtures/snapshots.ts';

const good: StatusDocument = statusDocument(sampleSnapshot({ managers: [sampleManager()] }), {
  command: 'run',
  pid: 7,
  version: '0',
  now: NOW,
  hooks: [],
});
const sandbox: ServiceSandbox = { strict: true, writable: [], closed: [], user: undefined };
const installed = { service: true, timer: false, sandbox };
const failed = {
  code: 'ERR_STORE_FULL',
  message: '/pki is full',
  remedy: 'df -h /pki',
  at: new Date('2026-11-21T04:10:00Z'),
} as const;
const failing = statusDocument(
  sampleSnapshot({
    managers: [sampleManager({ lastError: failed, failing: { since: new Date('2026-11-21T03:48:00Z'), tries: 9 } })],
  }),
  { command: 'run', pid: 7, version: '0', now: NOW, hooks: [] },
);
const troubled = statusDocument(sampleSnapshot({ managers: [sampleManager()], trouble: failed }), {
  command: 'run',
  pid: 7,
  version: '0',
  now: NOW,
  hooks: [],
});

for (const { name, facts, found } of [
  { name: 'all is well', facts: { state: 'running', document: good }, found: ['ok daemon'] },
  {
    name: 'no unit of ours: a container',
    facts: { state: 'running', units: { ...installed, service: false, sandbox: undefined } },
    found: ['ok daemon'],
  },
  {
    name: 'it runs until the next boot',
    facts: { state: 'running', units: { ...installed, service: false } },
    found: ['warning daemon.not-enabled: systemctl enable certlet'],
  },
  { name: 'it may not be asked', facts: { state: 'unknown' }, found: ['skipped daemon.unknown: certlet status'] },
  {
    name: 'it is enabled and stopped',
    facts: { state: 'down' },
    found: ['problem daemon.stopped: systemctl start certlet   # why it ended: journalctl -u certlet -e'],
  },
  {
    name: 'the timer does its work',
    facts: { state: 'down', units: { ...installed, service: false, timer: true } },
    found: [],
  },
  {
    name: 'an error of the last run of the timer was nothing wrong',
    facts: { state: 'down', units: { ...installed, service: false, timer: true }, document: failing },
    found: ['problem timer.client-failing: df -h /pki'],
  },
  {
    name: 'a cert-dir that no run of the timer can use was nothing wrong',
    facts: { state: 'down', units: { ...installed, service: false, timer: true }, document: troubled },
    found: ['problem timer.trouble: df -h /pki'],
  },
  {
    name: 'a run by hand says nothing of a daemon that is stopped',
    facts: { state: 'down', document: failing },
    found: ['problem daemon.stopped: systemctl start certlet   # why it ended: journalctl -u certlet -e'],
  },
  {
    name: 'nothing is enabled',
    facts: { state: 'down', units: { ...installed, service: false } },
    found: ['warning daemon.down: systemctl enable --now certlet   # or: systemctl enable --now certlet-once.timer'],
  },
  {
    name: 'its own error was nothing wrong',
    facts: { state: 'running', document: failing },
    found: ['problem daemon.client-failing: df -h /pki'],
  },
  {
    name: 'a cert-dir that it cannot use was nothing wrong',
    facts: { state: 'running', document: troubled },
    found: ['problem daemon.trouble: df -h /pki'],
  },
] as readonly { name: string; facts: Partial<DaemonFacts>; found: readonly string[] }[]) {
  t.test(`the daemon: ${name}`, async (t) => {
    const findings = daemonFindings({ state: 'running', units: installed, document: undefined, now: NOW, ...facts });
    t.strictSame(
      findings.map(({ verdict, id, remedy }) => `${verdict} ${id}${remedy === undefined ? '' : `: ${remedy}`}`),
      found,
    );
  });
}

t.test('a failure has the time since it began and the tries', async (t) => {
  const [found] = daemonFindings({ state: 'running', units: installed, document: failing, now: NOW });
  t.equal(found?.what, 'the daemon fails to renew the client certificate (for 23 minutes, 9 tries): /pki is full');
});

const ENV = '/etc/certlet/kubelet-unit.env';
for (const { name, restarted = 'kubelet.service', named = 'kubelet.service', wanted = true, units, found } of [
  { name: 'there', units: ['kubelet.service'], found: [] },
  {
    name: 'not there was to be named in the settings only, and its trouble in the journal in root’s file only',
    units: [],
    found: [
      /^problem kubelet\.no-unit: systemctl list-unit-files .*KUBELET_UNIT=NAME in .*kubelet: \{ unit: NAME \} in the settings$/,
    ],
  },
  {
    name: 'not there, on a host without a kubelet, was a problem',
    units: [],
    wanted: false,
    found: [/^note kubelet\.no-unit: systemctl list-unit-files /],
  },
  {
    name: 'there, while the settings named none: check asked for the settings and restarts worked',
    restarted: 'k3s-agent.service',
    units: ['k3s-agent.service'],
    found: [
      /^warning kubelet\.two-units: # Set kubelet: \{ unit: k3s-agent\.service \} in the settings\. {3}# then systemctl reload certlet$/,
    ],
  },
  {
    name: 'not there, while the settings name the right one: check found nothing wrong, and no restart worked',
    named: 'k3s-agent.service',
    units: ['k3s-agent.service'],
    found: [`problem kubelet.two-units: echo KUBELET_UNIT=k3s-agent.service > ${ENV}`],
  },
  {
    name: 'there, and another than that of the settings',
    named: 'k3s-agent.service',
    units: ['kubelet.service', 'k3s-agent.service'],
    found: [
      /^warning kubelet\.two-units: echo KUBELET_UNIT=k3s-agent\.service > \S+ {3}# or, .*unit: kubelet\.service \}$/,
    ],
  },
  {
    name: 'as little there as that of the settings',
    named: 'k3s-agent.service',
    units: [],
    found: [/^problem kubelet\.no-unit: /],
  },
] as readonly {
  name: string;
  restarted?: string;
  named?: string;
  wanted?: boolean;
  units: readonly string[];
  found: readonly (string | RegExp)[];
}[]) {
  t.test(`a unit to restart, ${name}`, async (t) => {
    const findings = restartedUnitFindings({ restarted, named, hasUnit: (unit) => units.includes(unit), wanted });
    t.equal(findings.length, found.length);
    t.match(
      findings.map(({ verdict, id, remedy }) => `${verdict} ${id}: ${remedy ?? ''}`),
      found,
    );
  });
}
