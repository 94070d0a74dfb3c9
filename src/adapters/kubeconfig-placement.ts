import type { Remedy } from '../remedy.ts';
import { dirname } from 'node:path';
import { errnoOf, fileError } from './file-errors.ts';
import type { FileSystem } from './file-system.ts';
import { readIfPresent, replaceFile } from './files.ts';
import { placeFile } from './mounted-file.ts';

/** Kubeconfigs are some kilobytes. */
const MAX_BYTES = 1024 * 1024;
/** Two of them, written down as JSON and base64. */
const MAX_RECORD_BYTES = 4 * MAX_BYTES;

interface PlacementOptions {
  readonly fs: FileSystem;
  readonly recordPath?: string;
  readonly onWarning?: (event: string, fields: { readonly file: string; readonly remedy: Remedy }) => void;
}

interface Noted {
  readonly path: string;
  /** What was to be written. */
  readonly text: string;
  /** What the file held until then, in base64: text of whoever wrote it. */
  readonly before: string;
  readonly secret: boolean;
}

/**
 * Puts the node's kubeconfig where it belongs. Where it is a mount point of its own it can only be written in place, and a kill in the middle leaves
 * half of it: what was to be written is noted before, in a record that goes when it is done, and made up for at the next look.
 */
export class KubeconfigPlacement {
  readonly #options: PlacementOptions;
  readonly #path: string;
  #told = false;

  constructor(options: PlacementOptions, path: string) {
    this.#options = options;
    this.#path = path;
  }

  /** Throws what `placeFile` throws. */
  async write(text: string, secret: boolean): Promise<void> {
    const { fs } = this.#options;
    await placeFile(fs, this.#path, text, {
      mode: 0o600,
      secret,
      beforeInPlace: async () => {
        this.#tell();
        const before = (await this.#held()).toString('base64');
        await this.#note({ path: this.#path, text, before, secret });
      },
    });
    await this.#forget();
  }

  /**
   * Finishes a write in place that a crash cut short; resolves to whether there was one. What somebody else has put there since stays. Throws
   * what `placeFile` throws.
   */
  async finish(): Promise<boolean> {
    const noted = await this.#noted();
    if (noted === undefined) return false;
    const [before, text] = [Buffer.from(noted.before, 'base64'), Buffer.from(noted.text)];
    const cut = noted.path === this.#path && isCutShort(await this.#held(), before, text);
    if (cut) await this.write(noted.text, noted.secret);
    else await this.#forget();
    return cut;
  }

  async #held(): Promise<Buffer> {
    try {
      return Buffer.from(await this.#options.fs.read(this.#path, MAX_BYTES));
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return Buffer.alloc(0);
      throw fileError(error, this.#path);
    }
  }

  #tell(): void {
    if (this.#told) return;
    this.#told = true;
    this.#options.onWarning?.('The kubeconfig is a mount point of its own: written in place, which is not atomic', {
      file: this.#path,
      remedy: '# Mount its folder in its place.',
    });
  }

  async #note(noted: Noted): Promise<void> {
    const { fs, recordPath } = this.#options;
    if (recordPath !== undefined) await replaceFile(fs, recordPath, `${JSON.stringify(noted)}\n`, 0o600);
  }

  async #noted(): Promise<Noted | undefined> {
    const { fs, recordPath } = this.#options;
    const text = recordPath === undefined ? undefined : await readIfPresent(fs, recordPath, MAX_RECORD_BYTES);
    if (text === undefined) return undefined;
    // Replaced as a whole, in a folder that is ours alone: what is no such record was put there by hand, and is nothing to write from.
    const value = parsed(text);
    if (isNoted(value)) return value;
    await this.#forget();
    return undefined;
  }

  async #forget(): Promise<void> {
    const { fs, recordPath } = this.#options;
    if (recordPath === undefined) return;
    try {
      if ((await fs.lstat(recordPath)) === undefined) return;
      await fs.unlink(recordPath);
      await fs.syncFolder(dirname(recordPath));
    } catch (error) {
      throw fileError(error, recordPath);
    }
  }
}

/**
 * Whether `now` is what a write of `text` over `before` can have left that was cut short: each byte of the one or the other, in whatever order the
 * disk took them, or zero where it took none; and neither of the two whole.
 */
function isCutShort(now: Buffer, before: Buffer, text: Buffer): boolean {
  if (now.equals(before) || now.equals(text) || now.length > Math.max(before.length, text.length)) return false;
  return now.every((byte, at) => byte === text[at] || byte === before[at] || byte === 0);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isNoted = (value: unknown): value is Noted =>
  typeof value === 'object' &&
  value !== null &&
  typeof Reflect.get(value, 'path') === 'string' &&
  typeof Reflect.get(value, 'text') === 'string' &&
  typeof Reflect.get(value, 'before') === 'string' &&
  typeof Reflect.get(value, 'secret') === 'boolean';
