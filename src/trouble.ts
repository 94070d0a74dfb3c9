import { spanText } from './timestamp.ts';

const MINUTE_MS = 60_000;

/** From one line about a trouble to the next: five in the first hour. */
const GAPS_MS = [1, 5, 15, 35].map((minutes) => minutes * MINUTE_MS);
/** After those: two in an hour. */
const LAST_GAP_MS = 30 * MINUTE_MS;

/** What a trouble is told by: as `CertletError` has it. */
interface Failure {
  readonly code: string;
  readonly message: string;
}

/**
 * Troubles that one thing is told apart by in a row of failures; all that come after them are one. Whoever makes up the messages (a server, a plugin, a
 * request) fills neither the memory nor the journal.
 */
const MOST_KINDS = 12;
/** So much of a message tells troubles apart: as much as is taken of a server's. */
const TOLD_APART_BY = 1000;

/** How often the same has been told since it began, and when last. */
export interface Told {
  readonly times: number;
  readonly at: Date;
}

/**
 * What makes two failures the same trouble: code and message without the request that met it and without words that hold a digit or are as long as
 * a name that was drawn, since addresses, moments, serials and the names of requests are others at every try.
 */
export function troubleKey({ code, message }: Failure): string {
  const steady = message
    .slice(0, TOLD_APART_BY)
    .replaceAll(/\b(?:DELETE|GET|PATCH|POST|PUT) \S+(?: at \S+)?/g, '')
    .replaceAll(/\S*\d\S*|[\w-]{24,}/g, '#');
  return `${code} ${steady}`;
}

/** Whether a trouble is to be told now: at once, then after 1, 5, 15 and 35 minutes, then half-hourly. A clock that was set does not silence it. */
export function isToldNow(told: Told | undefined, now: Date): boolean {
  if (told === undefined) return true;
  const gapMs = GAPS_MS[told.times - 1] ?? LAST_GAP_MS;
  return Math.abs(now.getTime() - told.at.getTime()) >= gapMs;
}

/** A trouble that is over. */
export interface EndedTrouble {
  readonly since: Date;
  /** How long it was, for people: `23 minutes`. */
  readonly after: string;
  readonly tries: number;
}

/** How one failure is told. */
export interface Telling<Loud extends string> {
  readonly at: Date;
  /** The level of a line that is told; the others go to `debug`. */
  readonly loud: Loud;
  /** Failures in a row of this thing, this one included; 1 begins a new row, whatever was told before. */
  readonly failures?: number;
  /** It only goes along with others: nothing is said of it that one of them has told, and they alone remind of what lasts. */
  readonly echo?: boolean;
}

interface Thing {
  readonly since: Date;
  readonly tries: number;
  readonly echo: boolean;
  readonly keys: ReadonlySet<string>;
}

/**
 * What fails again and again, and how much of it is told. Each thing (a certificate's requests, the proof, a hook) says a trouble once when it
 * meets it; the reminders of one trouble are shared by all things that have it. Owned by whoever makes the tries.
 */
export class Troubles {
  readonly #things = new Map<string, Thing>();
  readonly #told = new Map<string, Told>();

  /** The level of the line about this failure: `loud` now and then, else `debug`. */
  levelOf<Loud extends string>(thing: string, failure: Failure, telling: Telling<Loud>): Loud | 'debug' {
    const { at, loud, echo = false } = telling;
    const key = this.#keyOf(thing, failure, telling);
    const led = echo && [...this.#things.values()].some((other) => !other.echo);
    const isNew = this.#noteFailure(thing, key, telling);
    const told = this.#told.get(key);
    if (!(isNew ? !echo || told === undefined : !led && isToldNow(told, at))) return 'debug';
    // Each line about it is one of those that it may have in an hour, whoever says it.
    this.#told.set(key, { times: (told?.times ?? 0) + 1, at });
    return loud;
  }

  /** By which this failure of this thing is known: its own, or that of all which are too many. */
  #keyOf(thing: string, failure: Failure, { failures }: Telling<string>): string {
    const key = troubleKey(failure);
    const known = failures === 1 ? undefined : this.#things.get(thing)?.keys;
    return known === undefined || known.size < MOST_KINDS || known.has(key) ? key : `others of ${thing}`;
  }

  /** True where this thing has not met this trouble in its present row of failures. */
  #noteFailure(thing: string, key: string, { at, failures, echo = false }: Telling<string>): boolean {
    const { since = at, tries = 0, keys = new Set<string>() } = this.#things.get(thing) ?? {};
    if (failures === 1) this.#letGo(thing);
    const known = failures === 1 ? [] : [...keys];
    this.#things.set(thing, { since, tries: tries + 1, echo, keys: new Set([...known, key]) });
    return !known.includes(key);
  }

  /** How many different troubles are remembered. */
  get size(): number {
    return this.#told.size;
  }

  /** It works. What there is to say of the trouble: nothing where there was none, or where the second try was not needed. */
  over(thing: string, at: Date): EndedTrouble | undefined {
    const ended = this.#things.get(thing);
    this.#letGo(thing);
    if (ended === undefined || ended.tries < 2) return undefined;
    const { since, tries } = ended;
    return { since, after: spanText(at.getTime() - since.getTime()), tries };
  }

  #letGo(thing: string): void {
    this.#things.delete(thing);
    this.#forgetUnheld();
  }

  #forgetUnheld(): void {
    const held = new Set([...this.#things.values()].flatMap(({ keys }) => [...keys]));
    for (const key of this.#told.keys()) if (!held.has(key)) this.#told.delete(key);
  }
}
