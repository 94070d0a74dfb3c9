import t from 'tap';
import { loadSettings, type Settings } from '../../src/config.ts';
import { isCertletError } from '../../src/errors.ts';

const filePath = '/etc/certlet/config.yaml';
const load = (fileText: string): Settings => loadSettings({ flags: {}, fileText, filePath, osHostname: 'n1' });

function problems(fileText: string): readonly string[] {
  try {
    load(fileText);
    return [];
  } catch (error) {
    if (!isCertletError(error, 'ERR_CONFIG_INVALID')) throw error;
    const lines = error.message.split('\n');
    return lines.length === 1 ? [error.message.replace(/^settings: /, '')] : lines.slice(1);
  }
}

const PROXY = `
certificates:
  - name: kube-proxy
    signerName: kubernetes.io/kube-apiserver-client
    commonName: system:kube-proxy
    organizations: [system:node-proxier]
    usages: [client auth]
    kubeconfig: /etc/kubernetes/kube-proxy.kubeconfig
    reload: kube-proxy
`;
const EXPORTER = `
certificates:
  - name: node-exporter
    signerName: example.com/monitoring
    commonName: "{nodeName}"
    names: node
    usages: [server auth]
    certFile: /var/lib/certlet/certs/node-exporter/tls.crt
    keyFile: /var/lib/certlet/certs/node-exporter/tls.key
    groupReadable: true
`;

t.test('an entry of `certificates` is a spec like the two of the kubelet', async (t) => {
  const { specs } = load(PROXY);
  t.strictSame(
    specs.map(({ name, isIdentity }) => [name, isIdentity]),
    [
      ['client', true],
      ['serving', false],
      ['kube-proxy', false],
    ],
  );
  t.strictSame(specs[2], {
    name: 'kube-proxy',
    signerName: 'kubernetes.io/kube-apiserver-client',
    commonName: 'system:kube-proxy',
    organizations: ['system:node-proxier'],
    usages: ['client auth'],
    usagesNegotiable: false,
    names: { ofNode: false, listed: [] },
    keyAlgorithm: 'ECDSA-P256',
    expirationSeconds: undefined,
    window: { earliest: 0.7, latest: 0.9 },
    reserveMs: undefined,
    isIdentity: false,
    proof: 'access review',
    files: { folder: '/var/lib/certlet/certs/kube-proxy', prefix: 'kube-proxy', groupReadable: false, touched: false },
    kubeconfig: '/etc/kubernetes/kube-proxy.kubeconfig',
    placeholder: false,
    approval: { by: 'person' },
    after: { reload: 'kube-proxy' },
  });
});

t.test('a certificate of a signer of somebody: two files, a group, the names of the node', async (t) => {
  const spec = load(EXPORTER).specs.at(-1);
  t.match(spec, {
    commonName: '{nodeName}',
    names: { ofNode: true, listed: [] },
    proof: 'handshake',
    approval: { by: 'approver' },
    files: {
      groupReadable: true,
      plain: {
        certFile: '/var/lib/certlet/certs/node-exporter/tls.crt',
        keyFile: '/var/lib/certlet/certs/node-exporter/tls.key',
      },
    },
  });
});

t.test('a client certificate of a signer of somebody can be shown to nobody', async (t) => {
  const file = EXPORTER.replace(/server auth/, 'client auth');
  t.equal(load(file).specs.at(-1)?.proof, 'none');
});

t.test('verify: who serves the certificate', async (t) => {
  const after = (verify: string) =>
    load(`${EXPORTER}    reload: exporter\n    verify: ${verify}\n`).specs.at(-1)?.after;
  t.strictSame(after('{address: "127.0.0.1:9100"}'), {
    reload: 'exporter',
    served: { host: '127.0.0.1', port: 9100, withinMs: 90_000 },
  });
  t.match(after('{address: "[FD00::1]:443", within: 10s}'), {
    served: { host: 'fd00::1', port: 443, withinMs: 10_000 },
  });
  t.match(after('{address: "Exporter.example:443"}'), { served: { host: 'exporter.example', port: 443 } });
});

const entry = (lines: string): string => `${EXPORTER}${lines}`;
const at = (line: number, path: string): string => `${filePath}:${String(line)}: certificates[0]${path}: `;
for (const row of [
  {
    name: 'names are listed beside those of the node',
    file: entry('').replace('names: node', 'names: [node, "{nodeName}.example", 10.0.0.1]'),
    lines: [],
  },
  {
    name: 'a wrong name behind node is told with another place than its own',
    file: entry('').replace('names: node', 'names: [node, a.example, 10.0.0.300]'),
    lines: [`${at(6, '.names[2]')}expected a DNS name or an IP address, got "10.0.0.300"`],
  },
  {
    name: 'a server to look at that nothing can be done about',
    file: entry('    verify: {address: "127.0.0.1:9100"}\n'),
    lines: [`${at(11, '.verify')}needs reload, which makes the server take the new pair: set reload`],
  },
  {
    name: 'a server to look at for a certificate that no server shows',
    file: `${PROXY}    verify: {address: "127.0.0.1:9100"}\n`,
    lines: [`${at(10, '.verify')}looks at what a server shows: server auth is not among the usages`],
  },
  ...['127.0.0.1', '10.0.0.300:1', 'a b:1', 'exporter:0', 'exporter:65536'].map((address) => ({
    name: `a server to look at, at ${address}`,
    file: entry(`    reload: exporter\n    verify: {address: "${address}"}\n`),
    lines: [
      `${at(12, '.verify.address')}expected an address or name with a port, such as 127.0.0.1:9100, got "${address}"`,
    ],
  })),
  {
    name: 'a name that is no DNS label',
    file: PROXY.replace('name: kube-proxy', 'name: Kube_Proxy'),
    lines: [`${at(3, '.name')}expected a DNS label, such as kube-proxy, got "Kube_Proxy"`],
  },
  {
    name: 'the name of a certificate of the kubelet',
    file: PROXY.replace('name: kube-proxy', 'name: serving'),
    lines: [`${at(3, '.name')}serving stands for certificates of the kubelet; take another name`],
  },
  {
    name: 'the signer of the kubelet',
    file: PROXY.replace('kubernetes.io/kube-apiserver-client', 'kubernetes.io/kubelet-serving'),
    lines: [`${at(4, '.signerName')}signs the serving certificate of the kubelet: rotateServerCertificates manages it`],
  },
  {
    name: 'usages that the signer of the API server refuses',
    file: PROXY.replace('[client auth]', '[client auth, server auth]'),
    lines: [
      `${at(3, '.names')}every client refuses a server certificate without names: set names: node, or list them`,
      `${at(7, '.usages')}kubernetes.io/kube-apiserver-client signs no certificate for server auth`,
    ],
  },
  {
    name: 'neither client nor server',
    file: PROXY.replace('[client auth]', '[digital signature]').replace(/ +kubeconfig.*\n/, ''),
    lines: [`${at(7, '.usages')}expected client auth, server auth or both among them`],
  },
  {
    name: 'the group of administrators',
    file: PROXY.replace('system:node-proxier', 'system:masters'),
    lines: [
      `${at(6, '.organizations[0]')}kubernetes.io/kube-apiserver-client signs nothing for system:masters (admission CertificateSubjectRestriction)`,
    ],
  },
  {
    name: 'a common name too long once the name of the node is put in',
    file: PROXY.replace('system:kube-proxy', `${'x'.repeat(63)}{nodeName}`),
    lines: [`${at(5, '.commonName')}is 65 characters long with n1 put in; a subject may have 64 (RFC 5280)`],
  },
  {
    name: 'another placeholder',
    file: PROXY.replace('system:kube-proxy', '"{host}"'),
    lines: [`${at(5, '.commonName')}expected text, in which {nodeName} stands for the name of the node, got "{host}"`],
  },
  {
    name: 'one of two files',
    file: entry('').replace(/ +keyFile.*\n/, ''),
    lines: [`${at(3, '.keyFile')}is missing: certFile and keyFile go together`],
  },
  {
    name: 'a kubeconfig for a server certificate',
    file: entry('    kubeconfig: /etc/kubernetes/x.conf\n'),
    lines: [`${at(11, '.kubeconfig')}names a certificate for a client: client auth is not among the usages`],
  },
  {
    name: 'two certificates with one file',
    file: entry('    kubeconfig: /etc/kubernetes/kubelet.conf\n').replace(
      '[server auth]',
      '[server auth, client auth]',
    ),
    lines: [`${at(11, '.kubeconfig')}is the same file as kubeconfig`],
  },
  {
    name: 'a file that certlet keeps for a pair',
    file: entry('').replace('tls.key', 'node-exporter-current.pem'),
    lines: [`${at(9, '.keyFile')}is a name that certlet keeps for its combined pairs`],
  },
  {
    name: 'a file that is the folder of a certificate',
    file: entry('')
      .replace('certs/node-exporter/tls.crt', 'certs/node-exporter')
      .replace('certs/node-exporter/tls.key', 'keys/tls.key')
      .replace('    groupReadable: true\n', ''),
    lines: [`${at(8, '.certFile')}is the folder of the node-exporter certificate or a folder above it, not a file`],
  },
  {
    name: 'a file that is the folder of all certificates',
    file: entry('')
      .replace('certs/node-exporter/tls.key', 'certs')
      .replace('certs/node-exporter/tls.crt', 'public/tls.crt')
      .replace('    groupReadable: true\n', ''),
    lines: [`${at(9, '.keyFile')}is the folder of the node-exporter certificate or a folder above it, not a file`],
  },
  {
    name: 'a file below another file',
    file: entry('').replace('tls.key', 'tls.crt/tls.key').replace('    groupReadable: true\n', ''),
    lines: [`${at(9, '.keyFile')}lies below certificates[0].certFile, which is a file and no folder`],
  },
  {
    name: 'a file that a file named before would lie below',
    file: PROXY.replace('/etc/kubernetes/kube-proxy.kubeconfig', '/srv/p').concat('kubeconfig: /srv/p/kubelet.conf\n'),
    lines: [`${at(8, '.kubeconfig')}is a file, and kubeconfig lies below it`],
  },
  {
    name: 'one file for key and certificate',
    file: entry('').replace('tls.key', 'tls.crt'),
    lines: [`${at(9, '.keyFile')}is the same file as certificates[0].certFile`],
  },
  {
    name: "root's kubeconfig where the service writes certificates",
    file: 'manageKubeconfig: false\nkubeconfig: /var/lib/certlet/certs/x/kubelet.conf\n',
    lines: [
      `${filePath}:2: kubeconfig: must not lie in /var/lib/certlet/certs with manageKubeconfig: false: the service writes there`,
    ],
  },
  {
    name: 'a usage twice, which certificates.k8s.io/v1 refuses with each request',
    file: PROXY.replace('[client auth]', '[client auth, digital signature, client auth]'),
    lines: [`${at(7, '.usages[2]')}client auth stands here twice`],
  },
  {
    name: 'an unknown key, all at once with the others',
    file: entry('    reloads: x\n').replace('names: node', 'names: nodes'),
    lines: [
      `${at(6, '.names')}expected none, node, or a list of DNS names and IP addresses in which node stands for those of the node, got "nodes"`,
      `${at(11, '.reloads')}is not a setting; did you mean reload?`,
    ],
  },
  {
    name: 'a kubeconfig where root writes them',
    file: `${PROXY}manageKubeconfig: false\n`,
    lines: [
      `${at(8, '.kubeconfig')}manageKubeconfig: false leaves kubeconfigs to root: leave this out, and name the pair in one that root writes`,
    ],
  },
  {
    name: 'a window that ends before it begins',
    file: entry('    rotationWindow: {earliestPercent: 80, latestPercent: 70}\n'),
    lines: [`${at(11, '.rotationWindow')}earliestPercent is above latestPercent`],
  },
  {
    name: 'a hook for a certificate that is not there',
    file: `${PROXY}hooks: [{name: a, command: [/bin/a], on: [kube-prox]}]\n`,
    lines: [`${filePath}:10: hooks[0].on[0]: kube-prox is the name of no certificate; did you mean kube-proxy?`],
  },
  {
    name: 'certificates inside of the cert-dir of the kubelet',
    file: `certificatesDir: /var/lib/kubelet/pki/more\n`,
    lines: [`${filePath}:1: certificatesDir: must not lie in the cert-dir /var/lib/kubelet/pki, nor hold it`],
  },
]) {
  t.test(`certificates: ${row.name}`, async (t) => {
    t.strictSame(problems(row.file), row.lines);
  });
}

t.test('certificates: one name twice', async (t) => {
  const second = PROXY.replace('certificates:', '').replaceAll('/kube-proxy.kubeconfig', '/other.kubeconfig');
  t.match(problems(PROXY + second), [/certificates\[1\]\.name: kube-proxy is the name of an earlier certificate$/]);
});
