import type { OwnUnits } from '../../adapters/own-units.ts';
import type { CertificateStatus, StatusDocument } from '../../status/document.ts';
import { spanText } from '../../timestamp.ts';
import type { DaemonState } from '../facts.ts';
import { type Remedy, shellWord, inSettings } from '../../remedy.ts';
import { NAME_THE_UNIT, RESTART_UNIT_FILE } from '../../kubelet/restart-unit-file.ts';
import { type Finding, finding, good } from '../finding.ts';

/** What is known of the daemon: whether it runs, how it is started, and what it says itself. */
export interface DaemonFacts {
  readonly state: DaemonState;
  readonly units: Pick<OwnUnits, 'service' | 'timer' | 'sandbox'>;
  /** What the daemon says, or where a timer does its work what the last run has left. Undefined where it may not be asked, or knows nothing yet. */
  readonly document: StatusDocument | undefined;
  readonly now: Date;
}

/** Whether certlet is at work on this host, will be after the next boot, and what it could not do. Its own error is never nothing. */
export function daemonFindings(facts: DaemonFacts): readonly Finding[] {
  const state = stateFinding(facts);
  const told = facts.state === 'running' || byTimer(facts) ? facts.document : undefined;
  const troubles = told === undefined ? [] : troubleFindings(told, facts.now, facts.state === 'running' ? DAEMON : RUN);
  return [...(state === undefined || (troubles.length > 0 && state.verdict === 'ok') ? [] : [state]), ...troubles];
}

/** Nobody but a timer renews here. */
const byTimer = ({ state, units }: Pick<DaemonFacts, 'state' | 'units'>): boolean =>
  state === 'down' && units.timer && !units.service;

/** Whose words are told. */
interface Teller {
  /** Of the findings. */
  readonly id: 'daemon' | 'timer';
  readonly who: string;
  readonly fails: string;
}

const DAEMON: Teller = { id: 'daemon', who: 'the daemon can', fails: 'the daemon fails' };
const RUN: Teller = {
  id: 'timer',
  who: 'the last run of certlet once could',
  fails: 'the last run of certlet once failed',
};

/** Undefined where a timer does the work of the daemon. */
function stateFinding({ state, units }: DaemonFacts): Finding | undefined {
  if (state === 'running') {
    // Without a unit of ours somebody else starts it: a container, a person.
    if (units.service || units.sandbox === undefined) return good('daemon', 'certlet runs on this host');
    const what = 'certlet runs, and will not after the next boot: certlet.service is not enabled';
    return finding('warning', 'daemon.not-enabled', what, { remedy: 'systemctl enable certlet' });
  }
  if (state === 'unknown') {
    return finding('skipped', 'daemon.unknown', 'whether the daemon runs cannot be seen by this user', {
      remedy: 'certlet status',
    });
  }
  if (units.service) {
    const what = 'certlet.service is enabled and does not run: nothing is renewed';
    return finding('problem', 'daemon.stopped', what, {
      remedy: 'systemctl start certlet   # why it ended: journalctl -u certlet -e',
    });
  }
  if (units.timer) return undefined;
  const what = 'no certlet daemon runs on this host, and no timer is enabled: nothing is renewed';
  return finding('warning', 'daemon.down', what, {
    remedy: 'systemctl enable --now certlet   # or: systemctl enable --now certlet-once.timer',
  });
}

function troubleFindings(
  { trouble, certificates, hooks }: StatusDocument,
  now: Date,
  teller: Teller,
): readonly Finding[] {
  const { id, who } = teller;
  if (trouble !== undefined) {
    const { code, message, remedy, path, errno } = trouble;
    const what = `${who} renew nothing: ${message}`;
    return [finding('problem', `${id}.trouble`, what, { remedy, evidence: { code, path, errno } })];
  }
  return [
    ...certificates.flatMap((status) => failingFinding(status, now, teller)),
    ...hooks.map(({ hook, purpose, message, remedy }) =>
      finding('warning', `${id}.hook`, `hook ${hook} failed after the ${purpose} rotation: ${message}`, {
        remedy,
        evidence: { hook },
      }),
    ),
  ];
}

function failingFinding(
  { purpose, lastError, failing, command }: CertificateStatus,
  now: Date,
  { id, fails }: Teller,
): readonly Finding[] {
  if (lastError === undefined) return [];
  const { code, message, at, remedy, path, errno } = lastError;
  const since = failing?.since ?? at;
  const tries = failing === undefined ? '' : `, ${String(failing.tries)} ${failing.tries === 1 ? 'try' : 'tries'}`;
  const span = spanText(now.getTime() - Date.parse(since));
  const what = `${fails} to renew the ${purpose} certificate (for ${span}${tries}): ${message}`;
  return [
    finding('problem', `${id}.${purpose}-failing`, what, {
      remedy: command ?? remedy,
      evidence: { code, since, path, errno },
    }),
  ];
}

/** What is known of the unit that a rotation restarts. Names with their `.service`. */
export interface RestartedUnit {
  /** What root's file has restarted. */
  readonly restarted: string;
  /** What the settings call the kubelet's unit. */
  readonly named: string;
  readonly hasUnit: (unit: string) => boolean;
  /** Somebody wants that unit restarted: a kubelet is on this host, the settings or root's file say so, or a restart of it has failed. */
  readonly wanted: boolean;
}

/**
 * The unit that is restarted after a rotation must be there: otherwise the kubelet keeps the old pair, and everything else looks well. The same
 * where root's file and the settings name different ones: one of them is not the kubelet.
 */
export function restartedUnitFindings({ restarted, named, hasUnit, wanted }: RestartedUnit): readonly Finding[] {
  const there = hasUnit(restarted);
  if (restarted === named || (!there && !hasUnit(named))) {
    if (there) return [];
    if (!wanted) {
      const none = `no kubelet was found on this host: nothing is restarted after a rotation until there is a ${restarted}, or its unit is named`;
      return [finding('note', 'kubelet.no-unit', none, { remedy: NAME_THE_UNIT })];
    }
    const what = `${restarted}, which is to be restarted after a rotation, is no unit of this host`;
    return [finding('problem', 'kubelet.no-unit', what, { remedy: NAME_THE_UNIT })];
  }
  const what = `${restarted} is restarted after a rotation (by ${RESTART_UNIT_FILE}, or for want of it)${there ? '' : ', which is no unit of this host'}; the settings call the kubelet ${named}${hasUnit(named) ? '' : ', which is no unit of this host'}`;
  const set = `kubelet: { unit: ${restarted} }`;
  const remedy: Remedy = !hasUnit(named)
    ? inSettings(set)
    : there
      ? `echo KUBELET_UNIT=${shellWord(named)} > ${RESTART_UNIT_FILE}   # or, where ${restarted} is the kubelet, in the settings: ${set}`
      : `echo KUBELET_UNIT=${shellWord(named)} > ${RESTART_UNIT_FILE}`;
  return [finding(there ? 'warning' : 'problem', 'kubelet.two-units', what, { remedy })];
}
