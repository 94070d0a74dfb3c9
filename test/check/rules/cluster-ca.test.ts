/** What check says of the CAs that a cluster publishes, a kubeconfig trusts and a kubelet believes its callers by: tables over the rules. */
import t from 'tap';
import type { PublishedCas } from '../../../src/check/facts.ts';
import type { Finding } from '../../../src/check/finding.ts';
import { clusterCaFindings, type ClusterCaQuestion, type Following } from '../../../src/check/rules/cluster-ca.ts';
import { CertletError } from '../../../src/errors.ts';
import { readTrustedCas } from '../../../src/kubeconfig/trusted-ca.ts';
import { createAuthority } from '../../fixtures/cluster/authority.ts';

const NOW = new Date('2030-06-01T00:00:00Z');
const years = (count: number): Date => new Date(NOW.getTime() + count * 365 * 86_400_000);
const authority = (notAfter = years(10)) =>
  createAuthority({ name: 'kubernetes', notBefore: years(-10), notAfter }).pem;
const OLD = authority();
const NEW = authority();
const OVER = authority(years(-1));
const SERVER = createAuthority({ name: 'x', notBefore: years(-1), notAfter: years(9) }).issue({
  notBefore: years(-1),
  notAfter: years(5),
}).certPem;
const file = (path: string, ...pems: readonly string[]) => ({ path, cas: readTrustedCas(pems.join('')) });
const read = (...pems: readonly string[]): PublishedCas => ({
  kind: 'read',
  source: 'cluster-info',
  cas: readTrustedCas(pems.join('')),
});
const failed = (code: 'ERR_API_FORBIDDEN' | 'ERR_API_NOT_FOUND'): PublishedCas => ({
  kind: 'failed',
  source: 'cluster-info',
  error: new CertletError(code, 'it says no', { remedy: 'kubectl apply -f ROLE' }),
});
const ON: Following = {
  source: 'cluster-info',
  byRoot: false,
  rootCommand: (pins) => `certlet join AS-ROOT ${String(pins.length)} pins`,
  foreignFile: undefined,
};
const OFF = { ...ON, source: 'off' } as const;
const BY_ROOT = { ...OFF, byRoot: true };
const QUESTION: ClusterCaQuestion = {
  now: NOW,
  following: ON,
  node: file('/kubelet.conf', OLD),
  published: read(OLD),
  clientCa: file('/ca.crt', OLD),
};
const found = (question: Partial<ClusterCaQuestion>): readonly Finding[] =>
  clusterCaFindings({ ...QUESTION, ...question });
const told = (findings: readonly Finding[]): readonly string[] => findings.map(({ verdict, id }) => `${verdict} ${id}`);
const SAME = 'ok cluster-ca.client-ca';

for (const row of [
  { name: 'followed, and all agree', question: {}, want: ['ok cluster-ca.follow', SAME] },
  { name: 'off: following is suggested', question: { following: OFF }, want: ['note cluster-ca.follow', SAME] },
  {
    name: 'followed, and nobody may read it',
    question: { published: failed('ERR_API_FORBIDDEN') },
    want: ['warning cluster-ca.follow', SAME],
  },
  {
    name: 'no connection that is verified: nothing is said of what is published',
    question: { published: { kind: 'unasked' } as const },
    want: [SAME],
  },
  { name: 'a kubeconfig without a CA', question: { node: file('/kubelet.conf') }, want: [] },
  {
    name: 'a kubelet whose clientCAFile is not known',
    question: { clientCa: undefined },
    want: ['ok cluster-ca.follow'],
  },
  {
    name: 'a clientCAFile that this user may not read',
    question: { clientCa: '/ca.crt cannot be read: EACCES' },
    want: ['ok cluster-ca.follow', 'skipped cluster-ca.client-ca'],
  },
  {
    name: 'a published CA that is followed comes by itself, and the clientCAFile lacks it',
    question: { published: read(OLD, NEW) },
    want: ['ok cluster-ca.follow', 'note cluster-ca.untrusted', 'warning cluster-ca.client-ca'],
  },
  {
    name: 'a published CA that nobody brings to this node',
    question: { following: OFF, published: read(OLD, NEW) },
    want: ['note cluster-ca.follow', 'warning cluster-ca.untrusted', 'warning cluster-ca.client-ca'],
  },
  {
    name: 'a published CA, and a CA file that certlet did not make',
    question: {
      following: { ...ON, foreignFile: '/etc/kubernetes/pki/ca.crt' },
      published: read(OLD, NEW),
      clientCa: undefined,
    },
    want: ['ok cluster-ca.follow', 'warning cluster-ca.untrusted'],
  },
  {
    name: 'one that has expired, and one that is none',
    question: { published: read(OLD, OVER, SERVER) },
    want: ['ok cluster-ca.follow', 'warning cluster-ca.refused', 'warning cluster-ca.refused', SAME],
  },
  {
    name: 'one that is published no more',
    question: { node: file('/kubelet.conf', OLD, NEW), published: read(NEW), clientCa: file('/ca.crt', OLD, NEW) },
    want: ['ok cluster-ca.follow', 'note cluster-ca.gone', SAME],
  },
  {
    name: 'a CA in the kubeconfig that is missing from the clientCAFile',
    question: { node: file('/kubelet.conf', OLD, NEW), published: read(OLD, NEW) },
    want: ['ok cluster-ca.follow', 'warning cluster-ca.client-ca'],
  },
  {
    name: 'a CA in the clientCAFile that is missing from the kubeconfig',
    question: { clientCa: file('/ca.crt', OLD, NEW) },
    want: ['ok cluster-ca.follow', SAME, 'note cluster-ca.client-ca-more'],
  },
  {
    name: 'a cluster with a CA of its own for callers of the kubelet',
    question: { clientCa: file('/ca.crt', NEW) },
    want: ['ok cluster-ca.follow', 'note cluster-ca.client-ca', 'note cluster-ca.client-ca-more'],
  },
]) {
  t.test(`the cluster's CA: ${row.name}`, async (t) => t.strictSame(told(found(row.question)), row.want));
}

for (const row of [
  {
    name: 'off: the setting, with the source that could be read',
    question: { following: OFF },
    id: 'follow',
    want: /^# Set followClusterCA: cluster-info in the settings\.   # /,
  },
  {
    name: 'off, and nobody may read it: the Role, then the setting',
    question: { following: OFF, published: failed('ERR_API_FORBIDDEN') },
    id: 'follow',
    want: /^kubectl apply -f ROLE   # .*then followClusterCA: cluster-info/,
  },
  {
    name: 'off, and nothing is published',
    question: { following: OFF, published: failed('ERR_API_NOT_FOUND') },
    id: 'follow',
    want: /^# Set followClusterCA: cluster-info in the settings\.   # .*where the cluster publishes it/,
  },
  {
    name: "root writes the kubeconfig: root's command",
    question: { following: BY_ROOT },
    id: 'follow',
    want: /^certlet join AS-ROOT 1 pins$/,
  },
  {
    name: 'root writes it, and another one is published: the pins of both',
    question: { following: BY_ROOT, published: read(OLD, NEW) },
    id: 'untrusted',
    want: /^certlet join AS-ROOT 2 pins$/,
  },
  {
    name: 'root writes it, and one is gone: the pins of the rest',
    question: { following: BY_ROOT, node: file('/k', OLD, NEW), published: read(NEW) },
    id: 'gone',
    want: /^certlet join AS-ROOT 1 pins   # once no API server needs them$/,
  },
  {
    name: 'the clientCAFile: a command for a person',
    question: { published: read(OLD, NEW), clientCa: file('/pki dir/ca.crt', OLD) },
    id: 'client-ca',
    want: /^certlet check --output json \| jq -r '.*"cluster-ca\.client-ca".*\.evidence\.pem\[\]\)' >> '\/pki dir\/ca\.crt'   # /,
  },
]) {
  t.test(`the cluster's CA, what to do: ${row.name}`, async (t) => {
    t.match(found(row.question).find(({ id }) => id === `cluster-ca.${row.id}`)?.remedy, row.want);
  });
}

t.test(
  'a clientCAFile that ends without a line end: what was added ran into its last certificate, and both were lost',
  async (t) => {
    const finding = found({ published: read(OLD, NEW), clientCa: file('/ca.crt', OLD) }).find(
      ({ id }) => id === 'cluster-ca.client-ca',
    );
    const [, filter = ''] = /jq -r '([^']*)'/.exec(finding?.remedy ?? '') ?? [];
    // What jq gives comes on lines of its own, the first of them empty.
    t.match(filter, /^"", \(\.findings\[\]/);
  },
);

t.test(
  'what to add to the clientCAFile is told by subject, fingerprint and end, and as PEM for programs',
  async (t) => {
    const lacks = found({ published: read(OLD, NEW) }).find(({ id }) => id === 'cluster-ca.client-ca');
    const [ca] = readTrustedCas(NEW);
    const fingerprint = ca?.fingerprint ?? '';
    t.match(lacks?.what, `lacks CN=kubernetes (sha256 ${fingerprint.slice(0, 16)}…), until 2040-`);
    t.strictSame(lacks?.evidence, {
      path: '/ca.crt',
      missing: [`CN=kubernetes, sha256 ${fingerprint}, until ${years(10).toISOString().replace('.000', '')}`],
      pem: [ca?.pem],
    });
  },
);
