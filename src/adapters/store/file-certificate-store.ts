import { dirname, resolve } from 'node:path';
import type { PendingRequest, RequestHistory } from '../../csr/pending.ts';
import { CertletError } from '../../errors.ts';
import { onErrno } from '../file-errors.ts';
import type { CertificateSpec } from '../../csr/spec.ts';
import type { CertificatePair } from '../../pki/certificate.ts';
import type { CertificateStore, StoredPair } from '../../ports.ts';
import { SaidOnce } from '../../said-once.ts';
import type { FileSystem } from '../file-system.ts';
import { madeHere, sweepTemporaries } from '../files.ts';
import { attempted, mapped, type StoreContext, storeContext, type WarningSink } from './store-context.ts';
import { JudgedFolders, type JudgementTerm } from './folders.ts';
import { inspectPairs } from './inspection.ts';
import { acceptPresent, unknownNames } from './ledger.ts';
import { currentPath, linkTarget } from './pair-files.ts';
import { readPair } from './pair-reading.ts';
import { arePlainFilesBehind, type PlainFilesChange, writePlainFiles } from './plain-files.ts';
import { prunePairs } from './pruning.ts';
import {
  readHistoryRecord,
  readPendingRecord,
  removePendingRecord,
  writeHistoryRecord,
  writePendingRecord,
} from './records.ts';
import { pointTo, samePair, settleCurrent, shareWithGroup, swapTo, touchFiles } from './swap.ts';
import { SerialQueue } from '../../serial-queue.ts';

export interface FileStoreOptions {
  readonly stateDir: string;
  /** Older pair files that stay, 2 unless told. */
  readonly keepOldFiles?: number;
  readonly pruneGraceMs: number;
  /** The certificates whose files these are. */
  readonly specs: readonly Pick<CertificateSpec, 'name' | 'files'>[];
  readonly fs: FileSystem;
  readonly onWarning?: WarningSink;
  /** Told when plain files were put right after all: they were behind the pair, or somebody had changed them. `pairPath`: the pair that they now hold. */
  readonly onPlainFilesMended?: ((name: string, pairPath: string) => Promise<void>) | undefined;
  /** Throws for the path of a plain file that is another file of the settings; asked before each write of one. */
  readonly refuseMeeting?: ((path: string) => Promise<void>) | undefined;
  /** The user that may own what is trusted, besides root; the effective user of this process unless told. */
  readonly uid?: number;
  /** How long a judgement of the folders holds; unless told each operation judges them. */
  readonly judgement?: JudgementTerm | undefined;
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
  readonly #contexts: ReadonlyMap<string, StoreContext>;
  readonly #options: FileStoreOptions;
  readonly #turns = new SerialQueue();
  readonly #judged: JudgedFolders;
  /** Folders in which nothing is left of replacements that a kill cut short. */
  readonly #swept = new Set<string>();
  /** Fingerprints of the pairs that watchers have been told of, by certificate. */
  readonly #touchedFor = new Map<string, string>();
  /** What each link named when this process saw it or swapped it last, by certificate; undefined: there was no link. */
  readonly #linksLeft = new Map<string, string | undefined>();

  constructor(options: FileStoreOptions) {
    this.#options = options;
    this.#judged = new JudgedFolders(options.judgement);
    const shared = {
      fs: options.fs,
      stateDir: resolve(options.stateDir),
      uid: options.uid ?? process.geteuid?.() ?? 0,
      warn: options.onWarning ?? (() => undefined),
      said: new SaidOnce(),
      refuseMeeting: options.refuseMeeting,
    };
    this.#contexts = new Map(options.specs.map((spec) => [spec.name, storeContext(spec, shared)]));
  }

  currentPath(name: string): string {
    return currentPath(this.#of(name));
  }

  inspect(name: string): Promise<readonly StoredPair[]> {
    return this.#prepared(name, async (context) => {
      await this.#sweepOnce(context);
      // Before the pairs are read: what is put there meanwhile has not been seen.
      const left = await linkTarget(context, currentPath(context));
      const pairs = await inspectPairs(context);
      const [first] = pairs;
      if (first?.origin === 'current') {
        await attempted(context, first.path, () => shareWithGroup(context, first));
        // A crash may have come between a swap and what follows it.
        await attempted(context, first.path, async () => {
          const change = await this.#afterSwap(context, first.pair, undefined);
          // A kubelet that is given plain files for the first time reads others until it is started with these.
          if (change === 'replaced' || (change === 'made' && context.files.kubelet === undefined))
            await this.#options.onPlainFilesMended?.(name, first.path);
        });
      }
      this.#linksLeft.set(name, left);
      return pairs;
    });
  }

  /** Whether the plain files of a certificate are not those of the pair behind its link; false for one without either. Changes nothing. */
  async arePlainFilesBehind(name: string): Promise<boolean> {
    const context = this.#of(name);
    const { plain } = context.files;
    const pair = plain === undefined ? undefined : await currentPair(context);
    if (plain === undefined || pair === undefined) return false;
    return await mapped(plain.certFile, () => arePlainFilesBehind(context, plain, pair));
  }

  async current(name: string): Promise<CertificatePair | undefined> {
    return currentPair(this.#of(name));
  }

  isLinkAsLeft(name: string): Promise<boolean> {
    return this.#inTurn(name, async (context) => {
      const link = currentPath(context);
      const facts = await context.fs.lstat(link);
      // A pair that somebody put there as a plain file is to be adopted.
      if (facts !== undefined && facts.kind !== 'link') return false;
      return this.#linksLeft.has(name) && this.#linksLeft.get(name) === (await linkTarget(context, link));
    });
  }

  install(name: string, pair: CertificatePair, now: Date): Promise<string> {
    return this.#prepared(name, (context) => this.#install(context, pair, now));
  }

  relink(name: string, stored: StoredPair): Promise<void> {
    return this.#prepared(name, async (context) => {
      if (stored.origin === 'legacy' || dirname(stored.path) !== context.folder) {
        await this.#install(context, stored.pair, new Date());
        return;
      }
      const reading = await readPair(context, [stored.path]);
      if (reading.kind !== 'whole' || !samePair(reading.pair, stored.pair))
        throw new CertletError('ERR_STORE_IO', `${stored.path} is not the pair any more that was found there`);
      await settleCurrent(context);
      const previous = await linkTarget(context, currentPath(context));
      await pointTo(context, stored.path);
      this.#linksLeft.set(name, stored.path);
      await this.#afterSwap(context, stored.pair, previous);
    });
  }

  prune(name: string, now: Date): Promise<readonly string[]> {
    const { keepOldFiles = 2, pruneGraceMs: graceMs } = this.#options;
    return this.#inTurn(name, (context) => prunePairs(context, { keepOldFiles, graceMs, now }));
  }

  foreign(name: string): Promise<readonly string[]> {
    return this.#inTurn(name, async (context) => {
      const names = await unknownNames(context);
      return names.map((each) => resolve(context.folder, each));
    });
  }

  acceptAll(name: string): Promise<void> {
    return this.#prepared(name, acceptPresent);
  }

  readPending(name: string): Promise<PendingRequest | undefined> {
    return this.#prepared(name, readPendingRecord);
  }

  writePending(name: string, record: PendingRequest): Promise<void> {
    return this.#prepared(name, (context) => writePendingRecord(context, record));
  }

  removePending(name: string): Promise<void> {
    return this.#inTurn(name, removePendingRecord);
  }

  readHistory(name: string): Promise<RequestHistory> {
    return this.#prepared(name, readHistoryRecord);
  }

  writeHistory(name: string, history: RequestHistory): Promise<void> {
    return this.#prepared(name, (context) => writeHistoryRecord(context, history));
  }

  #of(name: string): StoreContext {
    const context = this.#contexts.get(name);
    if (context === undefined) throw new RangeError(`no certificate is named ${name}`);
    return context;
  }

  async #install(context: StoreContext, pair: CertificatePair, now: Date): Promise<string> {
    await settleCurrent(context);
    const previous = await linkTarget(context, currentPath(context));
    const current = await currentPair(context);
    const path =
      previous !== undefined && current !== undefined && samePair(current, pair)
        ? await madeDurable(context, previous)
        : await swapTo(context, { pair, at: now });
    this.#linksLeft.set(context.name, path);
    await this.#afterSwap(context, pair, previous);
    return path;
  }

  async #afterSwap(
    context: StoreContext,
    pair: CertificatePair,
    previous: string | undefined,
  ): Promise<PlainFilesChange | undefined> {
    const { name, files } = context;
    // Once for each pair in a process: a kubelet reads the pair again at every touch.
    const { fingerprint } = pair.chain.leaf;
    if (files.touched && this.#touchedFor.get(name) !== fingerprint) {
      await touchFiles(context, previous);
      this.#touchedFor.set(name, fingerprint);
    }
    const { plain } = files;
    // The pair is current already: a plain file that cannot be written is told, and tried again at each look at the disk.
    if (plain === undefined) return 'none';
    return await attempted(context, plain.certFile, () => writePlainFiles(context, plain, pair));
  }

  /**
   * Once for each certificate, before this process has any replacement of its own under way. A process that was killed may have made names that are
   * not durable: they become so before anything is built on them, or a power cut later takes them away from under it.
   */
  async #sweepOnce(context: StoreContext): Promise<void> {
    const { fs, folder, stateDir } = context;
    const unswept = [folder, stateDir].filter((each) => !this.#swept.has(each));
    for (const each of unswept) await attempted(context, each, () => sweepTemporaries(fs, each));
    const unsynced = [...unswept, ...(await plainFolders(context)).filter((each) => !this.#swept.has(each))];
    const ways = await Promise.all(unsynced.map((each) => perhapsMade(fs, each)));
    for (const each of new Set(ways.flat().sort())) await attempted(context, each, () => fs.syncFolder(each));
    for (const each of unsynced) this.#swept.add(each);
  }

  #prepared<T>(name: string, work: (context: StoreContext) => Promise<T>): Promise<T> {
    return this.#inTurn(name, async (context) => {
      await this.#judged.prepare(context);
      try {
        return await work(context);
      } catch (error) {
        this.#judged.forget(context);
        throw error;
      }
    });
  }

  #inTurn<T>(name: string, work: (context: StoreContext) => Promise<T>): Promise<T> {
    const context = this.#of(name);
    return this.#turns.run(() =>
      mapped(context.folder, async () => {
        await this.#options.confirmLock?.();
        return await work(context);
      }),
    );
  }
}

async function currentPair(context: StoreContext): Promise<CertificatePair | undefined> {
  const reading = await readPair(context, [currentPath(context)]);
  return reading.kind === 'whole' ? reading.pair : undefined;
}

/** The folders of the plain files, as far as they are there. */
async function plainFolders({ fs, files: { plain } }: StoreContext): Promise<readonly string[]> {
  const folders = plain === undefined ? [] : [...new Set([dirname(plain.keyFile), dirname(plain.certFile)])];
  const isFolder = (folder: string): Promise<boolean> =>
    // What is wrong with the place is told by the write.
    fs.stat(folder).then(
      (facts) => facts?.kind === 'folder',
      () => false,
    );
  const present = await Promise.all(folders.map(isFolder));
  return folders.filter((_folder, index) => present[index]);
}

/** The swap before may have ended before its sync: killed there, or the disk failed. What follows counts on the link. */
async function madeDurable(context: StoreContext, path: string): Promise<string> {
  await context.fs.syncFolder(context.folder);
  return path;
}

/**
 * A folder, and those above it with names that certlet may have made: whoever makes a folder on the way to another puts nothing else into it, so
 * what has more than one name in it was there before. Left out is what holds nothing but names that this process has made durable.
 */
async function perhapsMade(fs: FileSystem, folder: string): Promise<readonly string[]> {
  const own = (await madeHere(fs, folder)) ? [] : [folder];
  return [...own, ...(await aboveWhatMayBeMade(fs, folder))];
}

async function aboveWhatMayBeMade(fs: FileSystem, folder: string): Promise<readonly string[]> {
  const above = dirname(folder);
  if (above === folder) return [];
  const names = await fs.readdir(above).catch(onErrno<readonly string[]>([]));
  const own = (await madeHere(fs, folder)) ? [] : [above];
  return names.length === 1 ? [...own, ...(await aboveWhatMayBeMade(fs, above))] : own;
}
