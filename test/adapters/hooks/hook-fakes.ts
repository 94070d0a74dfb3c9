import { Proof } from '../../../src/adapters/hooks/proof.ts';
import { ServedPairs, type ServedPairsParts } from '../../../src/adapters/hooks/served-pairs.ts';
import { KUBELET_CLIENT_AFTER } from '../../../src/csr/spec.ts';
import { CertletError } from '../../../src/errors.ts';
import type { Hook, HookEvent } from '../../../src/adapters/hooks/hook.ts';
import type { Clock, LogFields, Logger, LogLevel, Observer } from '../../../src/ports.ts';

/** Time passes only when the test says so. */
export class ManualClock implements Clock {
  #nowMs = Date.parse('2030-01-01T00:00:00Z');
  readonly #sleepers = new Set<{ readonly untilMs: number; readonly wake: () => void }>();

  now(): Date {
    return new Date(this.#nowMs);
  }

  async sleepUntil(deadline: Date, signal: AbortSignal): Promise<void> {
    if (signal.aborted || deadline.getTime() <= this.#nowMs) return;
    await new Promise<void>((resolve) => {
      const sleeper = { untilMs: deadline.getTime(), wake: resolve };
      this.#sleepers.add(sleeper);
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  /** How long until the next sleeper wants to wake, in milliseconds; waits until somebody sleeps. */
  async nextSleep(): Promise<number> {
    await this.sleeping(1);
    return Math.min(...[...this.#sleepers].map(({ untilMs }) => untilMs)) - this.#nowMs;
  }

  /** Resolves when so many sleep. */
  async sleeping(count: number): Promise<void> {
    while (this.#sleepers.size < count) await new Promise(setImmediate);
  }

  /** The same, at once; undefined when nobody sleeps. */
  get untilNextMs(): number | undefined {
    const next = Math.min(...[...this.#sleepers].map(({ untilMs }) => untilMs));
    return Number.isFinite(next) ? next - this.#nowMs : undefined;
  }

  /** Sleepers look at the clock, which was set back. */
  wakeAll(): void {
    for (const sleeper of this.#sleepers) sleeper.wake();
    this.#sleepers.clear();
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    for (const sleeper of this.#sleepers) {
      if (sleeper.untilMs > this.#nowMs) continue;
      this.#sleepers.delete(sleeper);
      sleeper.wake();
    }
  }

  async passSleep(): Promise<number> {
    const ms = await this.nextSleep();
    this.advance(ms);
    return ms;
  }
}

export class RecordingLogger implements Logger {
  readonly lines: { readonly level: LogLevel; readonly event: string; readonly fields: LogFields }[] = [];

  log(level: LogLevel, event: string, fields: LogFields = {}): void {
    this.lines.push({ level, event, fields });
  }

  events(): readonly string[] {
    return this.lines.map(({ event }) => event);
  }
}

/** A hook that fails as often as it is told to, and that can be held open. */
export class ScriptedHook implements Hook {
  readonly id: string;
  readonly exclusive: boolean;
  readonly attempts: HookEvent[] = [];
  failures = 0;
  wanted = true;
  #hold: Promise<void> = Promise.resolve();
  #release: () => void = () => undefined;

  constructor(id: string, exclusive = true) {
    this.id = id;
    this.exclusive = exclusive;
  }

  reasons(): readonly string[] {
    return this.wanted ? ['the test wants it'] : [];
  }

  hold(): void {
    this.#hold = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  release(): void {
    this.#release();
  }

  async run(event: HookEvent, _attempt: number, _done: () => Promise<void>, signal: AbortSignal): Promise<void> {
    this.attempts.push(event);
    await Promise.race([
      this.#hold,
      new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true })),
    ]);
    if (this.failures === 0) return;
    this.failures -= 1;
    throw new CertletError('ERR_HOOK', `${this.id} failed`, { remedy: '# Mend it.' });
  }
}

export function hookEvent(pair = 'kubelet-client-2030-01-01-00-00-00.pem', purpose = 'client'): HookEvent {
  return {
    purpose,
    after: KUBELET_CLIENT_AFTER,
    currentPath: `/var/lib/kubelet/pki/kubelet-${purpose}-current.pem`,
    pairPath: `/var/lib/kubelet/pki/${pair}`,
    kubeconfigPath: '/etc/kubernetes/kubelet.conf',
    kubeletVersion: 'v1.20.2',
  };
}

/** Looks at a kubelet on port 10250 that is not there, unless `parts` say otherwise. */
export function proofOf(
  clock: Clock,
  log: Logger,
  { observer, ...parts }: Partial<ServedPairsParts> & { readonly observer?: Observer } = {},
): Proof {
  const pairs = new ServedPairs({
    clock,
    current: async () => undefined,
    endpoint: () => ({ addresses: ['127.0.0.1'], port: 10_250 }),
    look: async () => [{ kind: 'absent' }],
    kubeletWithinMs: 90_000,
    ...parts,
  });
  return new Proof(pairs, { log, clock, observer });
}
