import { SystemClock } from './adapters/system-clock.ts';
import { openNotifier } from './adapters/systemd/notifier.ts';
import { watchdogIntervalMs } from './adapters/systemd/notify-message.ts';
import { startWatchdog } from './adapters/systemd/watchdog.ts';
import type { LogSettings, Settings } from './config/settings.ts';
import { type CertletError, errorFields, isCertletError } from './errors.ts';
import type { Clock, Logger, ServiceNotifier } from './ports.ts';

/** What waiting for a name needs of its process. */
export interface NameWaitEdge {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  readonly loadSettings: () => Promise<Settings>;
  readonly openLog: (settings: LogSettings) => Promise<Logger>;
  readonly onReload: (listener: () => void) => () => void;
  readonly signal: AbortSignal;
  /** The real one, unless a test has its own. */
  readonly clock?: Clock;
}

/** A name comes within seconds of the network; asking the kernel for it costs nothing. */
const LOOK_MS = 2_000;
/** READY comes by then in every state: no kubelet waits for a cluster that does not answer, nor for a host without a name, where it would not come up either. */
export const READY_WITHIN_MS = 25_000;

/** The settings, as soon as this host has a name; undefined when stopped before. Throws what is wrong with the settings otherwise. */
export async function settingsOnceNamed(edge: NameWaitEdge): Promise<Settings | undefined> {
  const first = await named(edge);
  if ('settings' in first) return first.settings;
  const log = await edge.openLog({ level: 'info', format: 'auto' });
  log.log('warn', 'Waiting for a node name', errorFields(first.error));
  const notifier = await openNotifier(edge.environment);
  const undoReload = edge.onReload(() => undefined);
  const watchdog = startWatchdog(notifier, watchdogIntervalMs(edge.environment, edge.pid), () => true);
  try {
    return await waited(edge, notifier, first.error.message);
  } finally {
    watchdog();
    undoReload();
  }
}

async function waited(
  edge: NameWaitEdge,
  notifier: Pick<ServiceNotifier, 'ready'>,
  message: string,
): Promise<Settings | undefined> {
  const clock = edge.clock ?? new SystemClock();
  let sinceMs = 0;
  while (!edge.signal.aborted) {
    await clock.sleepUntil(new Date(clock.now().getTime() + LOOK_MS), edge.signal);
    const next = await named(edge);
    if ('settings' in next) return next.settings;
    sinceMs += LOOK_MS;
    if (sinceMs > READY_WITHIN_MS - LOOK_MS && sinceMs <= READY_WITHIN_MS) notifier.ready(message);
  }
  return undefined;
}

async function named(edge: NameWaitEdge): Promise<{ readonly settings: Settings } | { readonly error: CertletError }> {
  try {
    return { settings: await edge.loadSettings() };
  } catch (error) {
    if (!isCertletError(error, 'ERR_NODE_NAME')) throw error;
    return { error };
  }
}
