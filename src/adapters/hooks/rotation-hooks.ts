import { asCertletError, type CertletError, errorFields } from '../../errors.ts';
import type { AfterRotation, Clock, Logger, RotationEvent } from '../../ports.ts';
import type { PairInUse } from '../../kubelet/restart-window.ts';
import type { Hook, HookEvent, HookProblem } from './hook.ts';
import { datesOnly, type HookEntry, type HookRecord } from './hook-record.ts';
import { SaidOnce } from '../../said-once.ts';
import { Troubles } from '../../trouble.ts';
import { SerialQueue } from '../../serial-queue.ts';

/** The pause before a hook is tried again whose failure lasts until it is mended, once the other pauses are through. */
const LASTING_RETRY_MS = 60 * 60_000;

/** What stands behind a link when certlet starts; `pairPath` is undefined when nothing was issued yet (a placeholder counts as nothing). */
export type PresentPair = Omit<HookEvent, 'pairPath'> & { readonly pairPath: string | undefined };

export interface RotationHooksParts {
  /** The pause after so many failures in a row, in milliseconds; undefined where the next rotation or start is waited for. */
  readonly retryAfterMs: (error: CertletError, failures: number) => number | undefined;
  /** Of the certificate in the file of an earlier pair; undefined where that is gone. Asked where an earlier process died before its hooks. Never rejects. */
  readonly datesOf?: ((pairPath: string) => Promise<PairInUse | undefined>) | undefined;
  /** Of what hooks are wanted for besides pairs: what an earlier process has announced. */
  readonly announced?: Omit<HookEvent, 'pairPath'> | undefined;
  /** Takes back what is wanted of nobody any more; gives the paths of the flags. */
  readonly lowerFlags?: () => Promise<readonly string[]>;
  readonly hooks: readonly Hook[];
  /** Tells the kubeconfig of a certificate from another; undefined where it has none of its own, or no program that is told of it. Never throws. */
  readonly kubeconfigId?: (event: HookEvent) => Promise<string | undefined>;
  readonly record: HookRecord;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Runs the hooks after a rotation, in the background, so that a slow command never holds the rotation up. Failures are
 * logged once per attempt, tried again a few times, and listed by `problems`.
 */
export class RotationHooks implements AfterRotation {
  readonly #parts: RotationHooksParts;
  readonly #troubles = new Troubles();
  readonly #said = new SaidOnce();
  readonly #problems = new Map<string, HookProblem>();
  readonly #running = new Map<string, AbortController>();
  readonly #background = new Set<Promise<void>>();
  readonly #attempting = new Set<Promise<unknown>>();
  readonly #exclusive = new SerialQueue();

  constructor(parts: RotationHooksParts) {
    this.#parts = parts;
  }

  /**
   * To be called once at start, before anything rotates: notes what is there, and runs what an earlier process still owed, also when it
   * died between the swap and its hooks. Never throws.
   */
  async begin(present: readonly PresentPair[], signal: AbortSignal): Promise<void> {
    const { record } = this.#parts;
    await this.#orLog('A flag of the settings before cannot be removed', () => this.#lowerFlags());
    await this.#orLog('hook record cannot be read', () => record.load());
    const unknown = present.filter(({ purpose }) => record.get(purpose) === undefined);
    const noted = await Promise.all(unknown.map(async (pair) => [pair.purpose, await this.#firstEntry(pair)] as const));
    for (const pair of present) {
      const { purpose, pairPath } = pair;
      const entry = record.get(purpose);
      if (pairPath === undefined) continue;
      const event = { ...pair, pairPath };
      if (entry !== undefined) await this.#resume(event, entry, signal);
      if (entry?.pairPath === pairPath) await this.#lookAtKubeconfig(event, entry, signal);
      if (entry === undefined || entry.pairPath === pairPath) this.#lookAtStart(event, entry?.pending ?? [], signal);
    }
    await this.#resumeAnnounced(signal);
    if (noted.length > 0) await this.#orLog('hook record cannot be written', () => record.note(new Map(noted)));
  }

  async #resumeAnnounced(signal: AbortSignal): Promise<void> {
    const { announced, record } = this.#parts;
    const owed = announced && record.get(announced.purpose);
    if (announced === undefined || owed === undefined) return;
    await this.#resume({ ...announced, pairPath: owed.pairPath }, owed, signal);
  }

  async #firstEntry({ pairPath = '', ...pair }: PresentPair): Promise<HookEntry> {
    const kubeconfig = pairPath === '' ? undefined : await this.#kubeconfigId({ ...pair, pairPath });
    return { pairPath, pending: [], ...(kubeconfig === undefined ? {} : { kubeconfig }) };
  }

  async #kubeconfigId(event: HookEvent): Promise<string | undefined> {
    return await this.#parts.kubeconfigId?.(event);
  }

  /** A process that died between the write of a kubeconfig and the word of it, or a file that was changed while nothing ran. */
  async #lookAtKubeconfig(event: HookEvent, entry: HookEntry, signal: AbortSignal): Promise<void> {
    const kubeconfig = await this.#kubeconfigId(event);
    if (kubeconfig === undefined || kubeconfig === entry.kubeconfig) return;
    if (entry.kubeconfig !== undefined) return this.#want({ ...event, cause: 'kubeconfig' }, signal);
    const { record } = this.#parts;
    const known = new Map([[event.purpose, { ...entry, kubeconfig }]]);
    await this.#orLog('hook record cannot be written', () => record.note(known));
  }

  async #lowerFlags(): Promise<void> {
    for (const flag of (await this.#parts.lowerFlags?.()) ?? [])
      this.#parts.log.log('info', 'Removed a flag that the settings do not name any more', { flag });
  }

  async rotated(event: RotationEvent, signal: AbortSignal): Promise<void> {
    await this.#want(event, signal);
  }

  async announce(event: RotationEvent): Promise<void> {
    const { record, hooks } = this.#parts;
    const pending = hooks.filter((hook) => hook.reasons(event).length > 0).map(({ id }) => id);
    const { purpose, pairPath } = event;
    if (pending.length === 0) return;
    await this.#orLog('hook record cannot be written', () => record.set(purpose, { pairPath, pending }));
  }

  /** Hooks that failed and were not made good yet. */
  problems(): readonly HookProblem[] {
    return [...this.#problems.values()];
  }

  /** Resolves when no attempt is running or waiting for its turn: what `once` waits for before it exits. Waits for no retry. */
  async settled(): Promise<void> {
    while (this.#attempting.size > 0) await Promise.all(this.#attempting);
  }

  /** Resolves when nothing is left in the background; to be called after the signal has aborted. */
  async stopped(): Promise<void> {
    await Promise.all(this.#background);
  }

  async #resume(
    event: HookEvent,
    entry: { pairPath: string; pending: readonly string[] },
    signal: AbortSignal,
  ): Promise<void> {
    if (entry.pairPath !== event.pairPath) {
      const replaced = await this.#parts.datesOf?.(entry.pairPath);
      return this.#want(replaced === undefined ? event : { ...event, replaced }, signal);
    }
    const owed = this.#parts.hooks.filter((hook) => entry.pending.includes(hook.id));
    if (owed.length > 0) this.#launch(event, owed, signal);
  }

  /** In the background: what runs beside certlet may take its time to answer. */
  #lookAtStart(event: HookEvent, owed: readonly string[], signal: AbortSignal): void {
    for (const hook of this.#parts.hooks) {
      if (hook.atStart === undefined || owed.includes(hook.id)) continue;
      const look = hook.atStart.bind(hook);
      this.#launch(event, [hook], signal, async (until) => {
        const reasons = await look(event, until);
        if (reasons.length === 0 || until.aborted) return false;
        const { purpose, pairPath } = event;
        await this.#orLog('hook record cannot be written', () => this.#parts.record.add(purpose, pairPath, hook.id));
        this.#parts.log.log('info', 'Hook wanted', { hook: hook.id, purpose, reasons });
        return true;
      });
    }
  }

  async #want(event: HookEvent, signal: AbortSignal): Promise<void> {
    const wanted = this.#parts.hooks.map((hook) => ({ hook, reasons: hook.reasons(event) }));
    const due = wanted.filter(({ reasons }) => reasons.length > 0);
    if (due.length === 0 && event.cause !== undefined) return;
    if (event.cause === undefined) this.#dropOlder(event, wanted);
    await this.#note(
      event,
      due.map(({ hook }) => hook.id),
    );
    for (const { hook, reasons } of due)
      this.#parts.log.log(this.#wantedLevel(hook, event), 'Hook wanted', {
        hook: hook.id,
        purpose: event.purpose,
        reasons,
      });
    this.#launch(
      event,
      due.map(({ hook }) => hook),
      signal,
    );
  }

  /** What an older event still waits for is pointless where a newer one of the same purpose does not want it. */
  #dropOlder(event: HookEvent, wanted: readonly { readonly hook: Hook; readonly reasons: readonly string[] }[]): void {
    for (const { hook, reasons } of wanted) {
      const running = this.#running.get(keyOf(hook, event));
      if (reasons.length > 0 || running === undefined) continue;
      running.abort();
      this.#problems.delete(keyOf(hook, event));
      this.#parts.log.log('info', 'Hook not wanted any more', { hook: hook.id, purpose: event.purpose });
    }
  }

  #wantedLevel(hook: Hook, event: HookEvent): 'info' | 'debug' {
    const open = hook.undecided?.(event);
    return open === undefined || this.#said.isNews(hook.id, open) ? 'info' : 'debug';
  }

  async #note(event: HookEvent, due: readonly string[]): Promise<void> {
    const { record } = this.#parts;
    const { purpose, pairPath, cause, replaced } = event;
    const before = record.get(purpose);
    const kubeconfig = await this.#kubeconfigId(event);
    const told = kubeconfig === undefined ? {} : { kubeconfig };
    const fresh = { pairPath, pending: [], ...(replaced === undefined ? {} : { replaced: datesOnly(replaced) }) };
    const known: HookEntry = cause !== undefined && before?.pairPath === pairPath ? before : fresh;
    // What is known and owed of the pair stays when only its kubeconfig has changed; that its program was reloaded for it does not.
    const { asked: _asked, ...same } = known;
    const pending = [...new Set([...same.pending, ...due])];
    const entry = { ...same, pending, ...told };
    await this.#orLog('hook record cannot be written', () =>
      pending.length > 0 ? record.want(purpose, entry) : record.note(new Map([[purpose, entry]])),
    );
  }

  /** `first` says whether there is anything to do. */
  #launch(
    event: HookEvent,
    hooks: readonly Hook[],
    signal: AbortSignal,
    first?: (signal: AbortSignal) => Promise<boolean>,
  ): void {
    for (const hook of hooks) {
      const key = keyOf(hook, event);
      // A newer pair makes waiting for the older one's retry pointless.
      this.#running.get(key)?.abort();
      const superseded = new AbortController();
      this.#running.set(key, superseded);
      const until = AbortSignal.any([signal, superseded.signal]);
      const work = this.#attempts(hook, event, until, first).finally(() => {
        if (this.#running.get(key) === superseded) this.#running.delete(key);
        this.#background.delete(work);
      });
      this.#background.add(work);
    }
  }

  async #attempts(
    hook: Hook,
    event: HookEvent,
    signal: AbortSignal,
    first?: (signal: AbortSignal) => Promise<boolean>,
  ): Promise<void> {
    const next = (attempt: number): Promise<Date | undefined> =>
      this.#inTurn(hook, () => this.#attempt(hook, event, attempt, signal));
    const begin = async (): Promise<Date | undefined> =>
      first === undefined || (await this.#lookedFirst(hook, first, signal)) ? next(1) : undefined;
    let retryAt = await this.#counted(begin());
    for (let attempt = 2; retryAt !== undefined; attempt += 1) {
      await this.#parts.clock.sleepUntil(retryAt, signal);
      retryAt = await next(attempt);
    }
  }

  async #lookedFirst(
    hook: Hook,
    look: (signal: AbortSignal) => Promise<boolean>,
    signal: AbortSignal,
  ): Promise<boolean> {
    try {
      return await look(signal);
    } catch (thrown) {
      if (signal.aborted) return false;
      this.#parts.log.log('warn', 'Cannot tell which pair is served', {
        hook: hook.id,
        ...errorFields(asCertletError(thrown)),
      });
      return false;
    }
  }

  /** One attempt; returns when to try again, undefined when there is no need or no use. */
  async #attempt(hook: Hook, event: HookEvent, attempt: number, signal: AbortSignal): Promise<Date | undefined> {
    if (signal.aborted) return undefined;
    const { clock, log, record } = this.#parts;
    const { purpose, pairPath } = event;
    const done = (): Promise<void> =>
      this.#orLog('hook record cannot be written', () => record.strike(purpose, pairPath, hook.id));
    try {
      const end = await hook.run(event, attempt, done, signal);
      if (signal.aborted || end === 'later') return undefined;
      await done();
      this.#problems.delete(keyOf(hook, event));
      const ended = this.#troubles.over(keyOf(hook, event), clock.now());
      log.log('info', 'Hook done', { hook: hook.id, purpose, attempt, after: ended?.after });
      return undefined;
    } catch (thrown) {
      if (signal.aborted) return undefined;
      return this.#failed(hook, event, attempt, asCertletError(thrown));
    }
  }

  /** Notes and tells what went wrong; returns when to try again. */
  #failed(hook: Hook, event: HookEvent, attempt: number, error: CertletError): Date | undefined {
    const { clock, log, retryAfterMs } = this.#parts;
    const { purpose } = event;
    const { message, remedy } = error;
    const pauseMs = retryAfterMs(error, attempt) ?? (hook.lasting?.(event) === true ? LASTING_RETRY_MS : undefined);
    const nextAttempt = pauseMs === undefined ? undefined : new Date(clock.now().getTime() + pauseMs);
    const since = this.#problems.get(keyOf(hook, event))?.since ?? clock.now();
    this.#problems.set(keyOf(hook, event), {
      hook: hook.id,
      purpose,
      message,
      remedy,
      since,
      attempts: attempt,
      nextAttempt,
    });
    const level = this.#troubles.levelOf(keyOf(hook, event), error, {
      at: clock.now(),
      loud: 'warn',
      failures: attempt,
    });
    log.log(level, 'Hook failed', { hook: hook.id, purpose, attempt, ...errorFields(error), nextAttempt });
    return nextAttempt;
  }

  /** `work` never rejects. */
  async #inTurn<T>(hook: Hook, work: () => Promise<T>): Promise<T> {
    return this.#counted(hook.exclusive ? this.#exclusive.run(work) : work());
  }

  async #counted<T>(mine: Promise<T>): Promise<T> {
    this.#attempting.add(mine);
    return mine.finally(() => this.#attempting.delete(mine));
  }

  async #orLog(event: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#troubles.over(event, this.#parts.clock.now());
    } catch (error) {
      const { clock, log } = this.#parts;
      const failure = asCertletError(error);
      log.log(this.#troubles.levelOf(event, failure, { at: clock.now(), loud: 'warn' }), event, errorFields(failure));
    }
  }
}

function keyOf(hook: Hook, { purpose }: HookEvent): string {
  return `${purpose} ${hook.id}`;
}
