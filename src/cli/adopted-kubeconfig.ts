import { join } from 'node:path';
import type { FileSystem } from '../adapters/file-system.ts';
import { readIfPresent } from '../adapters/files.ts';
import { type ClusterAccess, encodeNodeKubeconfig } from '../kubeconfig/client-config.ts';
import { parseKubeconfig } from '../kubeconfig/codec.ts';
import type { Kubeconfig, Material } from '../kubeconfig/model.ts';
import { KUBE_PROXY } from '../kubelet/kube-proxy.ts';
import { isBelow } from '../kubelet/shared-folders.ts';
import type { Secret } from '../secret.ts';

export interface AdoptedKubeconfig {
  /** Undefined: nothing is to be written. */
  readonly text: Secret | undefined;
  /** What a person has to do about it. */
  readonly warnings: readonly string[];
}

const FILE_LIMIT_BYTES = 1024 * 1024;

/** A kubeconfig that is root's, and the pair that it is to name. */
export interface RootKubeconfig {
  readonly path: string;
  /** Who reads it, as in `the kubelet`. */
  readonly reader: string;
  /** The link to the pair that certlet keeps. */
  readonly pairPath: string;
  /** Where that link lies: the service can write everything there. */
  readonly pairFolder: string;
  /** How a file that is not there comes about. */
  readonly missing: string;
}

/** The kubelet's. */
export const kubeletKubeconfig = (kubeconfig: string, certDir: string): RootKubeconfig => ({
  path: kubeconfig,
  reader: 'the kubelet',
  pairPath: join(certDir, 'kubelet-client-current.pem'),
  pairFolder: certDir,
  missing: 'certlet join --write-kubeconfig writes it',
});

/** kube-proxy's, for the pair of its entry in `certificates`. */
export const kubeProxyKubeconfig = (kubeconfig: string, certificatesDir: string): RootKubeconfig => ({
  path: kubeconfig,
  reader: 'kube-proxy',
  pairPath: join(certificatesDir, KUBE_PROXY, `${KUBE_PROXY}-current.pem`),
  pairFolder: join(certificatesDir, KUBE_PROXY),
  missing: "a copy of the kubelet's will do, and certlet adopt --write puts the pair in",
});

/**
 * A kubeconfig as root writes it where the service may not: the same cluster, and the pair that certlet keeps. `root` stands for `/`.
 * Throws `ERR_KUBECONFIG_INVALID`, `ERR_STORE_IO`.
 */
export async function adoptedKubeconfig(
  { path, reader, pairPath, pairFolder, missing }: RootKubeconfig,
  fs: FileSystem,
  root: string,
): Promise<AdoptedKubeconfig> {
  const again = 'run certlet adopt --write again after that';
  if (isBelow(path, pairFolder)) {
    const warning = `${path} lies in ${pairFolder}, which the service writes: give ${reader} another kubeconfig, such as /etc/kubernetes/kubelet.conf`;
    return { text: undefined, warnings: [warning] };
  }
  const present = await readIfPresent(fs, join(root, path), FILE_LIMIT_BYTES);
  if (present === undefined) return { text: undefined, warnings: [`${path} is not there: ${missing}`] };
  const kubeconfig = parseKubeconfig(present, path);
  const ca = kubeconfig.cluster.ca;
  const openCa = ca?.kind === 'file' && isBelow(ca.path, pairFolder) ? ca.path : undefined;
  if (namesPair(kubeconfig, pairPath) && openCa === undefined) return { text: undefined, warnings: [] };
  if ((await fs.lstat(join(root, pairPath))) === undefined) {
    const warning = `${path} does not name ${pairPath} yet: ${reader === 'the kubelet' ? 'start certlet, which takes the certificate over' : 'once certlet has its certificate'}, and ${again}`;
    return { text: undefined, warnings: [warning] };
  }
  const embedded = openCa && (await readIfPresent(fs, join(root, openCa), FILE_LIMIT_BYTES));
  return { text: encodeNodeKubeconfig(accessOf(kubeconfig, embedded), pairPath), warnings: [] };
}

function namesPair({ user }: Kubeconfig, pairPath: string): boolean {
  const names = (material: Material): boolean => material.kind === 'file' && material.path === pairPath;
  return user.kind === 'certificate' && names(user.certificate) && names(user.key);
}

/** What `encodeNodeKubeconfig` needs, with the CA inside where the service could change the file that has it. */
function accessOf({ cluster }: Kubeconfig, embedded: string | undefined): ClusterAccess {
  const { ca, server, insecureSkipTlsVerify, tlsServerName, proxyUrl } = cluster;
  const caPem = ca?.kind === 'data' ? ca.text.reveal() : embedded;
  return {
    server,
    insecureSkipTlsVerify,
    ...(caPem !== undefined && { caPem }),
    ...(ca?.kind === 'file' && embedded === undefined && { caPath: ca.path }),
    ...(tlsServerName !== undefined && { tlsServerName }),
    ...(proxyUrl !== undefined && { proxyUrl }),
  };
}
