import type { Remedy } from './remedy.ts';
import { join } from 'node:path';
import { caFilePath, createClusterCaFiles } from './adapters/cluster-ca-files.ts';
import { FileCertificateStore } from './adapters/store/file-certificate-store.ts';
import { nodeFileSystem } from './adapters/file-system.ts';
import { createApiConnector } from './adapters/api/connector.ts';
import { createKubeconfigFiles } from './adapters/kubeconfig-files.ts';
import { meetingGuard } from './adapters/probe/meeting-files.ts';
import { createServersFile } from './adapters/store/servers-record.ts';
import { restartFlag } from './adapters/systemd/flag-hook.ts';
import { createRouteProbe } from './adapters/route-probe.ts';
import { createServingProof } from './adapters/serving-proof.ts';
import { monotonicMs, SystemChance, SystemClock } from './adapters/system-clock.ts';
import type { Settings } from './config.ts';
import { filesOnDisk } from './config/named-files.ts';
import { afterKubeconfigs, afterPlainFiles, tellMended } from './host-hooks.ts';
import type { AfterRotation, Clock, Logger, Observer } from './ports.ts';
import { kubeconfigCommand, rootJoinCommand } from './root-commands.ts';
import { Troubles } from './trouble.ts';
import { Agent } from './rotation/agent.ts';
import type { FollowOptions, RotationOptions, RotationPorts } from './rotation/rotation-context.ts';
import type { AgentSnapshot } from './rotation/snapshot.ts';

/** What a process brings to an agent besides its settings. */
export interface AgentParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  readonly userId: number;
  readonly after: AfterRotation;
  readonly observer: Observer;
  readonly onTick: (snapshot: AgentSnapshot) => void;
  /** Somebody waits at a terminal or a boot does: the first request is not spread over time. */
  readonly hurry: boolean;
  /** When a run that ends by itself comes again. */
  readonly everyMs?: number | undefined;
  /** Only what ends within this time is renewed, in place of what is due. */
  readonly expiringWithinMs?: number | undefined;
  /** A proof so young is good enough. */
  readonly proofGoodForMs?: number | undefined;
  /** `confirm` of the lock that the caller holds. */
  readonly confirmLock?: () => Promise<void>;
}

/** The composition root: the agent over this host's disk, network and clock. The caller holds the lock of the cert-dir. */
export function assembleAgent(settings: Settings, parts: AgentParts): Agent {
  const { log, clock, environment, version, observer } = parts;
  const connector = createApiConnector({
    version,
    environment,
    now: () => clock.now(),
    ...toldByConnections(log, clock),
    onServerDate: (serverDate, receivedAt) => agent.observeDate({ serverDate, receivedAt }),
  });
  const store: FileCertificateStore = openStore(settings, log, parts.confirmLock, (name, pairPath) =>
    tellMended(parts.after, settings, store, { name, pairPath }),
  );
  const told = afterKubeconfigs(parts.after, settings, { fs: nodeFileSystem, store });
  const after = afterPlainFiles(told, settings.specs, store);
  const kubeconfigs = createKubeconfigFiles({
    fs: nodeFileSystem,
    bootstrapPath: settings.bootstrapKubeconfig,
    nodePath: settings.kubeconfig,
    uid: parts.userId,
    searchPath: environment['PATH'] ?? '',
    recordPath: join(settings.stateDir, 'kubeconfig-write.json'),
    ownCaPath: caFilePath(settings.certDir),
    refuseMeeting: meetingGuard(nodeFileSystem, filesOnDisk(settings)),
    onWarning: (event, fields) => log.log('warn', event, fields),
  });
  const route = createRouteProbe();
  const severalServers = settings.servers.length > 0 || settings.serversFromEndpoints;
  const serving = createServingProof();
  const clusterCa = settings.followClusterCA === 'off' ? undefined : clusterCaFiles(settings, parts.confirmLock);
  const chance = new SystemChance();
  const several = severalServers ? serverPorts(settings, clock, parts.confirmLock) : {};
  const ports = {
    clock,
    chance,
    log,
    store,
    kubeconfigs,
    connector,
    route,
    serving,
    after,
    observer,
    clusterCa,
    ...several,
  };
  const { everyMs, expiringWithinMs, proofGoodForMs } = parts;
  const options = { ...rotationOptions(settings, parts.hurry), everyMs, expiringWithinMs, proofGoodForMs };
  const agent = new Agent(ports, options, parts.onTick);
  return agent;
}

/** What servers and plugins say at every request; the words of either are no more than notes to what fails. */
function toldByConnections(
  log: Logger,
  clock: Clock,
): Pick<Parameters<typeof createApiConnector>[0], 'onWarning' | 'onPluginOutput'> {
  const troubles = new Troubles();
  const levelOf = (code: string, message: string): 'warn' | 'debug' =>
    troubles.levelOf(code, { code, message }, { at: clock.now(), loud: 'warn' });
  return {
    onWarning: (text) => log.log(levelOf('warning', text), 'Warning from the API server', { warning: text }),
    onPluginOutput: (plugin, text) =>
      log.log(levelOf(`plugin ${plugin}`, text), 'Exec plugin failed, and said', { plugin, text }),
  };
}

/** What is remembered of several API servers, and how the kubelet learns of another one. */
const serverPorts = (
  { stateDir, runtimeDir }: Settings,
  clock: Clock,
  confirmLock?: () => Promise<void>,
): Pick<RotationPorts, 'serversFile' | 'restartFlag'> => ({
  serversFile: createServersFile(nodeFileSystem, stateDir, confirmLock),
  restartFlag: restartFlag({ fs: nodeFileSystem, clock, runtimeDir }),
});

/** Longer than the operations of a round that waits for nothing. */
const FOLDERS_JUDGED_FOR_MS = 1000;

/** The store of these settings; it tells what it finds wrong through the log. Whoever writes holds the lock and gives its `confirm`. */
export function openStore(
  settings: Settings,
  log: Logger,
  confirmLock?: () => Promise<void>,
  onPlainFilesMended?: (name: string, pairPath: string) => Promise<void>,
): FileCertificateStore {
  const { stateDir, rotation, specs } = settings;
  const { keepOldFiles, pruneGraceMs } = rotation;
  return new FileCertificateStore({
    stateDir,
    specs,
    keepOldFiles,
    pruneGraceMs,
    confirmLock,
    onPlainFilesMended,
    refuseMeeting: meetingGuard(nodeFileSystem, filesOnDisk(settings)),
    fs: nodeFileSystem,
    judgement: { holdsMs: FOLDERS_JUDGED_FOR_MS, monotonicMs },
    onWarning: (event, fields) => log.log('warn', event, fields),
  });
}

function clusterCaFiles(
  { stateDir, kubelet }: Settings,
  confirmLock: (() => Promise<void>) | undefined,
): ReturnType<typeof createClusterCaFiles> {
  return createClusterCaFiles({ fs: nodeFileSystem, stateDir, unit: kubelet.unit, confirmLock });
}

/** A day: nodes, load balancers and backends behind them have all been asked by then. */
const VERIFIED_FOR_MS = 86_400_000;

function followOptions(settings: Settings): FollowOptions | undefined {
  const { followClusterCA: source, rotation } = settings;
  if (source === 'off') return undefined;
  const rootCommand = (pins: readonly string[]): Remedy => rootJoinCommand(settings, pins);
  const ownFile = caFilePath(settings.certDir);
  return {
    source,
    refreshMs: rotation.clusterCARefreshMs,
    verifiedForMs: VERIFIED_FOR_MS,
    restartsWait: settings.kubelet.restartWindow !== undefined,
    ownFile,
    rootCommand,
  };
}

/** The part of the settings that rotation goes by. */
export function rotationOptions(settings: Settings, hurry: boolean): RotationOptions {
  const { rotation, kubelet } = settings;
  return {
    nodeName: settings.nodeName,
    namedByHost: settings.namedByHost ?? false,
    machine: settings.machine,
    certDir: settings.certDir,
    kubeconfigPath: settings.kubeconfig,
    manageKubeconfig: settings.manageKubeconfig,
    kubeconfigCommand: kubeconfigCommand(settings),
    specs: settings.specs,
    servingNames: settings.servingNames,
    nodeIPs: settings.nodeIPs,
    addressTypes: settings.addressTypes,
    ignoreAddresses: settings.ignoreAddresses,
    maxNames: settings.maxNames,
    externalCloud: kubelet.cloudProvider === 'external',
    minimumSpacingMs: rotation.minimumSpacingMs,
    addressDebounceMs: rotation.addressDebounceMs,
    nodeRefreshMs: rotation.nodeRefreshMs,
    startSpreadMs: hurry ? 0 : rotation.startSpreadMs,
    refusedBackoffMs: rotation.refusedBackoffMs,
    proofRetryMs: rotation.proofRetryMs,
    deleteBootstrapKubeconfig: settings.deleteBootstrapKubeconfig,
    servers: settings.servers,
    serversFromEndpoints: settings.serversFromEndpoints,
    moveKubeconfigMs: settings.moveKubeconfigMs,
    kubeletVersion: kubelet.version,
    caFile: settings.caFile,
    followCa: followOptions(settings),
  };
}

/** The real clock. */
export const systemClock = (): Clock => new SystemClock();
