import type { UnitStates } from '../../adapters/systemd/unit-states.ts';
import { type FlagKind, type FlagResult, type FlagTaker, judgeFlagResult } from '../../kubelet/flag-result.ts';
import { explained, type Remedy } from '../../remedy.ts';
import { type Finding, finding } from '../finding.ts';

/** The last run of a service that restarts, reloads or runs something after a rotation. */
export interface LastRun {
  readonly taker: FlagTaker;
  /** What the daemon calls it where it fails. */
  readonly hook: string;
  readonly result: FlagResult;
  /** When the newest of the certificates came that it is run for; undefined where nobody knows. */
  readonly newestAt: Date | undefined;
}

const IDS: Readonly<Record<FlagKind, string>> = {
  restart: 'kubelet.restart-failed',
  reload: 'reload.failed',
  hook: 'hook.failed',
};
const WHAT: Readonly<Record<FlagKind, string>> = {
  restart: 'the last restart after a rotation failed',
  reload: 'the last reload after a rotation failed',
  hook: 'the last run of a privileged hook failed',
};

/** What else is known when the runs are judged. */
export interface RunSurroundings {
  /** Hooks of which the daemon tells itself. */
  readonly told: ReadonlySet<string>;
  readonly states: UnitStates;
  readonly now: Date;
}

/** A unit that systemd has started again and that has stayed up so long has left its trouble behind. */
const SETTLED_MS = 60_000;

/**
 * Runs that failed and that nothing has come after: neither another certificate, for which the service runs anew, nor a start of the unit by somebody
 * else. What came within the second of the run has not come after it: its service tells whole seconds.
 */
export function lastRunFindings(runs: readonly LastRun[], { told, states, now }: RunSurroundings): readonly Finding[] {
  return runs.flatMap(({ taker, hook, result, newestAt }) => {
    const end = judgeFlagResult(result, taker);
    if (end.kind !== 'failed' || told.has(hook)) return [];
    const at = Date.parse(result.at);
    const startedAt = states.kind === 'told' ? startOf(states, result, now) : undefined;
    if ([newestAt, startedAt].some((later) => later !== undefined && secondOf(later) > at)) return [];
    const look: Remedy = `journalctl -u ${taker.service}.service -e`;
    const remedy = end.remedy === look ? end.remedy : explained(end.remedy, `what was tried: ${look}`);
    const evidence = { hook, unit: result.unit, at: result.at, result: result.service };
    return [finding('warning', IDS[taker.kind], `${WHAT[taker.kind]}: ${end.why}`, { remedy, evidence })];
  });
}

const secondOf = (moment: Date): number => Math.floor(moment.getTime() / 1000) * 1000;

/**
 * A unit that has failed, or is tried again and again, has come up by nobody's hand; between two of its ends it is active, too. Systemd counts its own
 * starts; where it does not, or somebody's start came in between, it has to stay up.
 */
function startOf({ units }: Extract<UnitStates, { kind: 'told' }>, { unit }: FlagResult, now: Date): Date | undefined {
  const { active, activeSince, restarts } = units.get(unit) ?? {};
  if (active !== 'active' || activeSince === undefined) return undefined;
  return restarts === 0 || now.getTime() - activeSince.getTime() >= SETTLED_MS ? activeSince : undefined;
}
