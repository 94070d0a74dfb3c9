import { dirname, join } from 'node:path';
import { CertletError, defectIn, isCertletError, isDefect } from '../../errors.ts';
import { isOfKubeconfig } from '../../kubeconfig/trusted-ca.ts';
import type { Clock, RestartFlag } from '../../ports.ts';
import { fileError, onErrno } from '../file-errors.ts';
import type { FileSystem } from '../file-system.ts';
import { ensureFolder, replaceFile, replaceVolatile } from '../files.ts';
import type { Hook, HookEvent } from '../hooks/hook.ts';
import { FlagResults } from './flag-results.ts';

/** When to look whether a raised flag was taken, before the last look. */
const LOOK_AFTER_MS = [300, 2_000, 10_000];
/** A minute is what a path unit may take on a busy host, more means that it is dead. */
const PATIENCE_MS = 60_000;

/** How often to look at a flag whose service is busy. */
const LOOK_BUSY_MS = 5_000;

/** A path unit takes a flag within milliseconds; one that is not enabled was hardly started by hand on a host that busy. */
const NOT_ENABLED_MS = 2_000;

/** What a flag needs of the host. */
export interface FlagHost {
  readonly fs: FileSystem;
  readonly clock: Clock;
  /** `/run/certlet`. */
  readonly runtimeDir: string;
  /** How long to wait for a flag to be taken before that counts as a failure; a minute unless told: a command that ends should not wait so long. */
  readonly patienceMs?: number;
  /** Folders of systemd's units: where no link in them enables the path unit, a flag is waited for two seconds only. Nobody looks unless told. */
  readonly unitFolders?: readonly string[];
}

/** `<runtimeDir>/hooks/<name>`, taken by certlet-hook@<name>.path, which runs its program outside the sandbox. */
export function privilegedHook(host: FlagHost, name: string): Hook {
  const flag = namedFlag(host, { kind: 'hook', folder: 'hooks', name });
  return {
    id: `privileged ${name}`,
    exclusive: false,
    reasons: ({ purpose, cause }) =>
      isOfKubeconfig(purpose) || cause !== undefined ? [] : [`runs after each ${purpose} rotation`],
    run: (event, _attempt, _done, signal) => flagged(host, event, flag, signal),
  };
}

/** `<runtimeDir>/reload/<name>`, taken by certlet-reload@<name>.path: root has said which unit that is, and what becomes of it. */
export function reloadHook(host: FlagHost, name: string): Hook {
  const flag = namedFlag(host, { kind: 'reload', folder: 'reload', name });
  return {
    id: `reload ${name}`,
    exclusive: false,
    reasons({ after, purpose, cause, kubeconfigPath }) {
      if (after.reload !== name) return [];
      return [cause === undefined ? `reloads after each ${purpose} rotation` : `${kubeconfigPath} has changed`];
    },
    run: (event, _attempt, _done, signal) => flagged(host, event, flag, signal),
  };
}

/**
 * Takes back the flags of names that are wanted no more: one that nobody has taken (its path unit is not enabled) would reload or run something the
 * day that somebody enables it. Gives their paths. Throws the errors of file operations.
 */
export async function lowerFlags(
  { fs, runtimeDir }: Pick<FlagHost, 'fs' | 'runtimeDir'>,
  wanted: { readonly reloads: readonly string[]; readonly privileged: readonly string[] },
): Promise<readonly string[]> {
  const lowered: string[] = [];
  for (const [kind, names] of [
    ['reload', wanted.reloads],
    ['hooks', wanted.privileged],
  ] as const) {
    const folder = join(runtimeDir, kind);
    try {
      for (const name of (await fs.readdir(folder)).filter((each) => !names.includes(each))) {
        await fs.unlink(join(folder, name));
        lowered.push(join(folder, name));
      }
    } catch (error) {
      throw fileError(error, folder);
    }
  }
  return lowered;
}

/** The flag by which the kubelet's restart is asked for, whatever the reason. */
export function restartFlag(host: FlagHost): RestartFlag {
  const service = 'certlet-kubelet-restart';
  const results = new FlagResults(host, { kind: 'restart', service }, 'restart-kubelet');
  const flag = { path: join(host.runtimeDir, 'restart-kubelet'), service, results };
  return {
    raise: async (purpose) => {
      await results.forget();
      await raise(host, flag.path, purpose);
    },
    taken: (signal) => waitUntilDone(host, flag, signal),
  };
}

/** A flag, the service that takes it (its name without the suffix) and what that says of it. */
interface Flag {
  readonly path: string;
  readonly service: string;
  readonly results: FlagResults;
}

interface NamedFlag extends Flag {
  readonly folder: string;
  /** For whom it was raised already: it stands until it is taken. */
  readonly raised: WeakSet<HookEvent>;
}

function namedFlag(
  host: FlagHost,
  { kind, folder, name }: { readonly kind: 'reload' | 'hook'; readonly folder: string; readonly name: string },
): NamedFlag {
  const service = `certlet-${kind}@${name}`;
  const path = join(host.runtimeDir, folder);
  const results = new FlagResults(host, { kind, service }, `${kind}-${name}`);
  return { path: join(path, name), folder: path, service, results, raised: new WeakSet() };
}

async function flagged(host: FlagHost, event: HookEvent, flag: NamedFlag, signal: AbortSignal): Promise<void> {
  const { folder, path, results, raised } = flag;
  if (!raised.has(event)) {
    await ensureFolder(host.fs, folder, 0o755);
    await results.forget();
    await raise(host, path, event.purpose);
    raised.add(event);
  }
  await waitUntilTaken(host, flag, signal);
  try {
    await results.succeeded(signal);
  } catch (error) {
    // The next attempt asks anew.
    if (isCertletError(error) && error.reason === 'in vain') raised.delete(event);
    throw error;
  }
}

/** Level-triggered: the flag stands until its unit removes it, so nothing is lost when the unit is busy or not yet started. */
async function raise(host: FlagHost, flag: string, purpose: string): Promise<void> {
  try {
    const replace = (await host.fs.isVolatile(dirname(flag))) ? replaceVolatile : replaceFile;
    await replace(host.fs, flag, `${purpose}\n`, 0o644);
  } catch (error) {
    if (isDefect(error)) throw defectIn(`flag ${flag}`, error);
    throw new CertletError(
      'ERR_HOOK',
      `cannot raise the flag ${flag}: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
        remedy: 'systemctl cat certlet   # the unit needs RuntimeDirectory=certlet',
      },
    );
  }
}

async function waitUntilDone(host: FlagHost, flag: Flag, signal: AbortSignal): Promise<void> {
  await waitUntilTaken(host, flag, signal);
  await flag.results.succeeded(signal);
}

async function waitUntilTaken(host: FlagHost, flag: Flag, signal: AbortSignal): Promise<void> {
  const start = host.clock.now().getTime();
  const enabled =
    host.unitFolders === undefined || (await isEnabled(host.fs, host.unitFolders, `${flag.service}.path`));
  const patienceMs = Math.min(host.patienceMs ?? PATIENCE_MS, enabled ? Infinity : NOT_ENABLED_MS);
  const looked = async (afterMs: number): Promise<boolean> => {
    await host.clock.sleepUntil(new Date(start + afterMs), signal);
    return signal.aborted || (await isTaken(host, flag.path));
  };
  for (const afterMs of [...LOOK_AFTER_MS.filter((afterMs) => afterMs < patienceMs), patienceMs])
    if (await looked(afterMs)) return;
  // One that is at work for an earlier flag, or pauses after a failure, takes this one afterwards.
  const lastMs = patienceMs + (await flag.results.busyMs());
  for (let afterMs = patienceMs; afterMs < lastMs; ) {
    afterMs = Math.min(lastMs, afterMs + LOOK_BUSY_MS);
    if (await looked(afterMs)) return;
  }
  throw await notTaken(flag, lastMs, enabled);
}

async function notTaken({ path, service, results }: Flag, waitedMs: number, enabled: boolean): Promise<CertletError> {
  const what = `the flag ${path} was not taken within ${String(waitedMs / 1000)} s`;
  const why = await results.whyStanding();
  if (why !== undefined)
    return new CertletError('ERR_HOOK', `${what}: ${why}`, { remedy: `systemctl status ${service}.service` });
  return new CertletError('ERR_HOOK', `${what}: ${service}.path ${enabled ? 'does not run' : 'is not enabled'}`, {
    remedy: `systemctl reset-failed ${service}.path ${service}.service; systemctl enable --now ${service}.path`,
  });
}

/** Whether some unit's `.wants` or `.requires` folder has a link to this one (systemd.unit(5)). What cannot be read has none. */
async function isEnabled(fs: FileSystem, folders: readonly string[], unit: string): Promise<boolean> {
  const names = async (folder: string): Promise<readonly string[]> => fs.readdir(folder).catch(onErrno([]));
  for (const folder of folders) {
    for (const name of (await names(folder)).filter((each) => /\.(?:wants|requires)$/.test(each))) {
      if ((await names(join(folder, name))).includes(unit)) return true;
    }
  }
  return false;
}

async function isTaken(host: FlagHost, flag: string): Promise<boolean> {
  try {
    return (await host.fs.lstat(flag)) === undefined;
  } catch (error) {
    throw fileError(error, flag);
  }
}
