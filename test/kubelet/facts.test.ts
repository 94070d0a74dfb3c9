import * as fc from 'fast-check';
import t from 'tap';
import {
  kubeletFacts,
  mergeConfigurations,
  minorOf,
  readKubeletConfiguration,
  versionIn,
} from '../../src/kubelet/facts.ts';
import { featureGates, flagBoolean, flagText, parseKubeletFlags } from '../../src/kubelet/flags.ts';

for (const row of [
  { name: 'with an equals sign', args: ['--kubeconfig=/a=b'], flag: 'kubeconfig', want: '/a=b' },
  { name: 'with a blank', args: ['--kubeconfig', '/a', '--x'], flag: 'kubeconfig', want: '/a' },
  {
    name: 'bare before another flag',
    args: ['--rotate-certificates', '--x=1'],
    flag: 'rotate-certificates',
    want: 'true',
  },
  { name: 'bare at the end', args: ['--rotate-certificates'], flag: 'rotate-certificates', want: 'true' },
  { name: 'the last one wins', args: ['--v=1', '--v=2'], flag: 'v', want: '2' },
  {
    name: 'emptied at the end',
    args: ['--bootstrap-kubeconfig=/a', '--bootstrap-kubeconfig='],
    flag: 'bootstrap-kubeconfig',
    want: undefined,
  },
  { name: 'underscores count as dashes', args: ['--cert_dir=/a'], flag: 'cert-dir', want: '/a' },
  {
    name: 'the old name of the bootstrap flag',
    args: ['--experimental-bootstrap-kubeconfig=/a'],
    flag: 'bootstrap-kubeconfig',
    want: '/a',
  },
  {
    name: 'old and new name are one variable',
    args: ['--experimental-bootstrap-kubeconfig=/a', '--bootstrap-kubeconfig=/b'],
    flag: 'bootstrap-kubeconfig',
    want: '/b',
  },
  { name: 'one dash for a short flag', args: ['-v', '4', '--x'], flag: 'v', want: '4' },
  { name: 'nothing after two dashes', args: ['--', '--kubeconfig=/a'], flag: 'kubeconfig', want: undefined },
  {
    name: 'words that are no flags are passed over',
    args: ['word', '--kubeconfig=/a'],
    flag: 'kubeconfig',
    want: '/a',
  },
]) {
  t.test(`flags: ${row.name}`, async (t) => {
    t.equal(flagText(parseKubeletFlags(row.args), row.flag), row.want);
  });
}

t.test('booleans are read as Go reads them', async (t) => {
  for (const [text, want] of [
    ['true', true],
    ['T', true],
    ['1', true],
    ['false', false],
    ['0', false],
    ['yes', undefined],
  ] as const) {
    t.equal(flagBoolean(parseKubeletFlags([`--x=${text}`]), 'x'), want);
  }
  t.equal(flagBoolean(parseKubeletFlags([]), 'x'), undefined);
});

t.test('feature gates of several flags add up', async (t) => {
  const gates = featureGates(parseKubeletFlags(['--feature-gates=A=true, B=false', '--feature-gates=A=false,C=TRUE,']));
  t.strictSame(
    [...gates],
    [
      ['A', false],
      ['B', false],
      ['C', true],
    ],
  );
});

t.test('whatever stands on a command line, flags never throw', async () => {
  fc.assert(fc.property(fc.array(fc.string()), (args) => parseKubeletFlags(args).size <= args.length));
});

const NONE = readKubeletConfiguration(undefined, '/c');
t.test('defaults are those of the kubelet', async (t) => {
  t.strictSame(kubeletFacts(parseKubeletFlags([]), NONE, undefined), {
    kubeconfig: undefined,
    bootstrapKubeconfig: undefined,
    certDir: '/var/lib/kubelet/pki',
    rotatesClient: false,
    rotatesServing: false,
    tlsCertFile: undefined,
    tlsPrivateKeyFile: undefined,
    staticPodPath: undefined,
    clientCAFile: undefined,
    address: undefined,
    port: undefined,
    hostnameOverride: undefined,
    nodeIPs: [],
    cloudProvider: undefined,
  });
});

t.test('the configuration file counts, and relative paths begin at its folder', async (t) => {
  const document = {
    kind: 'KubeletConfiguration',
    rotateCertificates: true,
    serverTLSBootstrap: true,
    tlsCertFile: 'tls/a.crt',
    tlsPrivateKeyFile: '/abs.key',
    staticPodPath: 'pods',
    authentication: { x509: { clientCAFile: '/ca.crt' } },
  };
  const facts = kubeletFacts(
    parseKubeletFlags(['--node-ip=10.0.0.1, 2001:db8::1']),
    readKubeletConfiguration(document, '/var/lib/kubelet/config.yaml'),
    30,
  );
  t.match(facts, {
    rotatesClient: true,
    rotatesServing: true,
    tlsCertFile: '/var/lib/kubelet/tls/a.crt',
    tlsPrivateKeyFile: '/abs.key',
    staticPodPath: '/var/lib/kubelet/pods',
    clientCAFile: '/ca.crt',
    nodeIPs: ['10.0.0.1', '2001:db8::1'],
  });
});

t.test('flags win over the configuration file', async (t) => {
  const configuration = readKubeletConfiguration(
    { rotateCertificates: true, serverTLSBootstrap: true, tlsCertFile: '/a' },
    '/c',
  );
  const flags = parseKubeletFlags([
    '--rotate-certificates=false',
    '--rotate-server-certificates=false',
    '--tls-cert-file=/b',
  ]);
  t.match(kubeletFacts(flags, configuration, 30), { rotatesClient: false, rotatesServing: false, tlsCertFile: '/b' });
});

t.test('later configuration files win, gate by gate', async (t) => {
  const merged = mergeConfigurations([
    readKubeletConfiguration({ rotateCertificates: true, featureGates: { A: true, B: true } }, '/a'),
    readKubeletConfiguration({ rotateCertificates: false, featureGates: { B: false } }, '/b'),
  ]);
  t.strictSame(merged, { rotateCertificates: false, featureGates: { A: true, B: false } });
});

t.test('fields of another type count as absent', async (t) => {
  const odd = { rotateCertificates: 'yes', serverTLSBootstrap: 1, tlsCertFile: [], featureGates: { A: 'true' } };
  t.strictSame(readKubeletConfiguration(odd, '/c'), { featureGates: {} });
});

for (const row of [
  {
    name: 'until 1.11 the gate alone asks for serving certificates',
    args: ['--feature-gates=RotateKubeletServerCertificate=true'],
    minor: 9,
    want: { rotatesServing: true },
  },
  {
    name: 'later it does not',
    args: ['--feature-gates=RotateKubeletServerCertificate=true'],
    minor: 12,
    want: { rotatesServing: false },
  },
  {
    name: 'a closed gate stops serving requests',
    args: ['--rotate-server-certificates', '--feature-gates=RotateKubeletServerCertificate=false'],
    minor: 20,
    want: { rotatesServing: false },
  },
  {
    name: 'a closed gate stops client rotation',
    args: ['--rotate-certificates', '--feature-gates=RotateKubeletClientCertificate=false'],
    minor: 15,
    want: { rotatesClient: false },
  },
]) {
  t.test(`gates: ${row.name}`, async (t) => {
    t.match(kubeletFacts(parseKubeletFlags(row.args), NONE, row.minor), row.want);
  });
}

t.test('versions', async (t) => {
  t.equal(versionIn('Kubernetes v1.20.2\n'), 'v1.20.2');
  t.equal(versionIn('Kubernetes v1.28.3+rke2r1'), 'v1.28.3+rke2r1');
  t.equal(versionIn('no version'), undefined);
  t.equal(minorOf('v1.20.2'), 20);
  t.equal(minorOf('1.9'), 9);
  t.equal(minorOf('v2.1.0'), undefined);
  t.equal(minorOf(undefined), undefined);
});
