import type { ServiceNotifier } from '../../ports.ts';

/** Feeds systemd's watchdog while `alive` says so. Returns how to stop. */
export function startWatchdog(
  notifier: ServiceNotifier,
  intervalMs: number | undefined,
  alive: () => boolean,
): () => void {
  if (intervalMs === undefined) return () => undefined;
  const timer = setInterval(() => {
    if (alive()) notifier.watchdog();
  }, intervalMs);
  timer.unref();
  return () => clearInterval(timer);
}
