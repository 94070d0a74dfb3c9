import { join } from 'node:path';
import type { Purpose } from '../csr/template.ts';
import type { SettingsFile } from './fields.ts';
import type { HookSettings, MetricsSettings, PlainFiles, RotationSettings, Settings } from './settings.ts';

/** Names that 1.9 kubelets and guides use for pairs in two files. */
const PLAIN_NAMES: Readonly<Record<Purpose, string>> = { client: 'kubelet-client', serving: 'kubelet' };

/** Fills in what follows from other settings. `file` has been read without problems. */
export function resolveSettings(file: SettingsFile, nodeName: string, source: string | undefined): Settings {
  const { certDir, expirationSeconds, kubelet } = file;
  const client = plainFiles(file, 'client');
  const serving = plainFiles(file, 'serving');
  return {
    source,
    nodeName,
    bootstrapKubeconfig: file.bootstrapKubeconfig,
    kubeconfig: file.kubeconfig,
    manageKubeconfig: file.manageKubeconfig,
    certDir,
    stateDir: file.stateDir ?? join(certDir, '.certlet'),
    runtimeDir: file.runtimeDir,
    nodeIPs: file.nodeIP.filter((address) => !/^[0:.]+$/.test(address)),
    rotateServerCertificates: file.rotateServerCertificates,
    servingNames: file.servingNames,
    keyAlgorithm: file.keyAlgorithm,
    keyEncipherment: file.keyEncipherment,
    ...(expirationSeconds === undefined ? {} : { expirationSeconds }),
    plainFiles: { ...(client && { client }), ...(serving && { serving }) },
    deleteBootstrapKubeconfig: file.deleteBootstrapKubeconfig,
    rotation: rotationSettings(file.rotation),
    kubelet: {
      unit: kubelet.unit,
      ...(kubelet.version === undefined ? {} : { version: kubelet.version }),
      restart: kubelet.restart,
    },
    hooks: file.hooks.map((hook) => hookSettings(hook)),
    privilegedHooks: file.privilegedHooks,
    log: file.log,
    metrics: metricsSettings(file.metrics),
    events: file.events,
  };
}

function plainFiles(file: SettingsFile, purpose: Purpose): PlainFiles | undefined {
  const given = file.plainFiles[purpose];
  if (given === undefined) return undefined;
  const stem = join(file.certDir, PLAIN_NAMES[purpose]);
  return { certFile: given.certFile ?? `${stem}.crt`, keyFile: given.keyFile ?? `${stem}.key` };
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
  };
}

function hookSettings(hook: SettingsFile['hooks'][number]): HookSettings {
  return { name: hook.name, command: hook.command, on: hook.on, timeoutMs: hook.timeout };
}

function metricsSettings({ address, textfile }: SettingsFile['metrics']): MetricsSettings {
  const colon = address?.lastIndexOf(':') ?? -1;
  return {
    ...(address === undefined
      ? {}
      : {
          address: {
            host: address.slice(0, colon).replace(/^\[(.*)\]$/, '$1'),
            port: Number.parseInt(address.slice(colon + 1), 10),
          },
        }),
    ...(textfile === undefined ? {} : { textfile }),
  };
}
