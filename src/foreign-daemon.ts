import { dirname } from 'node:path';
import { callControl } from './adapters/control/client.ts';
import { controlSocketPath } from './adapters/control/server.ts';
import { NodeFileSystem } from './adapters/file-system.ts';
import { readIfPresent } from './adapters/files.ts';
import { STATUS_LIMIT_BYTES, statusFilePath } from './adapters/status-file.ts';
import type { Settings } from './config.ts';
import { KUBELET_CLIENT } from './csr/spec.ts';
import { CertletError, isCertletError, unlessDefect } from './errors.ts';
import { explained, inSettings, type Remedy } from './remedy.ts';
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
 * line or from before the host was renamed; and nothing where the settings name no cert-dir. Throws `ERR_CONTROL` where it is of another cert-dir: two settings files with one `runtimeDir` lead to
 * one daemon, which would show, and renew, what nobody asked for. `source` says whose words the document is.
 */
export async function refuseForeign(document: StatusDocument, mine: Mine, source: string): Promise<void> {
  if (isByDefault(document, mine) || !(await isElsewhere(document, mine.certDir))) return;
  throw new CertletError(
    'ERR_CONTROL',
    `${source} is of node ${document.node.name} with the cert-dir ${String(certDirOf(document))}; these settings are of node ${mine.nodeName} with the cert-dir ${mine.certDir}`,
    { remedy: explained(OWN_RUNTIME_DIR, 'or give this command the --cert-dir that the daemon was given') },
  );
}

/**
 * The cert-dir of the certlet that publishes in the runtime folder, where settings that name none lead to another: it has it from its own command
 * line, and those who look at it mean that one. Undefined elsewhere, and where nobody tells.
 */
export async function daemonsCertDir(mine: Mine): Promise<string | undefined> {
  if (mine.certDirByDefault !== true) return undefined;
  const document = (await published(mine)) ?? (await answered(mine));
  if (document === undefined || !isByDefault(document, mine)) return undefined;
  return (await isElsewhere(document, mine.certDir)) ? certDirOf(document) : undefined;
}

/** Nobody has said of which cert-dir the settings are, nor that they are of another node. */
const isByDefault = ({ node }: StatusDocument, { certDirByDefault, namedByHost, nodeName }: Mine): boolean =>
  certDirByDefault === true && (namedByHost === true || node.name === nodeName);

/** The error of a runtime folder that another certlet has, with the way out where that one has another cert-dir, as far as its status file tells. */
export async function takenBy(error: CertletError, mine: Mine): Promise<CertletError> {
  const document = await published(mine);
  if (document === undefined || !(await isElsewhere(document, mine.certDir))) return error;
  const { name } = document.node;
  const whose = `that one is of node ${name} with the cert-dir ${String(certDirOf(document))}, this one of node ${mine.nodeName} with ${mine.certDir}`;
  return new CertletError(error.code, `${error.message}; ${whose}`, { remedy: OWN_RUNTIME_DIR, cause: error });
}

/** What the status file says; nothing where it cannot be told whose it is. */
async function published({ runtimeDir }: Mine): Promise<StatusDocument | undefined> {
  const path = statusFilePath(runtimeDir);
  try {
    const text = await readIfPresent(new NodeFileSystem(), path, STATUS_LIMIT_BYTES);
    return text === undefined ? undefined : decodeStatus(text, path);
  } catch (thrown) {
    if (isCertletError(thrown)) return undefined;
    throw thrown;
  }
}

async function answered({ runtimeDir }: Mine): Promise<StatusDocument | undefined> {
  const socket = controlSocketPath(runtimeDir);
  try {
    const reply = await callControl(socket, { method: 'GET', path: '/status' });
    return reply.kind === 'answer' && reply.status === 200 ? decodeStatus(reply.text, socket) : undefined;
  } catch (thrown) {
    if (isCertletError(thrown)) return undefined;
    throw thrown;
  }
}

async function isElsewhere(document: StatusDocument, certDir: string): Promise<boolean> {
  const theirs = certDirOf(document);
  return theirs !== undefined && (await placeOf(theirs)) !== (await placeOf(certDir));
}

/** The node's own pair lies in the cert-dir itself; others may have folders of their own. A daemon that knows of no certificate yet tells none. */
function certDirOf({ certificates }: StatusDocument): string | undefined {
  const own = certificates.find(({ purpose }) => purpose === KUBELET_CLIENT);
  return own && dirname(own.path);
}

/** One folder may have several names. What may not be looked at goes by its own. */
const placeOf = (path: string): Promise<string> => new NodeFileSystem().realpath(path).catch(unlessDefect(path));
