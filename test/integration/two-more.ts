import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import type { NodeFolder } from './program.ts';

const EXPORTER_GROUP = 54_321;

/** Lines of settings: kube-proxy's certificate, with a kubeconfig and a unit to reload. The first of `certificates`. */
export const proxyEntry = (node: NodeFolder): string => `
certificatesDir: ${node.file('certs')}
certificates:
  - name: kube-proxy
    signerName: kubernetes.io/kube-apiserver-client
    commonName: system:kube-proxy
    organizations: [system:node-proxier]
    usages: [digital signature, client auth]
    kubeconfig: ${node.file('kube-proxy.conf')}
    reload: kube-proxy
`;

/** An exporter's, of a signer of somebody, as two files for a group besides. To stand below another entry. */
export const exporterEntry = (node: NodeFolder): string =>
  `  - name: node-exporter
    signerName: example.com/monitoring
    commonName: "{nodeName}"
    names: node
    usages: [digital signature, server auth]
    certFile: ${node.file('certs/node-exporter/tls.crt')}
    keyFile: ${node.file('certs/node-exporter/tls.key')}
    groupReadable: true
`;

/**
 * What root does once for a group that shall read the exporter's key; without root the group of this process will do. Gives the folder and its
 * group.
 */
export function makeExporterFolder(node: NodeFolder): { readonly folder: string; readonly gid: number } {
  const folder = node.file('certs/node-exporter');
  mkdirSync(folder, { recursive: true });
  chmodSync(node.file('certs'), 0o755);
  const isRoot = process.getuid?.() === 0;
  const gid = isRoot ? EXPORTER_GROUP : (process.getgid?.() ?? 0);
  if (isRoot) chownSync(folder, 0, gid);
  chmodSync(folder, 0o2750);
  return { folder, gid };
}
