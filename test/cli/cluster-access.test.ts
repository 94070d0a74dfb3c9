/** Which cluster a command of the cluster's side takes, in kubectl's order. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { clientConfigFor } from '../../src/cli/cluster-access.ts';

const context = (name: string): object => ({ name, context: { cluster: name, user: name } });
const config = (names: readonly string[], current?: string): string =>
  JSON.stringify({
    clusters: names.map((name) => ({ name, cluster: { server: `https://${name}.example` } })),
    users: names.map((name) => ({ name, user: { token: 'x' } })),
    contexts: names.map(context),
    ...(current === undefined ? {} : { 'current-context': current }),
  });

function world(t: Test, files: Readonly<Record<string, string>>, environment: Readonly<Record<string, string>> = {}) {
  const folder = t.testdir();
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text, { mode: 0o600 });
  }
  const placed = Object.entries(environment).map(([key, text]) => [key, text.replaceAll('@', `${folder}/`)]);
  const edge = {
    environment: Object.fromEntries(placed) as Readonly<Record<string, string>>,
    userId: process.geteuid?.() ?? 0,
    hostRoot: folder,
  };
  const chosen = (parts: { readonly kubeconfig?: string; readonly context?: string }) => ({
    kubeconfig: parts.kubeconfig === undefined ? undefined : join(folder, parts.kubeconfig),
    context: parts.context,
  });
  return async (parts: { readonly kubeconfig?: string; readonly context?: string } = {}) =>
    clientConfigFor(chosen(parts), edge);
}

const home = { HOME: '@home' };
const files = {
  'home/.kube/config': config(['home', 'other'], 'home'),
  'one.conf': config(['one'], 'one'),
  'two.conf': config(['two']),
};

for (const row of [
  {
    name: 'the flag',
    environment: { ...home, KUBECONFIG: '@one.conf' },
    parts: { kubeconfig: 'home/.kube/config' },
    server: 'home',
  },
  { name: 'KUBECONFIG', environment: { ...home, KUBECONFIG: '@one.conf' }, parts: {}, server: 'one' },
  {
    name: 'the second file of KUBECONFIG, the first is not there',
    environment: { KUBECONFIG: '@none:@one.conf' },
    parts: {},
    server: 'one',
  },
  {
    name: 'the file of KUBECONFIG that has the context',
    environment: { KUBECONFIG: '@one.conf:@two.conf' },
    parts: { context: 'two' },
    server: 'two',
  },
  { name: 'the home', environment: home, parts: {}, server: 'home' },
  { name: 'another context', environment: home, parts: { context: 'other' }, server: 'other' },
]) {
  t.test(`taken: ${row.name}`, async (t) => {
    const { cluster } = await world(t, files, row.environment)(row.parts);
    t.equal(cluster.server, `https://${row.server}.example`);
  });
}

t.test('the service account of a pod, by IPv6', async (t) => {
  const account = 'var/run/secrets/kubernetes.io/serviceaccount';
  const pod = { [`${account}/token`]: 'abc', [`${account}/ca.crt`]: 'PEM' };
  const environment = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
  const { cluster, credential } = await world(t, pod, environment)();
  t.match(cluster, { server: 'https://[fd00::1]:443', caPem: 'PEM', insecureSkipTlsVerify: false });
  t.match(credential, { kind: 'tokenFile', path: /serviceaccount\/token$/ });
});

for (const row of [
  {
    name: 'a context that is not there',
    environment: home,
    parts: { context: 'none' },
    error: { code: 'ERR_KUBECONFIG_INVALID', message: /has no context "none"/ },
  },
  {
    name: 'a file that is not there',
    environment: home,
    parts: { kubeconfig: 'none' },
    error: { code: 'ERR_CREDENTIAL_MISSING' },
  },
  {
    name: 'nothing at all',
    environment: {},
    parts: {},
    error: { code: 'ERR_CREDENTIAL_MISSING', message: /this is no pod/ },
  },
  {
    name: 'no file with the whole context',
    environment: { KUBECONFIG: '@one.conf:@two.conf' },
    parts: { context: 'x' },
    error: { code: 'ERR_KUBECONFIG_INVALID', remedy: /--flatten/ },
  },
]) {
  t.test(`refused: ${row.name}`, async (t) => {
    await t.rejects(world(t, files, row.environment)(row.parts), row.error);
  });
}
