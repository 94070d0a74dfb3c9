import { dirname } from 'node:path';
import { NodeFileSystem } from './adapters/file-system.ts';
import { readIfPresent } from './adapters/files.ts';
import { STATUS_LIMIT_BYTES, statusFilePath } from './adapters/status-file.ts';
import type { Settings } from './config.ts';
import { CertletError, isCertletError, unlessDefect } from './errors.ts';
import { explained, inSettings, type Remedy } from './remedy.ts';
import { decodeStatus, type StatusDocument } from './status/document.ts';

/** What the settings of a command say of the node that it is about. */
export type Mine = Pick<Settings, 'nodeName' | 'certDir' | 'runtimeDir'>;

/** For two nodes of one host that would speak through one socket and one status file. */
const OWN_RUNTIME_DIR: Remedy = inSettings(
  'runtimeDir: /run/certlet-NODE',
  'then systemctl restart certlet; each certlet of a host needs a runtime folder of its own',
);

/**
 * Nothing where the document is that of the node that the settings are about. Throws `ERR_CONTROL` where it is another one's, by its name or its
 * cert-dir: two settings files with one `runtimeDir` lead to one daemon, which would show, and renew, what nobody asked for. `source` says
 * whose words the document is.
 */
export async function refuseForeign(document: StatusDocument, mine: Mine, source: string): Promise<void> {
  const elsewhere = await isElsewhere(document, mine.certDir);
  const { name } = document.node;
  if (!elsewhere && name === mine.nodeName) return;
  const theirs = certDirOf(document);
  const folder = theirs === undefined ? '' : ` with the cert-dir ${theirs}`;
  throw new CertletError(
    'ERR_CONTROL',
    `${source} is of node ${name}${folder}; these settings are of node ${mine.nodeName} with the cert-dir ${mine.certDir}`,
    { remedy: elsewhere ? OWN_RUNTIME_DIR : otherName(name) },
  );
}

/** The error of a runtime folder that another certlet has, with the way out where that one has another cert-dir, as far as its status file tells. */
export async function takenBy(error: CertletError, mine: Mine): Promise<CertletError> {
  const path = statusFilePath(mine.runtimeDir);
  try {
    const text = await readIfPresent(new NodeFileSystem(), path, STATUS_LIMIT_BYTES);
    const document = text === undefined ? undefined : decodeStatus(text, path);
    if (document === undefined || !(await isElsewhere(document, mine.certDir))) return error;
    const { name } = document.node;
    const whose = `that one is of node ${name} with the cert-dir ${String(certDirOf(document))}, this one of node ${mine.nodeName} with ${mine.certDir}`;
    return new CertletError(error.code, `${error.message}; ${whose}`, { remedy: OWN_RUNTIME_DIR, cause: error });
  } catch (thrown) {
    // Whose it is cannot be told: that it is taken is all there is to say.
    if (isCertletError(thrown)) return error;
    throw thrown;
  }
}

async function isElsewhere(document: StatusDocument, certDir: string): Promise<boolean> {
  const theirs = certDirOf(document);
  return theirs !== undefined && (await placeOf(theirs)) !== (await placeOf(certDir));
}

/** Pairs lie in the cert-dir itself. A daemon that knows of no certificate yet tells none. */
const certDirOf = ({ certificates: [first] }: StatusDocument): string | undefined => first && dirname(first.path);

/** One folder may have several names. What may not be looked at goes by its own. */
const placeOf = (path: string): Promise<string> => new NodeFileSystem().realpath(path).catch(unlessDefect(path));

/** One cert-dir has one daemon, which may have its name from its own command line. */
const otherName = (name: string): Remedy =>
  explained(
    inSettings(`hostnameOverride: ${name}`, 'where this is that node'),
    'another node needs another certDir and runtimeDir',
  );
