import type { Clock, Logger } from '../../ports.ts';
import type { FileSystem } from '../file-system.ts';
import { type FlagHost, lowerFlags, privilegedHook, reloadHook, restartFlag } from '../systemd/flag-hook.ts';
import { commandHook, type CommandSettings } from './command-hook.ts';
import { HookRecord } from './hook-record.ts';
import type { Proof } from './proof.ts';
import { provedReload } from './proved-reload.ts';
import { type KubeletRestartParts, restartKubeletHook } from './restart-kubelet.ts';
import { RotationHooks, type RotationHooksParts } from './rotation-hooks.ts';

export type FlagHaste = Pick<FlagHost, 'patienceMs' | 'unitFolders'>;

export interface RotationHooksOptions {
  readonly fs: FileSystem;
  readonly clock: Clock;
  readonly log: Logger;
  /** Where flags are raised: `/run/certlet`. */
  readonly runtimeDir: string;
  /** For commands that end: how long they wait for a flag. */
  readonly flagHaste?: FlagHaste | undefined;
  /** Where hooks still to do are remembered. */
  readonly stateDir: string;
  /** `confirm` of the lock that the caller holds. */
  readonly confirmLock?: (() => Promise<void>) | undefined;
  readonly retryAfterMs: RotationHooksParts['retryAfterMs'];
  readonly kubeconfigId?: RotationHooksParts['kubeconfigId'];
  /** The kubelet's unit, and which pair it must be restarted for. */
  readonly kubelet: Pick<KubeletRestartParts, 'unit' | 'plan' | 'allKnown'>;
  /** Holds restarts of the kubelet for their window. */
  readonly hold?: ((record: HookRecord) => KubeletRestartParts['hold']) | undefined;
  readonly datesOf?: RotationHooksParts['datesOf'];
  readonly announced?: RotationHooksParts['announced'];
  /** Shows what is served. */
  readonly proof: Proof;
  readonly commands: readonly CommandSettings[];
  /** Instance names of `certlet-hook@`. */
  readonly privileged: readonly string[];
  /** Instance names of `certlet-reload@`. */
  readonly reloads: readonly string[];
}

/** All hooks of a host: the kubelet's restart flag, the flags of other units to reload and of privileged hooks, the configured commands. */
export function createRotationHooks(options: RotationHooksOptions): RotationHooks {
  const {
    fs,
    clock,
    log,
    runtimeDir,
    stateDir,
    kubelet,
    hold: holdWith,
    datesOf,
    announced,
    proof,
    commands,
    privileged,
    reloads,
    flagHaste,
    confirmLock,
    retryAfterMs,
    kubeconfigId,
  } = options;
  const host = { fs, clock, runtimeDir, ...flagHaste };
  const record = new HookRecord(fs, stateDir, confirmLock);
  const hold = holdWith?.(record);
  const hooks = [
    restartKubeletHook({ ...kubelet, clock, log, flag: restartFlag(host), proof, record, hold }),
    ...reloads.map((name) => provedReload(reloadHook(host, name), proof, record)),
    ...privileged.map((name) => privilegedHook(host, name)),
    ...commands.map((settings) => commandHook(settings, log)),
  ];
  const lowered = (): ReturnType<typeof lowerFlags> => lowerFlags(host, { reloads, privileged });
  return new RotationHooks({
    hooks,
    clock,
    log,
    record,
    retryAfterMs,
    lowerFlags: lowered,
    datesOf,
    announced,
    ...(kubeconfigId && { kubeconfigId }),
  });
}
