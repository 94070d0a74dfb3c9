/** What check says of a change that is to come: tables over the rules. */
import type { Remedy } from '../../../src/remedy.ts';
import { X509Certificate } from 'node:crypto';
import t from 'tap';
import { caRotationFindings, type CaRotationQuestion } from '../../../src/check/rules/for-ca-rotation.ts';
import { kubeletCaFindings, type KubeletCaQuestion } from '../../../src/check/rules/for-kubelet-ca.ts';
import { shortLivedFindings, type ShortLivedQuestion } from '../../../src/check/rules/for-short-lived.ts';
import type { Finding } from '../../../src/check/finding.ts';
import type { PublishedCas } from '../../../src/check/facts.ts';
import type { Following } from '../../../src/check/rules/cluster-ca.ts';
import { loadSettings } from '../../../src/config.ts';
import { CertletError } from '../../../src/errors.ts';
import { readTrustedCas } from '../../../src/kubeconfig/trusted-ca.ts';
import { parseChain } from '../../../src/pki/certificate.ts';
import { createAuthority, type IssueOptions } from '../../fixtures/cluster/authority.ts';

const NOW = new Date('2030-06-01T00:00:00Z');
const days = (count: number): Date => new Date(NOW.getTime() + count * 86_400_000);
const told = (findings: readonly Finding[]): readonly string[] => findings.map(({ verdict, id }) => `${verdict} ${id}`);
const against = (findings: readonly Finding[]): readonly string[] =>
  told(findings).filter((line) => !line.startsWith('ok'));

const authority = (name: string, notAfter = days(3650)) => createAuthority({ name, notBefore: days(-3650), notAfter });
const ca = authority('cluster CA');
const other = authority('another CA');
const x509 = (pem: string): X509Certificate => new X509Certificate(pem);
const LEAF: IssueOptions = {
  commonName: 'system:node:n1',
  organizations: ['system:nodes'],
  usages: ['digital signature', 'server auth'],
  dnsNames: ['n1', 'n1.internal'],
  ipAddresses: ['10.0.0.1', 'fd00::1'],
  notBefore: days(-1),
  notAfter: days(300),
};
const chainOf = (options: IssueOptions = {}, by = ca) => parseChain(by.issue({ ...LEAF, ...options }).chainPem);
const nodeWith = (...addresses: readonly (readonly [string, string])[]) => ({
  addresses: addresses.map(([type, address]) => ({ type, address })),
  kubeletVersion: 'v1.36.2',
});
const KUBELET_CA: KubeletCaQuestion = {
  nodeName: 'n1',
  now: NOW,
  chain: chainOf(),
  cas: [x509(ca.pem)],
  caSource: '/ca.crt',
  assumed: false,
  node: nodeWith(
    ['Hostname', 'n1'],
    ['InternalIP', '10.0.0.1'],
    ['InternalIP', '192.0.2.9'],
    ['InternalDNS', 'N1.internal'],
  ),
  served: { kind: 'current' },
  kubeletUnit: 'kubelet.service',
};

for (const row of [
  { name: 'everything fits; addresses behind the first of a type are not dialled', question: {}, want: [] },
  { name: 'the CA is the one of the kubeconfig', question: { assumed: true }, want: ['note kubelet-ca.chain'] },
  { name: 'nothing issued', question: { chain: undefined }, want: ['problem kubelet-ca.unissued'] },
  { name: 'another CA', question: { cas: [x509(other.pem)] }, want: ['problem kubelet-ca.chain'] },
  { name: 'the right CA among others', question: { cas: [x509(other.pem), x509(ca.pem)] }, want: [] },
  {
    name: 'by an intermediate that is sent along',
    question: { chain: chainOf({}, ca.intermediate({ name: 'below' })) },
    want: [],
  },
  {
    name: 'it has expired',
    question: { chain: chainOf({ notAfter: days(-0.5) }) },
    want: ['problem kubelet-ca.dates'],
  },
  {
    name: 'for clients alone',
    question: { chain: chainOf({ usages: ['digital signature', 'client auth'] }) },
    want: ['problem kubelet-ca.usage'],
  },
  {
    name: 'another common name, which few API servers look at',
    question: { chain: chainOf({ commonName: 'kubelet' }) },
    want: ['warning kubelet-ca.common-name'],
  },
  {
    name: 'the address that kubeadm dials first is missing',
    question: { chain: chainOf({ ipAddresses: ['10.0.0.2'] }) },
    want: ['problem kubelet-ca.names'],
  },
  {
    name: 'one that is dialled by a flag alone',
    question: { node: nodeWith(['Hostname', 'n1'], ['InternalIP', '10.0.0.1'], ['ExternalDNS', 'n1.example.org']) },
    want: ['warning kubelet-ca.names'],
  },
  {
    name: 'an IPv6 address in another spelling is the same',
    question: { node: nodeWith(['InternalIP', 'FD00:0::1']) },
    want: [],
  },
  {
    name: 'the kubelet shows an older pair than the one that is right',
    question: { served: { kind: 'stale', serial: '0A', to: 'every client' } as const },
    want: ['problem kubelet-ca.served'],
  },
  {
    name: 'something else answers on its port',
    question: { served: { kind: 'unclear', error: 'no TLS' } as const },
    want: ['warning kubelet-ca.served'],
  },
  { name: 'nothing listens', question: { served: { kind: 'absent' } as const }, want: ['skipped kubelet-ca.served'] },
  { name: 'nobody looked at its port', question: { served: undefined }, want: [] },
  { name: 'no address', question: { node: nodeWith() }, want: ['problem kubelet-ca.names'] },
  { name: 'no Node', question: { node: undefined }, want: ['skipped kubelet-ca.names'] },
]) {
  t.test(`--for kubelet-ca: ${row.name}`, async (t) => {
    const findings = kubeletCaFindings({ ...KUBELET_CA, ...row.question });
    t.strictSame(against(findings), row.want);
    t.equal(
      told(findings).includes('ok kubelet-ca'),
      row.want.every((line) => line.startsWith('note')),
    );
  });
}

t.test('--for kubelet-ca: a CA of the cluster whose own time is over vouches for nothing', async (t) => {
  const old = authority('old CA', days(-1));
  const question = { ...KUBELET_CA, chain: chainOf({}, old), cas: [x509(old.pem)] };
  t.ok(against(kubeletCaFindings(question)).includes('problem kubelet-ca.chain'));
});

const settingsOf = (file: object) =>
  loadSettings({ flags: {}, fileText: JSON.stringify(file), filePath: '/c.yaml', osHostname: 'n1' });
const SHORT: ShortLivedQuestion = {
  settings: settingsOf({}),
  automatic: true,
  units: { service: true, timer: false, command: undefined },
  kubeletVersion: 'v1.36.2',
  skewMs: 0,
  bootstraps: true,
};
const APPROVER = 'note short-lived.serving-approval';
const WINDOW = { start: '30 2 * * *', length: '2h' };
const TIMER = { service: false, timer: true, command: 'certlet once --every 1h' };
const PERSON = {
  certificates: [
    { name: 'web', signerName: 'example.org/web', commonName: 'web', usages: ['client auth'], approval: 'person' },
  ],
};
for (const row of [
  { name: 'the defaults survive', question: {}, want: [APPROVER] },
  {
    name: 'a spacing of half an hour',
    question: { settings: settingsOf({ rotation: { minimumSpacing: '30m' } }) },
    want: ['problem short-lived.spacing', APPROVER],
  },
  {
    name: 'a spacing of ten minutes',
    question: { settings: settingsOf({ rotation: { minimumSpacing: '10m' } }) },
    want: ['warning short-lived.spacing', APPROVER],
  },
  {
    name: 'old pairs that are kept for weeks',
    question: { settings: settingsOf({ rotation: { pruneGrace: '336h' } }) },
    want: ['warning short-lived.old-pairs', APPROVER],
  },
  {
    name: 'a longer lifetime in the settings',
    question: { settings: settingsOf({ expirationSeconds: 86_400, rotateServerCertificates: false }) },
    want: ['note short-lived.client-asks'],
  },
  {
    name: 'client requests wait for a person',
    question: { automatic: false },
    want: ['problem short-lived.client-approval', APPROVER],
  },
  {
    name: 'a person for a further one',
    question: { settings: settingsOf(PERSON) },
    want: [APPROVER, 'problem short-lived.web-approval'],
  },
  {
    name: 'the timer in place of the service',
    question: { units: TIMER },
    want: [APPROVER, 'problem short-lived.timer'],
  },
  {
    name: 'a timer every ten minutes',
    question: { units: { ...TIMER, command: 'certlet once --every 10m' } },
    want: [APPROVER],
  },
  {
    name: 'a kubelet that must be restarted',
    question: { kubeletVersion: 'v1.30.1' },
    want: [APPROVER, 'warning short-lived.serving-restart'],
  },
  {
    name: 'and waits for a window',
    question: { kubeletVersion: 'v1.30.1', settings: settingsOf({ kubelet: { restartWindow: WINDOW } }) },
    want: [APPROVER, 'warning short-lived.serving-restart', 'warning short-lived.serving-window'],
  },
  {
    name: 'a window for a kubelet that reads pairs again',
    question: { settings: settingsOf({ kubelet: { restartWindow: WINDOW } }) },
    want: [APPROVER],
  },
  {
    name: 'and may not be',
    question: { kubeletVersion: 'v1.30.1', settings: settingsOf({ kubelet: { restart: 'never' } }) },
    want: [APPROVER, 'problem short-lived.serving-restart'],
  },
  {
    name: 'a reserve of weeks',
    question: { settings: settingsOf({ reserve: '21d', rotateServerCertificates: false }) },
    want: ['warning short-lived.client-reserve'],
  },
  {
    name: 'a reserve that half of an hour can give',
    question: { settings: settingsOf({ reserve: '30m', rotateServerCertificates: false }) },
    want: [],
  },
  { name: 'a clock that is off', question: { skewMs: -400_000 }, want: [APPROVER, 'problem short-lived.clock'] },
  { name: 'no way back after an hour', question: { bootstraps: false }, want: [APPROVER, 'warning short-lived.off'] },
]) {
  t.test(`--for short-lived: ${row.name}`, async (t) => {
    const findings = shortLivedFindings({ ...SHORT, ...row.question });
    t.strictSame(against(findings), row.want);
    t.equal(
      told(findings).includes('ok short-lived'),
      row.want.every((line) => line.startsWith('note')),
    );
  });
}

const trusted = (path: string, caPath: string | undefined, ...cas: readonly string[]) => ({
  path,
  caPath,
  cas: readTrustedCas(cas.join('')),
});
const FOLLOWING: Following = {
  source: 'cluster-info',
  byRoot: false,
  rootCommand: (pins) => `certlet join AS-ROOT ${pins.join(' ')}`,
  foreignFile: undefined,
};
const OFF = { ...FOLLOWING, source: 'off' } as const;
const BY_ROOT = { ...OFF, byRoot: true };
const PUBLISHED: PublishedCas = { kind: 'read', source: 'cluster-info', cas: readTrustedCas(ca.pem + other.pem) };
const failing = (code: 'ERR_API_FORBIDDEN' | 'ERR_API_NOT_FOUND', remedy: Remedy): PublishedCas => ({
  kind: 'failed',
  source: 'cluster-info',
  error: new CertletError(code, 'it says no', { remedy }),
});
const ROTATION: CaRotationQuestion = {
  now: NOW,
  node: trusted('/kubelet.conf', '/ca.crt', ca.pem, other.pem),
  bootstrap: undefined,
  kubeletVersion: 'v1.36.2',
  kubeletUnit: 'kubelet.service',
  kubeletRestart: 'auto',
  clientCa: undefined,
  following: FOLLOWING,
  published: PUBLISHED,
};
const INSIDE = trusted('/k', undefined, ca.pem);
for (const row of [
  { name: 'followed, a file and a kubelet that reads it again', question: {}, want: [] },
  { name: 'no CA of its own', question: { node: undefined }, want: ['skipped ca-rotation.trusted'] },
  {
    name: 'inside the kubeconfig, followed: certlet restarts the kubelet',
    question: { node: INSIDE },
    want: ['note ca-rotation.kubelet'],
  },
  {
    name: 'inside the kubeconfig, and nobody may restart the kubelet',
    question: { node: INSIDE, kubeletRestart: 'never' as const },
    want: ['warning ca-rotation.kubelet'],
  },
  {
    name: 'inside the kubeconfig, and not followed',
    question: { node: INSIDE, following: OFF },
    want: ['warning ca-rotation.follow', 'warning ca-rotation.kubelet'],
  },
  {
    name: 'a file and an older kubelet',
    question: { kubeletVersion: 'v1.35.3', following: OFF },
    want: ['warning ca-rotation.follow', 'warning ca-rotation.kubelet'],
  },
  {
    name: 'a kubelet of unknown version',
    question: { kubeletVersion: undefined, following: OFF },
    want: ['warning ca-rotation.follow', 'warning ca-rotation.kubelet'],
  },
  {
    name: 'what is followed cannot be read now',
    question: { published: failing('ERR_API_FORBIDDEN', 'kubectl apply -f ROLE') },
    want: ['problem ca-rotation.follow'],
  },
  {
    name: 'what is followed could not be asked for',
    question: { published: { kind: 'unasked' } as const },
    want: ['skipped ca-rotation.follow'],
  },
  {
    name: 'followed, and the kubeconfig has its CA in a file that certlet did not make',
    question: { following: { ...FOLLOWING, foreignFile: '/etc/kubernetes/pki/ca.crt' } },
    want: ['problem ca-rotation.ca-file'],
  },
  {
    name: 'root writes the kubeconfig, which has the CA in a file',
    question: { following: BY_ROOT },
    want: ['warning ca-rotation.follow'],
  },
  {
    name: 'root writes the kubeconfig, and certlet tells when',
    question: { following: { ...FOLLOWING, byRoot: true } },
    want: ['note ca-rotation.follow'],
  },
  {
    name: 'an only CA that has ended',
    question: { node: trusted('/k', '/c', authority('gone', days(-1)).pem) },
    want: ['problem ca-rotation.expires'],
  },
  {
    name: 'one of two that ends soon',
    question: { node: trusted('/k', '/c', ca.pem, authority('soon', days(30)).pem) },
    want: ['warning ca-rotation.expires'],
  },
  {
    name: 'a bundle that nobody cleans up',
    question: { node: trusted('/k', '/c', ...['1', '2', '3', '4', '5'].map((name) => authority(name).pem)) },
    want: ['warning ca-rotation.many'],
  },
  {
    name: 'a bootstrap kubeconfig of before',
    question: { bootstrap: trusted('/b', undefined, ca.pem) },
    want: ['warning ca-rotation.bootstrap'],
  },
  { name: 'one that trusts the same', question: { bootstrap: trusted('/b', undefined, other.pem, ca.pem) }, want: [] },
  {
    name: 'a clientCAFile without one of them',
    question: { clientCa: trusted('/client-ca.crt', undefined, ca.pem) },
    want: ['warning ca-rotation.client-ca'],
  },
  {
    name: 'a clientCAFile without one that is published alone',
    question: { clientCa: trusted('/client-ca.crt', undefined, ca.pem), node: trusted('/k', '/c', ca.pem) },
    want: ['warning ca-rotation.client-ca'],
  },
  { name: 'one with all', question: { clientCa: trusted('/c', undefined, ca.pem, other.pem) }, want: [] },
]) {
  t.test(`--for ca-rotation: ${row.name}`, async (t) => {
    t.strictSame(against(caRotationFindings({ ...ROTATION, ...row.question })), row.want);
  });
}

for (const row of [
  {
    name: 'the source that can be read is the setting',
    question: { following: OFF },
    want: /^# Set followClusterCA: cluster-info in the settings\.   # /,
  },
  {
    name: 'where nobody may read it, the Role comes first',
    question: { following: OFF, published: failing('ERR_API_FORBIDDEN', 'kubectl apply -f ROLE') },
    want: /^kubectl apply -f ROLE   # .*then followClusterCA: cluster-info/,
  },
  {
    name: 'a cluster that publishes nothing is followed by hand',
    question: { following: OFF, published: failing('ERR_API_NOT_FOUND', '# X.') },
    want: /: certlet join HOST:PORT --token-file FILE --discovery-token-ca-cert-hash sha256:HASH --force   # /,
  },
  {
    name: 'where root writes the kubeconfig, the command is root’s, with the pins of what is published',
    question: { following: BY_ROOT },
    want: /^certlet join AS-ROOT sha256:[0-9a-f]{64} sha256:[0-9a-f]{64}$/,
  },
]) {
  t.test(`--for ca-rotation: ${row.name}`, async (t) => {
    const found = caRotationFindings({ ...ROTATION, ...row.question }).find(({ id }) => id === 'ca-rotation.follow');
    t.match(found?.remedy, row.want);
  });
}

t.test('--for ca-rotation: where root writes the kubeconfig, the restart is in root’s command', async (t) => {
  const remedies = caRotationFindings({ ...ROTATION, node: INSIDE, following: BY_ROOT });
  t.match(
    remedies.find(({ id }) => id === 'ca-rotation.kubelet')?.remedy,
    /^certlet join AS-ROOT {4}# after the new CA/,
  );
});
