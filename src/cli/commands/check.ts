import { createApiConnector } from '../../adapters/api/connector.ts';
import { callControl } from '../../adapters/control/client.ts';
import { controlSocketPath } from '../../adapters/control/server.ts';
import { type FileSystem, NodeFileSystem } from '../../adapters/file-system.ts';
import { readIfPresent } from '../../adapters/files.ts';
import { askKubeletVersion, readHostKubelet } from '../../adapters/host-kubelet.ts';
import { HostFiles } from '../../adapters/host-files.ts';
import { readHostReloads, readWantedUnits } from '../../adapters/host-reloads.ts';
import { readOwnUnits } from '../../adapters/own-units.ts';
import { isFull } from '../../adapters/probe/free-space.ts';
import { lookUpName } from '../../adapters/probe/name-lookup.ts';
import { readOnly } from '../../adapters/probe/read-only-file-system.ts';
import { refuseForeign } from '../../foreign-daemon.ts';
import { isReadOnlyMount } from '../../adapters/probe/read-only-mount.ts';
import { lookServed } from '../../adapters/probe/served-certificate.ts';
import { viewStore } from '../../adapters/probe/store-view.ts';
import { connectOnce } from '../../adapters/probe/tcp-connect.ts';
import { askUnitStates, lastErrors } from '../../adapters/systemd/unit-states.ts';
import { STATUS_LIMIT_BYTES, statusFilePath } from '../../adapters/status-file.ts';
import { createRouteProbe } from '../../adapters/route-probe.ts';
import type { CheckPorts, DaemonState, RootReloads } from '../../check/facts.ts';
import { checkDocument, checkText, tally } from '../../check/report.ts';
import { STEPS } from '../../check/steps.ts';
import { outlookStep } from '../../check/steps/outlook.ts';
import { walk } from '../../check/walk.ts';
import type { Settings } from '../../config.ts';
import { EXIT, isCertletError } from '../../errors.ts';
import { RESTART_UNIT_FILE, restartedUnit } from '../../kubelet/restart-unit-file.ts';
import { decodeStatus } from '../../status/codec.ts';
import { type StatusDocument } from '../../status/document.ts';
import { encodeAnswer } from '../answer.ts';
import type { CheckArguments } from '../command.ts';
import { columnsOf, type CommandContext, showsColour } from '../command-context.ts';
import { VERSION } from '../version.ts';

/** Somebody waits at a terminal: an answer that takes longer than these is none. */
const LOOKUP_MS = 5_000;
const CONNECT_MS = 5_000;
const ANSWER_MS = 10_000;

/** `certlet check`: 0 when nothing is wrong, 1 when a problem was found, 77 when nothing is but something could not be looked at for want of permission. */
export async function runCheck(context: CommandContext, args: CheckArguments): Promise<number> {
  const { edge, signal } = context;
  const steps = args.outlook === undefined ? STEPS : [...STEPS, outlookStep(args.outlook, args.caFile)];
  const { reports, facts } = await walk(steps, checkPorts(context), signal);
  const about = { nodeName: facts.settings?.nodeName, program: VERSION, now: edge.now() };
  if (args.output !== 'text') context.print(encodeAnswer(checkDocument(reports, about), args.output));
  else {
    const colour = showsColour(edge.stdout, edge.environment);
    context.printPainted(checkText(reports, { ...about, colour, columns: columnsOf(edge.stdout) ?? 120 }));
  }
  if (tally(reports).problem > 0) return EXIT.failed;
  const denied = reports.some(({ findings }) => findings.some((found) => found.denied === true));
  return denied ? EXIT.noPermission : EXIT.ok;
}

/** The real host, with nothing in it that can write. */
export function checkPorts(context: CommandContext): CheckPorts {
  const { edge, loadSettings, settingsPath, carried } = context;
  const { environment, userId: uid, now } = edge;
  const fs = readOnly(new NodeFileSystem());
  const timeouts = { connectMs: CONNECT_MS, headersMs: ANSWER_MS, bodyMs: ANSWER_MS, totalMs: 2 * ANSWER_MS };
  return {
    fs,
    uid,
    searchPath: environment['PATH'] ?? '',
    environment,
    settingsPath,
    carried,
    now,
    loadSettings,
    connector: createApiConnector({ version: VERSION, environment, now, timeouts }),
    route: createRouteProbe({ lookupTimeoutMs: LOOKUP_MS }),
    lookUp: (host) => lookUpName(host, { timeoutMs: LOOKUP_MS, ticks: () => performance.now() }),
    connectTcp: (address, port) => connectOnce(address, port, CONNECT_MS),
    lookServed,
    openStore: (settings) => viewStore(settings, fs, uid),
    readKubelet: ({ kubelet }) =>
      readHostKubelet({
        root: edge.hostRoot,
        unit: kubelet.unit,
        askVersion: askKubeletVersion,
        dropIns: 'all',
        ...(kubelet.version !== undefined && { version: kubelet.version }),
      }),
    daemon: askDaemon,
    daemonStatus,
    lastRun: (settings) => lastRun(fs, settings),
    isReadOnlyMount,
    isFull,
    ownUnits: () => readOwnUnits(edge.hostRoot),
    unitStates: async (units, stop) =>
      edge.hostRoot === '/'
        ? askUnitStates(units, stop)
        : { kind: 'untold', reason: `it runs not for ${edge.hostRoot}` },
    lastErrors: async (invocation, stop) => (edge.hostRoot === '/' ? lastErrors(invocation, stop) : []),
    reloads: () => rootReloads(new HostFiles(edge.hostRoot)),
  };
}

async function rootReloads(files: HostFiles): Promise<RootReloads> {
  const hasUnit = (name: string): Promise<boolean> => files.hasUnit(name);
  const text = await files.read(RESTART_UNIT_FILE);
  const restarted = text === undefined && (await files.exists(RESTART_UNIT_FILE)) ? undefined : restartedUnit(text);
  return { files: await readHostReloads(files), wanted: await readWantedUnits(files), restarted, hasUnit };
}

async function askDaemon({ runtimeDir }: Settings): Promise<DaemonState> {
  try {
    const { kind } = await callControl(controlSocketPath(runtimeDir), { method: 'GET', path: '/health' });
    if (kind === 'answer') return 'running';
    return kind === 'absent' ? 'down' : 'unknown';
  } catch (error) {
    if (isCertletError(error, 'ERR_CONTROL')) return 'unknown';
    throw error;
  }
}

async function lastRun(fs: FileSystem, settings: Settings): Promise<StatusDocument | undefined> {
  const path = statusFilePath(settings.runtimeDir);
  try {
    const text = await readIfPresent(fs, path, STATUS_LIMIT_BYTES);
    const document = text === undefined ? undefined : decodeStatus(text, path);
    if (document?.process.command !== 'once') return undefined;
    // One by hand in another cert-dir says nothing of what the timer does here.
    await refuseForeign(document, settings, path);
    return document;
  } catch (error) {
    if (isCertletError(error, 'ERR_CONTROL')) return undefined;
    throw error;
  }
}

async function daemonStatus(settings: Settings): Promise<StatusDocument | undefined> {
  const socket = controlSocketPath(settings.runtimeDir);
  const document = await answered(socket);
  if (document !== undefined) await refuseForeign(document, settings, `what answers at ${socket}`);
  return document;
}

async function answered(socket: string): Promise<StatusDocument | undefined> {
  try {
    const reply = await callControl(socket, { method: 'GET', path: '/status' });
    return reply.kind === 'answer' && reply.status === 200 ? decodeStatus(reply.text, socket) : undefined;
  } catch (error) {
    if (isCertletError(error, 'ERR_CONTROL')) return undefined;
    throw error;
  }
}
