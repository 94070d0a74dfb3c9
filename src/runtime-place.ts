import type { OpenServer } from './adapters/control/http-server.ts';
import type { ControlHandlers } from './adapters/control/routes.ts';
import { controlSocketPath, openControlServer } from './adapters/control/server.ts';
import type { FileSystem } from './adapters/file-system.ts';
import { acquireLock, type Lock, lockHolder } from './adapters/lock.ts';
import { type MetricsPlace, openMetricsEndpoint } from './adapters/metrics-endpoint.ts';
import { PUBLISHER_LOCK } from './adapters/status-file.ts';
import { asCertletError, CertletError, errorFields, unlessDefect } from './errors.ts';
import type { Logger } from './ports.ts';

export interface RuntimePlaceParts {
  readonly fs: FileSystem;
  readonly log: Logger;
  readonly runtimeDir: string;
  /** The command, such as `certlet run`. */
  readonly label: string;
}

/** What the daemon calls itself where it holds a lock. */
export const DAEMON = 'certlet run';

/** In `#servers`; the ports go by their addresses. */
const CONTROL = 'control';

/**
 * What a certlet has of its runtime folder: the right to publish there, and for the daemon the control socket and the port for metrics. It outlives
 * agents, since a socket that is away while the settings are read anew says that no daemon runs, and somebody else would publish in between.
 */
export class RuntimePlace {
  readonly #parts: RuntimePlaceParts;
  readonly #servers = new Map<string, OpenServer>();
  readonly #waiting = new Set<() => void>();
  #lock: Lock | undefined;
  #taken: CertletError | undefined;
  /** Whoever publishes ends by itself and has no socket. */
  #besideCommand = false;
  /** Who tells what is known, and until when they take orders. */
  #answering: ControlHandlers | undefined;
  #until: AbortSignal | undefined;
  #closed = false;

  constructor(parts: RuntimePlaceParts) {
    this.#parts = parts;
  }

  /** Why another certlet publishes here. */
  get taken(): CertletError | undefined {
    return this.#taken;
  }

  /** Whether the daemon may listen: also while a `certlet once` or `renew` publishes, or nobody would tell that the daemon waits for it. */
  get mayServe(): boolean {
    return this.#taken === undefined || this.#besideCommand;
  }

  /** Somebody has told already what there is to know. */
  get isKnown(): boolean {
    return this.#until !== undefined;
  }

  /** Takes the folder, also where another had it or it was made anew. One that takes no lock is told of by what cannot be written there. */
  async claim(): Promise<void> {
    const { runtimeDir, label } = this.#parts;
    if (this.#lock !== undefined) {
      if (await this.#lock.isOf(runtimeDir)) return;
      await this.#letGo();
    }
    this.#taken = undefined;
    try {
      this.#lock = await acquireLock(runtimeDir, { label, file: PUBLISHER_LOCK });
    } catch (thrown) {
      const error = asCertletError(thrown);
      if (error.code !== 'ERR_LOCK_HELD') return;
      this.#taken = error;
      this.#besideCommand = await isCommand(runtimeDir);
    }
  }

  /** Listens where that is not done yet, and no more at an address that is not wanted; `first` answers where nobody has answered before. */
  async serve(first: ControlHandlers, address: MetricsPlace | undefined): Promise<void> {
    this.#answering ??= first;
    const { fs, runtimeDir } = this.#parts;
    const port = address && `${address.host}:${String(address.port)}`;
    const path = controlSocketPath(runtimeDir);
    const gone = this.#servers.has(CONTROL) && (await fs.lstat(path).catch(unlessDefect(undefined))) === undefined;
    const stale = [...this.#servers.keys()].filter((key) => (key === CONTROL ? gone : key !== port));
    await Promise.all(stale.map((key) => this.#stop(key)));
    await this.#serve(CONTROL, 'No control socket', () => openControlServer(fs, runtimeDir, this.#handlers));
    if (address === undefined || port === undefined) return;
    await this.#serve(port, 'No metrics endpoint', () => openMetricsEndpoint(address, () => this.#known().metrics()));
  }

  /** They know enough to answer, and take orders until the signal aborts. What they knew is told until others know more. */
  answerBy(handlers: ControlHandlers, until: AbortSignal): void {
    this.#answering = handlers;
    this.#until = until;
    this.#wake();
  }

  /** Orders that wait are refused. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#wake();
    await this.#letGo();
  }

  async #letGo(): Promise<void> {
    await Promise.all([...this.#servers.keys()].map((key) => this.#stop(key)));
    await this.#lock?.release();
    this.#lock = undefined;
  }

  async #stop(key: string): Promise<void> {
    const server = this.#servers.get(key);
    this.#servers.delete(key);
    await server?.close();
  }

  async #serve(key: string, event: string, open: () => Promise<OpenServer>): Promise<void> {
    if (this.#servers.has(key)) return;
    try {
      this.#servers.set(key, await open());
    } catch (thrown) {
      this.#parts.log.log('warn', event, errorFields(asCertletError(thrown)));
    }
  }

  readonly #handlers: ControlHandlers = {
    status: () => this.#known().status(),
    metrics: () => this.#known().metrics(),
    health: () => this.#known().health(),
    purposes: () => this.#known().purposes(),
    renew: async (purposes, by) => (await this.#next()).renew(purposes, by),
    restartNow: async (by) => (await this.#next()).restartNow(by),
    reload: (by) => this.#known().reload(by),
    logLevel: () => this.#known().logLevel(),
    setLogLevel: (level, by) => this.#known().setLogLevel(level, by),
  };

  #known(): ControlHandlers {
    if (this.#answering === undefined) throw new RangeError('nobody answers yet');
    return this.#answering;
  }

  /** An order that comes within a reload is for the agent after it: the one before would take it along. */
  async #next(): Promise<ControlHandlers> {
    while (this.#until?.aborted !== false) {
      if (this.#closed)
        throw new CertletError('ERR_CONTROL', 'the daemon ends', { remedy: 'systemctl status certlet' });
      await new Promise<void>((done) => {
        this.#waiting.add(done);
      });
    }
    return this.#known();
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}

/** In doubt it is a daemon. */
async function isCommand(runtimeDir: string): Promise<boolean> {
  const holder = await lockHolder(runtimeDir, PUBLISHER_LOCK).catch(unlessDefect(undefined));
  return holder !== undefined && holder.label !== DAEMON;
}
