import { joinRemedy, inSettings, shellWord } from '../remedy.ts';
import { join } from 'node:path';
import type { FileSystem } from '../adapters/file-system.ts';
import { CertletError, isCertletError } from '../errors.ts';
import type { ClusterAccess } from '../kubeconfig/client-config.ts';
import type { KubeconfigFiles, KubeconfigReading } from '../ports.ts';
import { settingsFields } from './adopted-settings.ts';

/** The node's kubeconfig as `certlet join --write-kubeconfig` has to know it. */
export interface RootKubeconfig {
  readonly path: string;
  readonly certDir: string;
  readonly stateDir: string;
  /** Whether the settings say that the service writes it. */
  readonly managed: boolean;
  readonly settingsPath: string;
  readonly kubeletUnit: string;
}

const SETTING = 'manageKubeconfig: false';
const DROP_IN = '/usr/share/certlet/drop-ins/certlet.service.d/10-kubeconfig-by-root.conf';

/**
 * Writes the kubeconfig that the kubelet reads, outside of the service's sandbox. Throws `ERR_CONFIG_INVALID` where the service could write it
 * all the same, `ERR_KUBECONFIG_UNSAFE` for a CA that lies where the service writes, `ERR_DISCOVERY` where the file holds the node's only
 * certificate, and `ERR_STORE_*`.
 */
export async function writeRootKubeconfig(
  cluster: ClusterAccess,
  kubeconfig: RootKubeconfig,
  ports: { readonly fs: FileSystem; readonly kubeconfigs: Pick<KubeconfigFiles, 'readNode' | 'writeNode'> },
): Promise<void> {
  const { path, certDir } = kubeconfig;
  if (isTheServices(path, kubeconfig)) {
    throw new CertletError('ERR_CONFIG_INVALID', `kubeconfig: ${path} lies in a folder that the service writes`, {
      remedy: inSettings('kubeconfig: /etc/kubernetes/kubelet.conf', 'and give the kubelet the same --kubeconfig'),
    });
  }
  if (cluster.caPath !== undefined) refuseTheServices(cluster.caPath, 'certificate-authority', kubeconfig);
  const pairPath = join(certDir, 'kubelet-client-current.pem');
  const holdsPair = embedsPair(await ports.kubeconfigs.readNode(), pairPath);
  if (holdsPair && (await ports.fs.stat(pairPath)) === undefined) {
    throw new CertletError('ERR_DISCOVERY', `not overwritten: ${path} holds the node's only certificate`, {
      remedy: 'systemctl start certlet   # it takes the certificate over; then the same command again',
    });
  }
  await ports.kubeconfigs.writeNode(cluster, pairPath);
}

/** The cluster of a bootstrap kubeconfig that root may believe. Throws what is wrong with it. */
export function clusterOfBootstrap(reading: KubeconfigReading, kubeconfig: RootKubeconfig): ClusterAccess {
  if (reading.kind === 'absent') {
    throw new CertletError('ERR_CREDENTIAL_MISSING', `there is no bootstrap kubeconfig at ${reading.path}`, {
      remedy: joinRemedy(undefined, ' --write-kubeconfig'),
    });
  }
  if (reading.kind === 'unusable') throw reading.error;
  refuseTheServices(reading.path, 'the bootstrap kubeconfig', kubeconfig);
  return reading.config.cluster;
}

/** Whether a line at the end of these settings sets it: not in JSON, nor where the key stands already, nor behind a line without an end. */
function canBeAppended(text: string, path: string): boolean {
  try {
    return settingsFields(`${text}${SETTING}\n`, path)['manageKubeconfig'] === false;
  } catch (error) {
    if (isCertletError(error, 'ERR_CONFIG_INVALID')) return false;
    throw error;
  }
}

/** What is left to do, each a command, and what no command can do. `settings`: the text of that file, empty where there is none. */
export function leftToRoot(
  { managed, settingsPath, kubeletUnit }: RootKubeconfig,
  settings: string,
): { readonly next: readonly string[]; readonly warnings: readonly string[] } {
  const restart = `systemctl restart ${shellWord(kubeletUnit)}`;
  if (!managed) return { next: [restart], warnings: [] };
  const appended = canBeAppended(settings, settingsPath);
  const folders = ['certlet.service.d', 'certlet-once.service.d'].map((name) => `/etc/systemd/system/${name}`);
  const next = [
    ...(appended ? [`echo '${SETTING}' >> ${shellWord(settingsPath)}`] : []),
    ...folders.map((folder) => `install -D -m 644 -t ${folder} ${DROP_IN}`),
    'systemctl daemon-reload',
    'systemctl restart certlet',
    restart,
  ];
  return { next, warnings: appended ? [] : [`first set ${SETTING} in ${settingsPath}, by hand`] };
}

function embedsPair(reading: KubeconfigReading, pairPath: string): boolean {
  if (reading.kind !== 'usable' || reading.config.credential.kind !== 'certificate') return false;
  return !reading.config.files.includes(pairPath);
}

/** Whether the sandboxed service could have put the file there. */
const isTheServices = (path: string, { certDir, stateDir }: RootKubeconfig): boolean =>
  [certDir, stateDir].some((folder) => path === folder || path.startsWith(`${folder}/`));

function refuseTheServices(path: string, what: string, kubeconfig: RootKubeconfig): void {
  if (!isTheServices(path, kubeconfig)) return;
  throw new CertletError('ERR_KUBECONFIG_UNSAFE', `${what} ${path} lies in a folder that the service writes`, {
    remedy: `mv ${shellWord(path)} /etc/kubernetes/   # keeps it elsewhere`,
  });
}
