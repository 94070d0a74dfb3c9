import { resolve } from 'node:path';
import type { CertificateFiles, CertificateSpec } from '../../csr/spec.ts';
import { isCertletError } from '../../errors.ts';
import type { SaidOnce } from '../../said-once.ts';
import { fileError } from '../file-errors.ts';
import type { FileSystem } from '../file-system.ts';

/** A fact for the log: a fixed event text and fields. */
export type WarningSink = (event: string, fields: Readonly<Record<string, string>>) => void;

/** What every part of the store works with, for one certificate. */
export interface StoreContext {
  readonly fs: FileSystem;
  /** The name of the certificate: of its records, ledger and history. */
  readonly name: string;
  readonly files: CertificateFiles;
  /** Absolute: `files.folder`. */
  readonly folder: string;
  /** Absolute; by default `<certDir>/.certlet`. */
  readonly stateDir: string;
  /** The effective user of this process: it and root may own what the store trusts. */
  readonly uid: number;
  readonly warn: WarningSink;
  /** What stays wrong is met at every look at the disk, for years perhaps: said once, and again when it changes. */
  readonly said: SaidOnce;
  /** Asked before a file is written at a path of the settings' own; throws where that is another file of theirs. */
  readonly refuseMeeting?: ((path: string) => Promise<void>) | undefined;
  /** A folder without pair files that this process has taken over: the ledger is written with the first name. */
  readonly taken: { empty: boolean };
}

/** The context of one certificate. Throws nothing; looks at no disk. */
export function storeContext(
  { name, files }: Pick<CertificateSpec, 'name' | 'files'>,
  shared: Pick<StoreContext, 'fs' | 'stateDir' | 'uid' | 'warn' | 'said' | 'refuseMeeting'>,
): StoreContext {
  return { ...shared, name, files, folder: resolve(files.folder), taken: { empty: false } };
}

/** No file of the store comes near this; what is larger was not written by certlet or a kubelet. */
export const FILE_LIMIT_BYTES = 1024 * 1024;

/** Runs file operations so that a failed one leaves as `CertletError`; `path` is named where the system names none. */
export async function mapped<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fileError(error, path);
  }
}

/**
 * For repairs that are welcome but not needed: a full or read-only disk must not keep certlet from using the whole pair that it
 * has. The failure becomes a warning and `undefined`.
 */
export async function attempted<T>(
  context: StoreContext,
  path: string,
  work: () => Promise<T>,
): Promise<T | undefined> {
  const thing = `repair ${path}`;
  try {
    const done = await work();
    context.said.over(thing);
    return done;
  } catch (error) {
    const failure = fileError(error, path);
    if (!isCertletError(failure)) throw error;
    if (!context.said.isNews(thing, failure.message)) return undefined;
    context.warn('Cannot repair a file', {
      path,
      code: failure.code,
      error: failure.message,
      ...(failure.remedy === undefined ? {} : { remedy: failure.remedy }),
    });
    return undefined;
  }
}
