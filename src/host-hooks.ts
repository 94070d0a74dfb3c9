import { createHash } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import type { FileSystem } from './adapters/file-system.ts';
import { readIfPresent } from './adapters/files.ts';
import { createRotationHooks, type FlagHaste } from './adapters/hooks/create-rotation-hooks.ts';
import type { PresentPair, RotationHooks } from './adapters/hooks/rotation-hooks.ts';
import type { Settings } from './config.ts';
import type { CertificateSpec, ServedBy } from './csr/spec.ts';
import { asCertletError, type CertletError, errorFields, unlessDefect } from './errors.ts';
import type { AfterRotation, CertificateStore, Clock, Logger, Observer, RotationEvent } from './ports.ts';
import { kubeletPlan } from './kubelet/restart.ts';
import { type Endpoint, kubeletEndpoint, type KubeletSeen } from './kubelet/served.ts';
import { entryEvent } from './rotation/node/entry-change.ts';
import { retryDelayMs } from './rotation/rules/retry.ts';
import { Proof } from './adapters/hooks/proof.ts';
import { ServedPairs, type ServedState } from './adapters/hooks/served-pairs.ts';
import type { HookRecord } from './adapters/hooks/hook-record.ts';
import type { PlannedRestart, RestartHold } from './adapters/hooks/restart-hold.ts';
import { WindowHold } from './adapters/hooks/window-hold.ts';
import { kubeletRun } from './adapters/kubelet-run.ts';
import { FILE_LIMIT_BYTES } from './adapters/store/store-context.ts';
import type { PairInUse, RestartWindow } from './kubelet/restart-window.ts';
import { parseChain } from './pki/certificate.ts';
import { lookServed } from './adapters/probe/served-certificate.ts';
import { stableRoll } from './pki/roll.ts';

export interface HostHooksParts {
  readonly fs: FileSystem;
  readonly clock: Clock;
  readonly log: Logger;
  readonly flagHaste?: FlagHaste | undefined;
  /** `confirm` of the lock that the caller holds. */
  readonly confirmLock?: (() => Promise<void>) | undefined;
  readonly store: HookStore;
  /** What the cluster has said of the kubelet so far; undefined before there is an agent. */
  readonly kubelet: () => KubeletSeen | undefined;
  /** Aborts when `kubelet` gives nothing new any more. */
  readonly allKnown?: AbortSignal | undefined;
  readonly observer?: Observer | undefined;
  /** What `served` or `planned` gives is another than before. */
  readonly onServed?: () => void;
}

/** What the hooks ask of the store. */
export interface HookStore extends Pick<CertificateStore, 'current' | 'currentPath'> {
  /** Whether the plain files of this certificate are not those of its current pair. */
  arePlainFilesBehind(name: string): Promise<boolean>;
}

type HookSettings = Pick<Settings, 'specs' | 'kubeconfig'> & { readonly kubelet: Pick<Settings['kubelet'], 'version'> };

/** About an hour at the pace of `ERR_HOOK`: what fails for so long is for a person, and for the next rotation or start. */
const MOST_ATTEMPTS = 9;

/** The pause after so many failures of a hook in a row, in milliseconds. It costs nobody but this host, so nothing is spread. */
export const hookRetryMs = (error: CertletError, failures: number): number | undefined =>
  failures < MOST_ATTEMPTS
    ? retryDelayMs({ error, failures, roll: 1, msToExpiry: undefined, refusedBackoffMs: 60 * 60_000 })
    : undefined;

/** The hooks of a host, and what is known of who serves its pairs. */
export interface HostHooks {
  readonly hooks: RotationHooks;
  readonly served: () => readonly ServedState[];
  /** Restarts of the kubelet that wait for their window. */
  readonly planned: () => readonly PlannedRestart[];
  /** Ends those waits; gives what they were for. */
  readonly restartNow: () => readonly string[];
}

/** The hooks that these settings ask for; nothing runs yet. */
export function hostHooks(settings: Settings, parts: HostHooksParts): HostHooks {
  const { fs, clock, log, flagHaste, confirmLock, store, observer } = parts;
  const { runtimeDir, stateDir, kubelet, hooks: commands, privilegedHooks, specs } = settings;
  const pairs = new ServedPairs({
    clock,
    current: (purpose) => store.current(purpose),
    endpoint: (by, last) => endpointOf(settings, by, parts.kubelet(), last),
    look: lookServed,
    patienceMs: flagHaste?.patienceMs,
    kubeletWithinMs: kubelet.reloadWithinMs,
    onChange: parts.onServed,
  });
  let hold: WindowHold | undefined;
  const version = (): string | undefined => kubelet.version ?? parts.kubelet()?.version;
  const hooks = createRotationHooks({
    fs,
    clock,
    log,
    runtimeDir,
    flagHaste,
    stateDir,
    confirmLock,
    retryAfterMs: hookRetryMs,
    kubeconfigId: (event) => kubeconfigId(fs, settings, event),
    kubelet: {
      unit: kubelet.unit,
      allKnown: parts.allKnown,
      plan: (event) => kubeletPlan({ ...event, kubeletVersion: event.kubeletVersion ?? version() }, kubelet.restart),
    },
    hold: (record) => {
      hold = windowHold(settings, parts, record);
      return hold;
    },
    datesOf: (path) => datesIn(fs, path),
    announced: entryEvent(settings.kubeconfig),
    proof: new Proof(pairs, { log, clock, observer }),
    commands,
    privileged: privilegedHooks,
    reloads: [...new Set(specs.flatMap(({ after }) => after.reload ?? []))],
  });
  return {
    hooks,
    served: () => pairs.states(),
    planned: () => hold?.states() ?? [],
    restartNow: () => hold?.release() ?? [],
  };
}

/** Of the certificate in a file of the store. */
async function datesIn(fs: FileSystem, path: string): Promise<PairInUse | undefined> {
  try {
    const text = await readIfPresent(fs, path, FILE_LIMIT_BYTES);
    return text === undefined ? undefined : parseChain(text).leaf;
  } catch (error) {
    return unlessDefect(undefined)(error);
  }
}

/** Undefined where the settings have no window. */
function windowHold(settings: Settings, parts: HostHooksParts, record: HookRecord): WindowHold | undefined {
  const { restartWindow } = settings.kubelet;
  const { clock, log, flagHaste, onServed: onChange } = parts;
  if (restartWindow === undefined) return undefined;
  const load = (): Promise<RestartHold> => holdOf(restartWindow, settings, parts, record);
  return new WindowHold({ load, clock, log, record, waits: flagHaste === undefined, onChange });
}

async function holdOf(
  window: RestartWindow,
  { nodeName, kubelet }: Pick<Settings, 'nodeName' | 'kubelet'>,
  { fs, clock, log, observer, onServed, flagHaste }: HostHooksParts,
  record: HookRecord,
): Promise<RestartHold> {
  const { RestartHold: Hold } = await import('./adapters/hooks/restart-hold.ts');
  return new Hold({
    clock,
    log,
    observer,
    record: {
      held: (purpose) => record.held(purpose),
      replaced: (pair) => record.replaced(pair),
      hold: (pair, held) => record.hold(pair, held).catch((error: unknown) => notNoted(log, error)),
    },
    window,
    roll: stableRoll(`${nodeName} restart window`),
    kubeletRun: () => kubeletRun(fs, kubelet.unit),
    onChange: onServed,
    waits: flagHaste === undefined,
  });
}

function notNoted(log: Logger, error: unknown): void {
  log.log('warn', 'hook record cannot be written', errorFields(asCertletError(error)));
}

/** A kubelet whose port only the Node can tell is not looked for before the Node was read, unless this is the last look. */
function endpointOf(
  { kubelet, nodeIPs }: Pick<Settings, 'kubelet' | 'nodeIPs'>,
  by: ServedBy,
  seen: KubeletSeen | undefined,
  last: boolean,
): Endpoint | undefined {
  if (by !== 'kubelet') return { addresses: [by.host], port: by.port };
  if (kubelet.port === undefined && seen?.informed !== true && !last) return undefined;
  return kubeletEndpoint(kubelet, seen, nodeIPs);
}

/**
 * What stands behind the links now: the hooks compare it with what an earlier process has told the host. What cannot be read counts as absent, and so
 * does a pair whose plain files are behind: its programs are told when those are mended.
 */
export async function presentPairs(
  settings: Settings,
  { fs, store }: Pick<HostHooksParts, 'fs' | 'store'>,
): Promise<readonly PresentPair[]> {
  return Promise.all(
    settings.specs.map(async (spec) => {
      const currentPath = store.currentPath(spec.name);
      const pair = await store.current(spec.name).catch(unlessDefect(undefined));
      const target = await fs.readlink(currentPath).catch(unlessDefect(undefined));
      const issued = pair !== undefined && !pair.chain.leaf.selfSigned && target !== undefined;
      const ready = issued && !(await isBehind(spec, store));
      const pairPath = ready ? resolve(dirname(currentPath), target) : undefined;
      return { ...hookFacts(settings, spec, store), pairPath };
    }),
  );
}

/** Well above any kubeconfig with its CAs. */
const MAX_KUBECONFIG_BYTES = 1024 * 1024;

/** What cannot be read counts as nothing that anybody is told of: the next look tells. */
async function kubeconfigId(
  fs: FileSystem,
  { specs, caFile }: Pick<Settings, 'specs' | 'caFile'>,
  { purpose }: Pick<RotationEvent, 'purpose'>,
): Promise<string | undefined> {
  const spec = specs.find(({ name, isIdentity }) => name === purpose && !isIdentity);
  if (spec?.kubeconfig === undefined || spec.after.reload === undefined) return undefined;
  const read = (path: string): Promise<string | undefined> =>
    readIfPresent(fs, path, MAX_KUBECONFIG_BYTES).catch(unlessDefect(undefined));
  const text = await read(spec.kubeconfig);
  if (text === undefined) return undefined;
  const cas = caFile === undefined ? '' : ((await read(caFile)) ?? '');
  return createHash('sha256').update(text).update('\0').update(cas).digest('hex');
}

/** Tells of a kubeconfig that was written anew for a pair that stayed, to who reads it. */
export function afterKubeconfigs(
  after: AfterRotation,
  settings: HookSettings,
  { fs, store }: Pick<HostHooksParts, 'fs'> & { readonly store: Pick<HookStore, 'currentPath'> },
): AfterRotation {
  return {
    rotated: (event, signal) => after.rotated(event, signal),
    announce: (event) => after.announce(event),
    async reconfigured(name, signal) {
      const spec = settings.specs.find((each) => each.name === name);
      if (spec?.after.reload === undefined) return;
      const currentPath = store.currentPath(name);
      const target = await fs.readlink(currentPath).catch(unlessDefect(undefined));
      if (target === undefined) return;
      const pairPath = resolve(dirname(currentPath), target);
      await after.rotated({ ...hookFacts(settings, spec, store), pairPath, cause: 'kubeconfig' }, signal);
    },
  };
}

/**
 * Tells of a rotation only once the plain files are there, for those who read them: a program that reloads between the two would meet a pair that does
 * not match. What was held back is made up for by `tellMended`, or at the next start.
 */
export function afterPlainFiles(
  after: AfterRotation,
  specs: readonly CertificateSpec[],
  store: Pick<HookStore, 'arePlainFilesBehind'>,
): AfterRotation {
  return {
    async rotated(event, signal) {
      const spec = specs.find(({ name }) => name === event.purpose);
      if (spec === undefined || !(await isBehind(spec, store))) await after.rotated(event, signal);
    },
    reconfigured: async (purpose, signal) => await after.reconfigured?.(purpose, signal),
    announce: (event) => after.announce(event),
  };
}

/** Plain files were put right without a rotation: who reads them is told as after one. */
export async function tellMended(
  after: Pick<AfterRotation, 'rotated'>,
  settings: HookSettings,
  store: Pick<HookStore, 'currentPath'>,
  mended: { readonly name: string; readonly pairPath: string },
): Promise<void> {
  const spec = settings.specs.find(({ name }) => name === mended.name);
  if (spec === undefined) return;
  const event = { ...hookFacts(settings, spec, store), pairPath: mended.pairPath };
  await after.rotated(event, new AbortController().signal);
}

function hookFacts(
  { kubelet, kubeconfig }: HookSettings,
  { name: purpose, after, kubeconfig: kubeconfigPath = kubeconfig }: CertificateSpec,
  store: Pick<HookStore, 'currentPath'>,
): Omit<PresentPair, 'pairPath'> {
  const currentPath = store.currentPath(purpose);
  return { purpose, after, currentPath, kubeconfigPath, kubeletVersion: kubelet.version };
}

/** The kubelet reads the link and is told at once, whatever becomes of its plain files. What cannot be looked at holds nothing back. */
async function isBehind(
  { name, files }: CertificateSpec,
  store: Pick<HookStore, 'arePlainFilesBehind'>,
): Promise<boolean> {
  if (files.plain === undefined || files.kubelet !== undefined) return false;
  return await store.arePlainFilesBehind(name).catch(unlessDefect(false));
}
