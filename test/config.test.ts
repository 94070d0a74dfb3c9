import fc from 'fast-check';
import t from 'tap';
import { kubeletSpecs } from './fixtures/specs.ts';
import { loadSettings } from '../src/config.ts';
import type { FlagValues, Settings } from '../src/config.ts';
import { CertletError } from '../src/errors.ts';

const filePath = '/etc/certlet/config.yaml';

function load(fileText: string | undefined, flags: FlagValues = {}, osHostname = 'node-1'): Settings {
  return loadSettings({ flags, fileText, filePath, osHostname });
}

/** The lines of the error, without the heading; empty when all is well. */
function problems(fileText: string | undefined, flags: FlagValues = {}): readonly string[] {
  try {
    load(fileText, flags);
    return [];
  } catch (error) {
    if (!(error instanceof CertletError) || !['ERR_CONFIG_INVALID', 'ERR_USAGE'].includes(error.code)) throw error;
    const lines = error.message.split('\n');
    return lines.length === 1 ? [error.message.replace(/^settings: /, '')] : lines.slice(1);
  }
}

t.test('a cert-dir of file or flag is none by default', async (t) => {
  t.equal(load(undefined, { 'cert-dir': '/srv/pki' }).certDirByDefault, undefined);
  t.equal(load('certDir: /var/lib/kubelet/pki').certDirByDefault, undefined);
  t.equal(load('maxNames: 5').certDirByDefault, true);
});

t.test('without file and flags everything has the default of kubeadm or the kubelet', async (t) => {
  t.strictSame(load(undefined), {
    source: undefined,
    nodeName: 'node-1',
    namedByHost: true,
    certDirByDefault: true,
    bootstrapKubeconfig: '/etc/kubernetes/bootstrap-kubelet.conf',
    kubeconfig: '/etc/kubernetes/kubelet.conf',
    manageKubeconfig: true,
    followClusterCA: 'off',
    servers: [],
    serversFromEndpoints: false,
    certDir: '/var/lib/kubelet/pki',
    stateDir: '/var/lib/kubelet/pki/.certlet',
    runtimeDir: '/run/certlet',
    nodeIPs: [],
    rotateServerCertificates: true,
    servingNames: [],
    addressTypes: ['Hostname', 'InternalDNS', 'InternalIP', 'ExternalDNS', 'ExternalIP'],
    ignoreAddresses: [],
    maxNames: undefined,
    certificatesDir: '/var/lib/certlet/certs',
    specs: kubeletSpecs({ certDir: '/var/lib/kubelet/pki' }),
    deleteBootstrapKubeconfig: false,
    rotation: {
      minimumSpacingMs: 30_000,
      keepOldFiles: 2,
      pruneGraceMs: 3_600_000,
      addressDebounceMs: 10_000,
      nodeRefreshMs: 300_000,
      startSpreadMs: 60_000,
      refusedBackoffMs: 3_600_000,
      proofRetryMs: 300_000,
      clusterCARefreshMs: 3_600_000,
    },
    kubelet: { unit: 'kubelet.service', restart: 'auto', cloudProvider: 'none', reloadWithinMs: 90_000 },
    hooks: [],
    privilegedHooks: [],
    log: { level: 'info', format: 'auto' },
    metrics: {},
    events: false,
  });
});

t.test('a file of comments alone, or of nothing, means the defaults', async (t) => {
  for (const text of ['', '# nothing\n', '---\n', '{}'])
    t.match(load(text), { certDir: '/var/lib/kubelet/pki', source: filePath });
});

const everything = `
bootstrapKubeconfig: /etc/k/boot.conf
kubeconfig: /etc/k//node.conf/
manageKubeconfig: false
followClusterCA: clusterTrustBundle
servers: [https://10.0.0.1:6443, "https://[fd00::1]/lb/"]
serversFromEndpoints: true
reserve: 21d
certDir: /var/k/pki
stateDir: /var/k/state
runtimeDir: /run/k
hostnameOverride: " N1.Example "
nodeIP: [192.0.2.7, "2001:DB8::7", "::", 0.0.0.0]
rotateServerCertificates: false
servingNames: [Edge.Example, 192.0.2.9, "2001:DB8:0::9"]
addressTypes: [InternalIP, Hostname]
ignoreAddresses: [192.0.2.100, "2001:DB8:F::/48"]
maxNames: 12
keyAlgorithm: RSA-3072
keyEncipherment: false
expirationSeconds: 600
plainFiles: { client: {}, serving: { certFile: /etc/pki/s.crt, keyFile: /etc/pki/s.key } }
certificatesDir: /var/k/certs
deleteBootstrapKubeconfig: true
rotation: { minimumSpacing: 1s, keepOldFiles: 0, pruneGrace: 0s, addressDebounce: 500ms, startSpread: 1h30m, clusterCARefresh: 10m }
kubelet: { unit: k3s-agent.service, version: v1.20.2, restart: always, cloudProvider: external, reloadWithin: 2m, address: 10.0.0.7, port: 10350, restartWindow: { start: "0  2 * * Sat", length: 2h, timeZone: Europe/Berlin } }
hooks:
  - { name: a, command: [/bin/a, --x], on: [serving], timeout: 5s }
  - { name: b, command: [/bin/b] }
privilegedHooks: [reload-proxy]
log: { level: debug, format: json }
metrics: { address: "[::1]:9099", textfile: /var/lib/n/certlet.prom }
events: true
`;

t.test('every setting of the file arrives, resolved', async (t) => {
  t.strictSame(load(everything), {
    source: filePath,
    nodeName: 'n1.example',
    bootstrapKubeconfig: '/etc/k/boot.conf',
    kubeconfig: '/etc/k/node.conf',
    manageKubeconfig: false,
    followClusterCA: 'clusterTrustBundle',
    servers: ['https://10.0.0.1:6443', 'https://[fd00::1]/lb'],
    serversFromEndpoints: true,
    certDir: '/var/k/pki',
    stateDir: '/var/k/state',
    runtimeDir: '/run/k',
    nodeIPs: ['192.0.2.7', '2001:db8::7'],
    rotateServerCertificates: false,
    servingNames: ['edge.example', '192.0.2.9', '2001:db8::9'],
    addressTypes: ['InternalIP', 'Hostname'],
    ignoreAddresses: [
      { network: Uint8Array.of(192, 0, 2, 100), prefixLength: 32 },
      { network: Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0xf, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), prefixLength: 48 },
    ],
    maxNames: 12,
    certificatesDir: '/var/k/certs',
    specs: kubeletSpecs({
      certDir: '/var/k/pki',
      kubeconfigPath: '/etc/k/node.conf',
      keyAlgorithm: 'RSA-3072',
      keyEncipherment: false,
      expirationSeconds: 600,
      reserveMs: 21 * 86_400_000,
      plainFiles: { client: { certFile: '/var/k/pki/kubelet-client.crt', keyFile: '/var/k/pki/kubelet-client.key' } },
      serving: false,
    }),
    deleteBootstrapKubeconfig: true,
    rotation: {
      minimumSpacingMs: 1000,
      keepOldFiles: 0,
      pruneGraceMs: 0,
      addressDebounceMs: 500,
      nodeRefreshMs: 300_000,
      startSpreadMs: 5_400_000,
      refusedBackoffMs: 3_600_000,
      proofRetryMs: 300_000,
      clusterCARefreshMs: 600_000,
    },
    kubelet: {
      unit: 'k3s-agent.service',
      version: 'v1.20.2',
      restart: 'always',
      cloudProvider: 'external',
      reloadWithinMs: 120_000,
      address: '10.0.0.7',
      port: 10_350,
      restartWindow: { start: '0 2 * * sat', lengthMs: 7_200_000, timeZone: 'Europe/Berlin' },
    },
    hooks: [
      { name: 'a', command: ['/bin/a', '--x'], on: ['serving'], timeoutMs: 5000 },
      { name: 'b', command: ['/bin/b'], on: ['client'], timeoutMs: 30_000 },
    ],
    privilegedHooks: ['reload-proxy'],
    log: { level: 'debug', format: 'json' },
    metrics: { address: { host: '::1', port: 9099 }, textfile: '/var/lib/n/certlet.prom' },
    events: true,
  });
});

t.test('the CA file lies beside the pairs, where it is wanted', async (t) => {
  t.equal(load('certDir: /pki\ncaFile: true\nfollowClusterCA: off').caFile, '/pki/cluster-ca.crt');
  t.equal(load('certDir: /pki').caFile, undefined);
});

t.test('the state folder moves with the cert-dir', async (t) => {
  t.equal(load('certDir: /pki').stateDir, '/pki/.certlet');
  t.equal(load('certDir: /pki', { 'cert-dir': '/other' }).stateDir, '/other/.certlet');
});

t.test('a flag wins over the file, and what neither says has its default', async (t) => {
  const settings = load(
    'certDir: /pki\nrotation: {keepOldFiles: 5, pruneGrace: 2h}\nnodeIP: [192.0.2.1]\nevents: true',
    {
      'node-ip': ['192.0.2.2', '192.0.2.3'],
      'rotation-keep-old-files': '7',
      'expiration-seconds': '86400',
      events: false,
      'log-level': 'debug',
      'metrics-address': 'localhost:0',
    },
  );
  t.match(settings, {
    certDir: '/pki',
    nodeIPs: ['192.0.2.2', '192.0.2.3'],
    specs: [{ expirationSeconds: 86_400 }, { expirationSeconds: 86_400 }],
    events: false,
    log: { level: 'debug', format: 'auto' },
    metrics: { address: { host: 'localhost', port: 0 } },
  });
  t.match(settings.rotation, { keepOldFiles: 7, pruneGraceMs: 7_200_000, minimumSpacingMs: 30_000 });
});

for (const row of [
  { name: 'the name of the host', file: undefined, flags: {}, host: 'node-1', nodeName: 'node-1' },
  {
    name: 'in lower case, trimmed and not shortened',
    file: '',
    flags: {},
    host: ' Node-1.Example.ORG\n',
    nodeName: 'node-1.example.org',
  },
  { name: 'the override before it', file: 'hostnameOverride: Other', flags: {}, host: 'node-1', nodeName: 'other' },
  {
    name: 'the flag before both',
    file: 'hostnameOverride: other',
    flags: { 'hostname-override': 'FLAG' },
    host: 'h',
    nodeName: 'flag',
  },
  { name: 'not an empty override', file: 'hostnameOverride: ""', flags: {}, host: 'node-1', nodeName: 'node-1' },
  {
    name: 'an address, as some clusters do',
    file: 'hostnameOverride: 192.0.2.7',
    flags: {},
    host: '',
    nodeName: '192.0.2.7',
  },
]) {
  t.test(`node name: ${row.name}`, async (t) => {
    t.equal(load(row.file, row.flags, row.host).nodeName, row.nodeName);
  });
}

for (const host of [
  '',
  '  ',
  'my_host',
  '-x',
  'a'.repeat(254),
  'a..b',
  '(none)',
  'localhost',
  'LOCALHOST.localdomain',
]) {
  t.test(`node name: ${JSON.stringify(host.slice(0, 20))} from the system is refused with the remedy`, async (t) => {
    t.throws(() => load(undefined, {}, host), { code: 'ERR_NODE_NAME', remedy: /hostnameOverride/ });
  });
}

const at = (line: number): string => `${filePath}:${String(line)}: `;
const needsPath = 'expected an absolute path without . and .. parts, got';
for (const row of [
  {
    name: 'unknown key near a known one',
    file: '\ncertdir: /x',
    lines: [`${at(2)}certdir: is not a setting; did you mean certDir?`],
  },
  { name: 'unknown key near nothing', file: 'zzzzzz: 1', lines: [`${at(1)}zzzzzz: is not a setting`] },
  {
    name: 'a flag name as key',
    file: 'node-ip: []',
    lines: [`${at(1)}node-ip: is not a setting; did you mean nodeIP?`],
  },
  {
    name: 'unknown key inside a group',
    file: 'log:\n  levle: info',
    lines: [`${at(2)}log.levle: is not a setting; did you mean level?`],
  },
  { name: 'relative path', file: 'certDir: pki', lines: [`${at(1)}certDir: ${needsPath} "pki"`] },
  { name: 'path with ..', file: 'certDir: /a/../b', lines: [`${at(1)}certDir: ${needsPath} "/a/../b"`] },
  { name: 'root as a folder', file: 'certDir: /', lines: [`${at(1)}certDir: ${needsPath} "/"`] },
  { name: 'path with a line break', file: 'certDir: "/a\\nb"', lines: [`${at(1)}certDir: ${needsPath} "/a\\nb"`] },
  { name: 'nothing where a value belongs', file: 'certDir:', lines: [`${at(1)}certDir: ${needsPath} nothing`] },
  {
    name: 'a long value is cut',
    file: `certDir: ${'x'.repeat(200)}`,
    lines: [`${at(1)}certDir: ${needsPath} "${'x'.repeat(80)}…"`],
  },
  {
    name: 'duration without unit',
    file: 'rotation:\n  minimumSpacing: 30',
    lines: [`${at(2)}rotation.minimumSpacing: expected a duration with its unit, such as 30s, got 30`],
  },
  {
    name: 'duration in words',
    file: 'rotation: {pruneGrace: 1 hour}',
    lines: [`${at(1)}rotation.pruneGrace: expected a duration with its unit, such as 30s, 5m or 1h30m, got "1 hour"`],
  },
  {
    name: 'duration too short for a loop',
    file: 'rotation: {minimumSpacing: 999ms}',
    lines: [`${at(1)}rotation.minimumSpacing: is shorter than 1s`],
  },
  {
    name: 'duration beyond a year',
    file: 'rotation: {nodeRefresh: 8761h}',
    lines: [`${at(1)}rotation.nodeRefresh: is longer than 8760h`],
  },
  {
    name: 'an API server in plain http',
    file: 'servers: [http://a:6443]',
    lines: [
      `${at(1)}servers[0]: expected the URL of an API server, such as https://10.0.0.1:6443, got "http://a:6443"`,
    ],
  },
  {
    name: 'an API server whose port is none',
    file: 'servers: ["https://a:99999"]',
    lines: [`${at(1)}servers[0]: "https://a:99999" has the port 99999: Write HOST:PORT, with a port from 1 to 65535.`],
  },
  {
    name: 'an API server twice, spelt otherwise',
    file: 'servers: ["https://a", "https://A:443/"]',
    lines: [`${at(1)}servers[1]: https://A:443 is named twice`],
  },
  {
    name: 'a kubeconfig that has nowhere to move',
    file: 'moveKubeconfig: 10m',
    lines: [`${at(1)}moveKubeconfig: there is no other server: set servers or serversFromEndpoints`],
  },
  {
    name: 'a kubeconfig that is left to root',
    file: 'servers: ["https://a"]\nmanageKubeconfig: false\nmoveKubeconfig: 10m',
    lines: [
      `${at(3)}moveKubeconfig: root writes the kubeconfig (manageKubeconfig: false), so certlet makes it name no other server`,
    ],
  },
  {
    name: 'a kubelet that is never restarted',
    file: 'serversFromEndpoints: true\nkubelet: {restart: never}\nmoveKubeconfig: 10m',
    lines: [
      `${at(3)}moveKubeconfig: a running kubelet goes on asking the server that it knows, and kubelet.restart is never`,
    ],
  },
  {
    name: 'a window for restarts that are never made',
    file: 'kubelet: {restart: never, restartWindow: {start: "0 2 * * 6", length: 2h}}',
    lines: [`${at(1)}kubelet.restartWindow: has no use with restart: never; leave one of the two out`],
  },
  {
    name: 'a window without a length',
    file: 'kubelet: {restartWindow: {start: "0 2 * * 6"}}',
    lines: [`${at(1)}kubelet.restartWindow.length: is missing`],
  },
  {
    name: 'a window that would not spread the nodes of a site, at no time and nowhere',
    file: 'kubelet: {restartWindow: {start: "0 25 * * 6", length: 9m, timeZone: Mars}}',
    lines: [
      `${at(1)}kubelet.restartWindow.start: expected an hour from 0 to 23, a range, a list or *, got "25"`,
      `${at(1)}kubelet.restartWindow.length: is shorter than 10m`,
      `${at(1)}kubelet.restartWindow.timeZone: Mars is no time zone; timedatectl list-timezones lists them`,
    ],
  },
  { name: 'no map', file: 'log: info', lines: [`${at(1)}log: expected a map of settings, got "info"`] },
  { name: 'a list as root', file: '- a', lines: [`${at(1)}the file: expected a map of settings, got a list`] },
  { name: 'text as root', file: 'certDir', lines: [`${at(1)}the file: expected a map of settings, got "certDir"`] },
  { name: 'no list', file: 'nodeIP: 192.0.2.1', lines: [`${at(1)}nodeIP: expected a list, got "192.0.2.1"`] },
  {
    name: 'bad address in a list',
    file: 'nodeIP:\n- 192.0.2.1\n- 192.0.2.300',
    lines: [`${at(3)}nodeIP[1]: expected an IP address, got "192.0.2.300"`],
  },
  {
    name: 'address with a zone',
    file: 'nodeIP: ["fe80::1%eth0"]',
    lines: [`${at(1)}nodeIP[0]: expected an IP address, got "fe80::1%eth0"`],
  },
  {
    name: 'mistyped address among the names',
    file: 'servingNames: [192.0.2.300, a_b]',
    lines: [
      `${at(1)}servingNames[0]: expected a DNS name or an IP address, got "192.0.2.300"`,
      `${at(1)}servingNames[1]: expected a DNS name or an IP address, got "a_b"`,
    ],
  },
  {
    name: 'a range with bits behind its prefix',
    file: 'ignoreAddresses: [10.0.0.1/24, "fd00::1/200", 10.0.0]',
    lines: [
      `${at(1)}ignoreAddresses[0]: has bits behind its prefix of 24: write the first address of the range, or the address alone, got "10.0.0.1/24"`,
      `${at(1)}ignoreAddresses[1]: expected a range such as 10.0.0.0/24 or fd00::/64, or an address, got "fd00::1/200"`,
      `${at(1)}ignoreAddresses[2]: expected a range such as 10.0.0.0/24 or fd00::/64, or an address, got "10.0.0"`,
    ],
  },
  {
    name: 'a type of address that no Node has',
    file: 'addressTypes: [internalIP]',
    lines: [
      `${at(1)}addressTypes[0]: expected one of Hostname, InternalDNS, InternalIP, ExternalDNS, ExternalIP, got "internalIP"`,
    ],
  },
  {
    name: 'no type of address',
    file: 'addressTypes: []',
    lines: [`${at(1)}addressTypes: expected at least one entry, got an empty list`],
  },
  {
    name: 'every address ignored',
    file: 'ignoreAddresses: [128.0.0.0/1, 0.0.0.0/1, "::/0"]',
    lines: [
      `${at(1)}ignoreAddresses: ignores every address there is; to take none but those of nodeIP, set addressTypes: [Hostname]`,
    ],
  },
  {
    name: 'an address that is both wanted and ignored',
    file: 'nodeIP: [10.0.0.7]\nservingNames: ["FD00::0:9"]\nignoreAddresses: [10.0.0.0/24, "fd00::/8", 192.0.2.1]',
    lines: [
      `${at(3)}ignoreAddresses[0]: 10.0.0.0/24 holds 10.0.0.7, which nodeIP asks for`,
      `${at(3)}ignoreAddresses[1]: fd00::/8 holds fd00::9, which servingNames asks for`,
    ],
  },
  {
    name: 'more names by the settings alone than they allow',
    file: 'servingNames: [a.example, b.example]\nmaxNames: 2',
    lines: [
      `${at(2)}maxNames: is 2, and nodeIP, servingNames and the node's name alone are 3: node-1, a.example, b.example`,
    ],
  },
  { name: 'YAML 1.1 boolean', file: 'events: yes', lines: [`${at(1)}events: expected true or false, got "yes"`] },
  {
    name: 'unknown word',
    file: 'keyAlgorithm: ed25519',
    lines: [
      `${at(1)}keyAlgorithm: expected one of ECDSA-P256, ECDSA-P384, RSA-2048, RSA-3072, RSA-4096, got "ed25519"`,
    ],
  },
  {
    name: 'lifetime below ten minutes',
    file: 'expirationSeconds: 599',
    lines: [`${at(1)}expirationSeconds: expected a whole number from 600 to 2147483647, got 599`],
  },
  {
    name: 'no whole number',
    file: 'expirationSeconds: 600.5',
    lines: [`${at(1)}expirationSeconds: expected a whole number from 600 to 2147483647, got 600.5`],
  },
  {
    name: 'hostname with an underscore',
    file: 'hostnameOverride: a_b',
    lines: [`${at(1)}hostnameOverride: expected a DNS name, got "a_b"`],
  },
  {
    name: 'no unit of systemd',
    file: 'kubelet: {unit: kubelet}',
    lines: [`${at(1)}kubelet.unit: expected the name of a systemd service, such as kubelet.service, got "kubelet"`],
  },
  { name: 'hook without name', file: 'hooks:\n- command: [/bin/a]', lines: [`${at(2)}hooks[0].name: is missing`] },
  {
    name: 'hook without command',
    file: 'hooks: [{name: a, command: []}]',
    lines: [`${at(1)}hooks[0].command: expected at least one entry, got an empty list`],
  },
  {
    name: 'hook with a relative program',
    file: 'hooks: [{name: a, command: [reload]}]',
    lines: [`${at(1)}hooks[0].command[0]: expected the absolute path of a program`],
  },
  {
    name: 'two hooks of one name',
    file: 'hooks:\n- {name: a, command: [/a]}\n- {name: a, command: [/b]}',
    lines: [`${at(3)}hooks[1].name: a is the name of an earlier hook`],
  },
  {
    name: 'a hook name that would leave its folder',
    file: 'privilegedHooks: [../x]',
    lines: [`${at(1)}privilegedHooks[0]: expected a name of letters, digits, dots, - and _, got "../x"`],
  },
  {
    name: 'a privileged hook twice',
    file: 'privilegedHooks: [a, a]',
    lines: [`${at(1)}privilegedHooks[1]: a is named twice`],
  },
  {
    name: 'metrics for everybody',
    file: 'metrics: {address: "0.0.0.0:9099"}',
    lines: [
      `${at(1)}metrics.address: expected a loopback address with a port, such as 127.0.0.1:9099, got "0.0.0.0:9099"`,
    ],
  },
  {
    name: 'an impossible port',
    file: 'metrics: {address: "127.0.0.1:65536"}',
    lines: [`${at(1)}metrics.address: is no address with a port from 0 to 65535`],
  },
  {
    name: 'an impossible loopback address',
    file: 'metrics: {address: "127.0.0.999:1"}',
    lines: [`${at(1)}metrics.address: is no address with a port from 0 to 65535`],
  },
  {
    name: 'a textfile that node_exporter does not read',
    file: 'metrics: {textfile: /a/b.txt}',
    lines: [`${at(1)}metrics.textfile: must end in .prom: node_exporter reads no other file`],
  },
  {
    name: 'state folder that is the cert-dir',
    file: 'stateDir: /var/lib/kubelet/pki',
    lines: [`${at(1)}stateDir: must not be or hold the cert-dir /var/lib/kubelet/pki`],
  },
  {
    name: 'state that a boot would empty',
    file: 'stateDir: /run/certlet/state',
    lines: [`${at(1)}stateDir: must not lie in the runtime folder /run/certlet, which is empty after a boot`],
  },
  {
    name: 'a CA file of the service in a kubeconfig of root',
    file: 'manageKubeconfig: false\ncaFile: true',
    lines: [`${at(2)}caFile: cannot go with manageKubeconfig: false: root says where the CA is`],
  },
  {
    name: 'a source of CAs that there is not',
    file: 'followClusterCA: true',
    lines: [`${at(1)}followClusterCA: expected one of cluster-info, clusterTrustBundle, off, got true`],
  },
  {
    name: 'a plain file in the place of the CA',
    file: 'caFile: true\nplainFiles: {client: {certFile: /var/lib/kubelet/pki/cluster-ca.crt, keyFile: /k}}',
    lines: [`${at(2)}plainFiles.client.certFile: is the same file as caFile`],
  },
  {
    name: 'a kubeconfig of root where the service writes',
    file: 'manageKubeconfig: false\nkubeconfig: /var/lib/kubelet/pki/kubelet.conf',
    lines: [
      `${at(2)}kubeconfig: must not lie in /var/lib/kubelet/pki with manageKubeconfig: false: the service writes there`,
    ],
  },
  {
    name: 'runtime folder in a private one',
    file: 'runtimeDir: /var/lib/kubelet/pki/run',
    lines: [`${at(1)}runtimeDir: must not lie in /var/lib/kubelet/pki, whose content is private`],
  },
  {
    name: 'one kubeconfig for both',
    file: 'bootstrapKubeconfig: /a\nkubeconfig: /a',
    lines: [`${at(2)}kubeconfig: is the same file as bootstrapKubeconfig`],
  },
  {
    name: 'the settings file as kubeconfig',
    file: `kubeconfig: ${filePath}`,
    lines: [`${at(1)}kubeconfig: is the same file as the settings file`],
  },
  {
    name: 'a plain file under a managed name',
    file: 'plainFiles: {client: {certFile: /var/lib/kubelet/pki/kubelet-client-current.pem}}',
    lines: [`${at(1)}plainFiles.client.certFile: is a name that certlet keeps for its combined pairs`],
  },
  {
    name: 'certificate and key in one plain file',
    file: 'plainFiles: {client: {certFile: /a, keyFile: /a}}',
    lines: [`${at(1)}plainFiles.client.keyFile: is the same file as plainFiles.client.certFile`],
  },
  {
    name: 'a file in the state folder',
    file: 'kubeconfig: /var/lib/kubelet/pki/.certlet/k',
    lines: [`${at(1)}kubeconfig: must not lie in the state folder /var/lib/kubelet/pki/.certlet`],
  },
  {
    name: 'a file in the runtime folder',
    file: 'kubeconfig: /run/certlet/k',
    lines: [`${at(1)}kubeconfig: must not lie in the runtime folder /run/certlet`],
  },
  {
    name: 'the cert-dir as a file',
    file: 'kubeconfig: /var/lib/kubelet',
    lines: [`${at(1)}kubeconfig: is the cert-dir or a folder above it, not a file`],
  },
  {
    name: '__proto__ is a key like others',
    file: '__proto__: {certDir: /x}',
    lines: [`${at(1)}__proto__: is not a setting`],
  },
]) {
  t.test(`problem: ${row.name}`, async (t) => {
    t.strictSame(problems(row.file), row.lines);
  });
}

t.test('flags have problems under their own name', async (t) => {
  t.strictSame(
    problems('stateDir: /s', {
      'node-ip': ['x'],
      'expiration-seconds': 'soon',
      'rotation-keep-old-files': '99999999999999999999',
      'cert-dir': '',
    }),
    [
      `--cert-dir: ${needsPath} ""`,
      '--node-ip: expected an IP address, got "x"',
      '--expiration-seconds: expected a whole number from 600 to 2147483647, got "soon"',
      '--rotation-keep-old-files: expected a whole number from 0 to 100, got "99999999999999999999"',
    ],
  );
  t.strictSame(problems('stateDir: /s', { 'cert-dir': '/s/pki' }), [
    `${at(1)}stateDir: must not be or hold the cert-dir /s/pki`,
  ]);
  t.strictSame(problems(undefined, { kubeconfig: '/run/certlet/x' }), [
    '--kubeconfig: must not lie in the runtime folder /run/certlet',
  ]);
});

t.test('a wrong value in the file is told even where a flag hides it', async (t) => {
  t.strictSame(problems('log: {level: loud}', { 'log-level': 'debug' }), [
    `${at(1)}log.level: expected one of error, warn, info, debug, got "loud"`,
  ]);
  t.strictSame(problems('log: 5', { 'log-level': 'debug' }), [`${at(1)}log: expected a map of settings, got 5`]);
});

t.test('all problems come at once, in the order of the file, then the flags', async (t) => {
  const file = 'events: maybe\nlog: {level: x}\ncertDir: rel\nnope: 1';
  t.strictSame(
    problems(file, { 'key-algorithm': 'dsa' }).map((line) => line.replace(/: (expected|is).*/, '')),
    [`${at(1)}events`, `${at(2)}log.level`, `${at(3)}certDir`, `${at(4)}nope`, '--key-algorithm'],
  );
});

t.test('broken YAML is one problem with its line', async (t) => {
  t.throws(() => load('a: 1\nb: [\n'), { code: 'ERR_CONFIG_INVALID', message: /config\.yaml:3:/ });
});

t.test('whatever stands in the file, the answer is settings or a list of problems', async () => {
  const keys = fc.constantFrom(
    'certDir',
    'nodeIP',
    'rotation',
    'hooks',
    'plainFiles',
    'log',
    'metrics',
    'client',
    'level',
    'x',
  );
  const { tree } = fc.letrec<{ tree: unknown; map: unknown; list: unknown; leaf: unknown }>((tie) => ({
    tree: fc.oneof({ maxDepth: 4 }, tie('leaf'), tie('map'), tie('list')),
    map: fc.dictionary(keys, tie('tree'), { maxKeys: 4 }),
    list: fc.array(tie('tree'), { maxLength: 3 }),
    leaf: fc.oneof(
      fc.string(),
      fc.integer(),
      fc.double(),
      fc.boolean(),
      fc.constant(null),
      fc.constantFrom('/a', '5m', '::1'),
    ),
  }));
  fc.assert(
    fc.property(tree, (value) => {
      problems(JSON.stringify(value));
      return true;
    }),
  );
});
