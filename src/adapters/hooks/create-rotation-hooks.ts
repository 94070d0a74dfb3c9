import type { Clock, Logger } from '../../ports.ts';
import type { FileSystem } from '../file-system.ts';
import { type FlagHost, lowerFlags, privilegedHook, reloadHook, restartFlagHook } from '../systemd/flag-hook.ts';
import { commandHook, type CommandSettings } from './command-hook.ts';
import type { Hook } from './hook.ts';
import { HookRecord } from './hook-record.ts';
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
  /** Which pair the kubelet must be restarted for: the rule of the rotation layer with the settings' word. */
  readonly restartReasons: Hook['reasons'];
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
    restartReasons,
    commands,
    privileged,
    reloads,
    flagHaste,
    confirmLock,
    retryAfterMs,
  } = options;
  const host = { fs, clock, runtimeDir, ...flagHaste };
  const hooks = [
    restartFlagHook(host, restartReasons),
    ...reloads.map((name) => reloadHook(host, name)),
    ...privileged.map((name) => privilegedHook(host, name)),
    ...commands.map((settings) => commandHook(settings, log)),
  ];
  const record = new HookRecord(fs, stateDir, confirmLock);
  const lowered = (): ReturnType<typeof lowerFlags> => lowerFlags(host, { reloads, privileged });
  return new RotationHooks({ hooks, clock, log, record, retryAfterMs, lowerFlags: lowered });
}
