import { APPROVE_DESCRIPTIONS } from './approve-descriptions.ts';
import type { Description } from './description.ts';

export type { Description } from './description.ts';
/** By dotted path; entries of lists by the name of the list. */
export const DESCRIPTIONS: Readonly<Record<string, Description>> = {
  bootstrapKubeconfig: {
    text: 'Kubeconfig with the credential for the first request. Read again whenever it changes.',
    value: 'FILE',
  },
  kubeconfig: {
    text: 'Kubeconfig that certlet writes for the kubelet once the client certificate is proved.',
    value: 'FILE',
  },
  manageKubeconfig: {
    text: 'Write that kubeconfig. Whoever can write it is root on the node through the kubelet, so with false it is left to root: certlet join --write-kubeconfig.',
  },
  followClusterCA: {
    text: 'Follow the CAs that the cluster publishes, in the ConfigMap cluster-info or in ClusterTrustBundles: trust new ones, and drop those that are gone once no known server needs them. See docs/ca-rotation.md.',
    value: 'WHERE',
  },
  caFile: {
    text: 'Keep the CA of the kubeconfig in a file beside the pairs, cluster-ca.crt: kubelets from 1.36 on take over a new one without a restart.',
  },
  servers: {
    text: 'Further API servers of the cluster, asked in this order where that of the kubeconfig does not answer, under the same CA and rules for names. See docs/servers.md.',
    value: 'URL,...',
  },
  serversFromEndpoints: {
    text: 'Ask the cluster for them, too (Endpoints default/kubernetes); each is verified before it counts.',
  },
  moveKubeconfig: {
    text: "After the server of the kubelet's kubeconfig was away for so long, name one that answers there and restart the kubelet, once an hour at most. Default: never.",
    value: 'TIME',
  },
  certDir: { text: 'Folder of the certificate files, as in the kubelet.', value: 'DIR' },
  stateDir: {
    text: 'Folder for pending requests and staged pairs, kept private. Default: .certlet in the cert-dir.',
    value: 'DIR',
  },
  runtimeDir: { text: 'Folder for the control socket and the status file.', value: 'DIR' },
  hostnameOverride: {
    text: "Name of the Node object. Default: this host's name in lower case, not shortened.",
    value: 'NAME',
  },
  nodeIP: {
    text: 'Addresses of this node for the serving certificate. 0.0.0.0 and :: stand for "find out".',
    value: 'IP,...',
  },
  rotateServerCertificates: { text: 'Manage the serving certificate too.' },
  servingNames: { text: 'Further DNS names and IP addresses for the serving certificate.', value: 'NAME,...' },
  addressTypes: { text: "Which of the Node's addresses to ask for, by their types.", value: 'TYPE,...' },
  ignoreAddresses: {
    text: 'Addresses of the Node never to ask for, such as a VIP that moves between nodes: ranges or single ones.',
    value: 'CIDR,...',
  },
  maxNames: {
    text: 'Ask for no certificate with more names and addresses than this. It is held then and they are named; none is left out.',
    value: 'COUNT',
  },
  keyAlgorithm: { text: 'Kind of the private keys.', value: 'KIND' },
  keyEncipherment: {
    text: 'Ask for the usage "key encipherment" too. Every signer since 1.9 takes it; some demand that it is absent.',
  },
  expirationSeconds: {
    text: "Lifetime to ask for. Clusters before 1.22 ignore it; the signer may shorten it. Default: the signer's.",
    value: 'SECONDS',
  },
  reserve: {
    text: 'What is left of every certificate at least while the node is online: it is renewed so much before its end, though never in the first half of its life. Default: none.',
    value: 'TIME',
  },
  plainFiles: { text: 'Also write pairs as two files, for programs that cannot read the combined one.' },
  'plainFiles.client': { text: 'Two files for the client pair; {} takes the default names.' },
  'plainFiles.client.certFile': { text: 'Default: kubelet-client.crt in the cert-dir.', value: 'FILE' },
  'plainFiles.client.keyFile': { text: 'Default: kubelet-client.key in the cert-dir.', value: 'FILE' },
  'plainFiles.serving': { text: 'Two files for the serving pair; {} takes the default names.' },
  'plainFiles.serving.certFile': { text: 'Default: kubelet.crt in the cert-dir.', value: 'FILE' },
  'plainFiles.serving.keyFile': { text: 'Default: kubelet.key in the cert-dir.', value: 'FILE' },
  deleteBootstrapKubeconfig: { text: 'Delete the bootstrap kubeconfig once its client certificate is proved.' },
  certificates: { text: "Further certificates of the node, besides the kubelet's two. See docs/certificates.md." },
  'certificates.name': {
    text: 'A DNS label, in file names, log lines, metrics and certlet renew NAME.',
    value: 'NAME',
  },
  'certificates.signerName': { text: 'Who signs, such as kubernetes.io/kube-apiserver-client.', value: 'SIGNER' },
  'certificates.commonName': {
    text: "Common name of the subject; {nodeName} stands for the node's name.",
    value: 'TEXT',
  },
  'certificates.organizations': {
    text: 'Organizations of the subject, which the API server reads as groups.',
    value: 'TEXT,...',
  },
  'certificates.usages': { text: 'Key usages to ask for.', value: 'USAGE,...' },
  'certificates.names': {
    text: 'none, node (host name and addresses of the node), or a list of names and addresses in which node may stand, too.',
  },
  'certificates.keyAlgorithm': { text: 'Kind of the private key. Default: keyAlgorithm.', value: 'KIND' },
  'certificates.expirationSeconds': { text: "Lifetime to ask for. Default: the signer's.", value: 'SECONDS' },
  'certificates.rotationWindow': { text: 'Between which parts of the lifetime it is renewed.' },
  'certificates.reserve': {
    text: 'The same as reserve for this certificate; 0s for none. Default: reserve.',
    value: 'TIME',
  },
  'certificates.certFile': { text: 'Write the certificate to this file, too.', value: 'FILE' },
  'certificates.keyFile': { text: 'Write the key to this file, too.', value: 'FILE' },
  'certificates.groupReadable': { text: 'Files with the key are 0640, with the group of their setgid folder.' },
  'certificates.kubeconfig': { text: 'Kubeconfig to write for it.', value: 'FILE' },
  'certificates.reload': { text: 'Instance of certlet-reload@ to start after a rotation.', value: 'NAME' },
  'certificates.verify': {
    text: 'Where the server listens with TLS (address), to see whether it shows the new pair after the reload, and how long it may take (within).',
  },
  'certificates.approval': { text: 'Who approves: a person, or an approver as well.', value: 'WHO' },
  certificatesDir: { text: 'Holds a folder for each entry of certificates.', value: 'DIR' },
  rotation: { text: 'Times of the rotation. The defaults suit nearly every cluster.' },
  'rotation.minimumSpacing': {
    text: 'Least time between two requests for one certificate, whatever the dates say. A twentieth of its lifetime, up to 10 minutes, where that is longer.',
    value: 'TIME',
  },
  'rotation.keepOldFiles': { text: 'How many older files of each certificate to keep.', value: 'COUNT' },
  'rotation.pruneGrace': { text: 'How long a file must have been replaced before it is deleted.', value: 'TIME' },
  'rotation.addressDebounce': {
    text: 'How long a changed address must stay before it counts.',
    value: 'TIME',
  },
  'rotation.nodeRefresh': { text: 'How often to read the own Node for its addresses.', value: 'TIME' },
  'rotation.startSpread': {
    text: 'A start with a valid pair spreads its first request over this time, so that a site does not hit the server at once.',
    value: 'TIME',
  },
  'rotation.refusedBackoff': {
    text: 'First delay after a denied or failed request; later ones are longer.',
    value: 'TIME',
  },
  'rotation.proofRetry': {
    text: 'How long a new client certificate may be refused before it counts as unusable.',
    value: 'TIME',
  },
  'rotation.clusterCARefresh': {
    text: 'How often to read which CAs the cluster publishes, with followClusterCA.',
    value: 'TIME',
  },
  kubelet: { text: 'The kubelet beside certlet.' },
  'kubelet.unit': { text: 'Its systemd unit.', value: 'UNIT' },
  'kubelet.version': { text: 'Its version. Default: as the Node object tells.', value: 'VERSION' },
  'kubelet.restart': {
    text: 'Restart it after a rotation: auto only where it is seen to serve an older pair, or where its version (1.17 and older) never reads a client certificate again.',
    value: 'WHEN',
  },
  'kubelet.cloudProvider': {
    text: 'As its flag --cloud-provider: with external the first serving request waits, for at most 10 minutes, until the cloud provider has given the Node its addresses.',
    value: 'WHO',
  },
  'kubelet.reloadWithin': {
    text: 'How long it may serve an older pair after a rotation before it is restarted, and how long a restart may take.',
    value: 'TIME',
  },
  'kubelet.address': {
    text: 'Where it listens, to see which pair it serves. Default: this host, then the internal addresses of the Node.',
    value: 'IP',
  },
  'kubelet.port': {
    text: 'Its port. Default: as the Node object tells, else 10250.',
    value: 'PORT',
  },
  'kubelet.restartWindow': {
    text: 'When it may be restarted. A restart waits for it, unless the pair that it uses would come within a tenth of its lifetime (10 minutes at least) of its end.',
  },
  'kubelet.restartWindow.start': {
    text: 'When the window opens: minute, hour, day of the month, month, day of the week, as in crontab(5).',
    value: 'FIELDS',
  },
  'kubelet.restartWindow.length': {
    text: 'How long it stays open. The nodes of a site spread over it, by their names.',
    value: 'TIME',
  },
  'kubelet.restartWindow.timeZone': {
    text: 'Where the clock of the window hangs. Default: as on this host.',
    value: 'ZONE',
  },
  hooks: { text: 'Commands to run after a rotation, inside the sandbox of the service.' },
  'hooks.name': { text: 'Name for log and status.' },
  'hooks.command': { text: 'Program (absolute path) and its arguments. No shell is involved.' },
  'hooks.on': { text: 'After which rotations to run.' },
  'hooks.timeout': { text: 'When to kill it.', value: 'TIME' },
  privilegedHooks: {
    text: 'Instances of certlet-hook@.service to start after a rotation, outside the sandbox.',
    value: 'NAME,...',
  },
  log: { text: 'The log, on standard error.' },
  'log.level': { text: 'Least urgent lines to write.', value: 'LEVEL' },
  'log.format': { text: 'Form of the lines; auto takes journal under systemd, else text.', value: 'FORMAT' },
  metrics: { text: 'Prometheus metrics, besides those on the control socket.' },
  'metrics.address': {
    text: 'Serve them on this loopback address. Port 0 takes a free one.',
    value: 'HOST:PORT',
  },
  'metrics.textfile': { text: 'Write them to this file for node_exporter; it must end in .prom.', value: 'FILE' },
  events: { text: 'Record Kubernetes Events on the Node object.' },
  ...APPROVE_DESCRIPTIONS,
};

/** Description of a dotted path. */
export function describe(path: string): Description {
  return DESCRIPTIONS[path] ?? { text: '' };
}
