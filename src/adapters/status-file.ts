import { dirname, join } from 'node:path';
import { asCertletError, type CertletError } from '../errors.ts';
import type { Clock } from '../ports.ts';
import type { FileSystem } from './file-system.ts';
import { ensureFolder } from './files.ts';
import { placeFile } from './mounted-file.ts';
import { MOST_CERTIFICATES } from './settings-file.ts';

/** Where the status document lies in the runtime folder. */
export const statusFilePath = (runtimeDir: string): string => join(runtimeDir, 'status.json');

/** What one certificate takes in the document, with its names and its last error. */
const CERTIFICATE_BYTES = 2048;
/** Above any document, in the file and in an answer of the socket. */
export const STATUS_LIMIT_BYTES = MOST_CERTIFICATES * CERTIFICATE_BYTES;

/** In the runtime folder, beside the cert-dir's lock, which may be out of reach: who holds this one publishes, so that no second certlet overwrites what the first one tells. */
export const PUBLISHER_LOCK = '.publisher.lock';

/** What the file should hold: `text` is asked for when it is written; texts with the same `mark` need no writing. */
export interface Publication {
  readonly mark: string;
  readonly text: () => string;
}

export interface PublishedFileOptions {
  readonly fs: FileSystem;
  readonly clock: Clock;
  readonly path: string;
  /** The least between two writes. */
  readonly spacingMs: number;
  /** Called when writing fails after it last succeeded; once, not at each try. */
  readonly onError: (error: CertletError) => void;
  /** Called once where the file is a mount point of its own and so is written in place: a reader may find half of it. */
  readonly onInPlace?: () => void;
}

/**
 * A file that everyone may read (0644, in a folder made 0755 where it is missing) and that follows what is published: replaced atomically, only
 * when the mark changed, not more often than the spacing allows. It wakes the process only to write a change that came too soon after the last.
 */
export class PublishedFile {
  readonly #options: PublishedFileOptions;
  readonly #ended = new AbortController();
  #wanted: Publication | undefined;
  #writtenMark: string | undefined;
  #writtenAt: Date | undefined;
  #writing: Promise<void> | undefined;
  #failed = false;
  #toldInPlace = false;

  constructor(options: PublishedFileOptions) {
    this.#options = options;
  }

  publish(publication: Publication): void {
    this.#wanted = publication;
    if (this.#ended.signal.aborted) return;
    if (this.#writing === undefined && publication.mark !== this.#writtenMark) this.#writing = this.#follow();
  }

  /** Writes what is still to be written, then stops. */
  async close(): Promise<void> {
    this.#ended.abort();
    await this.#writing;
    await this.#write();
  }

  async #follow(): Promise<void> {
    const { clock, spacingMs } = this.#options;
    while (!this.#ended.signal.aborted && this.#wanted?.mark !== this.#writtenMark) {
      const now = clock.now();
      const next = new Date((this.#writtenAt?.getTime() ?? Number.NEGATIVE_INFINITY) + spacingMs);
      // A clock that was set back must not hold it up.
      if (this.#writtenAt !== undefined && this.#writtenAt <= now && next > now) {
        await clock.sleepUntil(next, this.#ended.signal);
      }
      if (!(await this.#write())) break;
    }
    this.#writing = undefined;
  }

  #tellInPlace(): void {
    if (!this.#toldInPlace) this.#options.onInPlace?.();
    this.#toldInPlace = true;
  }

  /** False when it failed: the next publication tries again. */
  async #write(): Promise<boolean> {
    const { fs, path, clock, onError } = this.#options;
    const wanted = this.#wanted;
    if (wanted === undefined || wanted.mark === this.#writtenMark) return true;
    this.#writtenAt = clock.now();
    try {
      await ensureFolder(fs, dirname(path), 0o755);
      await placeFile(fs, path, wanted.text(), {
        mode: 0o644,
        secret: false,
        volatile: await fs.isVolatile(dirname(path)),
        beforeInPlace: () => this.#tellInPlace(),
      });
      this.#writtenMark = wanted.mark;
      this.#failed = false;
      return true;
    } catch (thrown) {
      if (!this.#failed) onError(asCertletError(thrown));
      this.#failed = true;
      return false;
    }
  }
}
