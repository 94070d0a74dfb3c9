/** `certlet once` as a timer or a script runs it, on a fake cluster. */
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import t from 'tap';
import { parse } from 'yaml';
import type { StatusDocument } from '../../src/status/document.ts';
import { CertletHost } from '../fixtures/certlet-host.ts';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { untilTimeLimit } from '../fixtures/time-limit.ts';

const HOUR_MS = 3_600_000;

const cluster = await startFakeCluster({ approveServing: true });
t.teardown(() => cluster.close());

const schema = JSON.parse(readFileSync(new URL('../../config/status.schema.json', import.meta.url), 'utf8')) as object;
const fits = new Ajv2020({ strict: true, strictRequired: false }).compile(schema);

type Answer = StatusDocument & { readonly state: string; readonly reasons: readonly string[] };

t.test('brought up to date: 0, nothing but the status document on standard output', async (t) => {
  const host = new CertletHost(t, cluster);
  const { code, stdout, stderr } = await host.run(['once', '--output', 'json']);
  t.equal(code, 0, stderr);
  const answer = JSON.parse(stdout) as Answer;
  t.ok(fits(answer), JSON.stringify(fits.errors));
  t.match(answer, {
    process: { command: 'once' },
    upToDate: true,
    state: 'healthy',
    reasons: [],
    certificates: [
      { purpose: 'client', phase: 'valid' },
      { purpose: 'serving', phase: 'valid' },
    ],
  });
  t.notMatch(stdout + stderr, /PRIVATE KEY|0123456789abcdef/);
  const again = await host.run(['once', '--output=yaml']);
  t.match(parse(again.stdout), { state: 'healthy', certificates: [{ attempts: {} }, { attempts: {} }] });
  const words = await host.run(['once']);
  t.equal(words.stdout, '', 'as text the log tells it');
});

t.test('--every: certificates that live too short for it are named, in the log and in the status', async (t) => {
  const host = new CertletHost(t, cluster);
  const { code, stdout, stderr } = await host.run(['once', '--every', '99999h', '--output', 'json']);
  t.equal(code, 0, stderr);
  const answer = JSON.parse(stdout) as Answer;
  t.ok(fits(answer), JSON.stringify(fits.errors));
  t.match(answer, { upToDate: true, state: 'waiting', process: { everySeconds: 359_996_400 } });
  t.match(answer.reasons[0], /^client: lives 365 days, too short for a run every 4166 days/);
  t.match(stderr, /The runs are too far apart/);
  t.notMatch((await host.run(['once', '--every', '1h'])).stderr, /too far apart/);
});

t.test('what falls due before the next run waited for that run', async (t) => {
  const host = new CertletHost(t, cluster);
  const [past, future] = [new Date(Date.now() - 12 * HOUR_MS), new Date(Date.now() + 12 * HOUR_MS)];
  const node = { commonName: 'system:node:n1', organizations: ['system:nodes'], dnsNames: ['n1'] };
  mkdirSync(host.certDir);
  for (const purpose of ['client', 'server']) {
    const half = { ...node, ipAddresses: ['192.0.2.7'], notBefore: past, notAfter: future };
    const { chainPem, keyPem } = cluster.clientCa.issue(half);
    const name = `kubelet-${purpose}-2030-01-01-00-00-00.pem`;
    writeFileSync(join(host.certDir, name), chainPem + keyPem, { mode: 0o600 });
    symlinkSync(name, join(host.certDir, `kubelet-${purpose}-current.pem`));
  }
  const asked = cluster.csrs.length;
  const alone = await host.run(['once', '--timeout', '60s']);
  t.equal(alone.code, 0, alone.stderr);
  t.equal(cluster.csrs.length, asked, 'by itself neither is due for hours');
  const { code, stderr } = await host.run(['once', '--timeout', '60s', '--every', '6h']);
  t.equal(code, 0, stderr);
  t.equal(cluster.csrs.length, asked + 2);
});

t.test('the time was too short: 75, and the document names what is waited for', async (t) => {
  cluster.settings.approveServing = false;
  t.teardown(() => {
    cluster.settings.approveServing = true;
  });
  const host = new CertletHost(t, cluster);
  const { code, stdout, stderr } = await untilTimeLimit(
    (limit) => host.run(['once', '--timeout', limit, '--output', 'json']),
    ({ stdout }) => /"phase": *"waiting for approval"/.test(stdout),
  );
  t.equal(code, 75);
  t.match(JSON.parse(stdout), {
    upToDate: false,
    state: 'waiting',
    reasons: [/^serving: not issued; waiting for approval/],
    certificates: [{ phase: 'valid' }, { phase: 'waiting for approval', command: /^kubectl certificate approve/ }],
  });
  t.match(stderr, /not up to date after \d+ s: serving: waiting for approval.*kubectl certificate approve node-csr/);
});

t.test('a bootstrap kubeconfig that cannot be read ends it at once with 78', async (t) => {
  const host = new CertletHost(t, cluster);
  writeFileSync(join(host.folder, 'bootstrap-kubelet.conf'), 'apiVersion: [', { mode: 0o600 });
  const { code, stdout, stderr } = await host.run(['once', '--timeout', '60s', '--output', 'json']);
  t.equal(code, 78, stderr);
  t.match(JSON.parse(stdout), {
    state: 'waiting',
    certificates: [{ lastError: { code: 'ERR_KUBECONFIG_INVALID' } }, {}],
  });
  t.match(stderr, /bootstrap-kubelet\.conf:1:\d+:/);
});

t.test('a signal while it waits: 75 with the state so far', async (t) => {
  const host = new CertletHost(t, cluster);
  rmSync(join(host.folder, 'bootstrap-kubelet.conf'));
  const run = host.start(['once', '--output', 'json']);
  await host.until(({ certificates }) => certificates[0]?.lastError !== undefined);
  const { code, stdout } = await run.end('SIGTERM');
  t.equal(code, 75);
  t.match(JSON.parse(stdout), { certificates: [{ lastError: { code: 'ERR_CREDENTIAL_MISSING' } }, {}] });
});

t.test('another certlet at work: 75 and no document', async (t) => {
  const host = new CertletHost(t, cluster);
  const daemon = host.start(['run']);
  await host.until(({ upToDate }) => upToDate);
  const { code, stdout, stderr } = await host.run(['once', '--output', 'json']);
  t.equal(code, 75);
  t.equal(stdout, '');
  t.match(stderr, /is managed by process \d+ \(certlet run/);
  await daemon.end('SIGTERM');
});

t.test('both are valid and nobody answers the proof: 75, and the line says what is missing', async (t) => {
  const host = new CertletHost(t, cluster);
  t.equal((await host.run(['once'])).code, 0);
  await cluster.stop();
  t.teardown(() => cluster.start());
  const { code, stderr } = await untilTimeLimit(
    (limit) => host.run(['once', '--timeout', limit]),
    ({ stderr }) => stderr.includes('has not accepted'),
  );
  t.equal(code, 75);
  t.match(stderr, /not up to date after \d+ s: the API server has not accepted the client certificate yet/);
});
