/** The less usual turns of the way: other credentials, hardened clusters, records of certlet, users who may not look. */
import { chmodSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import type { FileSystem } from '../../src/adapters/file-system.ts';
import { NodeFileSystem } from '../../src/adapters/file-system.ts';
import { encodeHistory } from '../../src/csr/pending.ts';
import type { HostKubelet } from '../../src/adapters/host-kubelet.ts';
import type { OwnUnits } from '../../src/adapters/own-units.ts';
import { parseChain } from '../../src/pki/certificate.ts';
import { checkText } from '../../src/check/report.ts';
import { encodeStatus } from '../../src/status/codec.ts';
import { statusDocument } from '../../src/status/document.ts';
import { CheckHost, folder, NO_KUBELET } from '../fixtures/check/host.ts';
import { NOW, SAMPLE_CERT_DIR, sampleManager, sampleSnapshot } from '../fixtures/snapshots.ts';
import type { CheckResult } from '../fixtures/check/host.ts';
import type { FakeCluster, FakeClusterOptions } from '../fixtures/cluster/fake-cluster.ts';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { MountedFileSystem } from '../fixtures/mounted-file-system.ts';
import { startProxy } from '../fixtures/http/connect-proxy.ts';

async function scene(t: Test, options: FakeClusterOptions = {}): Promise<{ cluster: FakeCluster; host: CheckHost }> {
  const cluster = await startFakeCluster(options);
  t.teardown(() => cluster.close());
  const host = new CheckHost(t);
  host.bootstrap(cluster.bootstrapKubeconfig());
  return { cluster, host };
}

function settle(cluster: FakeCluster, host: CheckHost): void {
  host.pair(cluster.clientCa, 'client');
  host.nodeKubeconfig(cluster.url, cluster.serverCa.pem);
}

const REVIEWS = 'selfsubjectaccessreviews';
const forbidden = (what: string, user: string) => ({
  kind: 'status' as const,
  code: 403,
  body: {
    kind: 'Status',
    status: 'Failure',
    code: 403,
    message: `${what} is forbidden: User "${user}" cannot create resource "${what}" in API group "x" at the cluster scope`,
  },
});

t.test('a token file that the server refuses is read and judged as the token in it', async (t) => {
  const { cluster, host } = await scene(t, { bootstrapTokenAuth: false });
  const tokenFile = join(host.root, 'token');
  host.write(tokenFile, 'abcdef.0123456789abcdef\n', 0o644);
  host.bootstrap(cluster.bootstrapKubeconfig({ tokenFile }));
  const result = await host.check();
  t.match(result.find('authentication.bootstrap-refused')?.what, /the cluster knows it/, result.text);
  t.match(result.find('files.readable-by-others')?.evidence, { path: tokenFile });
  host.write(tokenFile, 'other-token');
  t.match((await host.check()).find('authentication.bootstrap-refused')?.causes?.[1]?.what, /--token-auth-file/);
});

t.test('a cert-dir that is mounted read-only was no problem to check', async (t) => {
  const { cluster, host } = await scene(t);
  settle(cluster, host);
  const { certDir } = host;
  const result = await host.check({ isReadOnlyMount: (path) => Promise.resolve(path === certDir) });
  t.match(result.find('files.read-only'), { verdict: 'problem', what: `${certDir} is on a file system` }, result.text);
});

t.test('one mount was told once for each folder on it', async (t) => {
  const { cluster, host } = await scene(t);
  settle(cluster, host);
  const certificatesDir = join(host.root, 'later', 'certs');
  const common = { signerName: 'example.com/x', commonName: 'x', usages: ['server auth'], names: ['a.example'] };
  host.settings({ certificatesDir, certificates: ['one', 'two'].map((name) => ({ ...common, name })) });
  const result = await host.check({ isReadOnlyMount: () => Promise.resolve(true) });
  const read = result.findings.filter(({ id }) => id === 'files.read-only');
  const paths = read.map(({ evidence }) => String(evidence?.['path']));
  t.ok(paths.length > 0);
  t.strictSame(
    paths.filter((path, index) => paths.some((other, at) => at !== index && `${path}/`.startsWith(`${other}/`))),
    [],
    paths.join(),
  );
});

t.test('a read-only mount below another was not told, and stayed when the upper one was mended', async (t) => {
  const { cluster, host } = await scene(t);
  settle(cluster, host);
  const certificatesDir = folder(join(folder(join(host.root, 'later')), 'certs'));
  const [one = '', two = ''] = ['one', 'two'].map((name) => folder(join(certificatesDir, name)));
  const common = { signerName: 'example.com/x', commonName: 'x', usages: ['server auth'], names: ['a.example'] };
  host.settings({ certificatesDir, certificates: ['one', 'two'].map((name) => ({ ...common, name })) });
  const closed = async (mounts: readonly string[]): Promise<readonly string[]> => {
    const { findings } = await host.check({
      fs: new MountedFileSystem([], mounts),
      isReadOnlyMount: (path) => Promise.resolve(path.startsWith(host.root)),
    });
    return findings.filter(({ id }) => id === 'files.read-only').map(({ evidence }) => String(evidence?.['path']));
  };
  t.strictSame(await closed(['/']), [host.root]);
  t.strictSame(await closed(['/', one]), [host.root, one]);
  t.strictSame(await closed(['/', certificatesDir]), [host.root, one, two], 'neither lies below the other');
});

t.test('two certificates that wrote one file through a link were no problem to check', async (t) => {
  const { cluster, host } = await scene(t);
  settle(cluster, host);
  const [real, link] = [folder(join(host.root, 'real')), join(host.root, 'link')];
  symlinkSync(real, link);
  const entry = (name: string, at: string) => ({
    name,
    signerName: 'example.com/x',
    commonName: 'x',
    usages: ['server auth'],
    names: ['a.example'],
    certFile: join(at, 'tls.crt'),
    keyFile: join(at, `${name}.key`),
  });
  host.settings({ certificatesDir: join(host.root, 'certs'), certificates: [entry('one', real), entry('two', link)] });
  t.match((await host.check()).find('files.meeting'), {
    verdict: 'problem',
    what: `${link}/tls.crt of certificates[1].certFile (two) and ${real}/tls.crt of certificates[0].certFile (one) are one`,
    remedy: `# Set another file in certificates[1].certFile (two), or remove the link that leads there.   # namei -l ${link}/tls.crt shows it; then systemctl reload certlet`,
  });
  rmSync(link);
  t.equal((await host.check()).find('files.meeting'), undefined);
});

/** An entry of `certificates` whose keys a group may read, in a folder of this host. */
function entry(host: CheckHost): string {
  const certificatesDir = join(host.root, 'certs');
  const common = {
    name: 'e1',
    signerName: 'example.com/x',
    commonName: 'x',
    usages: ['server auth'],
    names: ['a.example'],
  };
  host.settings({ certificatesDir, certificates: [{ ...common, groupReadable: true }] });
  return join(certificatesDir, 'e1');
}

t.test(
  'a groupReadable folder that no key will be written to was no problem to check before the first issue',
  async (t) => {
    const { cluster, host } = await scene(t);
    settle(cluster, host);
    const path = entry(host);
    const found = async () => (await host.check()).find('files.no-setgid');
    const remedy = `chgrp GROUP ${path} && chmod 2750 ${path}`;
    t.match(await found(), {
      verdict: 'problem',
      what: `${path} is not there, and would be made without`,
      remedy: `mkdir -p ${path} && ${remedy}`,
    });
    chmodSync(folder(path), 0o750);
    t.match(await found(), { verdict: 'problem', what: `${path} has no setgid bit`, remedy });
    chmodSync(path, 0o2750);
    t.equal(await found(), undefined);
  },
);

t.test(
  'the folder of a further certificate, writable by others or on a read-only mount, was no problem to check',
  async (t) => {
    const { cluster, host } = await scene(t);
    settle(cluster, host);
    const path = entry(host);
    chmodSync(folder(path), 0o2770);
    t.match((await host.check()).find('files.writable-by-others'), { what: `${path} can be written by other users` });
    const mounted = await host.check({ isReadOnlyMount: (each) => Promise.resolve(each === path) });
    t.match(mounted.find('files.read-only'), { verdict: 'problem', what: `${path} is on a file system` });
  },
);

t.test('a cert-dir on a full disk was no problem to check', async (t) => {
  const { cluster, host } = await scene(t);
  settle(cluster, host);
  const { certDir } = host;
  const result = await host.check({ isFull: (path) => Promise.resolve(path === certDir) });
  t.match(result.find('files.full'), { verdict: 'problem', what: `${certDir} is on a file system that is full` });
});

t.test(
  'folders and a kubeconfig that modes close to the service, but not to root, were no problem to check',
  async (t) => {
    const { cluster, host } = await scene(t);
    settle(cluster, host);
    const disk = new NodeFileSystem();
    const closed = new Map([
      [host.certDir, 0o500],
      [host.kubeconfig, 0],
    ]);
    // As root sees it, who may look at everything.
    const fs: FileSystem = Object.assign(Object.create(disk) as NodeFileSystem, {
      stat: async (path: string) => {
        const facts = await disk.stat(path);
        return facts && { ...facts, mode: closed.get(path) ?? facts.mode };
      },
    });
    const { text } = await host.check({ fs });
    t.match(text, `problem files.shut-out: ${host.certDir} is closed to its owner (mode 0500)`);
    t.match(text, `problem files.shut-out: ${host.kubeconfig} is closed to its owner (mode 0000)`);
  },
);

t.test('an exec plugin whose credential is refused, and one that fails', async (t) => {
  const { cluster, host } = await scene(t);
  const plugin = join(host.root, 'plugin');
  const write = (body: string): void => {
    writeFileSync(plugin, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    chmodSync(plugin, 0o755);
  };
  const ca = Buffer.from(cluster.serverCa.pem).toString('base64');
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: plugin, interactiveMode: 'Never' };
  host.bootstrap(
    JSON.stringify({
      clusters: [{ name: 'c', cluster: { server: cluster.url, 'certificate-authority-data': ca } }],
      users: [{ name: 'u', user: { exec } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    }),
  );
  write(
    `echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"zzzzzz.0123456789abcdef"}}'`,
  );
  const refused = (await host.check()).find('authentication.bootstrap-refused');
  t.match(refused?.causes?.[0]?.what, /plugin printed is not valid here/);
  write('exit 3');
  t.match((await host.check()).find('authentication.bootstrap-failed'), { evidence: { code: 'ERR_EXEC_PLUGIN' } });
});

t.test('a cluster that forbids access reviews: accepted, and the rest cannot be asked', async (t) => {
  const { cluster, host } = await scene(t);
  cluster.faults.add(forbidden(REVIEWS, 'system:bootstrap:abcdef'), { resource: REVIEWS });
  const result = await host.check();
  t.equal(result.find('authentication.bootstrap')?.verdict, 'ok', result.text);
  t.match(result.find('authorization.bootstrap-unknown'), { verdict: 'skipped', remedy: /system:basic-user/ });
  t.equal(result.find('approval.bootstrap')?.verdict, 'skipped');
});

t.test('an identity that may create and get, not list: it polls', async (t) => {
  const rules = [{ verbs: ['create', 'get'], group: 'certificates.k8s.io', resources: ['certificatesigningrequests'] }];
  const { host } = await scene(t, { bindings: [{ role: 'few', groups: ['system:bootstrappers'], rules }] });
  const result = await host.check();
  t.match(result.find('authorization.bootstrap-forbidden'), { verdict: 'warning', what: /may not list, watch/ });
  t.equal(result.find('requests.unlisted')?.verdict, 'skipped');
  t.strictSame(result.ids('problem'), []);
});

t.test('an identity that may list and not create', async (t) => {
  const rules = [
    { verbs: ['get', 'list', 'watch'], group: 'certificates.k8s.io', resources: ['certificatesigningrequests'] },
  ];
  const { host } = await scene(t, { bindings: [{ role: 'few', groups: ['system:bootstrappers'], rules }] });
  t.match((await host.check()).find('authorization.bootstrap-forbidden'), {
    verdict: 'problem',
    remedy: /--group=system:bootstrappers$/,
  });
});

t.test('a hardened cluster that hides its version', async (t) => {
  const { cluster, host } = await scene(t);
  cluster.faults.add(forbidden('/version', 'system:bootstrap:abcdef'), { path: '/version' });
  const result = await host.check();
  t.match(result.find('versions')?.what, /^the API server serves/, result.text);
});

t.test('the Node may not be read, and does not exist', async (t) => {
  const { cluster, host } = await scene(t);
  settle(cluster, host);
  t.equal((await host.check()).find('name.no-node')?.verdict, 'note');
  cluster.faults.add(forbidden('nodes', 'system:node:n1'), { resource: 'nodes' });
  t.equal((await host.check()).find('name.node-forbidden')?.verdict, 'warning');
});

t.test("certlet's own records: a delay after a denial, a damaged one", async (t) => {
  const { host } = await scene(t);
  const state = folder(join(host.certDir, '.certlet'));
  const refusal = (at: Date) =>
    encodeHistory({ refusal: { code: 'ERR_CSR_DENIED', message: 'no', at, count: 2, templateDigest: 'x' } });
  host.write(join(state, 'client-history.json'), refusal(new Date()));
  host.write(join(state, 'serving-history.json'), refusal(new Date(0)));
  host.write(join(state, 'client-pending.json'), '{');
  const result = await host.check();
  t.match(result.find('requests.client-held'), {
    verdict: 'note',
    what: /after 2 refused client requests/,
    remedy: 'certlet renew client',
  });
  t.equal(result.find('requests.serving-held'), undefined, 'long ago');
  t.equal(result.find('requests.record-broken')?.verdict, 'warning');
  t.ok(result.unchanged, 'the damaged record stays where it is');
});

t.test('through a proxy: the proxy is what is connected to', async (t) => {
  const { cluster, host } = await scene(t);
  const proxy = await startProxy();
  t.teardown(() => proxy.close());
  host.bootstrap(cluster.bootstrapKubeconfig({ proxyUrl: `http://${proxy.host}` }));
  const result = await host.check();
  t.match(result.find('network.connect')?.what, /the proxy before 127\.0\.0\.1:\d+ accepts/, result.text);
  t.equal(result.find('authentication.bootstrap')?.verdict, 'ok');
});

/** A disk that this user may not look into. */
function closed(root: string): FileSystem {
  const disk = new NodeFileSystem();
  const refuse = (path: string) =>
    Object.assign(new Error(`EACCES: permission denied, stat '${path}'`), { code: 'EACCES', path, syscall: 'stat' });
  return new Proxy(disk, {
    get(target, name: keyof FileSystem) {
      const method = target[name] as (path: string, ...words: unknown[]) => Promise<unknown>;
      return async (path: string, ...words: unknown[]) => {
        if (path.startsWith(root)) throw refuse(path);
        return await method.call(target, path, ...words);
      };
    },
  });
}

t.test('a user who may not look into the folders gets a list of what was not looked at', async (t) => {
  const { host } = await scene(t);
  const result: CheckResult = await host.check({
    fs: closed(host.root),
    uid: 65_534,
    daemon: () => Promise.resolve('unknown'),
  });
  t.strictSame(result.ids('problem'), [], result.text);
  t.ok(result.ids('skipped').includes('files.unreadable'));
  t.ok(result.ids('skipped').includes('daemon.unknown'));
});

const RUNNING = { ...NO_KUBELET, facts: { certDir: '/pki' } } as unknown as HostKubelet;
const NO_UNITS = { calendar: [], spans: [], delay: '0', fixedDelay: false, command: undefined, uid: undefined };
const SANDBOX = { strict: true, writable: [], closed: [], user: undefined };
const BY_TIMER: OwnUnits = { ...NO_UNITS, service: false, timer: true, sandbox: SANDBOX };

t.test('what the last run of the timer could not do was nothing wrong', async (t) => {
  const { cluster, host } = await scene(t);
  settle(cluster, host);
  const run = folder(join(host.root, 'run'));
  const lastError = { code: 'ERR_API_UNREACHABLE', message: 'no route', remedy: 'nc -vz x 1', at: NOW } as const;
  const left = (command: 'once' | 'run', certDir = host.certDir): void =>
    host.write(
      join(run, 'status.json'),
      encodeStatus(
        statusDocument(sampleSnapshot({ managers: [sampleManager({ lastError })] }), {
          command,
          pid: 1,
          version: '0',
          now: NOW,
          hooks: [],
        }),
      ).replaceAll(SAMPLE_CERT_DIR, certDir),
    );
  left('once');
  const byTimer = { ownUnits: () => Promise.resolve(BY_TIMER), daemon: () => Promise.resolve('down' as const) };
  const result = await host.check(byTimer);
  t.match(result.find('timer.client-failing'), { verdict: 'problem', remedy: 'nc -vz x 1' }, result.text);
  left('run');
  t.notOk((await host.check(byTimer)).find('timer.client-failing'), 'what a daemon left is of no run');
  left('once', '/nonexistent/by-hand');
  t.notOk((await host.check(byTimer)).find('timer.client-failing'), 'a run by hand elsewhere is none of the timer');
});

for (const { name, settings = {}, kubelet = NO_KUBELET, hook = false, unit } of [
  { name: 'a host without a kubelet', unit: 'note kubelet.no-unit' },
  { name: 'a kubelet that runs', kubelet: RUNNING, unit: 'problem kubelet.no-unit' },
  {
    name: 'restarts that are asked for',
    settings: { kubelet: { restart: 'always' } },
    unit: 'problem kubelet.no-unit',
  },
  { name: 'a restart that failed of it, which was told twice', hook: true, unit: 'problem kubelet.no-unit' },
] as const) {
  t.test(`a unit to restart that is not there: ${name}`, async (t) => {
    const { cluster, host } = await scene(t);
    settle(cluster, host);
    host.settings(settings);
    const failed = {
      hook: 'restart-kubelet',
      purpose: 'client',
      message: 'no such unit',
      remedy: undefined,
      attempts: 9,
    };
    const document = statusDocument(sampleSnapshot({ managers: [sampleManager()] }), {
      command: 'run',
      pid: 1,
      version: '0',
      now: NOW,
      hooks: hook ? [{ ...failed, since: NOW, nextAttempt: undefined }] : [],
    });
    const result = await host.check({
      ownUnits: () => Promise.resolve({ ...BY_TIMER, service: true, timer: false }),
      daemon: () => Promise.resolve('running'),
      daemonStatus: () => Promise.resolve(document),
      readKubelet: () => Promise.resolve(kubelet),
      reloads: () =>
        Promise.resolve({
          files: [],
          wanted: new Set<string>(),
          restarted: 'kubelet.service',
          hasUnit: () => Promise.resolve(false),
        }),
    });
    const told = result.findings.filter(({ id }) => id === 'daemon.hook' || id === 'kubelet.no-unit');
    t.strictSame(
      told.map(({ verdict, id }) => `${verdict} ${id}`),
      [unit],
      result.text,
    );
  });
}

t.test('a restart service whose last run had failed was nothing to check', async (t) => {
  const { cluster, host } = await scene(t);
  settle(cluster, host);
  const entry = { signerName: 'example.com/x', commonName: 'x', usages: ['client auth'], reload: 'proxy' };
  host.settings({
    certificates: [{ name: 'proxy', ...entry }],
    certificatesDir: join(host.root, 'certs'),
    privilegedHooks: ['site'],
  });
  const results = folder(join(folder(join(host.root, 'run')), 'results'));
  const at = new Date(Math.floor(Date.now() / 1000) * 1000).toISOString().replace('.000', '');
  const failed = (unit: string) => `Phase=ended\nRun=a\nService=exit-code\nAt=${at}\nUnit=${unit}\nLoadState=loaded\n`;
  host.write(join(results, 'restart-kubelet'), failed('kubelet.service'), 0o644);
  host.write(join(results, 'reload-proxy'), failed('kube-proxy.service'), 0o644);
  host.write(join(results, 'hook-site'), failed('certlet-hook@site.service'), 0o644);
  host.write(join(results, 'reload-gone'), failed('gone.service'), 0o644);
  const found = async (settings: object = {}) => {
    const result = await host.check(settings);
    return result.ids('warning').filter((id) => id.endsWith('-failed') || id.endsWith('.failed'));
  };
  t.strictSame(await found(), ['kubelet.restart-failed', 'reload.failed', 'hook.failed']);
  t.match((await host.check()).find('kubelet.restart-failed'), {
    what: `kubelet.service could not be restarted at ${at}: result exit-code`,
    remedy: 'journalctl -u certlet-kubelet-restart.service -e',
    evidence: { at, unit: 'kubelet.service' },
  });
  host.settings({ kubelet: { restart: 'never' } });
  t.strictSame(await found(), [], 'what the settings do not ask for any more is nobody’s trouble');
});

for (const { name, purpose, version, found } of [
  { name: 'of a kubelet that reads it again', purpose: 'client', version: 'v1.30.1', found: true },
  { name: 'of a kubelet that nobody knows', purpose: 'client', version: undefined, found: true },
  { name: 'of a kubelet that has to be restarted for it', purpose: 'client', version: 'v1.17.0', found: false },
  { name: 'that the kubelet serves', purpose: 'serving', version: 'v1.30.1', found: false },
] as const) {
  const what = found ? 'was forgotten with' : 'is over with';
  t.test(`a restart of the kubelet that failed ${what} a new ${purpose} certificate: ${name}`, async (t) => {
    const { cluster, host } = await scene(t);
    settle(cluster, host);
    if (purpose === 'serving') host.pair(cluster.clientCa, purpose);
    host.settings({ kubelet: { version } });
    const link = join(host.certDir, `kubelet-${purpose === 'client' ? 'client' : 'server'}-current.pem`);
    const { serial: lastSerial } = parseChain(readFileSync(link, 'utf8')).leaf;
    const history = encodeHistory({ lastSerial, lastIssuedAt: new Date('2026-11-30T01:00:05Z') });
    host.write(join(folder(join(host.certDir, '.certlet')), `${purpose}-history.json`), history);
    const results = folder(join(folder(join(host.root, 'run')), 'results'));
    const failed =
      'Phase=ended\nRun=a\nService=exit-code\nAt=2026-11-30T01:00:00Z\nUnit=kubelet.service\nLoadState=loaded\n';
    host.write(join(results, 'restart-kubelet'), failed, 0o644);
    const unitStates = () => Promise.resolve({ kind: 'untold', reason: 'x' } as const);
    const result = await host.check({ unitStates });
    t.equal(result.find('kubelet.restart-failed') !== undefined, found, result.text);
  });
}

t.test('settings that cannot be used were seventeen lines of "skipped"', async (t) => {
  const host = new CheckHost(t);
  host.write(host.settingsPath, 'nodeIP: [x');
  const result = await host.check();
  const about = { nodeName: undefined, program: '0', now: NOW, colour: false, columns: 120 };
  const text = checkText(result.reports, about);
  t.equal(text.match(/^ {2}skipped /gm)?.length, 1, text);
  t.match(text, /: the settings cannot be used\n\n1 problem, 0 warnings; \d+ not looked at\n$/);
});
