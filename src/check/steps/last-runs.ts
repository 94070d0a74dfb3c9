import { RESTART_HOOK } from '../../adapters/hooks/hook-record.ts';
import { lastResult } from '../../adapters/systemd/flag-results.ts';
import type { Settings } from '../../config.ts';
import { type FlagTaker, judgeFlagResult } from '../../kubelet/flag-result.ts';
import { kubeletPlan, type RestartSetting } from '../../kubelet/restart.ts';
import { receivedAt } from '../../rotation/rules/schedule.ts';
import type { CheckContext, ViewedPair } from '../facts.ts';
import type { Finding } from '../finding.ts';
import { kubeletVersionOf } from '../kubelet-version.ts';
import { type LastRun, lastRunFindings } from '../rules/last-runs.ts';

/** A service that the settings may ask for after a rotation. */
interface Asked {
  readonly taker: FlagTaker;
  /** Of its file in `<runtimeDir>/results`. */
  readonly file: string;
  readonly hook: string;
  /** Certificates that it is run for. */
  readonly purposes: readonly string[];
}

/** What came of the last restart, reload and privileged hooks, by what their services have written. */
export async function lastRuns(
  { ports, facts, signal }: CheckContext,
  settings: Settings,
  told: ReadonlySet<string>,
): Promise<readonly Finding[]> {
  const host = { fs: ports.fs, runtimeDir: settings.runtimeDir };
  const { pairs = [] } = facts;
  const runs: LastRun[] = [];
  for (const { taker, file, hook, purposes } of askedBy(settings, kubeletVersionOf(settings, facts))) {
    const result = await lastResult(host, file);
    if (result === undefined || judgeFlagResult(result, taker).kind !== 'failed') continue;
    runs.push({ taker, hook, result, newestAt: newestOf(pairs.filter(({ spec }) => purposes.includes(spec.name))) });
  }
  if (runs.length === 0) return [];
  const units = new Set(runs.map(({ result }) => result.unit).filter((unit) => unit !== ''));
  const states = await ports.unitStates([...units], signal);
  return lastRunFindings(runs, { told, states, now: ports.now() });
}

function askedBy({ kubelet, specs, privilegedHooks }: Settings, kubeletVersion: string | undefined): readonly Asked[] {
  const all = specs.map(({ name }) => name);
  const reloads = new Set(specs.flatMap(({ after }) => (after.reload === undefined ? [] : [after.reload])));
  const service = 'certlet-kubelet-restart';
  const restart = { taker: { kind: 'restart', service }, file: 'restart-kubelet', hook: RESTART_HOOK } as const;
  return [
    ...(kubelet.restart === 'never'
      ? []
      : [{ ...restart, purposes: restartedFor(specs, kubelet.restart, kubeletVersion) }]),
    ...[...reloads].map(
      (name): Asked => ({
        taker: { kind: 'reload', service: `certlet-reload@${name}` },
        file: `reload-${name}`,
        hook: `reload ${name}`,
        purposes: specs.filter(({ after }) => after.reload === name).map((spec) => spec.name),
      }),
    ),
    ...privilegedHooks.map(
      (name): Asked => ({
        taker: { kind: 'hook', service: `certlet-hook@${name}` },
        file: `hook-${name}`,
        hook: `privileged ${name}`,
        purposes: all,
      }),
    ),
  ];
}

/** Of the other certificates a new one leaves the kubelet as it is. One that is looked at after the swap is restarted for, or in use without that. */
const restartedFor = (
  specs: Settings['specs'],
  setting: RestartSetting,
  kubeletVersion: string | undefined,
): readonly string[] =>
  specs
    .filter(({ name: purpose, after }) => {
      const plan = kubeletPlan({ purpose, after, kubeletVersion }, setting);
      return plan.kind === 'restart' || (plan.kind === 'prove' && plan.restartIfStale);
    })
    .map(({ name }) => name);

function newestOf(pairs: readonly ViewedPair[]): Date | undefined {
  const moments = pairs.flatMap(({ view: { reading }, history }) => {
    const at = reading.kind === 'whole' ? receivedAt(reading.pair.chain.leaf, history) : undefined;
    return at === undefined ? [] : [at.getTime()];
  });
  return moments.length === 0 ? undefined : new Date(Math.max(...moments));
}
