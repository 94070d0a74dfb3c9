import type { ControlHandlers } from './adapters/control/routes.ts';
import { nodeFileSystem } from './adapters/file-system.ts';
import type { FlagHaste } from './adapters/hooks/create-rotation-hooks.ts';
import { UNIT_FOLDERS } from './adapters/host-files.ts';
import type { RotationHooks } from './adapters/hooks/rotation-hooks.ts';
import { PublishedFile, statusFilePath } from './adapters/status-file.ts';
import { controlOrders, type DaemonControl } from './control-orders.ts';
import type { Settings } from './config.ts';
import { asCertletError, type CertletError, errorFields } from './errors.ts';
import { type HookStore, type HostHooks, hostHooks, presentPairs } from './host-hooks.ts';
import { LeftBehind } from './left-behind.ts';
import { NodeEvents } from './node-events.ts';
import { warnOfPaths } from './path-warnings.ts';
import type { AfterRotation, Clock, Logger, Observer } from './ports.ts';
import type { Agent } from './rotation/agent.ts';
import { type Carried, withCarried } from './remedy.ts';
import type { AgentSnapshot } from './rotation/snapshot.ts';
import { RuntimePlace } from './runtime-place.ts';
import { EventCounters } from './status/counters.ts';
import { encodeStatus } from './status/codec.ts';
import {
  type ProcessStatus,
  type StatusDocument,
  statusDocument,
  statusMark,
  type WarningStatus,
} from './status/document.ts';
import { metricsText } from './status/metrics.ts';
import { withRemedies } from './status/told.ts';
import { healthOf } from './status/verdict.ts';
import { timestamp } from './timestamp.ts';

/** What surrounds a running agent: the status document, the control socket, metrics, events, hooks. */
export interface Surroundings {
  readonly after: AfterRotation;
  readonly observer: Observer;
  /** The caller has the cert-dir now: hooks that an earlier process owes are made good. Before that `publish` alone does anything. */
  begin(): Promise<void>;
  /** Called after each round of the loop. */
  publish(snapshot: AgentSnapshot): void;
  /**
   * Resolves when what the last rotation set off has had its first try: what a command waits for before it ends. Its agent has ended, so what the
   * cluster has not said by now is not waited for.
   */
  settled(): Promise<void>;
  /** The document of this moment; undefined before the first round. */
  status(): StatusDocument | undefined;
  /** The last word says that the process has stopped, and the runtime folder is left, unless it goes on with other settings. */
  close(how?: { readonly goesOn: boolean }): Promise<void>;
}

export interface SurroundingsParts {
  readonly command: ProcessStatus['command'];
  readonly log: Logger;
  readonly clock: Clock;
  readonly pid: number;
  /** Only of the daemon, which may begin anew in the same process. */
  readonly processStartedAt?: Date;
  /** When a command that ends by itself runs again. */
  readonly everyMs?: number | undefined;
  readonly version: string;
  /** What commands that are printed need of this command line. */
  readonly carried?: readonly Carried[] | undefined;
  readonly store: HookStore;
  /** `confirm` of the lock that the caller holds from `begin` on. */
  readonly confirmLock: () => Promise<void>;
  /** Why there is no lock yet. */
  readonly trouble?: () => CertletError | undefined;
  /** Undefined until it is assembled. */
  readonly agent: () => Agent | undefined;
  /** What the process has had to warn of lately. */
  readonly warnings?: () => readonly WarningStatus[];
  /** Of the daemon, which keeps it over reloads. */
  readonly place?: RuntimePlace | undefined;
  /** Of the daemon: orders that come after it has aborted are for those who come next. */
  readonly ended?: AbortSignal;
  /** What only the daemon does; commands that end by themselves open neither socket nor port. */
  readonly control?: DaemonControl;
}

/** The file follows within a second; a burst of changes is one write. */
const STATUS_SPACING_MS = 1_000;
/** Times to live in the textfile are at most so old; flash storage is spared a write a minute. */
const TEXTFILE_AGE_MS = 300_000;
const TEXTFILE_SPACING_MS = 10_000;

/** A disk that takes longer is told as one that is being read. */
const EARLY_MS = 5_000;

/** A command that is ordered before the kubelet does not wait a minute for a path unit that may not be there. */
const ONE_SHOT_HASTE: FlagHaste = { patienceMs: 10_000, unitFolders: UNIT_FOLDERS };

/** Opens everything that these settings ask for. What cannot be opened is told and done without: certificates come first. */
export async function openSurroundings(settings: Settings, parts: SurroundingsParts): Promise<Surroundings> {
  const opened = new OpenSurroundings(settings, parts);
  await opened.open();
  return opened;
}

class OpenSurroundings implements Surroundings {
  readonly after: AfterRotation;
  readonly observer: Observer;
  readonly #settings: Settings;
  readonly #parts: SurroundingsParts;
  readonly #fs = nodeFileSystem;
  readonly #counters = new EventCounters();
  readonly #ended = new AbortController();
  readonly #allKnown = new AbortController();
  readonly #hooks: RotationHooks;
  readonly #host: HostHooks;
  readonly #left: LeftBehind;
  readonly #events: NodeEvents | undefined;
  readonly #statusFile: PublishedFile;
  readonly #textfile: PublishedFile | undefined;
  readonly #handlers: ControlHandlers | undefined;
  readonly #place: RuntimePlace;
  readonly #openedAt: Date;
  /** Orders that are carried out. */
  readonly #orders = new Set<Promise<void>>();
  #last: AgentSnapshot | undefined;

  constructor(settings: Settings, parts: SurroundingsParts) {
    this.#settings = settings;
    this.#parts = parts;
    const flagHaste = parts.control === undefined ? ONE_SHOT_HASTE : undefined;
    const { log, store, confirmLock } = parts;
    const currentPath = (name: string): string => store.currentPath(name);
    this.#left = new LeftBehind({ fs: this.#fs, log, currentPath, confirmLock });
    // A hook outlives the attempt that set it off, so it goes by the end of all this.
    this.after = {
      rotated: (event) => this.#hooks.rotated(event, this.#ended.signal),
      announce: (event) => this.#hooks.announce(event),
    };
    const connection = (): ReturnType<Agent['nodeConnection']> => parts.agent()?.nodeConnection();
    this.#events = settings.events
      ? new NodeEvents({ nodeName: settings.nodeName, log: parts.log, connection })
      : undefined;
    this.observer = {
      observe: (event) => {
        this.#counters.observe(event);
        this.#events?.observe(event);
      },
    };
    const kubelet = (): Agent['kubelet'] | undefined => parts.agent()?.kubelet;
    const { observer } = this;
    this.#host = hostHooks(settings, {
      fs: this.#fs,
      ...parts,
      flagHaste,
      allKnown: parts.control === undefined ? this.#allKnown.signal : undefined,
      kubelet,
      observer,
      onServed: () => this.#republish(),
    });
    this.#hooks = this.#host.hooks;
    this.#statusFile = this.#published(
      statusFilePath(settings.runtimeDir),
      STATUS_SPACING_MS,
      'Cannot write the status file',
    );
    const { runtimeDir } = settings;
    this.#place = parts.place ?? new RuntimePlace({ fs: this.#fs, log, runtimeDir, label: `certlet ${parts.command}` });
    this.#openedAt = parts.clock.now();
    this.#handlers = parts.control && this.#handlersOf(parts.control);
    const { textfile } = settings.metrics;
    this.#textfile =
      textfile === undefined
        ? undefined
        : this.#published(textfile, TEXTFILE_SPACING_MS, 'Cannot write the metrics file');
  }

  async open(): Promise<void> {
    await this.#place.claim();
    const { address } = this.#settings.metrics;
    if (this.#handlers !== undefined && this.#place.mayServe)
      await this.#place.serve(this.#handlers, address && { ...address, setting: 'metrics.address' });
  }

  async begin(): Promise<void> {
    // Whoever published may have ended meanwhile.
    if (this.#place.taken !== undefined) await this.open();
    const { taken } = this.#place;
    if (taken !== undefined) {
      // Late: a host has one certlet as a rule.
      const { takenBy } = await import('./foreign-daemon.ts');
      this.#warn('Another certlet publishes in the runtime folder', await takenBy(taken, this.#settings));
    }
    await warnOfPaths(this.#settings, { fs: this.#fs, log: this.#parts.log });
    await this.#left.begin(this.#settings);
    const present = await presentPairs(this.#settings, { fs: this.#fs, ...this.#parts });
    await this.#hooks.begin(present, this.#ended.signal);
  }

  publish(snapshot: AgentSnapshot): void {
    if (this.#isEarly(snapshot)) return;
    this.#last = snapshot;
    if (this.#handlers !== undefined) this.#place.answerBy(this.#handlers, this.#parts.ended ?? this.#ended.signal);
    if (this.#place.taken !== undefined) return;
    this.#left.refresh();
    this.#publishStatus(this.#document(snapshot));
    const period = Math.floor(snapshot.at.getTime() / TEXTFILE_AGE_MS);
    const mark = `${String(period)} ${JSON.stringify(snapshot.managers.map(({ phase, attempts, certificate }) => [phase, attempts, certificate?.serial]))}`;
    this.#textfile?.publish({ mark, text: () => this.#metrics() });
    this.#events?.flush();
  }

  /** After a reload nobody knows for a moment what is on the disk: what was known before it stands until then. */
  #isEarly({ trouble, managers, at }: AgentSnapshot): boolean {
    if (this.#last !== undefined || !this.#place.isKnown || trouble !== undefined) return false;
    const starts = managers.some(({ phase }) => phase === 'starting');
    return starts && Math.abs(at.getTime() - this.#openedAt.getTime()) < EARLY_MS;
  }

  /** Something is known anew between two rounds. */
  #republish(): void {
    const snapshot = this.#snapshot();
    if (snapshot !== undefined && !this.#ended.signal.aborted) this.publish(snapshot);
  }

  async settled(): Promise<void> {
    this.#allKnown.abort();
    await this.#hooks.settled();
    await this.#events?.settled();
  }

  status(): StatusDocument | undefined {
    const snapshot = this.#snapshot();
    return snapshot && this.#document(snapshot);
  }

  async close({ goesOn }: { readonly goesOn: boolean } = { goesOn: false }): Promise<void> {
    this.#ended.abort();
    await Promise.allSettled(this.#orders);
    await this.#events?.close();
    await this.#hooks.stopped();
    if (!goesOn && this.#last !== undefined && this.#place.taken === undefined) {
      const document = this.#document(this.#last);
      const stoppedAt = timestamp(this.#parts.clock.now());
      this.#publishStatus({ ...document, process: { ...document.process, stoppedAt } });
    }
    await this.#statusFile.close();
    await this.#textfile?.close();
    if (!goesOn) await this.#place.close();
  }

  #publishStatus(document: StatusDocument): void {
    this.#statusFile.publish({ mark: statusMark(document), text: () => encodeStatus(document) });
  }

  #document(snapshot: AgentSnapshot): StatusDocument {
    const { command, pid, version, clock, everyMs, processStartedAt } = this.#parts;
    const document = statusDocument(snapshot, {
      command,
      pid,
      version,
      processStartedAt,
      everyMs,
      now: clock.now(),
      hooks: this.#hooks.problems(),
      served: this.#host.served(),
      planned: this.#host.planned(),
      warnings: this.#parts.warnings?.() ?? [],
      left: this.#left.files,
    });
    return withRemedies(document, (remedy) => withCarried(remedy, this.#parts.carried ?? []));
  }

  #metrics(): string {
    const snapshot = this.#snapshot();
    if (snapshot === undefined) return '';
    return metricsText(snapshot, {
      version: this.#parts.version,
      everyMs: this.#parts.everyMs,
      now: this.#parts.clock.now(),
      hookProblems: this.#hooks.problems().length,
      served: this.#host.served(),
      planned: this.#host.planned(),
      servingRotations: this.#counters.servingRotations(),
    });
  }

  /** Only once there was a round: before that nobody has looked at the disk. */
  #snapshot(): AgentSnapshot | undefined {
    const agent = this.#ended.signal.aborted ? undefined : this.#parts.agent();
    return this.#last === undefined ? undefined : (agent?.snapshot() ?? this.#last);
  }

  #handlersOf(control: DaemonControl): ControlHandlers {
    const { clock, agent, log } = this.#parts;
    return {
      status: () => {
        const document = this.status();
        return document && encodeStatus(document);
      },
      metrics: () => this.#metrics(),
      health: () => {
        const snapshot = this.#snapshot();
        if (snapshot === undefined) return { healthy: false, reasons: ['starting'] };
        return healthOf(this.#document(snapshot), snapshot.lastTick, clock.now());
      },
      purposes: () => this.#settings.specs.map(({ name }) => name),
      ...controlOrders({
        log,
        control,
        renew: async (purposes) => {
          const trouble = this.#parts.trouble?.();
          if (trouble !== undefined) throw trouble;
          await this.#carriedOut(agent()?.renew(purposes));
        },
        restartNow: () => this.#host.restartNow(),
      }),
    };
  }

  async #carriedOut(order: Promise<void> | undefined): Promise<void> {
    if (order === undefined) return;
    this.#orders.add(order);
    await order.finally(() => this.#orders.delete(order));
  }

  #published(path: string, spacingMs: number, event: string): PublishedFile {
    const { clock, log } = this.#parts;
    return new PublishedFile({
      fs: this.#fs,
      clock,
      path,
      spacingMs,
      onError: (error) => this.#warn(event, error),
      onInPlace: () =>
        log.log('warn', 'A file is a mount point of its own: written in place, which is not atomic', { file: path }),
    });
  }

  #warn(event: string, thrown: unknown): void {
    this.#parts.log.log('warn', event, errorFields(asCertletError(thrown)));
  }
}
