/** Whatever happens to a node while a restart waits: outside of the window only where what the kubelet uses ends, and never too late. */
import fc from 'fast-check';
import t from 'tap';
import type { HeldRestart } from '../../../src/adapters/hooks/hook-record.ts';
import { RestartHold } from '../../../src/adapters/hooks/restart-hold.ts';
import { windowStarts } from '../../../src/adapters/window-starts.ts';
import { isOpen, latestRestart, type PairInUse, type RestartWindow } from '../../../src/kubelet/restart-window.ts';
import { FakeClock } from '../../fixtures/fakes/clock.ts';
import { FakeLogger } from '../../fixtures/fakes/logger.ts';
import { hookEvent } from './hook-fakes.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** As long as a restart by others may go unseen. */
const SEEN_WITHIN = 5 * MINUTE;

/** A node whose kubelet reads its client certificate at its start alone. */
class Node {
  /** Before both nights in which the clock of Berlin is set. */
  readonly clock = new FakeClock('2030-03-20T00:00:00Z');
  readonly wrong: string[] = [];
  restarts = 0;
  readonly #window: RestartWindow;
  readonly #roll: number;
  #uses: PairInUse = this.#pair(30 * DAY);
  #current = this.#uses;
  #run = 1;
  #startedAt = 0;
  #held: HeldRestart | undefined;
  #wanted: ReturnType<typeof hookEvent> | undefined;
  #names = 0;
  #hold: RestartHold;
  #stop = new AbortController();
  #released = false;

  constructor(window: RestartWindow, roll: number) {
    this.#window = window;
    this.#roll = roll;
    this.#hold = this.#process();
  }

  #pair(lifeMs: number): PairInUse {
    const notBefore = this.clock.now();
    return { notBefore, notAfter: new Date(notBefore.getTime() + lifeMs), selfSigned: false };
  }

  #process(): RestartHold {
    return new RestartHold({
      clock: this.clock,
      log: new FakeLogger(),
      window: this.#window,
      roll: this.#roll,
      kubeletRun: async () => String(this.#run),
      waits: true,
      record: {
        held: () => this.#held,
        replaced: () => undefined,
        hold: async (_event, held) => void (this.#held = held),
      },
    });
  }

  async #wait(event: ReturnType<typeof hookEvent>): Promise<void> {
    const { signal } = this.#stop;
    const end = await this.#hold.until(event, undefined, signal).catch((error: unknown) => {
      if (!signal.aborted) this.wrong.push(String(error));
    });
    if (signal.aborted || end === undefined) return;
    if (end === 'restarted' && this.#held?.run === String(this.#run)) this.wrong.push('no other run of the kubelet');
    if (end === 'due') this.#judge();
    this.#wanted = undefined;
    this.#held = undefined;
  }

  #judge(): void {
    const now = this.clock.now();
    const open = isOpen(now, this.#window, windowStarts(this.#window));
    if (!open && !this.#released && now < latestRestart(this.#uses))
      this.wrong.push(`${now.toISOString()} is in no window, and the pair ends ${this.#uses.notAfter.toISOString()}`);
    this.restarts += 1;
    this.#started();
  }

  #started(): void {
    this.#run += 1;
    this.#startedAt = this.clock.now().getTime();
    this.#uses = this.#current;
  }

  #again(): void {
    this.#stop.abort();
    this.#stop = new AbortController();
    if (this.#wanted !== undefined) void this.#wait(this.#wanted);
  }

  rotate(lifeMs: number): void {
    this.#names += 1;
    this.#wanted = { ...hookEvent(`${String(this.#names)}.pem`), replaced: this.#current };
    this.#current = this.#pair(lifeMs);
    this.#again();
  }

  restartedByOthers(): void {
    this.#started();
  }

  restartCertlet(): void {
    this.#hold = this.#process();
    this.#again();
  }

  async release(): Promise<void> {
    this.#released = true;
    this.#hold.release();
    await this.clock.settle();
    if (this.#wanted !== undefined) this.wrong.push('released, and still waiting');
    this.#released = false;
  }

  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
    await this.clock.settle();
    if (this.#wanted === undefined || this.clock.now() < latestRestart(this.#uses)) return;
    // A kubelet that others have started uses the new pair already, and that is seen within five minutes.
    if (this.#uses === this.#current && this.clock.now().getTime() < this.#startedAt + SEEN_WITHIN) return;
    this.wrong.push(`waits beyond ${latestRestart(this.#uses).toISOString()}`);
  }

  async sleep(ms: number): Promise<void> {
    await this.clock.step(ms);
  }

  end(): void {
    this.#wanted = undefined;
    this.#stop.abort();
  }
}

type Step = readonly ['rotate' | 'pass' | 'sleep', number] | readonly ['others' | 'certlet' | 'release'];

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(fc.constant('rotate' as const), fc.integer({ min: HOUR, max: 60 * DAY })),
  fc.tuple(fc.constant('pass' as const), fc.integer({ min: MINUTE, max: 4 * DAY })),
  fc.tuple(fc.constant('pass' as const), fc.integer({ min: MINUTE, max: 4 * HOUR })),
  fc.tuple(fc.constant('sleep' as const), fc.integer({ min: MINUTE, max: 9 * DAY })),
  fc.tuple(fc.constantFrom('others' as const, 'certlet' as const, 'release' as const)),
);

async function take(node: Node, [what, ms = 0]: Step): Promise<void> {
  switch (what) {
    case 'rotate':
      return node.rotate(ms);
    case 'pass':
      return node.pass(ms);
    case 'sleep':
      return node.sleep(ms);
    case 'others':
      return node.restartedByOthers();
    case 'certlet':
      return node.restartCertlet();
    case 'release':
      return node.release();
  }
}

t.test('never outside of the window unless the pair ends, and never too late for it', async (t) => {
  let restarts = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('30 2 * * *', '0 2 * * 6', '15 23 1 * *'),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      fc.array(step, { minLength: 4, maxLength: 14 }),
      async (start, roll, steps) => {
        const node = new Node({ start, lengthMs: 2 * HOUR, timeZone: 'Europe/Berlin' }, roll);
        for (const each of steps) {
          await take(node, each);
          await node.clock.settle();
        }
        node.end();
        restarts += node.restarts;
        if (node.wrong.length > 0) throw new Error(node.wrong.join('\n'));
      },
    ),
    {
      numRuns: 150,
      examples: [
        // Restarted by others a few minutes before the new pair, of an hour, would have to be replaced in its turn.
        [
          '30 2 * * *',
          0,
          [
            ['rotate', HOUR],
            ['pass', 47 * MINUTE - 19],
            ['certlet'],
            ['others'],
            ['pass', MINUTE + 19],
            ['sleep', MINUTE],
            ['pass', MINUTE],
          ],
        ],
      ],
    },
  );
  t.comment(`figure ${String(restarts)} restarts`);
  t.ok(restarts > 20, 'or it has shown nothing');
});
