import { inOneLine, shortened } from '../log/printable.ts';

/** Longest status text sent, in characters: `systemctl status` shows one line of it. */
const STATUS_LIMIT = 1000;

/** Assignments of sd_notify(3), one a line in the datagram. Values never hold a line break. */
export type NotifyLines = readonly string[];

/** `STATUS=` on one line (a bare line break would start another assignment), without control characters. */
export function statusLine(text: string): string {
  // oxlint-disable-next-line no-control-regex
  const flat = inOneLine(shortened(text)).replaceAll(/[\u0000-\u001f\u007f]/g, ' ');
  return `STATUS=${flat.slice(0, STATUS_LIMIT)}`;
}

/** `READY=1` with the state's name; it also ends what `reloadingLines` began. */
export function readyLines(status: string): NotifyLines {
  return ['READY=1', statusLine(status)];
}

/** `monotonicUs` is CLOCK_MONOTONIC in microseconds, which Type=notify-reload (systemd 253) asks for; older ones ignore it. */
export function reloadingLines(monotonicUs: bigint): NotifyLines {
  return ['RELOADING=1', `MONOTONIC_USEC=${String(monotonicUs)}`];
}

/**
 * How often the service should ping the watchdog, in milliseconds: half of its limit, as sd_watchdog_enabled(3) advises. Undefined when
 * the unit has no watchdog or it is meant for another process (`WATCHDOG_PID`).
 */
export function watchdogIntervalMs(env: Readonly<Record<string, string | undefined>>, pid: number): number | undefined {
  const limitUs = Number(env['WATCHDOG_USEC']);
  if (!Number.isFinite(limitUs) || limitUs <= 0) return undefined;
  const meantFor = env['WATCHDOG_PID'];
  if (meantFor !== undefined && meantFor !== '' && Number(meantFor) !== pid) return undefined;
  return Math.max(1, Math.floor(limitUs / 2000));
}
