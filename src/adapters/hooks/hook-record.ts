import { dirname, join } from 'node:path';
import type { FileSystem } from '../file-system.ts';
import { ensureFolder, readIfPresent, replaceFile } from '../files.ts';
import { SerialQueue } from '../../serial-queue.ts';

/** The pair for which hooks were last wanted, and which of them are still to do. */
export interface HookEntry {
  /** Path of the timestamped file; empty when there was none yet. */
  readonly pairPath: string;
  readonly pending: readonly string[];
}

const FILE = 'hooks.json';
const LIMIT_BYTES = 64 * 1024;

/**
 * `<state>/hooks.json`: what makes a crash between the swap of a pair and its hooks lose nothing. At start the pair behind the link is
 * compared with the pair noted here. Not a secret, not worth a start: an unreadable record counts as none.
 */
export class HookRecord {
  readonly #fs: FileSystem;
  readonly #path: string;
  readonly #confirmLock: (() => Promise<void>) | undefined;
  readonly #entries = new Map<string, HookEntry>();
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
  }

  get(purpose: string): HookEntry | undefined {
    return this.#entries.get(purpose);
  }

  /** Durable before it resolves. Throws `ERR_STORE_FULL`, `ERR_STORE_READ_ONLY`, `ERR_STORE_IO`, and what `confirmLock` throws; the entry counts in this process all the same. */
  async set(purpose: string, entry: HookEntry): Promise<void> {
    this.#entries.set(purpose, entry);
    const text = `${JSON.stringify(Object.fromEntries(this.#entries))}\n`;
    // One after the other, in the order of the calls: the last one written is the last one wanted.
    await this.#writing.run(() => this.#write(text));
  }

  /** At the very first start this comes before the store has made its folder. */
  async #write(text: string): Promise<void> {
    await this.#confirmLock?.();
    await ensureFolder(this.#fs, dirname(this.#path), 0o700);
    await replaceFile(this.#fs, this.#path, text, 0o600);
  }

  /** Strikes one hook off, if it is still for that pair. Errors as `set`. */
  async strike(purpose: string, pairPath: string, id: string): Promise<void> {
    const entry = this.#entries.get(purpose);
    if (entry?.pairPath !== pairPath || !entry.pending.includes(id)) return;
    await this.set(purpose, { pairPath, pending: entry.pending.filter((other) => other !== id) });
  }
}

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
  const { pairPath, pending }: { pairPath?: unknown; pending?: unknown } = value;
  if (typeof pairPath !== 'string' || !Array.isArray(pending)) return undefined;
  return { pairPath, pending: pending.filter((id): id is string => typeof id === 'string') };
}
