/** What check says about failures that the fake cluster and this host can produce: real TLS, real disk. */
import { readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import type { CheckPorts } from '../../src/check/facts.ts';
import { encodeHistory } from '../../src/csr/pending.ts';
import { kubeletFacts, readKubeletConfiguration } from '../../src/kubelet/facts.ts';
import { parseKubeletFlags } from '../../src/kubelet/flags.ts';
import { runCheck } from '../../src/cli/commands/check.ts';
import { CheckHost, folder, NO_KUBELET } from '../fixtures/check/host.ts';
import type { CheckResult } from '../fixtures/check/host.ts';
import { ServingKubelet } from '../fixtures/serving-kubelet.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';
import type { FakeCluster, FakeClusterOptions } from '../fixtures/cluster/fake-cluster.ts';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { LOGIN_PAGE } from '../fixtures/cluster/faults.ts';
import { sendJson, startServer } from '../fixtures/http/scripted-server.ts';
import { loopbackLeaf } from '../fixtures/http/api.ts';

const NODE = { name: 'n1', addresses: [{ type: 'InternalIP', address: '127.0.0.1' }] };
/** Settings of a host whose kubelet has another unit. */
const OTHER_UNIT = { kubelet: { unit: 'k3s-agent.service' } };

async function clusterFor(t: Test, options: FakeClusterOptions = {}): Promise<FakeCluster> {
  const cluster = await startFakeCluster({ nodes: [NODE], ...options });
  t.teardown(() => cluster.close());
  return cluster;
}

/** A node that has only its bootstrap kubeconfig. */
function freshHost(t: Test, cluster: FakeCluster): CheckHost {
  const host = new CheckHost(t);
  host.bootstrap(cluster.bootstrapKubeconfig());
  return host;
}

/** A node with both certificates. */
function settledHost(t: Test, cluster: FakeCluster): CheckHost {
  const host = freshHost(t, cluster);
  host.pair(cluster.clientCa, 'client');
  host.pair(cluster.clientCa, 'serving');
  host.nodeKubeconfig(cluster.url, cluster.serverCa.pem);
  return host;
}

t.test(
  'a node with both certificates in a good cluster: nothing wrong, nothing changed, reads and reviews only',
  async (t) => {
    const cluster = await clusterFor(t);
    const host = settledHost(t, cluster);
    folder(join(host.certDir, '.certlet'));
    const result = await host.check({ daemon: () => Promise.resolve('running') });
    t.strictSame(result.ids('problem', 'warning', 'skipped'), [], result.text);
    t.ok(result.unchanged, 'every name, mode, time and byte is as before');
    const writes = cluster.requests
      .filter(({ method }) => method !== 'GET')
      .map(({ method, path }) => `${method} ${path}`);
    t.strictSame([...new Set(writes)], ['POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews']);
    t.strictSame(cluster.csrs, [], 'no request was made');
  },
);

t.test('a fresh node with a good token: nothing wrong', async (t) => {
  const cluster = await clusterFor(t);
  const host = freshHost(t, cluster);
  const result = await host.check({ daemon: () => Promise.resolve('running') });
  t.strictSame(result.ids('problem', 'warning'), [], result.text);
  t.equal(result.find('approval.bootstrap')?.verdict, 'ok');
  t.ok(result.unchanged);
});

t.test('a cert-dir that is to be made below a file was found good, and the start then failed', async (t) => {
  const cluster = await clusterFor(t);
  const host = freshHost(t, cluster);
  rmSync(host.certDir, { recursive: true, force: true });
  host.write(host.certDir, 'a file');
  host.settings({ certDir: `${host.certDir}/new/pki` });
  const below = await host.check();
  t.ok(below.ids('problem').includes('files.no-folder'), below.text);
  t.equal(below.find('files.no-folder')?.remedy, `mv ${host.certDir} ${host.certDir}.old`);
});

t.test('a file in place of the cert-dir ended the look at files, and was told as two broken pairs', async (t) => {
  const cluster = await clusterFor(t);
  const host = freshHost(t, cluster);
  rmSync(host.certDir, { recursive: true, force: true });
  host.write(host.certDir, 'a file');
  const result = await host.check({ daemon: () => Promise.resolve('running') });
  t.strictSame(result.ids('problem'), ['files.no-folder'], result.text);
  t.equal(result.find('files.no-folder')?.remedy, `mv ${host.certDir} ${host.certDir}.old`);
  t.ok(result.unchanged);
});

t.test("another program's pair was told as a bad one of certlet's, to be mended by a reset", async (t) => {
  const cluster = await clusterFor(t);
  const host = freshHost(t, cluster);
  const theirs = host.pair(createAuthority({ name: 'other' }), 'client');
  host.pair(cluster.clientCa, 'serving');
  host.nodeKubeconfig(cluster.url, cluster.serverCa.pem);
  folder(join(host.certDir, '.certlet'));
  const ledger = { version: 1, files: ['kubelet-client-2020-01-01-00-00-00.pem'] };
  host.write(join(host.certDir, '.certlet/client-ledger.json'), JSON.stringify(ledger));
  const result = await host.check({ daemon: () => Promise.resolve('running') });
  t.equal(result.ids('problem')[0], 'certificate.client-foreign', result.text);
  t.match(result.find('certificate.client-foreign'), { what: theirs, remedy: /^certlet renew client / });
  t.match(result.find('authentication.node-refused'), { remedy: /^certlet renew client / });
  t.notOk(result.text.includes('certlet reset'), result.text);
});

t.test('a VIP that the settings ignore as the first address of the Node, and more names than they allow', async (t) => {
  const addresses = ['192.0.2.100', '127.0.0.1'].map((address) => ({ type: 'InternalIP', address }));
  const cluster = await clusterFor(t, { nodes: [{ name: 'n1', addresses }] });
  const host = settledHost(t, cluster);
  host.settings({ ignoreAddresses: ['192.0.2.0/24'] });
  const ignoring = await host.check({ daemon: () => Promise.resolve('running') });
  t.strictSame(ignoring.ids('problem', 'warning'), ['serving.first-address'], ignoring.text);
  host.settings({ maxNames: 2 });
  const limited = await host.check({ daemon: () => Promise.resolve('running') });
  t.strictSame(limited.ids('problem'), ['serving.limit', 'serving.names'], limited.text);
  t.ok(limited.unchanged);
});

t.test('--for kubelet-ca: the CA in the file that the API server will get, or none that can be used', async (t) => {
  const cluster = await clusterFor(t);
  const host = settledHost(t, cluster);
  const link = join(host.certDir, 'kubelet-server-current.pem');
  let shown = () => readFileSync(link, 'utf8');
  const kubelet = new ServingKubelet('1.36', () => ({ chainPem: shown(), keyPem: shown() }));
  await kubelet.start();
  t.teardown(() => kubelet.stop());
  host.settings({ kubelet: { port: kubelet.port } });
  host.write(join(host.root, 'ca.crt'), cluster.clientCa.pem);
  host.write(join(host.root, 'none.crt'), 'no certificate');
  const outlook = async (file: string | undefined) => {
    const { stdout } = host;
    stdout.text = '';
    const caFile = file === undefined ? {} : { caFile: join(host.root, file) };
    await runCheck(host.context(), { name: 'check', output: 'json', outlook: 'kubelet-ca', ...caFile });
    const { findings } = JSON.parse(stdout.text) as {
      readonly findings: readonly { step: string; verdict: string; id: string }[];
    };
    return findings.filter(({ step }) => step === 'kubelet-ca').map(({ verdict, id }) => `${verdict} ${id}`);
  };
  const fits = ['ok kubelet-ca.chain', 'ok kubelet-ca.common-name', 'ok kubelet-ca.names'];
  t.strictSame(await outlook('ca.crt'), [...fits, 'ok kubelet-ca.served', 'ok kubelet-ca']);
  const older = cluster.clientCa.issue({ commonName: 'system:node:n1' });
  shown = () => older.chainPem + older.keyPem;
  t.strictSame(
    await outlook('ca.crt'),
    [...fits, 'problem kubelet-ca.served'],
    'the API server sees what the port shows',
  );
  await kubelet.stop();
  t.strictSame(await outlook('ca.crt'), [...fits, 'skipped kubelet-ca.served']);
  t.strictSame(await outlook('none.crt'), ['problem kubelet-ca.ca-file']);
  t.strictSame(await outlook('absent.crt'), ['problem kubelet-ca.ca-file']);
  const byServers = await outlook(undefined);
  t.ok(
    byServers.includes('problem kubelet-ca.chain'),
    "the servers' CA is another one here, and the finding says how to name it",
  );
});

t.test(
  'another CA that the cluster publishes, read as nobody, and a kubelet that believes callers by the old one',
  async (t) => {
    const cluster = await clusterFor(t);
    const host = settledHost(t, cluster);
    const clientCAFile = join(host.root, 'client-ca.crt');
    host.write(clientCAFile, cluster.serverCa.pem);
    const facts = {
      ...kubeletFacts(parseKubeletFlags([]), readKubeletConfiguration({}, '/c'), 36),
      certDir: host.certDir,
      clientCAFile,
    };
    const readKubelet = () => Promise.resolve({ ...NO_KUBELET, facts });
    const looked = async () => {
      const result = await host.check({ readKubelet, daemon: () => Promise.resolve('running') });
      t.ok(result.unchanged);
      return result;
    };
    const before = await looked();
    t.match(before.find('cluster-ca.follow'), {
      verdict: 'note',
      remedy: /^# Set followClusterCA: cluster-info in the settings\.   # /,
    });
    t.match(before.find('cluster-ca.client-ca'), { verdict: 'ok' });
    const fresh = createAuthority({ name: 'fresh' });
    cluster.publishes = cluster.serverCa.pem + fresh.pem;
    const after = await looked();
    t.match(after.find('cluster-ca.untrusted'), { verdict: 'warning', what: /CN=fresh \(sha256 \w{16}…\), until 2/ });
    t.match(
      after.find('cluster-ca.client-ca'),
      { verdict: 'warning', evidence: { pem: [fresh.pem] } },
      'PEM is no secret',
    );
    host.settings({ followClusterCA: 'clusterTrustBundle' });
    t.match((await looked()).find('cluster-ca.follow'), {
      verdict: 'warning',
      remedy: /--resource=clustertrustbundles/,
    });
    host.settings({ manageKubeconfig: false });
    t.match(
      (await looked()).find('cluster-ca.untrusted')?.remedy,
      /: certlet join HOST:PORT .*sha256:\w{64} .*sha256:\w{64} --force --write-kubeconfig/,
    );
  },
);

t.test('--for short-lived and --for ca-rotation go by what the steps before them have found', async (t) => {
  const cluster = await clusterFor(t);
  const host = settledHost(t, cluster);
  for (const outlook of ['short-lived', 'ca-rotation'] as const) {
    host.stdout.text = '';
    await runCheck(host.context(), { name: 'check', output: 'json', outlook });
    const { findings } = JSON.parse(host.stdout.text) as { readonly findings: readonly { step: string; id: string }[] };
    t.ok(
      findings.some(({ step }) => step === outlook),
      outlook,
    );
    t.equal(
      findings.some(({ id }) => id === `${outlook}.failed`),
      false,
    );
  }
});

t.test('an address that came back within the day is a warning, and no problem of the certificate', async (t) => {
  const addresses = ['127.0.0.1', '192.0.2.100'].map((address) => ({ type: 'InternalIP', address }));
  const cluster = await clusterFor(t, { nodes: [{ name: 'n1', addresses }] });
  const host = settledHost(t, cluster);
  folder(join(host.certDir, '.certlet'));
  const gains = [{ name: '192.0.2.100', at: new Date(Date.now() - 3_600_000), gone: true as const }];
  host.write(join(host.certDir, '.certlet/serving-history.json'), encodeHistory({ gains }));
  const result = await host.check({ daemon: () => Promise.resolve('running') });
  t.strictSame(result.ids('problem', 'warning'), ['serving.held-back'], result.text);
});

interface Row {
  readonly name: string;
  readonly options?: FakeClusterOptions;
  /** `fresh`: a bootstrap kubeconfig alone; `settled`: certificates too. */
  readonly host: 'fresh' | 'settled';
  readonly arrange?: (cluster: FakeCluster, host: CheckHost, t: Test) => void | Promise<void>;
  readonly ports?: (cluster: FakeCluster) => Partial<CheckPorts>;
  /** The finding that must be there. */
  readonly id: string;
  readonly verdict?: 'problem' | 'warning' | 'note';
  readonly sure?: 'certain' | 'likely' | 'possible';
  readonly what: RegExp;
  /** In the remedy or in that of the first cause. */
  readonly mend?: RegExp;
  /** Words of the causes, most likely first. */
  readonly causes?: readonly RegExp[];
  /** Problems besides this one; none unless told. */
  readonly others?: readonly string[];
}

const rows: readonly Row[] = [
  {
    name: 'the kubeconfig has the CA of another cluster',
    host: 'fresh',
    arrange: (cluster, host) =>
      host.bootstrap(cluster.bootstrapKubeconfig({ caPem: createAuthority({ name: 'other' }).pem })),
    id: 'tls.wrong-ca',
    what: /not signed by the CA/,
    causes: [
      /another cluster, or the cluster's CA has changed: it trusts CN=other \(serial \w+, sha256 (?:\w\w:){7}\w\w…\); the server's certificate \(serial \w+, sha256 [\w:]+…\) is from CN=fake-server-ca/,
      /proxy or load balancer/,
    ],
  },
  {
    name: 'the server was given another name than the kubeconfig uses',
    host: 'fresh',
    arrange: (cluster) => cluster.useServerCertificate('wrong name'),
    id: 'tls.name',
    what: /another name/,
    mend: /tls-server-name/,
  },
  {
    name: 'the certificate of the API server has expired',
    host: 'settled',
    arrange: (cluster) => cluster.useServerCertificate('expired'),
    id: 'tls.server-expired',
    what: /expired 2 hours ago .*the clocks agree/,
    mend: /kubeadm certs renew apiserver/,
  },
  {
    name: 'the clock of this host is a week ahead, and TLS still works',
    host: 'settled',
    ports: () => ({ now: () => new Date(Date.now() + 7 * 86_400_000) }),
    id: 'clock.skew',
    what: /clock is 7 days ahead of the API server's/,
    mend: /timedatectl/,
  },
  {
    name: 'the clock of the server is three minutes behind',
    options: { dateSkewMs: -180_000 },
    host: 'settled',
    id: 'clock.skew',
    verdict: 'warning',
    what: /clock is 3 minutes ahead of/,
  },
  {
    name: 'a load balancer ends TLS, so that client certificates get lost',
    options: { stripClientCertificates: true },
    host: 'settled',
    id: 'authentication.node-stripped',
    what: /saw nobody \(system:anonymous\)/,
    mend: /pass TCP through/,
  },
  {
    name: 'the name of the server does not resolve',
    host: 'fresh',
    arrange: (cluster, host) =>
      host.bootstrap(cluster.bootstrapKubeconfig({ server: 'https://api.does-not-exist.invalid:6443' })),
    ports: () => ({ lookUp: () => Promise.resolve({ kind: 'failed', code: 'ENOTFOUND' }) }),
    id: 'network.name',
    what: /api\.does-not-exist\.invalid, does not resolve: nobody knows that name/,
    mend: /getent hosts api\.does-not-exist\.invalid/,
  },
  {
    name: 'nothing listens at the server',
    host: 'fresh',
    arrange: (cluster) => cluster.stop(),
    id: 'network.connect',
    what: /no TCP connection to the API server at 127\.0\.0\.1:\d+: 127\.0\.0\.1 \(nothing listens there\)/,
    mend: /nc -vz 127\.0\.0\.1/,
  },
  {
    name: 'a login page answers in place of the API server',
    host: 'fresh',
    arrange: (cluster) =>
      void cluster.faults.add({ kind: 'answer', body: LOGIN_PAGE, code: 200, contentType: 'text/html' }),
    id: 'tls.stranger',
    what: /text\/html instead of JSON/,
    mend: /curl -k/,
  },
  {
    name: 'the server serves v1beta1 alone',
    options: { version: '1.16' },
    host: 'fresh',
    id: 'versions.v1beta1',
    verdict: 'note',
    what: /v1\.16.*v1beta1 only/,
  },
  {
    name: 'the certificate is for another node',
    host: 'fresh',
    arrange: (cluster, host) => void host.pair(cluster.clientCa, 'client', { commonName: 'system:node:n2' }),
    id: 'certificate.client-name',
    what: /for system:node:n2, not for system:node:n1/,
    mend: /hostnameOverride/,
  },
  {
    name: "the serving certificate is another node's; hostnameOverride was to be changed for it",
    host: 'fresh',
    arrange: (cluster, host) => void host.pair(cluster.clientCa, 'serving', { commonName: 'system:node:n2' }),
    id: 'certificate.serving-name',
    what: /for system:node:n2, not for system:node:n1/,
    mend: /^certlet renew serving --wait/,
  },
  {
    name: 'the token can be read by every user',
    host: 'fresh',
    arrange: (cluster, host) => host.bootstrap(cluster.bootstrapKubeconfig(), 0o644),
    id: 'files.readable-by-others',
    what: /every user can read it \(mode 0644\)/,
    mend: /chmod 600 .*bootstrap\.conf/,
  },
  {
    name: 'the client certificate has expired',
    host: 'fresh',
    arrange: (cluster, host) =>
      void host.pair(cluster.clientCa, 'client', { notAfter: new Date(Date.now() - 86_400_000 * 3) }),
    id: 'certificate.client-expired',
    what: /expired 3 days ago/,
    mend: /kubeadm token create/,
  },
  {
    name: 'the serving certificate lacks an address of the Node',
    options: {
      nodes: [
        {
          name: 'n1',
          addresses: [
            { type: 'InternalIP', address: '10.0.0.5' },
            { type: 'Hostname', address: 'n1' },
          ],
        },
      ],
    },
    host: 'settled',
    id: 'serving.names',
    what: /missing requested IP addresses \[10\.0\.0\.5\]/,
    mend: /certlet renew serving/,
  },
  {
    name: 'the bootstrap token was deleted',
    options: { bootstrapTokens: [] },
    host: 'fresh',
    arrange: (cluster, host) => host.bootstrap(cluster.bootstrapKubeconfig({ token: 'abcdef.0123456789abcdef' })),
    id: 'authentication.bootstrap-refused',
    what: /bootstrap token abcdef \(401\); cluster-info is signed for no token at all/,
    causes: [/expired or was deleted/],
    mend: /kubeadm token create/,
  },
  {
    name: 'the bootstrap token was deleted, others are there',
    options: { bootstrapTokens: [{ id: 'ghijkl', secret: '0123456789abcdef' }] },
    host: 'fresh',
    arrange: (cluster, host) => host.bootstrap(cluster.bootstrapKubeconfig({ token: 'abcdef.0123456789abcdef' })),
    id: 'authentication.bootstrap-refused',
    what: /signed for other tokens/,
    causes: [/expired, was deleted, or never was/],
  },
  {
    name: 'bootstrap tokens are switched off in the API server',
    options: { bootstrapTokenAuth: false },
    host: 'fresh',
    id: 'authentication.bootstrap-refused',
    what: /so the cluster knows it/,
    causes: [/without --enable-bootstrap-token-auth/, /usage-bootstrap-authentication/],
    mend: /--enable-bootstrap-token-auth=true/,
  },
  {
    name: 'the second half of the token is mistyped',
    host: 'fresh',
    arrange: (cluster, host) => host.bootstrap(cluster.bootstrapKubeconfig({ token: 'abcdef.aaaaaaaaaaaaaaaa' })),
    id: 'authentication.bootstrap-refused',
    what: /signed under this id with another secret/,
    causes: [/second half is not the one/],
  },
  {
    name: 'anonymous access is off, so nobody can tell why the token is refused',
    options: { anonymous: false, bootstrapTokens: [] },
    host: 'fresh',
    arrange: (cluster, host) => host.bootstrap(cluster.bootstrapKubeconfig({ token: 'abcdef.0123456789abcdef' })),
    id: 'authentication.bootstrap-refused',
    what: /cluster-info tells nothing \(anonymous users may not read it\)/,
    causes: [/expired or was deleted/, /--enable-bootstrap-token-auth/, /mistyped/],
  },
  {
    name: 'a static token that the server does not have',
    host: 'fresh',
    arrange: (cluster, host) => host.bootstrap(cluster.bootstrapKubeconfig({ token: 'some-static-token' })),
    id: 'authentication.bootstrap-refused',
    what: /rejects the token \(401\)/,
    causes: [/expired, was revoked/, /--token-auth-file/],
  },
  {
    name: 'a used-up token beside a good certificate is no problem',
    options: { bootstrapTokens: [] },
    host: 'settled',
    arrange: (cluster, host) => host.bootstrap(cluster.bootstrapKubeconfig({ token: 'abcdef.0123456789abcdef' })),
    id: 'authentication.bootstrap-refused',
    verdict: 'note',
    what: /401/,
  },
  {
    name: 'a client certificate of another cluster',
    host: 'fresh',
    arrange: (cluster, host) => {
      host.settings(OTHER_UNIT);
      host.pair(createAuthority({ name: 'old-cluster' }), 'client');
      host.nodeKubeconfig(cluster.url, cluster.serverCa.pem);
    },
    id: 'authentication.node-refused',
    what: /rejects the client certificate CN=system:node:n1/,
    causes: [/from another cluster or an older CA: CN=old-cluster signed it/, /--client-ca-file/],
    mend: /systemctl stop k3s-agent certlet && (runuser -u \S+ \S+ \d+\)" -- )?certlet reset/,
  },
  {
    name: 'a stale kubeconfig: same address, CA of the old cluster',
    host: 'fresh',
    arrange: (cluster, host) => {
      const old = createAuthority({ name: 'old-cluster' });
      host.settings(OTHER_UNIT);
      host.pair(old, 'client');
      host.nodeKubeconfig(cluster.url, old.pem);
    },
    id: 'tls.stale-kubeconfig',
    what: /kubelet\.conf is from before the cluster's CA changed, or from another cluster/,
    causes: [/identity and key stay/, /was of another cluster/],
    mend: /^systemctl restart certlet$/,
  },
  {
    name: 'nobody is bound to system:node-bootstrapper',
    options: { bindings: [] },
    host: 'fresh',
    id: 'authorization.bootstrap-forbidden',
    what: /\(system:bootstrap:abcdef\) may not create, get, list, watch/,
    mend: /^kubectl create clusterrolebinding certlet-bootstrap --clusterrole=system:node-bootstrapper --group=system:bootstrappers$/,
  },
  {
    name: 'client requests are approved by nobody',
    options: { approval: 'manual' },
    host: 'fresh',
    id: 'approval.bootstrap-manual',
    verdict: 'warning',
    what: /waits for a person/,
    mend: /clusterrolebinding .*:nodeclient --group=system:bootstrappers/,
  },
  {
    name: 'the word on serving requests',
    host: 'settled',
    id: 'approval.serving',
    verdict: 'note',
    what: /since 1\.11/,
    mend: /kubectl certificate approve/,
  },
  {
    name: 'the role selfnodeserver of old guides is bound',
    options: {
      bindings: [
        {
          role: 'selfnodeserver',
          groups: ['system:nodes'],
          rules: [
            {
              verbs: ['create'],
              group: 'certificates.k8s.io',
              resources: ['certificatesigningrequests/selfnodeserver'],
            },
          ],
        },
      ],
    },
    host: 'settled',
    id: 'approval.selfnodeserver',
    verdict: 'note',
    what: /nothing in Kubernetes looks at it since 1\.11/,
  },
];

for (const row of rows) {
  t.test(row.name, async (t) => {
    const cluster = await clusterFor(t, row.options);
    const host = row.host === 'fresh' ? freshHost(t, cluster) : settledHost(t, cluster);
    await row.arrange?.(cluster, host, t);
    const result = await host.check({ daemon: () => Promise.resolve('running'), ...row.ports?.(cluster) });
    verify(t, row, result);
  });
}

function verify(t: Test, row: Row, result: CheckResult): void {
  const { id, verdict = 'problem' } = row;
  const found = result.find(id);
  t.equal(found?.verdict, verdict, `${id}\n${result.text}`);
  t.match(found?.what ?? '', row.what);
  if (row.sure !== undefined) t.equal(found?.sure, row.sure);
  if (row.mend !== undefined) t.match(found?.causes?.[0]?.remedy ?? found?.remedy ?? '', row.mend);
  for (const [index, cause] of (row.causes ?? []).entries()) t.match(found?.causes?.[index]?.what ?? '', cause);
  const others = result.ids('problem').filter((each) => each !== id);
  t.strictSame(others, row.others ?? [], `no other problem is told\n${result.text}`);
  t.ok(result.unchanged, 'the disk is as before');
  t.notMatch(JSON.stringify(result.findings), /0123456789abcdef|a{16}|some-static-token|PRIVATE KEY/, 'no secret');
}

t.test('what comes after a failure is skipped with its reason', async (t) => {
  const cluster = await clusterFor(t);
  const host = freshHost(t, cluster);
  await cluster.stop();
  const result = await host.check();
  t.match(result.find('tls.skipped')?.what ?? '', /no server can be reached/);
  t.match(result.find('authentication.skipped')?.what ?? '', /no server is reached with trust/);
  t.match(result.find('requests.skipped')?.what ?? '', /no credential is accepted/);
});

t.test('the kubelet rotates in the same folder', async (t) => {
  const cluster = await clusterFor(t);
  const host = settledHost(t, cluster);
  const facts = {
    kubeconfig: host.kubeconfig,
    bootstrapKubeconfig: undefined,
    certDir: host.certDir,
    rotatesClient: true,
    rotatesServing: true,
    tlsCertFile: undefined,
    tlsPrivateKeyFile: undefined,
    hostnameOverride: 'other',
    nodeIPs: [],
    cloudProvider: undefined,
    staticPodPath: undefined,
    clientCAFile: undefined,
    address: undefined,
    port: undefined,
  };
  const kubelet = { ...NO_KUBELET, facts, version: 'v1.20.2' };
  const result = await host.check({
    readKubelet: () => Promise.resolve(kubelet),
    daemon: () => Promise.resolve('down'),
  });
  t.strictSame(result.ids('problem'), ['name.kubelet', 'kubelet.rotates'], result.text);
  t.match(result.find('kubelet.rotates')?.what ?? '', /client and serving certificate in the same folder/);
  t.match(result.find('kubelet.rotates')?.remedy ?? '', /certlet adopt --write/);
  t.match(result.find('daemon.down')?.remedy ?? '', /systemctl enable --now certlet/);
});

for (const known of [true, false]) {
  t.test(
    `a server that demands a client certificate in the handshake ${known ? 'takes ours' : 'refuses ours'}`,
    async (t) => {
      const authority = createAuthority({ name: 'kubernetes' });
      const server = await startServer(
        {
          leaf: loopbackLeaf(authority),
          clientCas: [known ? authority : createAuthority({ name: 'clients' })],
          demandClientCertificate: true,
          maxVersion: 'TLSv1.2',
        },
        (_request, response) => sendJson(response, 401, { kind: 'Status', code: 401 }),
      );
      t.teardown(() => server.close());
      const host = new CheckHost(t);
      host.pair(authority, 'client');
      host.nodeKubeconfig(server.url, authority.pem);
      const result = await host.check();
      t.strictSame(result.ids('problem'), [known ? 'authentication.node-refused' : 'tls.failed'], result.text);
    },
  );
}

t.test('a server that fails, one that says nothing', async (t) => {
  const cluster = await clusterFor(t);
  const host = freshHost(t, cluster);
  cluster.faults.add({ kind: 'status', code: 503 });
  const failing = await host.check();
  t.match(failing.ids('problem'), ['tls.server-fails', 'authentication.bootstrap-failed'], failing.text);

  const silent = createServer((socket) => socket.on('error', () => undefined).end('220 mail ready\r\n'));
  await new Promise<void>((done) => silent.listen(0, '127.0.0.1', done));
  t.teardown(() => silent.close());
  host.bootstrap(
    cluster.bootstrapKubeconfig({ server: `https://127.0.0.1:${String((silent.address() as AddressInfo).port)}` }),
  );
  const strange = await host.check();
  t.match(strange.ids('problem'), ['tls.failed'], strange.text);
});
