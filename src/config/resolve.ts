import { join } from 'node:path';
import { caFilePath } from '../adapters/cluster-ca-files.ts';
import { certificateSpecs } from './certificates.ts';
import type { SettingsFile } from './fields.ts';
import type { HookSettings, KubeletSettings, MetricsSettings, RotationSettings, Settings } from './settings.ts';

/** Fills in what follows from other settings. `file` has been read without problems. */
export function resolveSettings(file: SettingsFile, nodeName: string, source: string | undefined): Settings {
  const { certDir, kubelet } = file;
  const specs = certificateSpecs(file);
  return {
    source,
    nodeName,
    bootstrapKubeconfig: file.bootstrapKubeconfig,
    kubeconfig: file.kubeconfig,
    manageKubeconfig: file.manageKubeconfig,
    followClusterCA: file.followClusterCA,
    ...(file.caFile ? { caFile: caFilePath(certDir) } : {}),
    servers: file.servers,
    serversFromEndpoints: file.serversFromEndpoints,
    ...(file.moveKubeconfig === undefined ? {} : { moveKubeconfigMs: file.moveKubeconfig }),
    certDir,
    stateDir: file.stateDir ?? join(certDir, '.certlet'),
    runtimeDir: file.runtimeDir,
    nodeIPs: file.nodeIP.filter((address) => !/^[0:.]+$/.test(address)),
    rotateServerCertificates: file.rotateServerCertificates,
    servingNames: file.servingNames,
    addressTypes: file.addressTypes,
    ignoreAddresses: file.ignoreAddresses,
    maxNames: file.maxNames,
    certificatesDir: file.certificatesDir,
    specs,
    deleteBootstrapKubeconfig: file.deleteBootstrapKubeconfig,
    rotation: rotationSettings(file.rotation),
    kubelet: {
      unit: kubelet.unit,
      ...(kubelet.version === undefined ? {} : { version: kubelet.version }),
      restart: kubelet.restart,
      cloudProvider: kubelet.cloudProvider,
      reloadWithinMs: kubelet.reloadWithin,
      ...(kubelet.address === undefined ? {} : { address: kubelet.address }),
      ...(kubelet.port === undefined ? {} : { port: kubelet.port }),
      ...windowSettings(kubelet.restartWindow),
    },
    hooks: file.hooks.map((hook) => hookSettings(hook, specs)),
    privilegedHooks: file.privilegedHooks,
    log: file.log,
    metrics: metricsSettings(file.metrics),
    events: file.events,
  };
}

function windowSettings(window: SettingsFile['kubelet']['restartWindow']): Pick<KubeletSettings, 'restartWindow'> {
  if (window === undefined) return {};
  const { start, length: lengthMs, timeZone } = window;
  return { restartWindow: { start, lengthMs, ...(timeZone === undefined ? {} : { timeZone }) } };
}

function rotationSettings(rotation: SettingsFile['rotation']): RotationSettings {
  return {
    minimumSpacingMs: rotation.minimumSpacing,
    keepOldFiles: rotation.keepOldFiles,
    pruneGraceMs: rotation.pruneGrace,
    addressDebounceMs: rotation.addressDebounce,
    nodeRefreshMs: rotation.nodeRefresh,
    startSpreadMs: rotation.startSpread,
    refusedBackoffMs: rotation.refusedBackoff,
    proofRetryMs: rotation.proofRetry,
    clusterCARefreshMs: rotation.clusterCARefresh,
  };
}

function hookSettings(hook: SettingsFile['hooks'][number], specs: Settings['specs']): HookSettings {
  const { name, command, on = specs.map((spec) => spec.name), timeout: timeoutMs } = hook;
  return { name, command, on, timeoutMs };
}

function metricsSettings({ address, textfile }: SettingsFile['metrics']): MetricsSettings {
  return { ...(address === undefined ? {} : { address }), ...(textfile === undefined ? {} : { textfile }) };
}
