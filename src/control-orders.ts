import type { ControlHandlers } from './adapters/control/routes.ts';
import type { Logger, LogLevel } from './ports.ts';

/** What only the daemon does. */
export interface DaemonControl {
  /** Throws what is wrong with the new settings. */
  reload(): Promise<void>;
  logLevel(): LogLevel;
  setLogLevel(level: LogLevel): void;
}

export interface OrderedParts {
  readonly log: Logger;
  readonly control: DaemonControl;
  /** Throws `CertletError` where the cert-dir cannot be used. */
  readonly renew: (purposes: readonly string[]) => Promise<void>;
  readonly restartNow: () => readonly string[];
}

/** Each shows more than the one before. */
const SHOWS: readonly LogLevel[] = ['error', 'warn', 'info', 'debug'];

type Orders = Pick<ControlHandlers, 'renew' | 'restartNow' | 'reload' | 'logLevel' | 'setLogLevel'>;

/** What the control socket may have the daemon do; the journal tells each with who asked. */
export function controlOrders({ log, control, renew, restartNow }: OrderedParts): Orders {
  return {
    renew: (purposes, by) => {
      log.log('info', 'Asked for new certificates', { by, purposes });
      return renew(purposes);
    },
    restartNow: (by) => {
      const purposes = restartNow();
      const told = purposes.length === 0 ? 'none, since no restart waits' : purposes;
      log.log('info', 'Asked to restart the kubelet now', { by, purposes: told });
      return purposes;
    },
    reload: (by) => {
      log.log('info', 'Asked to read the settings again', { by });
      return control.reload();
    },
    logLevel: () => control.logLevel(),
    setLogLevel: (level, by) => {
      const before = control.logLevel();
      if (level === before) return;
      // Whoever reads the journal later must see why lines are missing from here on, or why there are so many: told while more is shown.
      const fewer = SHOWS.indexOf(level) < SHOWS.indexOf(before);
      if (!fewer) control.setLogLevel(level);
      log.log('info', 'The log level is another one now', { by, level, before });
      if (fewer) control.setLogLevel(level);
    },
  };
}
