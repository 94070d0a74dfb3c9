import { basename, dirname } from 'node:path';
import type { PlainFiles } from '../../csr/spec.ts';
import { isCertletError } from '../../errors.ts';
import type { CertificatePair } from '../../pki/certificate.ts';
import { encodePrivateKey } from '../../pki/keys.ts';
import { ensureFolder, type GroupMode, readIfPresent, sweepTemporaries } from '../files.ts';
import { placeFile } from '../mounted-file.ts';
import { FILE_LIMIT_BYTES, mapped, type StoreContext } from './store-context.ts';
import { keyMode } from './key-mode.ts';

/**
 * Keeps certificate (0644) and key (0600, or 0640 where a group may read it, as the kubelet's own `kubelet.crt` and `kubelet.key`) as two files; nothing is written
 * when both are right already. Two files cannot change in one step: for the time of one rename and one sync a reader may find the
 * new key with the old certificate. The key goes first, so that the event of the certificate, on which programs reload, comes when
 * both match; a crash in between is mended at the next start. Resolves to what became of their contents.
 */
export async function writePlainFiles(
  context: StoreContext,
  paths: PlainFiles,
  pair: CertificatePair,
): Promise<PlainFilesChange> {
  const folder = dirname(paths.keyFile);
  // The folder's group is looked at below, so it must be there.
  await ensureFolder(context.fs, folder, 0o755);
  const mode = await keyMode(context, folder);
  const before = await contentsBefore(context, paths);
  const wanted = wantedContents(pair);
  const isRight = before.key === wanted.key && before.certificate === wanted.certificate;
  // Both before the first: a key without its certificate is worth nothing.
  if (!isRight) for (const path of [paths.keyFile, paths.certFile]) await context.refuseMeeting?.(path);
  await writeIfDifferent(context, paths.keyFile, wanted.key, mode);
  await writeIfDifferent(context, paths.certFile, wanted.certificate, 0o644);
  if (isRight) return 'none';
  return before.key === undefined && before.certificate === undefined ? 'made' : 'replaced';
}

/** `made`: there was neither before. */
export type PlainFilesChange = 'none' | 'made' | 'replaced';

/** Whether the two files are those of another pair, or are not both there. Changes nothing; throws the errors of file operations. */
export async function arePlainFilesBehind(
  context: StoreContext,
  paths: PlainFiles,
  pair: CertificatePair,
): Promise<boolean> {
  const { key, certificate } = await contentsOf(context, paths);
  const wanted = wantedContents(pair);
  return key !== wanted.key || certificate !== wanted.certificate;
}

interface Contents<T> {
  readonly key: T;
  readonly certificate: T;
}

const wantedContents = ({ key, chain }: CertificatePair): Contents<string> => ({
  key: encodePrivateKey(key).reveal(),
  certificate: chain.pem,
});

async function contentsOf(
  { fs }: StoreContext,
  { keyFile, certFile }: PlainFiles,
): Promise<Contents<string | undefined>> {
  const key = await readIfPresent(fs, keyFile, FILE_LIMIT_BYTES);
  return { key, certificate: await readIfPresent(fs, certFile, FILE_LIMIT_BYTES) };
}

/** What cannot be read counts as absent: the write that follows tells what is wrong. */
async function contentsBefore(context: StoreContext, paths: PlainFiles): Promise<Contents<string | undefined>> {
  try {
    return await contentsOf(context, paths);
  } catch (error) {
    if (!isCertletError(error)) throw error;
    return { key: undefined, certificate: undefined };
  }
}

async function writeIfDifferent(
  context: StoreContext,
  path: string,
  text: string,
  wanted: number | GroupMode,
): Promise<void> {
  await ensureFolder(context.fs, dirname(path), 0o755);
  const facts = await context.fs.lstat(path);
  const mode = typeof wanted === 'number' ? wanted : wanted.mode;
  const group = typeof wanted === 'number' || facts?.gid === wanted.gid;
  const right = facts?.kind === 'file' && facts.mode === mode && facts.uid === context.uid && group;
  // Where the file can only be written in place its mode stays: a place that is refused is refused each time.
  if (right && (await readIfPresent(context.fs, path, FILE_LIMIT_BYTES)) === text) return;
  // The folder may be any: what a crash left of this file there would stay, a private key among it.
  await mapped(path, () => sweepTemporaries(context.fs, dirname(path), basename(path)));
  await placeFile(context.fs, path, text, {
    mode: wanted,
    secret: mode !== 0o644,
    beforeInPlace: () => {
      if (context.said.isNews(`in place ${path}`, ''))
        context.warn('A plain file is a mount point of its own: written in place, which is not atomic', { path });
    },
  });
}
