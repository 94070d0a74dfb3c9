import { reworded } from '../remedy.ts';
import { answeredError, callControl, type ControlReply } from '../adapters/control/client.ts';
import { controlSocketPath } from '../adapters/control/server.ts';
import { NodeFileSystem } from '../adapters/file-system.ts';
import { readIfPresent } from '../adapters/files.ts';
import { escaped, inOneLine } from '../adapters/log/printable.ts';
import { isProcessAlive } from '../adapters/process-alive.ts';
import { STATUS_LIMIT_BYTES, statusFilePath } from '../adapters/status-file.ts';
import type { Settings } from '../config.ts';
import { CertletError } from '../errors.ts';
import { decodeStatus } from '../status/codec.ts';
import { type StatusDocument } from '../status/document.ts';
import { diskStatus } from '../status/disk.ts';
import type { Source, Trouble } from '../status/text.ts';
import { typedLine } from './carried.ts';
import type { ProcessEdge } from './command-context.ts';
import { foreignCertDir, refuseForeign } from '../foreign-daemon.ts';
import { VERSION } from './version.ts';

/** A document and where it was found. */
export interface FoundStatus {
  readonly document: StatusDocument;
  readonly source: Source;
  /** Nothing runs, and the units say that a daemon should. */
  readonly missing: boolean;
  /** The timer alone does the work, no daemon. */
  readonly byTimer: boolean;
  /** When the timer starts the next run, as systemd says. */
  readonly nextRun?: Date | undefined;
  /** A daemon runs and cannot use the cert-dir. */
  readonly trouble?: Trouble | undefined;
}

/** The superuser may read the cert-dir. */
const ROOT = 0;

/**
 * The status from the daemon where its socket may be opened, else from the status file, else, for root, from the cert-dir itself, which root also gets
 * where the file is left of another cert-dir. Changes nothing and takes no lock. Throws `ERR_CONTROL` when a daemon is there and does not answer, or is another node's, and when there is nothing to read, and what the cert-dir refuses.
 */
export async function findStatus(
  settings: Settings,
  edge: Pick<ProcessEdge, 'argv' | 'userId' | 'now' | 'hostRoot'>,
): Promise<FoundStatus> {
  const socket = controlSocketPath(settings.runtimeDir);
  const reply = await callControl(socket, { method: 'GET', path: '/status' });
  if (reply.kind === 'answer' && reply.status === 200) {
    const document = decodeStatus(reply.text, socket);
    await refuseForeign(document, settings, `what answers at ${socket}`);
    return { document, source: { kind: 'socket' }, missing: false, byTimer: false, trouble: document.trouble };
  }
  const left = await fromFile(settings, edge, reply);
  if (left !== undefined) return left;
  const trouble = troubleOf(reply);
  if (edge.userId === ROOT) {
    const how = await startedHow(edge.hostRoot, reply.kind === 'answer');
    const starting = reply.kind === 'answer' && trouble === undefined;
    return { ...(await fromDisk(settings, edge.now(), { starting, trouble })), ...how, trouble };
  }
  if (trouble !== undefined) throw new CertletError('ERR_CONTROL', trouble.message, trouble);
  throw new CertletError(
    'ERR_CONTROL',
    `nothing to read: no daemon listens at ${socket}, and there is no ${statusFilePath(settings.runtimeDir)}`,
    {
      remedy: `sudo ${typedLine(edge.argv)}   # root reads the cert-dir itself; why nothing runs: systemctl status certlet`,
    },
  );
}

/** Undefined where there is no file; for root also where one that has ended, such as a `certlet once` by hand, has left that of another cert-dir. */
async function fromFile(
  settings: Settings,
  { userId, hostRoot }: Pick<ProcessEdge, 'userId' | 'hostRoot'>,
  reply: ControlReply,
): Promise<FoundStatus | undefined> {
  const path = statusFilePath(settings.runtimeDir);
  const text = await readIfPresent(new NodeFileSystem(), path, STATUS_LIMIT_BYTES);
  if (text === undefined) return undefined;
  const document = decodeStatus(text, path);
  // An answer of any kind comes from a daemon that lives.
  const running = reply.kind === 'answer' || (reply.kind === 'forbidden' && isProcessAlive(document.process.pid));
  if (!running && userId === ROOT && (await foreignCertDir(document, settings)) !== undefined) return undefined;
  await refuseForeign(document, settings, path);
  return {
    document,
    source: { kind: 'file', path, running },
    ...(await startedHow(hostRoot, running)),
    trouble: troubleOf(reply) ?? (running ? document.trouble : undefined),
  };
}

/** Undefined for a daemon that has just started. */
function troubleOf(reply: ControlReply): Trouble | undefined {
  if (reply.kind !== 'answer') return undefined;
  const { code, message = 'the daemon tells no reason', remedy } = answeredError(reply.text);
  if (code === 'STARTING') return undefined;
  return { message: escaped(inOneLine(message)), ...(remedy !== undefined && { remedy: reworded(remedy, escaped) }) };
}

async function startedHow(
  root: string,
  running: boolean,
): Promise<Pick<FoundStatus, 'missing' | 'byTimer' | 'nextRun'>> {
  if (running) return { missing: false, byTimer: false };
  const { readOwnUnits } = await import('../adapters/own-units.ts');
  const { service, timer } = await readOwnUnits(root);
  if (!timer || service) return { missing: service, byTimer: false };
  return { missing: false, byTimer: true, nextRun: await nextRunOf('certlet-once.timer', root) };
}

/** Undefined where systemd cannot be asked, or knows of none. */
async function nextRunOf(timer: string, root: string): Promise<Date | undefined> {
  if (root !== '/') return undefined;
  const { askUnitStates } = await import('../adapters/systemd/unit-states.ts');
  const states = await askUnitStates([timer], new AbortController().signal);
  return states.kind === 'told' ? states.units.get(timer)?.nextRun : undefined;
}

async function fromDisk(
  settings: Settings,
  now: Date,
  { starting, trouble }: { readonly starting: boolean; readonly trouble: Trouble | undefined },
): Promise<Omit<FoundStatus, 'missing' | 'byTimer' | 'nextRun'>> {
  // Late: with a daemon or a file to read, no store is needed.
  const { certificateOnDisk, storeOnDisk } = await import('../disk-pairs.ts');
  const { certDir, nodeName, specs } = settings;
  const view = storeOnDisk(settings, ROOT);
  const certificates = await Promise.all(specs.map((spec) => certificateOnDisk(view, spec)));
  const document = diskStatus(certificates, { nodeName, version: VERSION, now, trouble });
  return { document, source: { kind: 'disk', certDir, ...(starting && { starting }) } };
}
