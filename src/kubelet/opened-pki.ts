import { CertletError } from '../errors.ts';
import { isBelow } from './shared-folders.ts';

/** Closed to the units as a whole: a control plane has the cluster's keys there. Old guides put the kubelet's cert-dir below it. */
const CLUSTER_PKI = '/etc/kubernetes/pki';
/** All else that the units hide (their InaccessiblePaths=): emptying the list for the one takes the others along. */
export const HIDDEN_BESIDES: readonly string[] = [
  '/etc/kubernetes/manifests',
  '/etc/kubernetes/admin.conf',
  '/etc/kubernetes/super-admin.conf',
  '/etc/kubernetes/controller-manager.conf',
  '/etc/kubernetes/scheduler.conf',
  '/etc/shadow',
  '/etc/gshadow',
  '/etc/shadow-',
  '/etc/gshadow-',
  '/etc/ssh',
  '/var/lib/kubelet/pods',
  '/var/lib/kubelet/plugins',
  '/var/lib/kubelet/plugins_registry',
  '/var/lib/kubelet/device-plugins',
  '/var/lib/kubelet/pod-resources',
];

/** What a drop-in shows of the folder of the cluster's keys, which stays hidden else. */
export interface OpenedPki {
  readonly root: string;
  /** The cert-dir, where it lies there. */
  readonly writable: readonly string[];
  /** Files that a kubeconfig names: its CA, a pair that is to be taken over. */
  readonly readable: readonly string[];
}

/** A kubelet's cert-dir, with what lies in it, and what its kubeconfigs name. */
export interface PkiNeeds {
  readonly certDir: string;
  readonly certDirNames: readonly string[];
  readonly kubeconfigNames: readonly string[];
}

/**
 * What has to be shown of `/etc/kubernetes/pki`; undefined for nothing. Throws `ERR_CONFIG_INVALID`, with the way out, where the cert-dir is that
 * folder itself or holds what is not the kubelet's.
 */
export function openedPki({ certDir, certDirNames, kubeconfigNames }: PkiNeeds): OpenedPki | undefined {
  const inside = isBelow(certDir, CLUSTER_PKI);
  if (inside) refuseCommon(certDir, certDirNames);
  const readable = kubeconfigNames.filter((path) => isBelow(path, CLUSTER_PKI) && !(inside && isBelow(path, certDir)));
  if (!inside && readable.length === 0) return undefined;
  return { root: CLUSTER_PKI, writable: inside ? [certDir] : [], readable: [...new Set(readable)].sort() };
}

const isKubelets = (name: string): boolean => /^(?:kubelet|\.certlet|\.kubelet)/u.test(name);

function refuseCommon(certDir: string, names: readonly string[]): void {
  const foreign = certDir === CLUSTER_PKI ? [] : names.filter((name) => !isKubelets(name));
  if (certDir !== CLUSTER_PKI && foreign.length === 0) return;
  const why =
    certDir === CLUSTER_PKI
      ? "is closed to certlet.service, since a control plane has the cluster's keys there"
      : `is not the kubelet's alone: ${foreign.slice(0, 3).join(', ')} lie in it`;
  throw new CertletError('ERR_CONFIG_INVALID', `--cert-dir: ${certDir} ${why}`, {
    remedy:
      '# Give the kubelet a folder of its own first (--cert-dir=/var/lib/kubelet/pki) and restart it.   # then certlet adopt',
  });
}
