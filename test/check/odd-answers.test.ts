/** Servers that answer in odd ways, and hosts that hold half of what there should be: check goes on and says what it could not see. */
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { NodeFileSystem } from '../../src/adapters/file-system.ts';
import type { FileSystem } from '../../src/adapters/file-system.ts';
import type { CheckPorts } from '../../src/check/facts.ts';
import { encodeHistory } from '../../src/csr/pending.ts';
import { CertletError } from '../../src/errors.ts';
import { CheckHost, folder } from '../fixtures/check/host.ts';
import { type Authority, createAuthority, issueSelfSigned } from '../fixtures/cluster/authority.ts';
import type { FakeCluster, FakeClusterOptions } from '../fixtures/cluster/fake-cluster.ts';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import type { FaultKind, FaultMatch } from '../fixtures/cluster/faults.ts';

async function scene(t: Test, options: FakeClusterOptions = {}): Promise<{ cluster: FakeCluster; host: CheckHost }> {
  const cluster = await startFakeCluster(options);
  t.teardown(() => cluster.close());
  const host = new CheckHost(t);
  host.bootstrap(cluster.bootstrapKubeconfig());
  return { cluster, host };
}

const json = (body: unknown, code = 200): FaultKind => ({
  kind: 'answer',
  code,
  body: JSON.stringify(body),
  contentType: 'application/json',
});
const CSRS = 'certificatesigningrequests';
const BROKEN: FaultKind = { kind: 'status', code: 500 };
/** Roles that let a request be made and never looked for: check then asks why. */
const NO_LIST: FakeClusterOptions = {
  bindings: [
    {
      role: 'few',
      groups: ['system:bootstrappers'],
      rules: [{ verbs: ['create', 'get'], group: 'certificates.k8s.io', resources: [CSRS] }],
    },
  ],
};

interface Row {
  readonly name: string;
  readonly options?: FakeClusterOptions;
  readonly fault: FaultKind;
  readonly match: FaultMatch;
  readonly settled?: boolean;
  readonly id: string;
  readonly found: object | undefined;
}

for (const row of [
  {
    name: 'a version without a number is no version',
    fault: json({ major: '1' }),
    match: { path: '/version' },
    id: 'versions',
    found: { what: /^the API server serves certificates/, evidence: { version: undefined } },
  },
  {
    name: 'a version that is no text is no version',
    fault: json({ gitVersion: 1.36 }),
    match: { path: '/version' },
    id: 'versions',
    found: { what: /^the API server serves certificates/ },
  },
  {
    name: 'a server whose API groups cannot be listed is asked in v1 all the same',
    options: NO_LIST,
    fault: BROKEN,
    match: { path: '/apis/certificates.k8s.io/v1' },
    id: 'requests.unlisted',
    found: { verdict: 'skipped' },
  },
  {
    name: 'a review that says no, and a server that lets it through: the missing role is named without its words',
    options: NO_LIST,
    fault: json({ kind: 'List', items: [] }),
    match: { verb: 'list', resource: CSRS },
    id: 'authorization.bootstrap-forbidden',
    found: { what: /may not list, watch/ },
  },
  {
    name: 'a review that says no, and a server that fails on the question why',
    options: NO_LIST,
    fault: BROKEN,
    match: { verb: 'list', resource: CSRS },
    id: 'authorization.bootstrap-forbidden',
    found: { what: /may not list, watch/ },
  },
  {
    name: 'signing requests that cannot be listed because the server fails',
    fault: BROKEN,
    match: { verb: 'list', resource: CSRS },
    id: 'requests.failed',
    found: { verdict: 'problem', evidence: { code: 'ERR_API_SERVER' } },
  },
  {
    name: 'a list without items is an empty one',
    fault: json({ kind: 'CertificateSigningRequestList' }),
    match: { verb: 'list', resource: CSRS },
    id: 'requests.many',
    found: undefined,
  },
  {
    name: 'a list that ends says so with an empty mark',
    fault: json({ items: [], metadata: { continue: '' } }),
    match: { verb: 'list', resource: CSRS },
    id: 'requests.many',
    found: undefined,
  },
  {
    name: 'a list that goes on is told',
    fault: json({ items: [], metadata: { continue: 'more' } }),
    match: { verb: 'list', resource: CSRS },
    id: 'requests.many',
    found: { verdict: 'warning' },
  },
  {
    name: 'a Node that cannot be read because the server fails',
    settled: true,
    fault: BROKEN,
    match: { resource: 'nodes' },
    id: 'name.failed',
    found: { verdict: 'problem', evidence: { code: 'ERR_API_SERVER' } },
  },
] satisfies readonly Row[] as readonly Row[]) {
  t.test(row.name, async (t) => {
    const { cluster, host } = await scene(t, row.options);
    if (row.settled === true) {
      host.pair(cluster.clientCa, 'client');
      host.nodeKubeconfig(cluster.url, cluster.serverCa.pem);
    }
    cluster.faults.add(row.fault, row.match);
    const result = await host.check();
    const found = result.find(row.id);
    if (row.found === undefined) t.equal(found, undefined, result.text);
    else t.match(found, row.found, result.text);
  });
}

t.test('whom roles must name is told where the server tells it, else the group', async (t) => {
  const { cluster, host } = await scene(t, { bindings: [] });
  const named = (await host.check()).find('approval.bootstrap');
  t.notMatch(named?.verdict, 'ok');
  for (const answer of [json({}), json({ kind: 'Status', code: 404, message: 'nothing here' }, 404)]) {
    const fault = cluster.faults.add(answer, { path: '/certlet-whoami' });
    const silent = (await host.check()).find('approval.bootstrap');
    fault.remove();
    t.equal(silent?.verdict, named?.verdict);
  }
});

for (const row of [
  { name: 'is not there', fault: { kind: 'status', code: 404 }, why: /there is none/ },
  {
    name: 'may not be read by strangers',
    fault: { kind: 'status', code: 403 },
    why: /anonymous users may not read it/,
  },
  { name: 'is no ConfigMap', fault: json({ data: { kubeconfig: 7 } }), why: /it cannot be read/ },
] as const) {
  t.test(`a refused token, and cluster-info ${row.name}`, async (t) => {
    const { cluster, host } = await scene(t, { bootstrapTokenAuth: false });
    cluster.faults.add(row.fault, { path: /configmaps\/cluster-info/ });
    const found = (await host.check()).find('authentication.bootstrap-refused');
    t.match(found, { what: row.why, evidence: { clusterInfo: 'unknown' } });
  });
}

t.test('settings: a defect is a finding of its own, defaults and a refused file are named', async (t) => {
  const { host } = await scene(t);
  const failing = (error: Error) =>
    host.check({
      loadSettings: async () => {
        throw error;
      },
    });
  t.match((await failing(new TypeError('x is undefined'))).find('settings.failed'), {
    evidence: { code: 'ERR_INTERNAL' },
  });
  const cause = Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' });
  const denied = await failing(new CertletError('ERR_STORE_IO', 'config.yaml cannot be read', { cause }));
  t.match(denied.find('settings.unreadable'), { what: /config\.yaml/ });
  const { loadSettings } = host.context();
  const settings = { ...(await loadSettings()), source: undefined };
  const defaults = await host.check({ loadSettings: () => Promise.resolve(settings) });
  t.match(defaults.find('settings')?.what, /^no settings file, defaults: node n1/);
});

t.test('a serving certificate that certlet does not manage is not judged', async (t) => {
  const { cluster, host } = await scene(t);
  host.settings({ rotateServerCertificates: false });
  host.pair(cluster.clientCa, 'serving', { dnsNames: ['another'] });
  const result = await host.check();
  t.equal(result.find('serving.names'), undefined, result.text);
  t.equal(result.find('certificate.serving'), undefined);
  t.equal(result.find('requests.serving'), undefined);
});

t.test(
  'a self-signed pair that stands in lacks an address: no renewal is advised that would wait for the client certificate',
  async (t) => {
    const host = new CheckHost(t, { nodeIP: ['192.0.2.9'] });
    host.pair({ ...createAuthority({ name: 'ca' }), issue: issueSelfSigned }, 'serving');
    const result = await host.check();
    t.equal(result.find('serving.names'), undefined, result.text);
    t.match(result.find('serving.skipped'), { verdict: 'skipped', what: /stands in/ });
  },
);

t.test('a serving certificate on a host without a kubeconfig is held against the names of the settings', async (t) => {
  const host = new CheckHost(t, { nodeIP: ['192.0.2.9'] });
  host.pair(createAuthority({ name: 'ca' }), 'serving');
  const result = await host.check();
  t.match(
    result.find('serving.names')?.evidence,
    { missing: [/192\.0\.2\.9/], names: ['n1', '127.0.0.1'] },
    result.text,
  );
});

t.test('a certificate of another node inside the kubeconfig is told although nothing answers', async (t) => {
  const host = new CheckHost(t);
  const authority = createAuthority({ name: 'ca' });
  host.write(host.kubeconfig, embedding('https://192.0.2.1:6443', authority, 'system:node:n2'));
  const result = await host.check({
    connectTcp: (address) => Promise.resolve({ kind: 'failed', address, code: 'ETIMEDOUT' }),
  });
  t.match(result.find('name.kubeconfig'), { verdict: 'problem', what: /for system:node:n2, but this node is n1/ });
  t.equal(result.find('name'), undefined, result.text);
});

/** A kubeconfig with certificate and key inside. */
function embedding(server: string, authority: Authority, commonName: string): string {
  const { chainPem, keyPem } = authority.issue({ commonName, organizations: ['system:nodes'] });
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  return JSON.stringify({
    clusters: [{ name: 'c', cluster: { server, 'certificate-authority-data': base64(authority.pem) } }],
    users: [{ name: 'u', user: { 'client-certificate-data': base64(chainPem), 'client-key-data': base64(keyPem) } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  });
}

t.test('a kubeconfig of the node that embeds its key counts among the secrets', async (t) => {
  const host = new CheckHost(t);
  host.write(
    host.kubeconfig,
    embedding('https://127.0.0.1:1', createAuthority({ name: 'ca' }), 'system:node:n1'),
    0o644,
  );
  const result = await host.check();
  t.match(result.find('files.readable-by-others'), { evidence: { path: host.kubeconfig } }, result.text);
});

t.test('one refusal in the record is told as one', async (t) => {
  const { host } = await scene(t);
  const refusal = { code: 'ERR_CSR_DENIED', message: 'no', at: new Date(), count: 1, templateDigest: 'x' } as const;
  host.write(join(folder(join(host.certDir, '.certlet')), 'client-history.json'), encodeHistory({ refusal }));
  t.match((await host.check()).find('requests.client-held')?.what, /after 1 refused client request certlet waits/);
});

/** A disk on which looking at these paths ends in an error of the device. */
function failing(fails: (path: string) => boolean): FileSystem {
  const disk = new NodeFileSystem();
  return new Proxy(disk, {
    get(target, name: keyof FileSystem) {
      if (name !== 'stat') return (target[name] as (...words: unknown[]) => unknown).bind(target);
      return (path: string) =>
        fails(path)
          ? Promise.reject(Object.assign(new Error('EIO: i/o error, stat'), { code: 'EIO', path, syscall: 'stat' }))
          : target.stat(path);
    },
  });
}

t.test('a disk that fails under the eye of check is a finding, and the way goes on', async (t) => {
  const { host } = await scene(t);
  const folderFails = await host.check({ fs: failing((path) => path === host.certDir) });
  t.match(folderFails.find('credentials.failed'), { what: /EIO/ });
  const fileFails = await host.check({ fs: failing((path) => path === host.bootstrapKubeconfig) });
  t.match(fileFails.find('files.failed') ?? fileFails.find('kubeconfig.bootstrap-unusable'), { what: /EIO/ });
  t.ok(fileFails.find('daemon.down'), 'the last step was taken');
});

t.test('a proxy and a server without a port are asked at the port of their scheme', async (t) => {
  const asked: string[] = [];
  const connectTcp: CheckPorts['connectTcp'] = (address, port) => {
    asked.push(`${address} ${String(port)}`);
    return Promise.resolve({ kind: 'failed', address, code: 'ECONNREFUSED' });
  };
  const { cluster } = await scene(t);
  for (const [server, proxyUrl] of [
    ['https://192.0.2.1', undefined],
    ['https://192.0.2.1:6443', 'http://192.0.2.2'],
    ['https://192.0.2.1:6443', 'https://192.0.2.3'],
  ] as const) {
    const host = new CheckHost(t);
    host.bootstrap(cluster.bootstrapKubeconfig({ server, ...(proxyUrl === undefined ? {} : { proxyUrl }) }));
    await host.check({ connectTcp });
  }
  t.strictSame(asked, ['192.0.2.1 443', '192.0.2.2 80', '192.0.2.3 443']);
});
