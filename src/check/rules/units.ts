import type { OwnUnits } from '../../adapters/own-units.ts';
import type { UnitState, UnitStates } from '../../adapters/systemd/unit-states.ts';
import { type Remedy, shellWord } from '../../remedy.ts';
import { timestamp } from '../../timestamp.ts';
import { type Finding, finding, good, unitWord } from '../finding.ts';

/** The units that certlet is started by. */
export const DAEMON_UNIT = 'certlet.service';
export const ONCE_UNIT = 'certlet-once.service';
export const TIMER_UNIT = 'certlet-once.timer';

/** What systemd says of the units that renew and of the kubelet's, and what the unit files say. */
export interface UnitQuestion {
  readonly states: UnitStates;
  readonly units: Pick<OwnUnits, 'service' | 'timer' | 'sandbox'>;
  /** With its suffix; undefined where certlet restarts none. */
  readonly kubelet: string | undefined;
  /** What the unit that failed has said in the start that failed. */
  readonly errors: readonly string[];
}

/** Whether systemd has, runs and would start what the unit files name. What failed is told with its own last error. */
export function unitFindings(question: UnitQuestion): readonly Finding[] {
  const { states, units, kubelet } = question;
  if (states.kind === 'untold') {
    // Without a unit somebody else starts certlet here: a container, a person.
    if (units.sandbox === undefined) return [];
    return [finding('skipped', 'daemon.systemd', `what systemd says of the units is not known: ${states.reason}`)];
  }
  const state = (unit: string): UnitState | undefined => states.units.get(unit);
  const mine = renewing(question).flatMap((unit) => {
    const known = state(unit);
    return known === undefined ? [] : ownFindings(unit, known, question);
  });
  const theirs = kubelet === undefined ? undefined : state(kubelet);
  return [...mine, ...(kubelet === undefined || theirs === undefined ? [] : kubeletFindings(kubelet, theirs))];
}

/** The units that renew on this host. */
const renewing = ({ units }: Pick<UnitQuestion, 'units'>): readonly string[] =>
  units.timer && !units.service ? [TIMER_UNIT, ONCE_UNIT] : [DAEMON_UNIT];

/** The start of a unit whose own last errors are to be told: an earlier one failed of something else. */
export function failedStart(states: UnitStates, units: UnitQuestion['units']): string | undefined {
  if (states.kind === 'untold') return undefined;
  const known = renewing({ units }).flatMap((unit) => states.units.get(unit) ?? []);
  return known.find(hasFailed)?.invocation;
}

const hasFailed = ({ active, sub }: UnitState): boolean => active === 'failed' || sub === 'auto-restart';

/** Whether a finding about the daemon's unit is there, so that "enabled and stopped" need not be told besides. */
export const tellsOfDaemon = (findings: readonly Finding[]): boolean =>
  findings.some(({ id }) => id === 'daemon.masked' || id === 'daemon.failed');

/** Whether a finding says that the unit which a rotation restarts cannot be, so that a restart that failed of it need not be told besides. */
export const tellsOfKubeletUnit = (findings: readonly Finding[]): boolean =>
  findings.some(({ id, verdict }) => verdict === 'problem' && UNIT_TROUBLES.includes(id));

const UNIT_TROUBLES = ['kubelet.no-unit', 'kubelet.two-units', 'kubelet.masked', 'kubelet.not-loaded'];

function ownFindings(unit: string, state: UnitState, { errors }: UnitQuestion): readonly Finding[] {
  const kind = unit === DAEMON_UNIT ? 'daemon' : 'timer';
  const evidence = { unit, load: state.load, active: state.active, result: state.result };
  if (state.load === 'masked') {
    const what = `${unit} is masked: systemd starts it by no means`;
    const remedy: Remedy = `systemctl unmask ${unit} && systemctl ${unit === ONCE_UNIT ? 'start' : 'enable --now'} ${unit}`;
    return [finding('problem', `${kind}.masked`, what, { remedy, evidence })];
  }
  if (hasFailed(state)) {
    const status = state.exitStatus === undefined ? '' : `, exit status ${String(state.exitStatus)}`;
    const said = errors.length === 0 ? '' : `: ${errors.join('; ')}`;
    const again = state.sub === 'auto-restart' ? ' and is started again and again' : '';
    const what = `${unit} failed${again} (${state.result}${status})${said}`;
    const remedy: Remedy = `systemctl restart ${unit}   # once that is mended; what it said: journalctl -u ${unit} -e`;
    return [finding('problem', `${kind}.failed`, what, { remedy, evidence })];
  }
  const stale: readonly Finding[] = state.needsReload
    ? [
        finding('warning', `${kind}.changed`, `the files of ${unit} have changed since systemd read them`, {
          remedy: `systemctl daemon-reload && systemctl restart ${unit}`,
          evidence,
        }),
      ]
    : [];
  return unit === TIMER_UNIT ? [...stale, ...timerFindings(state, evidence)] : stale;
}

function timerFindings({ active, nextRun }: UnitState, evidence: NonNullable<Finding['evidence']>): readonly Finding[] {
  if (active !== 'active') {
    const what = `${TIMER_UNIT} is enabled and does not run: nothing is renewed until the next boot`;
    return [finding('problem', 'timer.stopped', what, { remedy: `systemctl start ${TIMER_UNIT}`, evidence })];
  }
  return nextRun === undefined ? [] : [good('timer.next', `${TIMER_UNIT} runs next at ${timestamp(nextRun)}`)];
}

/** A unit that cannot be restarted keeps the old pair. */
function kubeletFindings(unit: string, { load, needsReload }: UnitState): readonly Finding[] {
  const evidence = { unit, load };
  const what = `${unit}, which is to be restarted after a rotation,`;
  if (load === 'masked')
    return [
      finding('problem', 'kubelet.masked', `${what} is masked`, {
        remedy: `systemctl unmask ${unitWord(unit)}`,
        evidence,
      }),
    ];
  if (load === 'bad-setting' || load === 'error')
    return [
      finding('problem', 'kubelet.not-loaded', `${what} cannot be loaded by systemd (${load})`, {
        remedy: `systemd-analyze verify ${shellWord(unit)}   # says what is wrong with its files`,
        evidence,
      }),
    ];
  return needsReload
    ? [
        finding('note', 'kubelet.changed', `the files of ${unit} have changed since systemd read them`, {
          remedy: `systemctl daemon-reload   # ${unit} has them after its next restart`,
          evidence,
        }),
      ]
    : [];
}
