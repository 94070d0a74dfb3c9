/** Rules of check where less is known than usual. */
import t from 'tap';
import { adviceOf } from '../../../src/remedy.ts';
import { clientSpec, kubeletSpecs } from '../../fixtures/specs.ts';
import type { PairView } from '../../../src/adapters/probe/store-view.ts';
import type { Target } from '../../../src/check/facts.ts';
import { kubeconfigFindings } from '../../../src/check/rules/kubeconfigs.ts';
import { kubeletFindings } from '../../../src/check/rules/kubelet.ts';
import { connectFindings } from '../../../src/check/rules/network.ts';
import { pairFindings } from '../../../src/check/rules/pairs.ts';
import { tlsFindings } from '../../../src/check/rules/tls.ts';
import { CertletError } from '../../../src/errors.ts';
import type { KubeconfigReading } from '../../../src/ports.ts';
import { parsePair } from '../../../src/pki/certificate.ts';
import { Secret } from '../../../src/secret.ts';
import { NO_KUBELET } from '../../fixtures/check/host.ts';
import { createAuthority } from '../../fixtures/cluster/authority.ts';

const NOW = new Date('2030-01-15T00:00:00Z');
const days = (count: number): Date => new Date(NOW.getTime() + count * 86_400_000);
const ROOT = { uid: 0, seesAll: true };
const TARGET: Target = {
  role: 'bootstrap',
  cluster: { server: 'https://a:1', caPem: 'no certificate', insecureSkipTlsVerify: false },
  credential: { kind: 'token', token: new Secret('abcdef.0123456789abcdef') },
  label: 'bootstrap token abcdef',
  source: '/b.conf',
  inUse: true,
};

t.test('a link into nowhere whose target nobody can tell', async (t) => {
  const view: PairView = {
    link: '/p/l.pem',
    linkKind: 'link',
    file: undefined,
    reading: { kind: 'absent' },
    files: [],
  };
  const [found] = pairFindings({ spec: clientSpec(), view, history: {}, nodeName: 'n1', now: NOW, looker: ROOT });
  t.match(found?.what, '/p/l.pem names a file, which is not there');
});

t.test('a pair in a plain file is shown by the name of the link', async (t) => {
  const { chainPem, keyPem } = createAuthority({ name: 'ca' }).issue({
    commonName: 'system:node:n1',
    organizations: ['system:nodes'],
    usages: ['client auth'],
    notBefore: days(-1),
    notAfter: days(30),
  });
  const reading = { kind: 'whole', pair: parsePair(new Secret(chainPem + keyPem)), modifiedAt: NOW } as const;
  const view: PairView = { link: '/p/l.pem', linkKind: 'file', file: undefined, reading, files: [] };
  const found = pairFindings({ spec: clientSpec(), view, history: {}, nodeName: 'n1', now: NOW, looker: ROOT });
  t.match(found.at(-1), { id: 'certificate.client', evidence: { file: '/p/l.pem' } });
});

t.test('no connection: an errno without words is told as it is, a name without addresses is asked for', async (t) => {
  const peer = { host: 'api.example', port: 6443, what: 'the API server' };
  const [odd] = connectFindings(peer, [{ kind: 'failed', address: '192.0.2.1', code: 'EWEIRD' }], 'problem');
  t.match(odd, { what: /192\.0\.2\.1 \(EWEIRD\)/, remedy: /ip route get 192\.0\.2\.1/ });
  const [none] = connectFindings(peer, [], 'problem');
  t.match(none, { verdict: 'problem', remedy: /ip route get api\.example/ });
});

t.test('a kubeconfig without a credential matters less beside a good client certificate', async (t) => {
  const bootstrap: KubeconfigReading = {
    kind: 'usable',
    path: '/b.conf',
    config: { source: '/b.conf', cluster: TARGET.cluster, credential: { kind: 'none' }, files: [], warnings: [] },
  };
  const node: KubeconfigReading = { ...bootstrap, path: '/k.conf' };
  const verdict = (hasClient: boolean) =>
    kubeconfigFindings({ bootstrap, node }, ROOT, hasClient).find(({ id }) => id === 'kubeconfig.bootstrap-empty')
      ?.verdict;
  t.equal(verdict(true), 'warning');
  t.equal(verdict(false), 'problem');
});

const HOST = { kubeletUnit: 'kubelet.service', byRoot: false };

t.test('a server under a CA that cannot be read is told without the names of that CA', async (t) => {
  const error = new CertletError('ERR_API_TLS', 'x', { reason: 'not signed' });
  const [found] = tlsFindings([{ target: TARGET, error, glimpse: undefined, at: NOW, weight: 'problem' }], HOST);
  t.match(found, { id: 'tls.wrong-ca', verdict: 'problem' });
});

t.test('the command that shows the certificate of a server without a port looked at port 4433', async (t) => {
  const error = new CertletError('ERR_API_TLS', 'x', { reason: 'not signed' });
  const target = { ...TARGET, cluster: { ...TARGET.cluster, server: 'https://api.example' } };
  const seen = { target, error, glimpse: undefined, at: NOW, weight: 'problem' } as const;
  const [found] = tlsFindings([seen], HOST);
  t.match(found?.causes?.at(-1)?.remedy, 's_client -connect api.example:443 ');
});

t.test('a wrong clock and an expired certificate at once: both are told', async (t) => {
  const certificate = { subject: 'CN=a', issuer: 'CN=b', names: 'DNS:a', notBefore: days(-10), notAfter: days(5) };
  const error = new CertletError('ERR_API_TLS_DATES', 'dates');
  const glimpse = { certificate, serverDate: days(30) };
  const [found] = tlsFindings([{ target: TARGET, error, glimpse, at: NOW, weight: 'problem' }], HOST);
  t.match(found, { id: 'tls.clock', what: /by which its certificate is outside its dates as well/ });
});

const FACTS = {
  kubeconfig: undefined,
  bootstrapKubeconfig: undefined,
  certDir: '/pki',
  rotatesClient: false,
  rotatesServing: false,
  tlsCertFile: '/pki/kubelet-server-current.pem',
  tlsPrivateKeyFile: '/pki/kubelet-server-current.pem',
  hostnameOverride: undefined,
  nodeIPs: [],
  cloudProvider: undefined,
  staticPodPath: undefined,
  clientCAFile: undefined,
  address: undefined,
  port: undefined,
};

t.test('a kubelet without --kubeconfig flag that embeds its certificate: our path is named', async (t) => {
  const found = kubeletFindings({
    host: { ...NO_KUBELET, facts: FACTS, version: 'v1.36.2', kubeconfigEmbedsCertificate: true },
    nodeName: 'n1',
    certDir: '/pki',
    kubeconfig: '/k.conf',
    unit: 'kubelet.service',
    serving: true,
    restart: 'auto',
    specs: kubeletSpecs(),
    foreign: [],
  });
  t.match(found.find(({ id }) => id === 'kubelet.embedded')?.what, /^\/k\.conf has the client certificate inside/);
});

for (const row of [
  {
    name: 'a kubelet is there',
    seen: true,
    command: /^certlet adopt --write && .* restart kubelet && certlet renew client$/,
  },
  { name: 'no kubelet is in sight, so nothing is adopted', seen: false, command: /^certlet renew client$/ },
]) {
  t.test(`another program writes, and ${row.name}: what stands behind the # of the remedy is no command`, async (t) => {
    const found = kubeletFindings({
      host: row.seen ? { ...NO_KUBELET, facts: FACTS } : NO_KUBELET,
      nodeName: 'n1',
      certDir: '/pki',
      kubeconfig: '/k.conf',
      unit: 'kubelet.service',
      serving: true,
      restart: 'auto',
      specs: kubeletSpecs(),
      foreign: [{ spec: clientSpec(), files: ['/pki/x'] }],
    });
    const remedy = found.find(({ id }) => id === 'kubelet.foreign-client')?.remedy ?? '';
    t.match(adviceOf(remedy), { kind: 'command', fix: row.command });
  });
}
