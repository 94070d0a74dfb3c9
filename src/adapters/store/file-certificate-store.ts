import { dirname, resolve } from 'node:path';
import type { PendingRequest, RequestHistory } from '../../csr/pending.ts';
import type { Purpose } from '../../csr/template.ts';
import { CertletError } from '../../errors.ts';
import type { CertificatePair } from '../../pki/certificate.ts';
import type { CertificateStore, StoredPair, StoreInspection } from '../../ports.ts';
import { SaidOnce } from '../../said-once.ts';
import type { FileSystem } from '../file-system.ts';
import { sweepTemporaries } from '../files.ts';
import { attempted, mapped, type StoreContext, type WarningSink } from './context.ts';
import { prepareFolders } from './folders.ts';
import { inspectPairs } from './inspection.ts';
import { acceptPresent, unknownNames } from './ledger.ts';
import { currentPath, linkTarget } from './pair-files.ts';
import { readPair } from './pair-reading.ts';
import { type PlainPaths, writePlainFiles } from './plain-files.ts';
import { prunePairs } from './pruning.ts';
import {
  readHistoryRecord,
  readPendingRecord,
  removePendingRecord,
  writeHistoryRecord,
  writePendingRecord,
} from './records.ts';
import { pointTo, samePair, settleCurrent, swapTo, touchServingFiles } from './swap.ts';

export interface FileStoreOptions {
  readonly certDir: string;
  readonly stateDir: string;
  /** Older pair files that stay, 2 unless told. */
  readonly keepOldFiles?: number;
  readonly pruneGraceMs: number;
  /** Where the pair is kept as two files, too. */
  readonly plainFiles?: { readonly client?: PlainPaths; readonly serving?: PlainPaths };
  readonly fs: FileSystem;
  readonly onWarning?: WarningSink;
  /** The user that may own what is trusted, besides root; the effective user of this process unless told. */
  readonly uid?: number;
  /** Asked before whatever reads or changes files in turn; what it throws keeps that from being done. */
  readonly confirmLock?: (() => Promise<void>) | undefined;
}

/**
 * The cert-dir and the state folder on disk. At every instant, also after a kill or a power cut, `-current.pem` is absent (before
 * the first pair only) or names one whole, matching pair. Methods that change something run one after the other; other processes
 * are kept out by the lock. All throw `ERR_STORE_IO`, `ERR_STORE_FULL`, `ERR_STORE_READ_ONLY`, `ERR_STORE_UNSAFE` for folders
 * in which others could plant files, and what `confirmLock` throws.
 */
export class FileCertificateStore implements CertificateStore {
  readonly #context: StoreContext;
  readonly #options: FileStoreOptions;
  #last: Promise<unknown> = Promise.resolve();
  #swept = false;
  /** Fingerprint of the serving pair that watchers have been told of. */
  #touchedFor = '';

  constructor(options: FileStoreOptions) {
    this.#options = options;
    this.#context = {
      fs: options.fs,
      certDir: resolve(options.certDir),
      stateDir: resolve(options.stateDir),
      uid: options.uid ?? process.geteuid?.() ?? 0,
      warn: options.onWarning ?? (() => undefined),
      said: new SaidOnce(),
    };
  }

  currentPath(purpose: Purpose): string {
    return currentPath(this.#context, purpose);
  }

  inspect(purpose: Purpose): Promise<StoreInspection> {
    return this.#inTurn(async () => {
      await prepareFolders(this.#context);
      await this.#sweepOnce();
      const inspection = await inspectPairs(this.#context, purpose);
      const [first] = inspection.pairs;
      // A crash may have come between a swap and what follows it.
      if (first?.origin === 'current')
        await attempted(this.#context, first.path, () => this.#afterSwap(purpose, first.pair, undefined));
      return inspection;
    });
  }

  async current(purpose: Purpose): Promise<CertificatePair | undefined> {
    const reading = await readPair(this.#context, [this.currentPath(purpose)]);
    return reading.kind === 'whole' ? reading.pair : undefined;
  }

  install(purpose: Purpose, pair: CertificatePair, now: Date): Promise<string> {
    return this.#inTurn(async () => {
      await prepareFolders(this.#context);
      return await this.#install(purpose, pair, now);
    });
  }

  relink(purpose: Purpose, stored: StoredPair): Promise<void> {
    return this.#inTurn(async () => {
      await prepareFolders(this.#context);
      if (stored.origin === 'legacy' || dirname(stored.path) !== this.#context.certDir) {
        await this.#install(purpose, stored.pair, new Date());
        return;
      }
      const reading = await readPair(this.#context, [stored.path]);
      if (reading.kind !== 'whole' || !samePair(reading.pair, stored.pair))
        throw new CertletError('ERR_STORE_IO', `${stored.path} is not the pair any more that was found there`);
      await settleCurrent(this.#context, purpose);
      const previous = await linkTarget(this.#context, this.currentPath(purpose));
      await pointTo(this.#context, purpose, stored.path);
      await this.#afterSwap(purpose, stored.pair, previous);
    });
  }

  prune(purpose: Purpose, now: Date): Promise<readonly string[]> {
    const { keepOldFiles = 2, pruneGraceMs: graceMs } = this.#options;
    return this.#inTurn(() => prunePairs(this.#context, purpose, { keepOldFiles, graceMs, now }));
  }

  foreign(purpose: Purpose): Promise<readonly string[]> {
    return this.#inTurn(async () => {
      const names = await unknownNames(this.#context, purpose);
      return names.map((name) => resolve(this.#context.certDir, name));
    });
  }

  acceptAll(purpose: Purpose): Promise<void> {
    return this.#inTurn(async () => {
      await prepareFolders(this.#context);
      await acceptPresent(this.#context, purpose);
    });
  }

  readPending(purpose: Purpose): Promise<PendingRequest | undefined> {
    return this.#inTurn(async () => {
      await prepareFolders(this.#context);
      return await readPendingRecord(this.#context, purpose);
    });
  }

  writePending(purpose: Purpose, record: PendingRequest): Promise<void> {
    return this.#inTurn(async () => {
      await prepareFolders(this.#context);
      await writePendingRecord(this.#context, purpose, record);
    });
  }

  removePending(purpose: Purpose): Promise<void> {
    return this.#inTurn(() => removePendingRecord(this.#context, purpose));
  }

  readHistory(purpose: Purpose): Promise<RequestHistory> {
    return this.#inTurn(async () => {
      await prepareFolders(this.#context);
      return await readHistoryRecord(this.#context, purpose);
    });
  }

  writeHistory(purpose: Purpose, history: RequestHistory): Promise<void> {
    return this.#inTurn(async () => {
      await prepareFolders(this.#context);
      await writeHistoryRecord(this.#context, purpose, history);
    });
  }

  async #install(purpose: Purpose, pair: CertificatePair, now: Date): Promise<string> {
    await settleCurrent(this.#context, purpose);
    const link = this.currentPath(purpose);
    const previous = await linkTarget(this.#context, link);
    const current = await this.current(purpose);
    const path =
      previous !== undefined && current !== undefined && samePair(current, pair)
        ? await this.#settled(previous)
        : await swapTo(this.#context, purpose, { pair, at: now });
    await this.#afterSwap(purpose, pair, previous);
    return path;
  }

  /** The swap before may have ended before its sync: killed there, or the disk failed. What follows counts on the link. */
  async #settled(path: string): Promise<string> {
    await this.#context.fs.syncFolder(this.#context.certDir);
    return path;
  }

  async #afterSwap(purpose: Purpose, pair: CertificatePair, previous: string | undefined): Promise<void> {
    // Once for each pair in a process: a kubelet reads the pair again at every touch.
    const { fingerprint } = pair.chain.leaf;
    if (purpose === 'serving' && this.#touchedFor !== fingerprint) {
      await touchServingFiles(this.#context, previous);
      this.#touchedFor = fingerprint;
    }
    const paths = this.#options.plainFiles?.[purpose];
    // The pair is current already: a plain file that cannot be written is told, and tried again at each look at the disk.
    if (paths !== undefined)
      await attempted(this.#context, paths.certFile, () => writePlainFiles(this.#context, paths, pair));
  }

  /**
   * Once, before this process has any replacement of its own under way. A process that was killed may have made names that are not durable:
   * they become so before anything is built on them, or a power cut later takes them away from under it.
   */
  async #sweepOnce(): Promise<void> {
    if (this.#swept) return;
    const { fs, certDir, stateDir } = this.#context;
    for (const folder of [certDir, stateDir])
      await attempted(this.#context, folder, () => sweepTemporaries(fs, folder));
    for (const folder of new Set([...withAncestors(certDir), ...withAncestors(stateDir)]))
      await attempted(this.#context, folder, () => fs.syncFolder(folder));
    this.#swept = true;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(() =>
      mapped(this.#context.certDir, async () => {
        await this.#options.confirmLock?.();
        return await work();
      }),
    );
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

/** An absolute path and every folder above it, the root first. */
function withAncestors(path: string): readonly string[] {
  const above = dirname(path);
  return above === path ? [path] : [...withAncestors(above), path];
}
