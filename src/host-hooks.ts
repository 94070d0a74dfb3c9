import { dirname, resolve } from 'node:path';
import type { FileSystem } from './adapters/file-system.ts';
import { createRotationHooks, type FlagHaste } from './adapters/hooks/create-rotation-hooks.ts';
import type { PresentPair, RotationHooks } from './adapters/hooks/rotation-hooks.ts';
import type { Settings } from './config.ts';
import type { CertificateStore, Clock, Logger } from './ports.ts';
import { kubeletRestartReasons } from './kubelet/restart.ts';

export interface HostHooksParts {
  readonly fs: FileSystem;
  readonly clock: Clock;
  readonly log: Logger;
  readonly flagHaste?: FlagHaste | undefined;
  /** `confirm` of the lock that the caller holds. */
  readonly confirmLock?: (() => Promise<void>) | undefined;
  readonly store: Pick<CertificateStore, 'current' | 'currentPath'>;
}

/** The hooks that these settings ask for; nothing runs yet. */
export function hostHooks(
  settings: Settings,
  { fs, clock, log, flagHaste, confirmLock }: HostHooksParts,
): RotationHooks {
  const { runtimeDir, stateDir, kubelet, hooks, privilegedHooks, specs } = settings;
  return createRotationHooks({
    fs,
    clock,
    log,
    runtimeDir,
    flagHaste,
    stateDir,
    confirmLock,
    restartReasons: (event) => kubeletRestartReasons(event, kubelet.restart),
    commands: hooks,
    privileged: privilegedHooks,
    reloads: [...new Set(specs.flatMap(({ after }) => after.reload ?? []))],
  });
}

/** What stands behind the links now: the hooks compare it with what an earlier process has told the host. What cannot be read counts as absent. */
export async function presentPairs(settings: Settings, { fs, store }: HostHooksParts): Promise<readonly PresentPair[]> {
  const { kubelet, specs } = settings;
  return Promise.all(
    specs.map(async ({ name: purpose, after, kubeconfig: kubeconfigPath = settings.kubeconfig }) => {
      const currentPath = store.currentPath(purpose);
      const pair = await store.current(purpose).catch(() => undefined);
      const target = await fs.readlink(currentPath).catch(() => undefined);
      const issued = pair !== undefined && !pair.chain.leaf.selfSigned && target !== undefined;
      const pairPath = issued ? resolve(dirname(currentPath), target) : undefined;
      return { purpose, after, currentPath, pairPath, kubeconfigPath, kubeletVersion: kubelet.version };
    }),
  );
}
