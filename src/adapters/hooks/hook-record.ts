import { dirname, join } from 'node:path';
import type { FileSystem } from '../file-system.ts';
import { ensureFolder, readIfPresent, replaceFile, replaceUnhurried } from '../files.ts';
import { MOST_CERTIFICATES } from '../settings-file.ts';
import type { PairInUse } from '../../kubelet/restart-window.ts';
import { SerialQueue } from '../../serial-queue.ts';

/** The pair for which hooks were last wanted, and which of them are still to do. */
export interface HookEntry {
  /** Path of the timestamped file; empty when there was none yet. */
  readonly pairPath: string;
  readonly pending: readonly string[];
  /** The program that serves this pair has been restarted or reloaded for it: once is all that it gets. */
  readonly asked?: boolean;
  /** Tells the kubeconfig that its program was told of from another, where there is a program that is told. */
  readonly kubeconfig?: string | undefined;
  /** The pair that this one has replaced. */
  readonly replaced?: PairInUse;
  /** The restart of the kubelet that waits, for this pair or for one before it. */
  readonly held?: HeldRestart;
}

/** The hook whose turn waits for a window. */
export const RESTART_HOOK = 'restart-kubelet';

/** A restart that waits for its moment. */
export interface HeldRestart {
  /** The pair that it is for. */
  readonly pairPath: string;
  /** Since when it is wanted. */
  readonly since: Date;
  readonly at: Date;
  /** In its window, or before one because the pair in use ends. */
  readonly by: 'window' | 'end';
  /** What the kubelet uses until then. */
  readonly inUse: PairInUse;
  /** The run of the kubelet that waits for its end; undefined where nobody could tell. */
  readonly run?: string;
  /** The window that it was planned for, as `windowText` has it. */
  readonly window: string;
}

const FILE = 'hooks.json';
/** Of one certificate; most need half of it. A record that is larger than all of them is none of ours. */
const ENTRY_BYTES = 512;
const LIMIT_BYTES = MOST_CERTIFICATES * ENTRY_BYTES;

/**
 * `<state>/hooks.json`: what makes a crash between the swap of a pair and its hooks lose nothing. At start the pair behind the link is
 * compared with the pair noted here. Not a secret, not worth a start: an unreadable record counts as none.
 */
export class HookRecord {
  readonly #fs: FileSystem;
  readonly #path: string;
  readonly #confirmLock: (() => Promise<void>) | undefined;
  readonly #entries = new Map<string, HookEntry>();
  /** Path of the pair that is noted for each certificate. */
  #onDisk: ReadonlyMap<string, string> = new Map();
  readonly #writing = new SerialQueue();

  /** `confirmLock`: asked before each write; what it throws keeps the file as it is. */
  constructor(fs: FileSystem, stateDir: string, confirmLock?: () => Promise<void>) {
    this.#fs = fs;
    this.#confirmLock = confirmLock;
    this.#path = join(stateDir, FILE);
  }

  /** Throws `ERR_STORE_IO` when the file is there and cannot be read. */
  async load(): Promise<void> {
    const text = await readIfPresent(this.#fs, this.#path, LIMIT_BYTES);
    const content = text === undefined ? undefined : parsed(text);
    // Of a certificate that is not managed any more, too: it may be again.
    for (const [purpose, value] of Object.entries(content ?? {})) {
      const entry = hookEntry(value);
      if (entry !== undefined) this.#entries.set(purpose, entry);
    }
    this.#onDisk = this.#paths();
  }

  get(purpose: string): HookEntry | undefined {
    return this.#entries.get(purpose);
  }

  /** Durable before it resolves. Throws `ERR_STORE_FULL`, `ERR_STORE_READ_ONLY`, `ERR_STORE_IO`, and what `confirmLock` throws; the entry counts in this process all the same. */
  async set(purpose: string, entry: HookEntry): Promise<void> {
    this.#entries.set(purpose, this.#following(purpose, entry));
    await this.#save(replaceFile);
  }

  /**
   * As `set`, for pairs of which nothing is due. After a power cut the note before may be there: of the pair before, of which nothing else is due,
   * or none, before anything was installed, since the store syncs this folder at its first look.
   */
  async note(entries: ReadonlyMap<string, HookEntry>): Promise<void> {
    for (const [purpose, entry] of entries) this.#entries.set(purpose, this.#following(purpose, entry));
    await this.#save(replaceUnhurried);
  }

  /**
   * What is due for a pair. Written only where nothing, or that pair, is noted on disk: from the note of another one the next start finds the
   * same hooks due. Errors as `set`.
   */
  async want(purpose: string, entry: HookEntry): Promise<void> {
    const noted = this.#onDisk.get(purpose);
    if (noted === undefined || noted === entry.pairPath) return this.set(purpose, entry);
    this.#entries.set(purpose, this.#following(purpose, entry));
  }

  /** A restart that waits goes on waiting, for the pair that is wanted now; of that pair what is known stays known. */
  #following(purpose: string, entry: HookEntry): HookEntry {
    const before = this.#entries.get(purpose);
    if (before === undefined || entry.pending.length === 0) return entry;
    const { held, replaced } = before;
    const same = before.pairPath === entry.pairPath;
    const known = replaced !== undefined && same ? { replaced } : {};
    // Whoever wants it again has seen that the kubelet of now lacks it: another run than the one that was noted is no end of the wait.
    const waits = held === undefined ? {} : { held: held.pairPath === entry.pairPath ? withoutRun(held) : held };
    return { ...known, ...waits, ...entry };
  }

  async #save(replace: typeof replaceUnhurried): Promise<void> {
    const text = `${JSON.stringify(Object.fromEntries(this.#entries))}\n`;
    // One after the other, in the order of the calls: the last one written is the last one wanted.
    const paths = this.#paths();
    await this.#writing.run(async () => {
      await this.#write(text, replace);
      this.#onDisk = paths;
    });
  }

  #paths(): ReadonlyMap<string, string> {
    return new Map([...this.#entries].map(([purpose, { pairPath }]) => [purpose, pairPath]));
  }

  /** At the very first start this comes before the store has made its folder. */
  async #write(text: string, replace: typeof replaceUnhurried): Promise<void> {
    await this.#confirmLock?.();
    await ensureFolder(this.#fs, dirname(this.#path), 0o700);
    await replace(this.#fs, this.#path, text, 0o600);
  }

  /** Strikes one hook off, if it is still for that pair. A power cut may bring it back: hooks run at least once. Errors as `set`. */
  async strike(purpose: string, pairPath: string, id: string): Promise<void> {
    const entry = this.#entries.get(purpose);
    if (entry?.pairPath !== pairPath || !entry.pending.includes(id)) return;
    const pending = entry.pending.filter((other) => other !== id);
    const { held, ...rest } = entry;
    const waits = held !== undefined && id !== RESTART_HOOK;
    this.#entries.set(purpose, { ...rest, pending, ...(waits ? { held } : {}) });
    await this.#save(replaceUnhurried);
  }

  /** Adds one hook to what is due for the pair that is noted already. A power cut may forget it: the next start looks again. Errors as `set`. */
  async add(purpose: string, pairPath: string, id: string): Promise<void> {
    const same = this.#noted(purpose, pairPath);
    if (same.pending.includes(id)) return;
    this.#entries.set(purpose, { ...same, pending: [...same.pending, id] });
    await this.#save(replaceUnhurried);
  }

  /** What is noted for that pair; of another one what is known of the certificate stays, and nothing that is the pair's. */
  #noted(purpose: string, pairPath: string): HookEntry {
    const entry = this.#entries.get(purpose);
    return entry?.pairPath === pairPath ? entry : { ...without(entry), pairPath, pending: [] };
  }

  /** Whether a program has been restarted or reloaded for this pair. */
  isAsked({ purpose, pairPath }: { readonly purpose: string; readonly pairPath: string }): boolean {
    const entry = this.#entries.get(purpose);
    return entry?.pairPath === pairPath && entry.asked === true;
  }

  /** The restart that waits for this certificate, maybe for an earlier pair. */
  held(purpose: string): HeldRestart | undefined {
    return this.#entries.get(purpose)?.held;
  }

  /** The pair that this one has replaced, as far as that was known. */
  replaced({ purpose, pairPath }: { readonly purpose: string; readonly pairPath: string }): PairInUse | undefined {
    const entry = this.#entries.get(purpose);
    return entry?.pairPath === pairPath ? entry.replaced : undefined;
  }

  /** Notes that a restart waits. A power cut may forget it: the kubelet begins anew then, too. Errors as `set`. */
  async hold(
    { purpose, pairPath }: { readonly purpose: string; readonly pairPath: string },
    held: HeldRestart,
  ): Promise<void> {
    const same = this.#noted(purpose, pairPath);
    this.#entries.set(purpose, { ...same, held: { ...held, inUse: datesOnly(held.inUse) } });
    await this.#save(replaceUnhurried);
  }

  /** The restart or reload came to nothing: it is owed again. A power cut may forget it: the program began anew then, too. Errors as `set`. */
  async noteRefused(
    { purpose, pairPath }: { readonly purpose: string; readonly pairPath: string },
    id: string,
  ): Promise<void> {
    const entry = this.#entries.get(purpose);
    if (entry?.pairPath !== pairPath) return;
    const { asked, ...rest } = entry;
    if (asked !== true && entry.pending.includes(id)) return;
    this.#entries.set(purpose, { ...rest, pending: [...new Set([...entry.pending, id])] });
    await this.#save(replaceUnhurried);
  }

  /** Notes that it has been. A power cut may forget it: the program began anew then, too. Errors as `set`. */
  async noteAsked({ purpose, pairPath }: { readonly purpose: string; readonly pairPath: string }): Promise<void> {
    this.#entries.set(purpose, { ...this.#noted(purpose, pairPath), asked: true });
    await this.#save(replaceUnhurried);
  }
}

/** What is kept of a pair: events carry all that is known of it. */
export const datesOnly = ({ notBefore, notAfter, selfSigned }: PairInUse): PairInUse => ({
  notBefore,
  notAfter,
  selfSigned,
});

function withoutRun(held: HeldRestart): HeldRestart {
  const { run: _run, ...rest } = held;
  return rest;
}

/** What is known of a certificate whatever its pair. */
const without = (entry: HookEntry | undefined): Pick<HookEntry, 'kubeconfig'> =>
  entry?.kubeconfig === undefined ? {} : { kubeconfig: entry.kubeconfig };

function parsed(text: string): Partial<Record<string, unknown>> | undefined {
  try {
    const content: unknown = JSON.parse(text);
    return typeof content === 'object' && content !== null ? { ...content } : undefined;
  } catch {
    // Replacement is atomic, so this is a damaged disk; the price is a hook that runs once too often or not at all.
    return undefined;
  }
}

function hookEntry(value: unknown): HookEntry | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { pairPath, pending, asked, replaced, held, kubeconfig }: Readonly<Partial<Record<keyof HookEntry, unknown>>> =
    value;
  if (typeof pairPath !== 'string' || !Array.isArray(pending)) return undefined;
  const owed = pending.filter((id): id is string => typeof id === 'string');
  const before = pairInUse(replaced);
  const waits = heldRestart(held);
  return {
    pairPath,
    pending: owed,
    ...(asked === true && { asked }),
    ...(before !== undefined && { replaced: before }),
    ...(waits !== undefined && { held: waits }),
    ...(typeof kubeconfig === 'string' && { kubeconfig }),
  };
}

/** Undefined for anything else than what `hold` wrote: the restart is planned anew. */
function heldRestart(value: unknown): HeldRestart | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const given: Readonly<Partial<Record<keyof HeldRestart, unknown>>> = value;
  const { pairPath, by, run, window } = given;
  const [since, at, inUse] = [dateOf(given.since), dateOf(given.at), pairInUse(given.inUse)];
  if (since === undefined || at === undefined || inUse === undefined) return undefined;
  if (typeof pairPath !== 'string' || typeof window !== 'string' || (by !== 'window' && by !== 'end')) return undefined;
  return { pairPath, since, at, by, inUse, window, ...(typeof run === 'string' && { run }) };
}

function pairInUse(value: unknown): PairInUse | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const given: Readonly<Partial<Record<keyof PairInUse, unknown>>> = value;
  const [notBefore, notAfter] = [dateOf(given.notBefore), dateOf(given.notAfter)];
  if (notBefore === undefined || notAfter === undefined) return undefined;
  return { notBefore, notAfter, selfSigned: given.selfSigned === true };
}

function dateOf(text: unknown): Date | undefined {
  const date = new Date(typeof text === 'string' ? text : Number.NaN);
  return Number.isNaN(date.getTime()) ? undefined : date;
}
