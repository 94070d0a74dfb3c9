import { dirname, isAbsolute, resolve } from 'node:path';
import { NodeFileSystem } from './adapters/file-system.ts';
import { readIfPresent } from './adapters/files.ts';
import { STATUS_LIMIT_BYTES, statusFilePath } from './adapters/status-file.ts';
import type { Settings } from './config.ts';
import { KUBELET_CLIENT } from './csr/spec.ts';
import { CertletError, isCertletError, unlessDefect } from './errors.ts';
import { byHand, explained, type Instruction, inSettings, type Remedy, shellWord } from './remedy.ts';
import { decodeStatus } from './status/codec.ts';
import { type StatusDocument } from './status/document.ts';

/** What the settings of a command say of the node that it is about. */
export type Mine = Pick<Settings, 'nodeName' | 'certDir' | 'runtimeDir' | 'certDirByDefault' | 'namedByHost'>;

/** For two nodes of one host that would speak through one socket and one status file. */
const OWN_RUNTIME_DIR: Remedy = inSettings(
  'runtimeDir: /run/certlet-NODE',
  'then systemctl restart certlet; each certlet of a host needs a runtime folder of its own',
);

/**
 * Nothing where the document is that of the cert-dir that the settings are about; the name may differ, which the daemon may have from its command
 * line or from before the host was renamed. Throws `ERR_CONTROL` where it is of another cert-dir: two settings files with one `runtimeDir` lead to
 * one daemon, which would show what nobody asked for. `source` says whose words the document is.
 */
export async function refuseForeign(document: StatusDocument, mine: Mine, source: string): Promise<void> {
  const theirs = await foreignCertDir(document, mine);
  if (theirs === undefined) return;
  throw new CertletError(
    'ERR_CONTROL',
    `${source} is of node ${document.node.name} with the cert-dir ${theirs}; these settings are of node ${mine.nodeName} with the cert-dir ${mine.certDir}`,
    {
      remedy: isByDefault(document, mine)
        ? giveCertDir(theirs)
        : explained(OWN_RUNTIME_DIR, 'or give this command the --cert-dir that the daemon was given'),
    },
  );
}

/** The cert-dir of a document, where it is another than that of the settings. */
export async function foreignCertDir(
  document: StatusDocument,
  mine: Pick<Mine, 'certDir'>,
): Promise<string | undefined> {
  const theirs = certDirOf(document);
  return theirs !== undefined && (await isElsewhere(theirs, mine.certDir)) ? theirs : undefined;
}

/** `refuseForeign` before an order, which the daemon carries out in its own cert-dir by its own rights: settings that name none mean whichever daemon answers. */
export async function refuseForeignOrder(document: StatusDocument, mine: Mine, source: string): Promise<void> {
  if (!isByDefault(document, mine)) await refuseForeign(document, mine, source);
}

/** No command to paste: whoever wrote the document would choose the folder that root works on. */
export const giveCertDir = (certDir: string): Instruction =>
  byHand(
    `Give --cert-dir ${shellWord(certDir)} if that is the cert-dir of this node.   # it stands in no unit of certlet, and who wrote the document may have made it up`,
  );

/** Nobody has said of which cert-dir the settings are, nor that they are of another node. */
export const isByDefault = ({ node }: StatusDocument, { certDirByDefault, namedByHost, nodeName }: Mine): boolean =>
  certDirByDefault === true && (namedByHost === true || node.name === nodeName);

/** The error of a runtime folder that another certlet has, with the way out where that one has another cert-dir, as far as its status file tells. */
export async function takenBy(error: CertletError, mine: Mine): Promise<CertletError> {
  const document = await published(mine);
  const theirs = document && (await foreignCertDir(document, mine));
  if (document === undefined || theirs === undefined) return error;
  const { name } = document.node;
  const whose = `that one is of node ${name} with the cert-dir ${theirs}, this one of node ${mine.nodeName} with ${mine.certDir}`;
  return new CertletError(error.code, `${error.message}; ${whose}`, { remedy: OWN_RUNTIME_DIR, cause: error });
}

/** What the status file says; nothing where it cannot be told whose it is. */
export async function published({ runtimeDir }: Mine): Promise<StatusDocument | undefined> {
  const path = statusFilePath(runtimeDir);
  try {
    const text = await readIfPresent(new NodeFileSystem(), path, STATUS_LIMIT_BYTES);
    return text === undefined ? undefined : decodeStatus(text, path);
  } catch (thrown) {
    if (isCertletError(thrown)) return undefined;
    throw thrown;
  }
}

/** Whether two names are of two folders: one folder may have several. */
export const isElsewhere = async (one: string, other: string): Promise<boolean> =>
  (await placeOf(one)) !== (await placeOf(other));

/**
 * The node's own pair lies in the cert-dir itself; others may have folders of their own. A daemon that knows of no certificate yet tells none, and a
 * document whose path begins anywhere, or is none, is not ours.
 */
function certDirOf({ certificates }: StatusDocument): string | undefined {
  const path: string | undefined = certificates.find(({ purpose }) => purpose === KUBELET_CLIENT)?.path;
  return path !== undefined && isAbsolute(path) ? dirname(path) : undefined;
}

/** What may not be looked at goes by its own name. */
const placeOf = (path: string): Promise<string> =>
  new NodeFileSystem().realpath(path).catch(unlessDefect(resolve(path)));
