import { join } from 'node:path';
import type { FileSystem } from '../adapters/file-system.ts';
import { readIfPresent } from '../adapters/files.ts';
import { type ClusterAccess, encodeNodeKubeconfig } from '../kubeconfig/client-config.ts';
import { parseKubeconfig } from '../kubeconfig/codec.ts';
import type { Kubeconfig, Material } from '../kubeconfig/model.ts';
import { isBelow } from '../kubelet/shared-folders.ts';
import type { Secret } from '../secret.ts';

export interface AdoptedKubeconfig {
  /** Undefined: nothing is to be written. */
  readonly text: Secret | undefined;
  /** What a person has to do about it. */
  readonly warnings: readonly string[];
}

const FILE_LIMIT_BYTES = 1024 * 1024;

/**
 * The kubelet's kubeconfig as root writes it where the service may not: the same cluster, and the pair that certlet keeps. `root` stands for `/`.
 * Throws `ERR_KUBECONFIG_INVALID`, `ERR_STORE_IO`.
 */
export async function adoptedKubeconfig(
  paths: { readonly kubeconfig: string; readonly certDir: string },
  fs: FileSystem,
  root: string,
): Promise<AdoptedKubeconfig> {
  const { kubeconfig: path, certDir } = paths;
  const pairPath = join(certDir, 'kubelet-client-current.pem');
  const again = 'run certlet adopt --write again after that';
  if (isBelow(path, certDir)) {
    const warning = `${path} lies in the cert-dir, which the service writes: give the kubelet another --kubeconfig, such as /etc/kubernetes/kubelet.conf`;
    return { text: undefined, warnings: [warning] };
  }
  const present = await readIfPresent(fs, join(root, path), FILE_LIMIT_BYTES);
  if (present === undefined)
    return { text: undefined, warnings: [`${path} is not there: certlet join --write-kubeconfig writes it`] };
  const kubeconfig = parseKubeconfig(present, path);
  const ca = kubeconfig.cluster.ca;
  const openCa = ca?.kind === 'file' && isBelow(ca.path, certDir) ? ca.path : undefined;
  if (namesPair(kubeconfig, pairPath) && openCa === undefined) return { text: undefined, warnings: [] };
  if ((await fs.lstat(join(root, pairPath))) === undefined) {
    const warning = `${path} does not name ${pairPath} yet: start certlet, which takes the certificate over, and ${again}`;
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
