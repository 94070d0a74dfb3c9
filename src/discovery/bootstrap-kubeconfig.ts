import { Secret } from '../secret.ts';
import type { DiscoveredCluster } from './cluster-info.ts';

/**
 * The bootstrap kubeconfig that kubeadm would write: cluster `kubernetes`, user `token-bootstrap-client`.
 * Values are written as JSON strings, which are YAML too, so that no server name can break out of its line.
 */
export function encodeBootstrapKubeconfig(cluster: DiscoveredCluster, token: Secret): Secret {
  const caData = Buffer.from(cluster.caPem, 'utf8').toString('base64');
  const lines = [
    'apiVersion: v1',
    'kind: Config',
    'clusters:',
    '- name: kubernetes',
    '  cluster:',
    `    server: ${JSON.stringify(cluster.server)}`,
    `    certificate-authority-data: ${caData}`,
    'users:',
    '- name: token-bootstrap-client',
    '  user:',
    `    token: ${JSON.stringify(token.reveal())}`,
    'contexts:',
    '- name: token-bootstrap-client@kubernetes',
    '  context:',
    '    cluster: kubernetes',
    '    user: token-bootstrap-client',
    'current-context: token-bootstrap-client@kubernetes',
  ];
  return new Secret(`${lines.join('\n')}\n`);
}
