/** `once` and `renew` by themselves, in the test's own process, on a fake cluster. */
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { OnceArguments, RenewArguments } from '../../src/cli/command.ts';
import { dispatch } from '../../src/cli/dispatch.ts';
import { CommandHost } from '../fixtures/command-host.ts';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';

const DAY_MS = 86_400_000;
const cluster = await startFakeCluster({ approveServing: true });
t.teardown(() => cluster.close());

const once = (parts: Partial<OnceArguments> = {}): OnceArguments => ({
  name: 'once',
  output: 'json',
  timeoutMs: 60_000,
  ...parts,
});
const renew = (parts: Partial<RenewArguments> = {}): RenewArguments => ({
  name: 'renew',
  output: 'json',
  certificate: undefined,
  dryRun: false,
  restartNow: false,
  wait: false,
  timeoutMs: 60_000,
  ...parts,
});

/** A host that may bootstrap, unless the text of its bootstrap kubeconfig says otherwise. */
function hostWith(t: Test, settings: object = {}, bootstrap: string = cluster.bootstrapKubeconfig()): CommandHost {
  const host = new CommandHost(t, { kubelet: { restart: 'never', port: 1 }, ...settings });
  writeFileSync(join(host.folder, 'bootstrap-kubelet.conf'), bootstrap, { mode: 0o600 });
  return host;
}

t.test('once: both in place, 0; a run that comes too seldom is told in log and document', async (t) => {
  const host = hostWith(t);
  const first = host.session();
  t.equal(await dispatch(once({ everyMs: 400 * DAY_MS }), first.context), 0, first.stderr.text);
  t.match(JSON.parse(first.stdout.text), {
    upToDate: true,
    state: 'waiting',
    reasons: [/^client: lives 365 days, too short for a run every/, /^serving: lives/],
    certificates: [{ phase: 'valid' }, { phase: 'valid' }],
  });
  t.match(first.stderr.text, /The runs are too far apart/);

  const asked = cluster.csrs.length;
  const words = host.session();
  t.equal(await dispatch(once({ output: 'text', everyMs: 3_600_000 }), words.context), 0);
  t.equal(words.stdout.text, '', 'as text the log tells it');
  t.notMatch(words.stderr.text, /too far apart/);
  t.equal(cluster.csrs.length, asked, 'nothing is due');
  t.equal(await dispatch(once({ ifExpiringMs: 10 * DAY_MS }), host.session().context), 0);
  t.equal(cluster.csrs.length, asked, 'nothing ends within ten days');
  t.equal(await dispatch(once({ ifExpiringMs: 366 * DAY_MS }), host.session().context), 0);
  t.equal(cluster.csrs.length, asked, 'both end within that, and are never renewed in the first half of their life');
});

for (const { name, bootstrap, code, message } of [
  {
    name: 'a bootstrap kubeconfig that is none',
    bootstrap: 'a: [',
    code: 'ERR_KUBECONFIG_INVALID',
    message: /:1:\d+:/,
  },
  {
    name: 'one without a cluster',
    bootstrap: '{}',
    code: 'ERR_KUBECONFIG_INVALID',
    message: /bootstrap-kubelet\.conf/,
  },
]) {
  t.test(`once ends at once, document first, then the error: ${name}`, async (t) => {
    const { context, stdout } = hostWith(t, {}, bootstrap).session();
    await t.rejects(dispatch(once(), context), { code, message });
    t.match(JSON.parse(stdout.text), { upToDate: false, certificates: [{ lastError: { code } }, {}] });
  });
}

t.test('renew by itself: new pairs in place of both, as a document and in words', async (t) => {
  const host = hostWith(t);
  const first = host.session();
  t.equal(await dispatch(renew(), first.context), 0, first.stderr.text);
  t.match(JSON.parse(first.stdout.text), {
    asked: ['client', 'serving'],
    through: 'itself',
    inPlace: true,
    certificates: [{ purpose: 'client' }, { purpose: 'serving' }],
  });
  t.match(first.stderr.text, /^no daemon runs: asking by itself\n[^]*client: new certificate [0-9a-f]+ until /);
  const before = readdirSync(host.certDir).length;
  const words = host.session();
  t.equal(await dispatch(renew({ certificate: 'serving', output: 'text' }), words.context), 0);
  t.match(words.stdout.text, /^no daemon runs: asking by itself\n[^]*serving: new certificate/);
  t.equal(readdirSync(host.certDir).length, before + 1);
});

for (const { name, parts, identity } of [
  {
    name: 'of another node',
    parts: { commonName: 'system:node:n2' },
    identity: /\(the client certificate is for system:node:n2\)/,
  },
  {
    name: 'that has ended',
    parts: { notBefore: new Date('2001-01-01T00:00:00Z'), notAfter: new Date('2002-01-01T00:00:00Z') },
    identity: /\(the client certificate expired at 2002-01-01T00:00:00Z\)/,
  },
]) {
  t.test(`who would ask with a client certificate ${name}`, async (t) => {
    const host = hostWith(t, { rotateServerCertificates: true, expirationSeconds: 86_400 });
    const half = { commonName: 'system:node:n1', organizations: ['system:nodes'], ...parts };
    const { chainPem, keyPem } = cluster.clientCa.issue(half);
    const file = 'kubelet-client-2030-01-01-00-00-00.pem';
    writeFileSync(join(host.certDir, file), chainPem + keyPem, { mode: 0o600 });
    symlinkSync(file, join(host.certDir, 'kubelet-client-current.pem'));
    mkdirSync(join(host.certDir, '.certlet'), { mode: 0o700 });
    const { context, stdout } = host.session();
    t.equal(await dispatch(renew({ dryRun: true }), context), 0);
    const [client, serving, ...more] = (JSON.parse(stdout.text) as { requests: readonly { identity: string }[] })
      .requests;
    t.strictSame(more, []);
    t.match(client, { expirationSeconds: 86_400, server: cluster.url });
    t.match(client?.identity, /^bootstrap token abcdef of .*bootstrap-kubelet\.conf \(/);
    t.match(client?.identity, identity);
    t.match(serving?.identity, /^the node itself, once it has a client certificate \(/);
    t.match(serving?.identity, identity);
  });
}

t.test('names that nobody manages, and a kubeconfig for nobody', async (t) => {
  const host = new CommandHost(t, { rotateServerCertificates: false });
  await t.rejects(dispatch(renew({ certificate: 'serving' }), host.session().context), {
    code: 'ERR_USAGE',
    message: /rotateServerCertificates is false/,
  });
  await t.rejects(dispatch(renew({ certificate: 'clients' }), host.session({ argv: ['renew', 'clients'] }).context), {
    code: 'ERR_USAGE',
    message: 'no certificate is named "clients": there are client',
    remedy: 'certlet renew client',
  });
  await t.rejects(dispatch(renew({ certificate: '\u001b[2J' }), host.session().context), {
    code: 'ERR_USAGE',
    message: /named "\\u001b\[2J"/,
    remedy: 'certlet status',
  });
  const { context, stdout } = host.session();
  t.equal(await dispatch(renew({ dryRun: true, output: 'text' }), context), 0);
  t.match(stdout.text, /API server {2}none: no kubeconfig names one/);
  t.match(stdout.text, /asked by {4}nobody: no client certificate yet, and .*bootstrap-kubelet\.conf is missing/);
});
