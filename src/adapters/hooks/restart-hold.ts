import {
  isOpen,
  latestRestart,
  type NextStart,
  type PairInUse,
  restartMoment,
  type RestartMoment,
  type RestartWindow,
  windowText,
} from '../../kubelet/restart-window.ts';
import type { Clock, Logger, Observer } from '../../ports.ts';
import { timestamp } from '../../timestamp.ts';
import { windowStarts } from '../window-starts.ts';
import type { HookEvent } from './hook.ts';
import type { HeldRestart, HookRecord } from './hook-record.ts';

/** What a restart that waits for its window needs. */
export interface RestartHoldParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer?: Observer | undefined;
  /** `hold` tells by itself what the disk refuses, and resolves: what is held counts in this process all the same. */
  readonly record: Pick<HookRecord, 'held' | 'replaced' | 'hold'>;
  readonly window: RestartWindow;
  /** From the node's name, in [0, 1): the same for each window, another one on each node. */
  readonly roll: number;
  /** Which run of the kubelet this is; undefined where that cannot be seen. */
  readonly kubeletRun: () => Promise<string | undefined>;
  /** What `states` gives is another than before. */
  readonly onChange?: (() => void) | undefined;
  /** A command that ends by itself waits for no window. */
  readonly waits: boolean;
}

/** A restart that waits. For status. */
export interface PlannedRestart extends Pick<HeldRestart, 'since' | 'at' | 'by'> {
  /** What it is for: the name of a certificate, or the cluster's CA. */
  readonly purpose: string;
}

/** How a wait ended: it is time; the kubelet was restarted by somebody else; the command ends before, and the next one goes on. */
export type HoldEnd = 'due' | 'restarted' | 'later';

/** A kubelet that was restarted otherwise is noticed within this. */
const LOOK_EVERY_MS = 5 * 60_000;

/** Of restarts that are due at one moment each waits so long for those before it: the kubelet is restarted once for all of them. */
const TURN_MS = 90_000;

/**
 * Holds restarts of the kubelet for their window. What is held is in the hooks' record, so that a restart of certlet changes no moment that was told.
 * This file and what it imports are a program of their own beside the daemon's, which loads it for the first restart that waits; so nothing in it may
 * make a `CertletError`, whose class would be another than the daemon's.
 */
export class RestartHold {
  readonly #parts: RestartHoldParts;
  readonly #starts: NextStart;
  readonly #waiting = new Map<string, PlannedRestart>();
  #released = new AbortController();

  /** `starts`: instead of those that the window's expression names. */
  constructor(parts: RestartHoldParts, starts: NextStart = windowStarts(parts.window)) {
    this.#parts = parts;
    this.#starts = starts;
  }

  /** Restarts that wait now. */
  states(): readonly PlannedRestart[] {
    return [...this.#waiting.values()];
  }

  /** Ends every wait: an administrator wants the restart now. Gives what the restarts were for. */
  release(): readonly string[] {
    const names = [...this.#waiting.keys()];
    this.#released.abort();
    this.#released = new AbortController();
    return names;
  }

  /**
   * Resolves when the restart for this pair is due, or not needed any more. `shown`: what the kubelet is seen to use until then; undefined where nothing
   * shows that. Rejects with the signal's reason and nothing else.
   */
  async until(event: HookEvent, shown: PairInUse | undefined, signal: AbortSignal): Promise<HoldEnd> {
    const { purpose } = event;
    const { waits, onChange } = this.#parts;
    // Of the whole wait: whoever ends it may come while it is planned anew.
    const released = this.#released.signal;
    try {
      for (;;) {
        const held = await this.#plan(event, shown);
        if (held === undefined) return 'due';
        const before = [...this.#waiting.keys()].filter((other) => other !== purpose).length;
        this.#waiting.set(purpose, { purpose, since: held.since, at: held.at, by: held.by });
        onChange?.();
        if (!waits) return 'later';
        const end = await this.#wait(held, { before, released }, signal);
        if (end !== 'passed') return end;
      }
    } finally {
      if (waits && this.#waiting.delete(purpose)) onChange?.();
    }
  }

  /** `passed`: its moment has come, and maybe gone: this host may have slept through its window. Or the clock was set back before the wait began. */
  async #wait(
    held: HeldRestart,
    { before, released }: { readonly before: number; readonly released: AbortSignal },
    signal: AbortSignal,
  ): Promise<'passed' | 'due' | 'restarted'> {
    const { clock } = this.#parts;
    const until = AbortSignal.any([signal, released]);
    for (let now = clock.now(); now < held.at && now >= held.since && !until.aborted; now = clock.now()) {
      if (await this.#isRestarted(held)) return 'restarted';
      await clock.sleepUntil(new Date(Math.min(held.at.getTime(), now.getTime() + LOOK_EVERY_MS)), until);
    }
    if (before > 0) await clock.sleepUntil(new Date(clock.now().getTime() + before * TURN_MS), signal);
    signal.throwIfAborted();
    if (await this.#isRestarted(held)) return 'restarted';
    return released.aborted ? 'due' : 'passed';
  }

  /** A run that could not be seen then or cannot be seen now proves nothing. */
  async #isRestarted({ run }: HeldRestart): Promise<boolean> {
    const now = run === undefined ? undefined : await this.#parts.kubeletRun();
    return now !== undefined && now !== run;
  }

  /** As noted by an earlier process, as long as that moment is to come; else planned anew. Undefined when it is time. */
  async #plan(event: HookEvent, shown: PairInUse | undefined): Promise<HeldRestart | undefined> {
    if (event.urgent === true) return undefined;
    const now = this.#parts.clock.now();
    const noted = this.#noted(event);
    if (noted === undefined) return await this.#anew(event, shown, {});
    // Of a clock that was ahead, or of a damaged record: no moment to wait for.
    if (noted.since > now || noted.at > latestRestart(noted.inUse))
      return await this.#anew(event, shown, { ...noted, since: now });
    if (noted.at > now) return await this.#ofThisRun(event, noted);
    // Its moment came while nobody looked, and the window is still open: it has waited long enough.
    if (noted.by === 'end' || isOpen(now, this.#parts.window, this.#starts)) return undefined;
    return await this.#anew(event, shown, noted);
  }

  /** Wanted again, a restart waits for the end of the run of now. */
  async #ofThisRun(event: HookEvent, noted: HeldRestart): Promise<HeldRestart> {
    const run = noted.run ?? (await this.#parts.kubeletRun());
    if (run === undefined || run === noted.run) return noted;
    const held = { ...noted, run };
    await this.#parts.record.hold(event, held);
    return held;
  }

  async #anew(
    event: HookEvent,
    shown: PairInUse | undefined,
    noted: Partial<HeldRestart>,
  ): Promise<HeldRestart | undefined> {
    const { clock, record, window, roll, kubeletRun } = this.#parts;
    const now = clock.now();
    const run = noted.run ?? (await kubeletRun());
    const inUse = shown ?? this.#inUse(event, run);
    const moment = restartMoment({ now, inUse, roll }, window, this.#starts);
    if (moment.kind === 'now' || inUse === undefined) return undefined;
    const { pairPath } = event;
    const { at, by } = moment;
    const planned = { pairPath, since: noted.since ?? now, at, by, inUse, window: windowText(window) };
    const held = run === undefined ? planned : { ...planned, run };
    await record.hold(event, held);
    this.#tell(event, moment, inUse);
    return held;
  }

  /** What is noted for this very pair and this window. */
  #noted({ purpose, pairPath }: HookEvent): HeldRestart | undefined {
    const held = this.#parts.record.held(purpose);
    return held?.pairPath === pairPath && held.window === windowText(this.#parts.window) ? held : undefined;
  }

  /** A pair that was replaced while its own restart waited was never used: this run of the kubelet still has the one before. */
  #inUse(event: HookEvent, run: string | undefined): PairInUse | undefined {
    const { record } = this.#parts;
    const earlier = record.held(event.purpose);
    const unused = earlier !== undefined && earlier.run === run ? earlier.inUse : undefined;
    return unused ?? event.replaced ?? record.replaced(event);
  }

  #tell({ purpose }: HookEvent, { at, by }: Extract<RestartMoment, { kind: 'later' }>, { notAfter }: PairInUse): void {
    const { log, observer, clock } = this.#parts;
    const remedy = 'certlet renew --restart-now';
    const early = by === 'end';
    log.log(
      early ? 'warn' : 'info',
      early
        ? 'The restart of the kubelet cannot wait for its window'
        : 'The restart of the kubelet waits for its window',
      { purpose, at, expiration: notAfter, remedy },
    );
    const why = early ? `what it uses ends at ${timestamp(notAfter)}, before the next window` : 'in its window';
    const text = `the kubelet is restarted at ${timestamp(at)} for ${purpose}, ${why}`;
    observer?.observe({ kind: 'restartPlanned', purpose, at: clock.now(), text });
  }
}
