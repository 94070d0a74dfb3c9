/** The rules of check that turn facts into findings, as tables. */
import t from 'tap';
import { rootsFacts } from '../../fixtures/roots-facts.ts';
import { clientSpec, kubeletSpecs, servingSpec } from '../../fixtures/specs.ts';
import type { FileFacts } from '../../../src/adapters/file-system.ts';
import type { PairView } from '../../../src/adapters/probe/store-view.ts';
import type { Target } from '../../../src/check/facts.ts';
import type { Finding } from '../../../src/check/finding.ts';
import { certificateCauses, issuedByKubeconfigCa } from '../../../src/check/rules/authentication.ts';
import {
  clientApprovalFinding,
  csrRightsFindings,
  servingApprovalFindings,
} from '../../../src/check/rules/authorization.ts';
import { bootstrapTokenCauses, traceText } from '../../../src/check/rules/bootstrap-token.ts';
import { modeFindings, shutOutFindings } from '../../../src/check/rules/files.ts';
import { kubeconfigFindings, unreadable } from '../../../src/check/rules/kubeconfigs.ts';
import { kubeletFindings } from '../../../src/check/rules/kubelet.ts';
import { certificateNameFindings } from '../../../src/check/rules/names.ts';
import { connectFindings, lookupFindings } from '../../../src/check/rules/network.ts';
import { pairFindings } from '../../../src/check/rules/pairs.ts';
import { servedFindings } from '../../../src/check/rules/served.ts';
import { namesFindings, servingFindings } from '../../../src/check/rules/serving.ts';
import { clockFindings, isThrough, tlsFindings } from '../../../src/check/rules/tls.ts';
import { targetsOf } from '../../../src/check/targets.ts';
import { CertletError } from '../../../src/errors.ts';
import type { ClientConfig } from '../../../src/kubeconfig/client-config.ts';
import { parseChain, parsePair } from '../../../src/pki/certificate.ts';
import type { KubeconfigReading } from '../../../src/ports.ts';
import { Secret } from '../../../src/secret.ts';
import { NO_KUBELET } from '../../fixtures/check/host.ts';
import { createAuthority, issueSelfSigned } from '../../fixtures/cluster/authority.ts';
import type { IssueOptions } from '../../fixtures/cluster/authority.ts';

const NOW = new Date('2030-06-01T00:00:00Z');
const days = (count: number): Date => new Date(NOW.getTime() + count * 86_400_000);
const ca = createAuthority({ name: 'kubernetes', notBefore: days(-1000), notAfter: days(5000) });
const NODE: IssueOptions = {
  commonName: 'system:node:n1',
  organizations: ['system:nodes'],
  usages: ['digital signature', 'client auth'],
  notBefore: days(-10),
  notAfter: days(355),
};
const told = (findings: readonly Finding[]): readonly string[] => findings.map(({ verdict, id }) => `${verdict} ${id}`);

// Files

const FILE = rootsFacts();
for (const row of [
  { name: 'a private secret of root', kind: 'secret', facts: {}, ids: [] },
  { name: 'a secret of the service user', kind: 'secret', facts: { uid: 990 }, ids: [] },
  { name: 'a secret of somebody else', kind: 'secret', facts: { uid: 1000 }, ids: ['problem files.owner'] },
  {
    name: 'a secret that all can read',
    kind: 'secret',
    facts: { mode: 0o644 },
    ids: ['problem files.readable-by-others'],
  },
  {
    name: 'a secret that its group can read',
    kind: 'secret',
    facts: { mode: 0o640 },
    ids: ['note files.readable-by-group'],
  },
  {
    name: 'a secret that its group can write',
    kind: 'secret',
    facts: { mode: 0o620 },
    ids: ['problem files.writable-by-others'],
  },
  { name: 'an ordinary folder', kind: 'folder', facts: { kind: 'folder', mode: 0o755 }, ids: [] },
  {
    name: 'a folder that all can write',
    kind: 'folder',
    facts: { kind: 'folder', mode: 0o777 },
    ids: ['problem files.writable-by-others'],
  },
  { name: 'a sticky folder', kind: 'folder', facts: { kind: 'folder', mode: 0o1777 }, ids: [] },
  { name: 'a file where a folder should be', kind: 'folder', facts: {}, ids: ['problem files.no-folder'] },
] as const) {
  t.test(`files: ${row.name}`, async (t) => {
    const facts: FileFacts = { ...FILE, ...row.facts };
    t.strictSame(told(modeFindings({ path: '/a b', kind: row.kind, facts }, [990], 0)), row.ids);
  });
}

const KIND_OF = { read: 'file', enter: 'folder', write: 'folder' } as const;

for (const row of [
  { name: 'a folder that its owner may not enter', mode: 0o000, uid: 0, use: 'write', remedy: "chmod u+rwx '/a b'" },
  { name: 'a folder that its owner may not write', mode: 0o555, uid: 0, use: 'write', remedy: "chmod u+rwx '/a b'" },
  { name: 'the same where nothing is written', mode: 0o555, uid: 0, use: 'enter', remedy: undefined },
  { name: 'a folder for its owner alone', mode: 0o700, uid: 0, use: 'write', remedy: undefined },
  { name: 'a file that its owner may read', mode: 0o400, uid: 0, use: 'read', remedy: undefined },
  { name: 'a file that its owner may not read', mode: 0o040, uid: 0, use: 'read', remedy: "chmod u+r '/a b'" },
  { name: "somebody else's, which has a finding of its own", mode: 0o000, uid: 5, use: 'write', remedy: undefined },
] as const) {
  t.test(`files: ${row.name}`, async (t) => {
    const [found] = shutOutFindings(
      '/a b',
      { ...FILE, kind: KIND_OF[row.use], mode: row.mode, uid: row.uid },
      row.use,
      0,
    );
    t.equal(found?.remedy, row.remedy);
  });
}

for (const row of [
  { name: "root's folder, to be written", mode: 0o755, use: 'write', remedy: "chown 812 '/a b'" },
  { name: "root's folder, to be entered", mode: 0o711, use: 'enter', remedy: undefined },
  { name: "root's folder that nobody else enters", mode: 0o700, use: 'enter', remedy: "chown 812 '/a b'" },
  { name: "root's token for a group", mode: 0o640, use: 'read', remedy: undefined },
  { name: "root's token", mode: 0o600, use: 'read', remedy: "chown 812 '/a b'" },
] as const) {
  t.test(`files: a service with a user of its own, and ${row.name}`, async (t) => {
    const [found] = shutOutFindings('/a b', { ...FILE, kind: KIND_OF[row.use], mode: row.mode, uid: 0 }, row.use, 812);
    t.equal(found?.remedy, row.remedy);
  });
}

t.test("files: a token that everybody reads is closed, and stays the service's to read", async (t) => {
  const remedyOf = (mode: number, service: number): string | undefined =>
    modeFindings({ path: '/t', kind: 'secret', facts: { ...FILE, mode } }, [], service)[0]?.remedy;
  t.equal(remedyOf(0o644, 0), 'chmod 600 /t');
  t.equal(remedyOf(0o644, 812), 'chown 812 /t && chmod 600 /t');
  t.equal(remedyOf(0o640, 812), undefined, 'as the pages have it');
});

// Kubeconfigs

const ROOT = { uid: 0, seesAll: true };
const NOBODY = { uid: 65_534, seesAll: false };
const CONFIG: ClientConfig = {
  source: '/b.conf',
  cluster: { server: 'https://a:1', caPem: ca.pem, insecureSkipTlsVerify: false },
  credential: { kind: 'token', token: new Secret('abcdef.0123456789abcdef') },
  files: [],
  warnings: [],
};
const usable = (path: string, more: Partial<ClientConfig> = {}): KubeconfigReading => ({
  kind: 'usable',
  path,
  config: { ...CONFIG, ...more },
});
const absent = (path: string): KubeconfigReading => ({ kind: 'absent', path });
const denied: KubeconfigReading = {
  kind: 'unusable',
  path: '/b.conf',
  error: new CertletError('ERR_STORE_IO', 'no', { cause: Object.assign(new Error('no'), { code: 'EACCES' }) }),
};
const broken: KubeconfigReading = {
  kind: 'unusable',
  path: '/b.conf',
  error: new CertletError('ERR_KUBECONFIG_INVALID', 'no YAML'),
};

for (const row of [
  {
    name: 'neither is there',
    bootstrap: absent('/b.conf'),
    node: absent('/k.conf'),
    pair: false,
    ids: ['problem kubeconfig.bootstrap-absent', 'note kubeconfig.node-absent'],
  },
  {
    name: 'bootstrap file gone, client certificate good',
    bootstrap: absent('/b.conf'),
    node: usable('/k.conf'),
    pair: true,
    ids: ['note kubeconfig.bootstrap-absent', 'ok kubeconfig.node'],
  },
  {
    name: 'bootstrap file broken',
    bootstrap: broken,
    node: absent('/k.conf'),
    pair: false,
    ids: ['problem kubeconfig.bootstrap-unusable', 'note kubeconfig.node-absent'],
  },
  {
    name: 'bootstrap file broken beside a good certificate',
    bootstrap: broken,
    node: usable('/k.conf'),
    pair: true,
    ids: ['warning kubeconfig.bootstrap-unusable', 'ok kubeconfig.node'],
  },
  {
    name: 'no credential in it',
    bootstrap: usable('/b.conf', { credential: { kind: 'none' } }),
    node: absent('/k.conf'),
    pair: false,
    ids: ['problem kubeconfig.bootstrap-empty', 'note kubeconfig.node-absent'],
  },
  {
    name: 'root may not read it',
    bootstrap: denied,
    node: denied,
    pair: false,
    ids: ['problem kubeconfig.bootstrap-unreadable', 'problem kubeconfig.node-unreadable'],
  },
  {
    name: 'another user may not read it',
    looker: NOBODY,
    bootstrap: denied,
    node: absent('/k.conf'),
    pair: true,
    ids: ['skipped kubeconfig.bootstrap-unreadable', 'note kubeconfig.node-absent'],
  },
  {
    name: 'the node file broken',
    bootstrap: usable('/b.conf'),
    node: broken,
    pair: false,
    ids: ['ok kubeconfig.bootstrap', 'warning kubeconfig.node-unusable'],
  },
  {
    name: 'warnings are told, modes are left to the files',
    bootstrap: usable('/b.conf', { warnings: ['is plain http', 'mode 644'], modeWarning: 'mode 644' }),
    node: absent('/k.conf'),
    pair: false,
    ids: ['ok kubeconfig.bootstrap', 'warning kubeconfig.bootstrap-warning', 'note kubeconfig.node-absent'],
  },
  {
    name: 'two clusters',
    bootstrap: usable('/b.conf'),
    node: usable('/k.conf', { cluster: { ...CONFIG.cluster, server: 'https://b:1' } }),
    pair: true,
    ids: ['ok kubeconfig.bootstrap', 'ok kubeconfig.node', 'warning kubeconfig.differ'],
  },
  {
    name: 'a node that follows the CA of its cluster was told to reset for its bootstrap kubeconfig of before',
    bootstrap: usable('/b.conf'),
    node: usable('/k.conf', { cluster: { ...CONFIG.cluster, caPem: 'another' } }),
    pair: true,
    followed: true,
    ids: ['ok kubeconfig.bootstrap', 'ok kubeconfig.node', 'note kubeconfig.differ'],
  },
  {
    name: 'one that follows, and another server',
    bootstrap: usable('/b.conf'),
    node: usable('/k.conf', { cluster: { ...CONFIG.cluster, server: 'https://b:1' } }),
    pair: true,
    followed: true,
    ids: ['ok kubeconfig.bootstrap', 'ok kubeconfig.node', 'warning kubeconfig.differ'],
  },
]) {
  t.test(`kubeconfigs: ${row.name}`, async (t) => {
    t.strictSame(told(kubeconfigFindings(row, row.looker ?? ROOT, row.pair)), row.ids);
  });
}

t.test('what may not be read sends an ordinary user to sudo', async (t) => {
  t.match(unreadable('x', '/a', NOBODY), { verdict: 'skipped', remedy: /sudo/ });
});

// Pairs

function view(options: IssueOptions | undefined, more: Partial<PairView> = {}): PairView {
  const issued = options === undefined ? undefined : ca.issue(options);
  const reading =
    issued === undefined
      ? ({ kind: 'absent' } as const)
      : ({ kind: 'whole', pair: parsePair(new Secret(issued.chainPem + issued.keyPem)), modifiedAt: NOW } as const);
  return {
    link: '/p/l.pem',
    linkKind: issued === undefined ? 'absent' : 'link',
    file: '/p/f.pem',
    reading,
    files: [],
    ...more,
  };
}
const SELF_SIGNED = ((): PairView => {
  const { chainPem, keyPem } = issueSelfSigned({ commonName: 'n1@1', notBefore: days(-1), notAfter: days(300) });
  return view(undefined, {
    linkKind: 'link',
    reading: { kind: 'whole', pair: parsePair(new Secret(chainPem + keyPem)), modifiedAt: NOW },
  });
})();
for (const row of [
  { name: 'none yet', view: view(undefined), ids: ['note certificate.client-absent'] },
  {
    name: 'a folder that vanished with a pair that had been issued was told as one that is still to come',
    view: view(undefined),
    history: { lastIssuedAt: days(-3) },
    ids: ['problem certificate.client-absent'],
    remedy: /certlet join/,
  },
  {
    name: 'a link that vanished, with pairs beside it',
    view: view(undefined, { files: ['/p/f.pem'] }),
    history: { lastIssuedAt: days(-3) },
    ids: ['problem certificate.client-absent'],
    remedy: /restart certlet/,
  },
  { name: 'a dangling link', view: view(undefined, { linkKind: 'link' }), ids: ['problem certificate.client-absent'] },
  { name: 'a good one', view: view(NODE), ids: ['ok certificate.client'] },
  {
    name: 'a good one in a plain file',
    view: view(NODE, { linkKind: 'file' }),
    ids: ['problem certificate.client-no-link', 'ok certificate.client'],
  },
  {
    name: 'a good one that the two files beside it are behind',
    view: view(NODE, { plainBehind: { certFile: '/p/tls.crt', keyFile: '/p/tls.key' } }),
    ids: ['ok certificate.client', 'warning certificate.client-plain-files'],
  },
  { name: 'expired', view: view({ ...NODE, notAfter: days(-1) }), ids: ['problem certificate.client-expired'] },
  { name: 'not yet valid', view: view({ ...NODE, notBefore: days(1) }), ids: ['problem certificate.client-early'] },
  {
    name: 'for another node',
    view: view({ ...NODE, commonName: 'system:node:N1' }),
    ids: ['problem certificate.client-name'],
  },
  {
    name: 'without client auth',
    view: view({ ...NODE, usages: ['server auth'] }),
    ids: ['problem certificate.client-unfit'],
  },
  {
    name: 'renewal overdue',
    view: view({ ...NODE, notBefore: days(-360), notAfter: days(5) }),
    ids: ['warning certificate.client-overdue'],
  },
  {
    name: 'broken',
    view: view(undefined, { reading: { kind: 'broken', reason: 'empty' } }),
    ids: ['problem certificate.client-broken'],
  },
  {
    name: 'unsafe',
    view: view(undefined, { reading: { kind: 'unsafe', reason: 'it belongs to user 7' } }),
    ids: ['problem certificate.client-unsafe'],
  },
  {
    name: 'unreadable for root',
    view: view(undefined, { reading: { kind: 'unreadable', reason: 'EIO' } }),
    ids: ['problem certificate.client-unreadable'],
  },
  {
    name: 'unreadable for a user',
    looker: NOBODY,
    view: view(undefined, { reading: { kind: 'unreadable', reason: 'EACCES' } }),
    ids: ['skipped certificate.client-unreadable'],
  },
  {
    name: 'a placeholder',
    purpose: 'serving' as const,
    view: SELF_SIGNED,
    ids: ['warning certificate.serving-placeholder'],
  },
]) {
  t.test(`pairs: ${row.name}`, async (t) => {
    const { purpose = 'client', looker = ROOT, history = {} } = row;
    const found = pairFindings({
      spec: purpose === 'client' ? clientSpec() : servingSpec(),
      view: row.view,
      history,
      nodeName: 'n1',
      now: NOW,
      looker,
    });
    t.strictSame(told(found), row.ids);
    if (row.remedy !== undefined) t.match(found[0]?.remedy, row.remedy);
  });
}

// Network

const PEER = { host: 'api.example', port: 6443, what: 'the API server' };
t.test('name resolution: good, slow, failed; an address needs none', async (t) => {
  const answer = (tookMs: number) => ({ kind: 'addresses', addresses: ['192.0.2.1'], tookMs }) as const;
  t.strictSame(told(lookupFindings(PEER, answer(1), 'problem')), ['ok network.name']);
  t.strictSame(told(lookupFindings(PEER, answer(3_000), 'problem')), ['warning network.name-slow']);
  t.strictSame(told(lookupFindings({ ...PEER, host: '192.0.2.1' }, answer(0), 'problem')), []);
  const [failed] = lookupFindings(PEER, { kind: 'failed', code: 'EWEIRD' }, 'warning');
  t.match(failed, { verdict: 'warning', what: /does not resolve: EWEIRD/ });
});
t.test('connections: all, some, none', async (t) => {
  const open = { kind: 'open', address: '192.0.2.1' } as const;
  const shut = { kind: 'failed', address: '2001:db8::1', code: 'ENETUNREACH' } as const;
  t.strictSame(told(connectFindings(PEER, [open], 'problem')), ['ok network.connect']);
  t.strictSame(told(connectFindings(PEER, [open, shut], 'problem')), ['warning network.connect-some']);
  const [none] = connectFindings({ ...PEER, host: '2001:db8::1' }, [shut], 'problem');
  t.match(none, { verdict: 'problem', what: /\[2001:db8::1\]:6443: 2001:db8::1 \(no route to the network\)/ });
});

// TLS and clock

const TARGET: Target = {
  role: 'bootstrap',
  cluster: CONFIG.cluster,
  credential: { kind: 'token', token: new Secret('abcdef.0123456789abcdef') },
  label: 'bootstrap token abcdef',
  source: '/b.conf',
  inUse: true,
};
const GLIMPSE = { subject: 'CN=a', issuer: 'CN=b', names: 'DNS:a', notBefore: days(-10), notAfter: days(100) };
const tls = (error: CertletError | undefined, glimpse: object = { certificate: GLIMPSE, serverDate: NOW }) =>
  tlsFindings([{ target: TARGET, error, glimpse, at: NOW, weight: 'problem' }], {
    kubeletUnit: 'kubelet.service',
    byRoot: false,
  });
const dates = new CertletError('ERR_API_TLS_DATES', 'dates');
for (const row of [
  { name: 'good', findings: tls(undefined), ids: ['ok tls'] },
  { name: 'good, nothing seen', findings: tls(undefined, {}), ids: ['ok tls'] },
  {
    name: 'about to expire',
    findings: tls(undefined, { certificate: { ...GLIMPSE, notAfter: days(2) } }),
    ids: ['warning tls.expires-soon'],
  },
  {
    name: 'expired',
    findings: tls(dates, { certificate: { ...GLIMPSE, notAfter: days(-2) }, serverDate: NOW }),
    ids: ['problem tls.server-expired'],
  },
  {
    name: 'not yet valid',
    findings: tls(dates, { certificate: { ...GLIMPSE, notBefore: days(2) } }),
    ids: ['problem tls.server-early'],
  },
  {
    name: 'our clock is off',
    findings: tls(dates, { certificate: GLIMPSE, serverDate: days(30) }),
    ids: ['problem tls.clock'],
  },
  {
    name: 'our clock is off, and the certificate unseen',
    findings: tls(dates, { serverDate: days(30) }),
    ids: ['problem tls.clock'],
  },
  { name: 'dates, and nothing seen', findings: tls(dates, {}), ids: ['problem tls.dates'] },
  {
    name: 'weak keys',
    findings: tls(new CertletError('ERR_API_TLS', 'OpenSSL refuses a certificate')),
    ids: ['problem tls.failed'],
  },
  {
    name: 'another name',
    findings: tls(new CertletError('ERR_API_TLS', 'x', { reason: 'other name' })),
    ids: ['problem tls.name'],
  },
  {
    name: 'wrong CA',
    findings: tls(new CertletError('ERR_API_TLS', 'x', { reason: 'not signed' }), undefined),
    ids: ['problem tls.wrong-ca'],
  },
  {
    name: 'dead link',
    findings: tls(new CertletError('ERR_API_UNREACHABLE', 'gone')),
    ids: ['problem tls.unreachable'],
  },
  {
    name: 'failing server',
    findings: tls(new CertletError('ERR_API_SERVER', '503')),
    ids: ['problem tls.server-fails'],
  },
  { name: 'wants a certificate', findings: tls(new CertletError('ERR_API_UNAUTHORIZED', 'alert')), ids: ['ok tls'] },
  { name: 'a stranger', findings: tls(new CertletError('ERR_API_PROTOCOL', 'HTML')), ids: ['problem tls.stranger'] },
]) {
  t.test(`tls: ${row.name}`, async (t) => t.strictSame(told(row.findings), row.ids));
}
t.test('the commands of check name the unit of the settings, not kubelet', async (t) => {
  const unit = 'k3s-agent.service';
  const error = new CertletError('ERR_API_TLS', 'x', { reason: 'not signed' });
  const target = { ...TARGET, role: 'node' } as const;
  const bad = { target, error, glimpse: undefined, at: NOW, weight: 'problem' } as const;
  const good = { ...bad, target: TARGET, error: undefined };
  const chain = parseChain(ca.issue({ ...NODE }).chainPem);
  const refusal = { leaf: chain.leaf, chain, caPem: 'x', serverNow: NOW, source: '/k.conf', kubeletUnit: unit };
  const rotates = { ...NO_KUBELET, facts: { ...FACTS, rotatesClient: true, rotatesServing: true, tlsCertFile: '/x' } };
  const found = [
    ...tlsFindings([bad, good], { kubeletUnit: unit, byRoot: false }),
    ...tlsFindings([bad], { kubeletUnit: unit, byRoot: false }),
    ...kubeletFindings({
      host: { ...rotates, kubeconfigEmbedsCertificate: true },
      unit,
      nodeName: 'n1',
      certDir: FACTS.certDir,
      kubeconfig: '/k.conf',
      serving: true,
      restart: 'auto',
      specs: kubeletSpecs(),
      foreign: [{ spec: clientSpec(), files: ['/x'] }],
    }),
  ];
  const remedies = [
    ...found.flatMap(({ remedy, causes = [] }) => [remedy, ...causes.map((cause) => cause.remedy)]),
    ...certificateCauses(refusal).map(({ remedy }) => remedy),
  ].filter((text) => text !== undefined);
  const naming = remedies.filter((text) => /systemctl (?:stop|start|restart) (?!certlet$)/.test(text));
  t.ok(naming.length >= 5, naming.join('\n'));
  for (const text of naming) {
    t.match(text, /k3s-agent/);
    t.notMatch(text, /kubelet(?:\s|$)/, text);
  }
});
t.test("the host's own roots are named where the kubeconfig has no CA", async (t) => {
  const { caPem: _none, ...cluster } = CONFIG.cluster;
  const error = new CertletError('ERR_API_TLS', 'x', { reason: 'not signed' });
  const target = { ...TARGET, role: 'node', cluster } as const;
  const [found] = tlsFindings([{ target, error, glimpse: undefined, at: NOW, weight: 'problem' }], {
    kubeletUnit: 'kubelet.service',
    byRoot: false,
  });
  t.match(found, {
    id: 'tls.wrong-ca',
    evidence: { trusted: ["the host's own roots"] },
    causes: [{ remedy: /certlet join/ }],
  });
});
t.test('a node whose cluster has another CA was told to throw its identity and key away', async (t) => {
  const error = new CertletError('ERR_API_TLS', 'x', { reason: 'not signed' });
  const target = { ...TARGET, role: 'node' } as const;
  const glimpse = { certificate: { ...GLIMPSE, serial: '01', fingerprint: 'AA:BB', issuerKeyId: 'AB:CD' } };
  const bad = { target, error, glimpse, at: NOW, weight: 'problem' } as const;
  const good = { ...bad, target: TARGET, error: undefined };
  const join = /: certlet join a:1 --token-file FILE --discovery-token-ca-cert-hash sha256:HASH --force/;
  for (const { seen, byRoot, causes } of [
    { seen: [bad], byRoot: false, causes: [{ what: /from CN=b with key id AB:CD$/, remedy: join }] },
    { seen: [bad], byRoot: true, causes: [{ remedy: / --force --write-kubeconfig   # / }] },
    {
      seen: [bad, good],
      byRoot: false,
      causes: [{ what: /identity and key stay/, remedy: /^systemctl restart certlet$/ }],
    },
    {
      seen: [bad, good],
      byRoot: true,
      causes: [{ remedy: /^certlet join --write-kubeconfig && systemctl restart k/ }],
    },
  ]) {
    const [found] = tlsFindings(seen, { kubeletUnit: 'kubelet.service', byRoot });
    t.match(found, { verdict: 'problem', causes, evidence: { issuerKeyId: 'AB:CD' } });
    t.match(found?.causes?.[1], { what: /another cluster/, sure: 'possible', remedy: /certlet reset/ });
  }
});
t.test('a failing server is still a server', async (t) => {
  t.equal(isThrough(new CertletError('ERR_API_SERVER', '')), true);
  t.equal(isThrough(new CertletError('ERR_API_TLS', '')), false);
});
t.test('clock: small, named, harmful, unknown', async (t) => {
  t.strictSame(told(clockFindings(60_000)), ['ok clock']);
  t.strictSame(told(clockFindings(-180_000)), ['warning clock.skew']);
  t.strictSame(told(clockFindings(400_000)), ['problem clock.skew']);
  t.strictSame(clockFindings(undefined), []);
});

// Authentication

t.test('401 of a certificate: what is certain comes first, then the likely', async (t) => {
  const chain = parseChain(ca.issue({ ...NODE, notAfter: days(-1), usages: ['server auth'] }).chainPem);
  const refusal = {
    leaf: chain.leaf,
    chain,
    caPem: ca.pem,
    serverNow: NOW,
    source: '/k.conf',
    kubeletUnit: 'kubelet.service',
  };
  t.match(
    certificateCauses(refusal).map(({ what }) => what),
    [/expired at/, /lacks the usage client auth/, /--client-ca-file/, /same CA name/, /load balancer/],
  );
  const early = parseChain(ca.issue({ ...NODE, notBefore: days(1) }).chainPem);
  t.match(certificateCauses({ ...refusal, leaf: early.leaf, chain: early })[0]?.what, /not valid before/);
  t.equal(issuedByKubeconfigCa({ chain, caPem: undefined }), undefined);
  t.equal(issuedByKubeconfigCa({ chain, caPem: 'x' }), undefined);
});
t.test('401 of a bootstrap token: each trace has its order', async (t) => {
  for (const trace of [
    { kind: 'signed' },
    { kind: 'other secret' },
    { kind: 'unsigned', others: 0 },
    { kind: 'unsigned', others: 2 },
    { kind: 'unknown', why: 'x' },
  ] as const) {
    const causes = bootstrapTokenCauses('abcdef', trace);
    t.equal(causes[0]?.sure, 'likely', traceText(trace));
    t.ok(
      causes.every(({ remedy }) => remedy !== undefined),
      'each with what mends it',
    );
  }
});

// Permissions

t.test('missing verbs: without create there is no certificate, without watch there is polling', async (t) => {
  const about = { refusal: undefined, user: undefined, weight: 'problem' } as const;
  t.strictSame(told(csrRightsFindings(TARGET, [], about)), ['ok authorization.bootstrap']);
  t.match(csrRightsFindings(TARGET, ['create'], about)[0], {
    verdict: 'problem',
    remedy: /--group=system:bootstrappers$/,
  });
  t.match(csrRightsFindings(TARGET, ['watch'], about)[0], { verdict: 'warning', what: /polls instead/ });
  const fixed = { ...TARGET, credential: { kind: 'token', token: new Secret('static') } } as const;
  t.match(csrRightsFindings(fixed, ['get'], about)[0]?.remedy, /--user=USER/);
  t.match(
    csrRightsFindings({ ...TARGET, role: 'node' }, ['get'], about)[0]?.remedy,
    /certlet-nodes .*--group=system:nodes$/,
  );
});
t.test('approval: automatic, by a person, unknown', async (t) => {
  const about = (automatic: boolean | undefined, user?: string) =>
    clientApprovalFinding({ target: { ...TARGET, credential: { kind: 'tokenFile', path: '/t' } }, automatic, user });
  t.equal(about(true).verdict, 'ok');
  t.equal(about(undefined).verdict, 'skipped');
  t.match(about(false, 'jane o').remedy, /--user='jane o'$/);
  t.match(about(false, 'system:bootstrap:x').remedy, /--group=system:bootstrappers$/);
  t.strictSame(told(servingApprovalFindings(true, 20)), ['note approval.serving', 'note approval.selfnodeserver']);
  t.strictSame(told(servingApprovalFindings(true, 10)), ['note approval.serving'], 'it still worked in 1.10');
});

t.test('the advice for first certificates voided the bindings of tokens, and did not say so', async (t) => {
  const about = (role: 'bootstrap' | 'node') =>
    clientApprovalFinding({ target: { ...TARGET, role }, automatic: false, user: undefined }).what;
  t.match(
    about('bootstrap'),
    /waits for a person .*, or for certlet approve .* the role would void .* docs\/tokens\.md/,
  );
  t.notMatch(about('node'), /void/);
});

// Kubelet, names, serving

const FACTS = {
  kubeconfig: '/k.conf',
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
const kubelet = (facts: object | undefined, host: object = {}, more: object = {}) =>
  told(
    kubeletFindings({
      unit: 'kubelet.service',
      host: {
        ...NO_KUBELET,
        facts: facts === undefined ? undefined : { ...FACTS, ...facts },
        version: 'v1.36.2',
        ...host,
      },
      nodeName: 'n1',
      certDir: '/pki',
      kubeconfig: '/k.conf',
      serving: true,
      restart: 'auto',
      specs: kubeletSpecs(),
      foreign: [],
      ...more,
    }),
  );
for (const row of [
  { name: 'none', ids: kubelet(undefined), want: ['note kubelet.none'] },
  { name: 'hidden in k3s', ids: kubelet(undefined, { distribution: { name: 'k3s' } }), want: ['note kubelet.none'] },
  { name: 'as adopted', ids: kubelet({}), want: ['ok kubelet'] },
  { name: 'rotates here', ids: kubelet({ rotatesClient: true }), want: ['problem kubelet.rotates'] },
  {
    name: 'rotates elsewhere',
    ids: kubelet({ rotatesClient: true, certDir: '/other' }),
    want: ['warning kubelet.rotates-elsewhere'],
  },
  { name: 'another name', ids: kubelet({ hostnameOverride: 'N2' }), want: ['problem name.kubelet'] },
  {
    name: "another name, since the host's is another",
    ids: kubelet({}, { hostname: 'n3' }),
    want: ['problem name.kubelet'],
  },
  {
    name: 'restart needed and forbidden, serving certificates left alone',
    ids: kubelet({}, { version: 'v1.17.0' }, { restart: 'never', serving: false }),
    want: ['ok kubelet', 'warning kubelet.restart-off'],
  },
  { name: 'the same name in capitals', ids: kubelet({ hostnameOverride: 'N1' }), want: ['ok kubelet'] },
  {
    name: 'a cloud provider names the node',
    ids: kubelet({ hostnameOverride: 'n2', cloudProvider: 'aws' }),
    want: ['ok kubelet'],
  },
  { name: 'another kubeconfig', ids: kubelet({ kubeconfig: '/x' }), want: ['warning kubelet.kubeconfig'] },
  {
    name: 'a serving certificate of its own',
    ids: kubelet({ tlsCertFile: undefined }),
    want: ['warning kubelet.serving-file'],
  },
  {
    name: 'a serving certificate from elsewhere',
    ids: kubelet({ tlsCertFile: '/x.crt' }),
    want: ['warning kubelet.serving-file'],
  },
  {
    name: 'an embedded certificate',
    ids: kubelet({}, { kubeconfigEmbedsCertificate: true }),
    want: ['warning kubelet.embedded'],
  },
  {
    name: 'unreadable files and differing flags',
    ids: kubelet(
      {},
      {
        warnings: [
          { kind: 'unreadable', text: '/x' },
          { kind: 'differs', text: 'other flags' },
        ],
      },
    ),
    want: ['skipped kubelet.unreadable', 'warning kubelet.warning'],
  },
  {
    name: 'foreign files',
    ids: kubelet({}, {}, { foreign: [{ spec: clientSpec(), files: ['/pki/x'] }] }),
    want: ['problem kubelet.foreign-client'],
  },
  {
    name: 'restart needed and forbidden',
    ids: kubelet({}, { version: 'v1.17.0' }, { restart: 'never' }),
    want: ['ok kubelet', 'warning kubelet.restart-off'],
  },
]) {
  t.test(`kubelet: ${row.name}`, async (t) => t.strictSame(row.ids, row.want));
}
t.test('the certificate that the kubeconfig embeds against the name', async (t) => {
  const { chainPem, keyPem } = ca.issue({ ...NODE, commonName: 'system:node:old' });
  const credential = { kind: 'certificate', chainPem, keyPem: new Secret(keyPem) } as const;
  t.strictSame(told(certificateNameFindings('n1', usable('/k.conf', { credential }), '/l')), [
    'problem name.kubeconfig',
  ]);
  t.strictSame(certificateNameFindings('old', usable('/k.conf', { credential }), '/l'), []);
  t.strictSame(
    certificateNameFindings('n1', usable('/k.conf', { credential, files: ['/l'] }), '/l'),
    [],
    'told elsewhere',
  );
  t.strictSame(
    certificateNameFindings('n1', usable('/k.conf', { credential: { ...credential, chainPem: 'x' } }), '/l'),
    [],
  );
  t.strictSame(certificateNameFindings('n1', undefined, undefined), []);
});
t.test('serving names: what is missing counts, not what is more', async (t) => {
  const { leaf } = parseChain(ca.issue({ ...NODE, dnsNames: ['n1'] }).chainPem);
  const findings = (missing: readonly string[], nodeKnown = true) =>
    servingFindings({ spec: servingSpec(), leaf, missing, nodeKnown });
  t.strictSame(told(findings([])), ['ok serving']);
  t.strictSame(told(findings([], false)), ['ok serving']);
  t.strictSame(told(findings(['missing requested IP addresses [10.0.0.1]'])), ['problem serving.names']);
});

const noNames = {
  limit: undefined,
  ignoredFirst: undefined,
  cloud: { kubelet: undefined, settings: 'none' as const },
};
for (const row of [
  { name: 'nothing to say', question: {}, want: [] },
  {
    name: 'too many names',
    question: { limit: new CertletError('ERR_NAMES', 'too many', { remedy: '# Fewer.' }) },
    want: ['problem serving.limit'],
  },
  {
    name: 'the first InternalIP is left out',
    question: { ignoredFirst: '10.0.0.1' },
    want: ['warning serving.first-address'],
  },
  {
    name: 'an external cloud provider of the kubelet alone',
    question: { cloud: { kubelet: 'external', settings: 'none' as const } },
    want: ['note serving.cloud-provider'],
  },
  {
    name: 'of both',
    question: { cloud: { kubelet: 'external', settings: 'external' as const } },
    want: [],
  },
]) {
  t.test(`names by the settings: ${row.name}`, async (t) => {
    t.strictSame(told(namesFindings({ ...noNames, ...row.question })), row.want);
  });
}

// Targets

t.test('targets: the one in use first, an expired certificate is none, an embedded one is', async (t) => {
  const pair = (options: IssueOptions) => {
    const { chainPem, keyPem } = ca.issue(options);
    return parsePair(new Secret(chainPem + keyPem));
  };
  const roles = (sources: Partial<Parameters<typeof targetsOf>[0]>) =>
    targetsOf({
      nodeName: 'n1',
      node: usable('/k.conf', { credential: { kind: 'none' } }),
      bootstrap: usable('/b.conf'),
      clientPair: undefined,
      now: NOW,
      ...sources,
    }).map(({ role, inUse }) => `${role}${inUse ? ' in use' : ''}`);
  t.strictSame(roles({}), ['bootstrap in use']);
  t.strictSame(roles({ clientPair: pair(NODE) }), ['node in use', 'bootstrap']);
  t.strictSame(roles({ clientPair: pair({ ...NODE, notAfter: days(-1) }) }), ['bootstrap in use']);
  t.strictSame(roles({ clientPair: pair({ ...NODE, commonName: 'system:node:n2' }) }), ['bootstrap in use', 'node']);
  const { chainPem, keyPem } = ca.issue(NODE);
  const credential = { kind: 'certificate', chainPem, keyPem: new Secret(keyPem) } as const;
  t.strictSame(roles({ node: usable('/k.conf', { credential }) }), ['bootstrap in use', 'node']);
  t.strictSame(roles({ node: absent('/k.conf'), bootstrap: absent('/b.conf'), clientPair: pair(NODE) }), []);
});

// What is served

for (const { served, kubelet, id, what, remedy } of [
  { served: { kind: 'current' }, kubelet: true, id: 'ok served', what: 'to every client', remedy: undefined },
  {
    served: { kind: 'stale', serial: '1e', to: 'clients that connect by address' },
    kubelet: true,
    id: 'problem served.stale',
    what: 'the kubelet shows the certificate with serial 1e to clients that connect by address',
    remedy: /^systemctl restart k3s-agent\.service .*certlet adopt$/,
  },
  {
    served: { kind: 'stale', serial: '1e', to: 'every client' },
    kubelet: false,
    id: 'problem served.stale',
    what: 'the program on port 9100 shows',
    remedy: /^systemctl start certlet-reload@exporter\.service/,
  },
  {
    served: { kind: 'absent' },
    kubelet: true,
    id: 'note served.absent',
    what: 'nothing listens on port 9100',
    remedy: undefined,
  },
  {
    served: { kind: 'unclear', error: 'wrong version number' },
    kubelet: true,
    id: 'warning served.unclear',
    what: 'wrong version number',
    remedy: /^# Set kubelet: \{ port/,
  },
] as const) {
  t.test(`what ${kubelet ? 'the kubelet' : 'a program'} serves: ${served.kind}`, async (t) => {
    const found = servedFindings({
      purpose: 'serving',
      served,
      endpoint: { addresses: ['127.0.0.1'], port: 9100 },
      link: '/pki/kubelet-server-current.pem',
      serial: '1f',
      kubeletUnit: kubelet ? 'k3s-agent.service' : undefined,
      reload: kubelet ? undefined : 'exporter',
    });
    t.strictSame(told(found), [id]);
    t.match(found[0]?.what, what);
    if (remedy !== undefined) t.match(found[0]?.remedy, remedy);
  });
}
