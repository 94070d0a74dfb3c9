import { type CertletError, isCertletError } from '../../errors.ts';
import { type CertificatePair, parsePair } from '../../pki/certificate.ts';
import { Secret } from '../../secret.ts';
import { errnoOf } from '../file-errors.ts';
import { readIfPresent } from '../files.ts';
import { FILE_LIMIT_BYTES, mapped, type StoreContext } from './store-context.ts';

/**
 * What one pair file, or a certificate and a key file, came to.
 * - `broken`: the content is no pair, whoever reads it;
 * - `unreadable`: the system would not give the content (EIO, EACCES): nothing is known of it;
 * - `unsafe`: another user can write it, so it is not trusted.
 */
export type PairReading =
  | { readonly kind: 'whole'; readonly pair: CertificatePair; readonly modifiedAt: Date }
  | { readonly kind: 'absent' }
  | { readonly kind: 'broken' | 'unsafe'; readonly reason: string }
  | { readonly kind: 'unreadable'; readonly reason: string; readonly error?: CertletError };

/** Reads one pair from one file or from two; links are followed. Never throws for what is on disk. */
export async function readPair(context: StoreContext, paths: readonly string[]): Promise<PairReading> {
  const texts: string[] = [];
  let modifiedAt = new Date(0);
  for (const path of paths) {
    const part = await readPart(context, path);
    if (part.kind !== 'text') return part;
    texts.push(part.text);
    modifiedAt = part.modifiedAt;
  }
  try {
    return { kind: 'whole', pair: parsePair(new Secret(texts.join('\n'))), modifiedAt };
  } catch (error) {
    if (!isCertletError(error)) throw error;
    return { kind: 'broken', reason: error.message };
  }
}

type Part =
  | { readonly kind: 'text'; readonly text: string; readonly modifiedAt: Date }
  | Exclude<PairReading, { kind: 'whole' }>;

/** These say that the content is at fault, not the disk: no regular file, a folder, too large, a loop of links. */
const CONTENT_ERRNOS = ['EINVAL', 'EISDIR', 'EFBIG', 'ELOOP', 'ENXIO', 'ENOTDIR'];

async function readPart(context: StoreContext, path: string): Promise<Part> {
  try {
    const facts = await mapped(path, () => context.fs.stat(path));
    if (facts === undefined) return { kind: 'absent' };
    if (facts.uid !== 0 && facts.uid !== context.uid)
      return { kind: 'unsafe', reason: `it belongs to user ${String(facts.uid)}` };
    if ((facts.mode & 0o022) !== 0)
      return { kind: 'unsafe', reason: `others can write it (mode ${facts.mode.toString(8)})` };
    const text = await readIfPresent(context.fs, path, FILE_LIMIT_BYTES);
    if (text === undefined) return { kind: 'absent' };
    return { kind: 'text', text, modifiedAt: new Date(facts.mtimeMs) };
  } catch (error) {
    if (!isCertletError(error)) throw error;
    const reason = error.message;
    return CONTENT_ERRNOS.includes(errnoOf(error) ?? '')
      ? { kind: 'broken', reason }
      : { kind: 'unreadable', reason, error };
  }
}
