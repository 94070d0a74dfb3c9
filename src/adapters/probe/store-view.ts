import { resolve } from 'node:path';
import { decodeHistory, decodePending, type PendingRequest, type RequestHistory } from '../../csr/pending.ts';
import type { CertificateSpec, PlainFiles } from '../../csr/spec.ts';
import { type CertletError, isCertletError } from '../../errors.ts';
import { SaidOnce } from '../../said-once.ts';
import { errnoOf } from '../file-errors.ts';
import type { FileFacts, FileSystem } from '../file-system.ts';
import { readIfPresent } from '../files.ts';
import { FILE_LIMIT_BYTES, type StoreContext, storeContext } from '../store/store-context.ts';
import { unknownNames } from '../store/ledger.ts';
import { currentPath, linkTarget, listPairFiles } from '../store/pair-files.ts';
import { arePlainFilesBehind } from '../store/plain-files.ts';
import { type PairReading, readPair } from '../store/pair-reading.ts';
import { recordPath } from '../store/records.ts';
import { readOnly } from './read-only-file-system.ts';

/** The pair behind `-current.pem` as it lies on the disk. */
export interface PairView {
  readonly link: string;
  readonly linkKind: FileFacts['kind'] | 'absent';
  /** The file behind the link. */
  readonly file: string | undefined;
  readonly reading: PairReading;
  /** Timestamped files of the same certificate, the current one included. */
  readonly files: readonly string[];
  /** The plain files where they are not those of this pair. Absent too where there is nothing to compare, or it may not be read. */
  readonly plainBehind?: PlainFiles | undefined;
}

/** A record of the state folder: what it says, or why it cannot be read. */
export type RecordView<T> =
  | { readonly kind: 'read'; readonly value: T }
  | { readonly kind: 'absent' }
  | {
      readonly kind: 'unreadable' | 'broken';
      readonly path: string;
      readonly reason: string;
      readonly error: CertletError;
    };

/** The cert-dir and the state folder, to look at only. Nothing rejects for what is on the disk. */
export interface StoreView {
  pair(name: string): Promise<PairView>;
  pending(name: string): Promise<RecordView<PendingRequest>>;
  history(name: string): Promise<RecordView<RequestHistory>>;
  /** Files under the prefix of this certificate that certlet did not write; empty where its own list cannot be read. */
  foreign(name: string): Promise<readonly string[]>;
}

/** Where to look: the cert-dir of the kubelet, the state folder, and the certificates. */
export interface ViewedStore {
  readonly certDir: string;
  readonly stateDir: string;
  readonly specs: readonly Pick<CertificateSpec, 'name' | 'files'>[];
}

/** Looks at a store without the right to change it, through the eyes of the service's user where root looks. */
export function viewStore(viewed: ViewedStore, fs: FileSystem, uid: number): StoreView {
  const seen = { fs: readOnly(fs), certDir: resolve(viewed.certDir), stateDir: resolve(viewed.stateDir) };
  const contextOf = async (name: string): Promise<StoreContext> => {
    const spec = viewed.specs.find((each) => each.name === name);
    if (spec === undefined) throw new RangeError(`no certificate is named ${name}`);
    const owner = await serviceUser(seen.fs, seen, uid);
    return storeContext(spec, { ...seen, uid: owner, warn: () => undefined, said: new SaidOnce() });
  };
  return {
    pair: async (name) => viewPair(await contextOf(name)),
    pending: async (name) => {
      const context = await contextOf(name);
      return viewRecord(context, recordPath(context, 'pending'), decodePending);
    },
    history: async (name) => {
      const context = await contextOf(name);
      return viewRecord(context, recordPath(context, 'history'), decodeHistory);
    },
    foreign: async (name) => {
      const context = await contextOf(name);
      const names = await orElse([], () => unknownNames(context));
      return names.map((each) => resolve(context.folder, each));
    },
  };
}

const ROOT = 0;

/**
 * Who owns both folders runs the service, with a user of its own perhaps: what that user trusts, root must not call wrong. One of the two alone,
 * or a link, may have been planted. Others than root see with their own eyes.
 */
export async function serviceUser(
  fs: FileSystem,
  folders: { readonly certDir: string; readonly stateDir: string },
  uid: number,
): Promise<number> {
  if (uid !== ROOT) return uid;
  const ownerOf = async (path: string): Promise<number | undefined> => {
    const facts = await orElse(undefined, () => fs.lstat(path));
    return facts?.kind === 'folder' ? facts.uid : undefined;
  };
  const owner = await ownerOf(folders.stateDir);
  return owner !== undefined && owner === (await ownerOf(folders.certDir)) ? owner : uid;
}

async function viewPair(context: StoreContext): Promise<PairView> {
  const link = currentPath(context);
  const facts = await orElse(undefined, () => context.fs.lstat(link));
  const reading = await readPair(context, [link]);
  return {
    link,
    linkKind: facts?.kind ?? 'absent',
    file: await orElse(undefined, () => linkTarget(context, link)),
    reading,
    files: await orElse([], () => listPairFiles(context)),
    plainBehind: await plainBehind(context, reading),
  };
}

async function plainBehind(context: StoreContext, reading: PairReading): Promise<PlainFiles | undefined> {
  const { plain } = context.files;
  if (plain === undefined || reading.kind !== 'whole') return undefined;
  try {
    return (await arePlainFilesBehind(context, plain, reading.pair)) ? plain : undefined;
  } catch (error) {
    if (!isCertletError(error) && errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

async function viewRecord<T>(context: StoreContext, path: string, decode: (text: string) => T): Promise<RecordView<T>> {
  let text: string | undefined;
  try {
    text = await readIfPresent(context.fs, path, FILE_LIMIT_BYTES);
  } catch (error) {
    if (!isCertletError(error)) throw error;
    return { kind: 'unreadable', path, reason: error.message, error };
  }
  if (text === undefined) return { kind: 'absent' };
  try {
    return { kind: 'read', value: decode(text) };
  } catch (error) {
    if (!isCertletError(error)) throw error;
    return { kind: 'broken', path, reason: error.message, error };
  }
}

/** What the disk refuses is told by the reading of the pair; here it only means that there is nothing to tell. */
async function orElse<T>(fallback: T, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return fallback;
  }
}
