import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { ClusterAccess, Credential } from '../../../src/kubeconfig/client-config.ts';
import type { ExecPlugin } from '../../../src/kubeconfig/model.ts';
import { execInfo, parseExecCredential } from '../../../src/adapters/api/exec-plugin.ts';
import { createAuthority } from '../../fixtures/cluster/authority.ts';
import { accessTo, connect, failureOf, loopbackLeaf, never } from '../../fixtures/http/api.ts';
import { sendJson, sendStatus, startServer, type ScriptedServer } from '../../fixtures/http/scripted-server.ts';
import { proxyOf } from '../../fixtures/proxy-url.ts';

const authority = createAuthority({ name: 'kubernetes' });
const clients = createAuthority({ name: 'clients' });
const leaf = loopbackLeaf(authority);
const V1 = 'client.authentication.k8s.io/v1';

/** A server that takes these bearer tokens, and whoever has a certificate. */
async function serve(t: Test, tokens: ReadonlySet<string>): Promise<ScriptedServer> {
  const server = await startServer({ leaf, clientCas: [clients] }, ({ headers, clientName }, response) => {
    const token = headers.authorization?.replace('Bearer ', '') ?? '';
    if (tokens.has(token) || clientName !== '') sendJson(response, 200, {});
    else sendStatus(response, 401, 'Unauthorized');
  });
  t.teardown(() => server.close());
  return server;
}

const tokensSeen = (server: ScriptedServer): readonly (string | undefined)[] =>
  server.seen.map(({ headers }) => headers.authorization);

t.test('a token file is read again after a minute, and at once after a 401', async (t) => {
  const valid = new Set(['one']);
  const server = await serve(t, valid);
  const path = join(t.testdir({ token: 'one\n' }), 'token');
  let now = new Date('2026-11-22T10:00:00Z');
  const api = connect(t, accessTo(server, authority), { kind: 'tokenFile', path }, { now: () => now });
  const ask = () => api.request('GET', '/x', undefined, never);
  t.equal(api.identity.label, `token in ${path}`);
  await ask();
  await writeFile(path, 'two');
  await ask();
  t.same(tokensSeen(server), ['Bearer one', 'Bearer one'], 'held for a minute');
  valid.clear();
  valid.add('two');
  await ask();
  t.same(tokensSeen(server).slice(2), ['Bearer one', 'Bearer two'], 'a 401 re-reads and tries once more');
  await writeFile(path, 'three');
  valid.add('three');
  now = new Date('2026-11-22T10:01:00Z');
  await ask();
  t.equal(tokensSeen(server).at(-1), 'Bearer three', 'after a minute');
  await writeFile(path, 'four');
  now = new Date('2026-11-22T09:00:00Z');
  t.equal((await failureOf(ask())).code, 'ERR_API_UNAUTHORIZED', 'a clock that was set back reads too');
  t.equal(server.seen.length, 6, 'the same token is not tried twice');
});

for (const row of [
  { name: 'missing', content: undefined, words: /cannot be read/ },
  { name: 'empty', content: '\n', words: /is empty/ },
  { name: 'of two words', content: 'hidden hidden', words: /more than one word/ },
]) {
  t.test(`a token file that is ${row.name}`, async (t) => {
    const folder = t.testdir(row.content === undefined ? {} : { token: row.content });
    const api = connect(
      t,
      { server: 'https://127.0.0.1:1', insecureSkipTlsVerify: false },
      { kind: 'tokenFile', path: join(folder, 'token') },
    );
    const error = await failureOf(api.request('GET', '/x', undefined, never));
    t.match(error, { code: 'ERR_CREDENTIAL_INVALID', message: row.words });
    t.notMatch(error.message, /hidden/);
  });
}

/** An exec credential whose plugin is this shell script, put into `folder`. */
async function execPlugin(
  folder: string,
  script: string,
  more: Partial<ExecPlugin> = {},
): Promise<Credential & { kind: 'exec' }> {
  const command = join(folder, 'plugin');
  await writeFile(command, `#!/bin/sh\n${script}`, { mode: 0o755 });
  return { kind: 'exec', plugin: { apiVersion: V1, command, args: [], env: [], provideClusterInfo: false, ...more } };
}

/** What `look` finds as soon as it finds something; the test's own time limit bounds the wait. */
async function untilFound(what: string, look: (what: string) => Promise<string | undefined>): Promise<string> {
  for (;;) {
    const found = await look(what).catch(() => undefined);
    if (found !== undefined && found !== '') return found;
    await turn();
  }
}

/** A zombie has ended; who reaps it is not the matter here. */
async function isRunning(pid: string): Promise<boolean> {
  try {
    return !/\) [ZX] /.test(await readFile(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone, as it should be.
  }
}

const credentialJson = (status: object): string => JSON.stringify({ kind: 'ExecCredential', apiVersion: V1, status });

t.test('an exec plugin gets arguments, variables and KUBERNETES_EXEC_INFO, no shell and no input', async (t) => {
  const folder = t.testdir({});
  const out = join(folder, 'out');
  const server = await serve(t, new Set(['t']));
  const script = `cat; printf '%s|%s|%s|%s' "$1" "$EXTRA" "$BASE" "$KUBERNETES_EXEC_INFO" > "$OUT"; echo '${credentialJson({ token: 't' })}'`;
  const credential = await execPlugin(folder, script, {
    args: ['$HOME; echo'],
    env: [{ name: 'EXTRA', value: 'e' }],
    provideClusterInfo: true,
    clusterConfig: { audience: 'a' },
  });
  const environment = { PATH: process.env['PATH'], BASE: 'b', OUT: out };
  const api = connect(t, accessTo(server, authority), credential, { environment });
  await api.request('GET', '/x', undefined, never);
  const [argument, extra, base, info] = (await readFile(out, 'utf8')).split('|');
  t.same([argument, extra, base], ['$HOME; echo', 'e', 'b']);
  t.same(JSON.parse(info ?? ''), {
    kind: 'ExecCredential',
    apiVersion: V1,
    spec: {
      interactive: false,
      cluster: {
        server: server.url,
        'certificate-authority-data': Buffer.from(authority.pem).toString('base64'),
        config: { audience: 'a' },
      },
    },
  });
});

t.test('what a plugin gave is kept until it expires, and asked anew after a 401', async (t) => {
  const folder = t.testdir({ runs: '', token: 'one' });
  const valid = new Set(['one', 'two']);
  const server = await serve(t, valid);
  const expires = '2026-11-22T11:00:00Z';
  const script = `echo run >> ${folder}/runs; printf '{"kind":"ExecCredential","apiVersion":"${V1}","status":{"token":"%s","expirationTimestamp":"${expires}"}}' "$(cat ${folder}/token)"`;
  const credential = await execPlugin(folder, script);
  let now = new Date('2026-11-22T10:00:00Z');
  const api = connect(t, accessTo(server, authority), credential, {
    now: () => now,
    environment: { PATH: process.env['PATH'] },
  });
  const ask = () => api.request('GET', '/x', undefined, never);
  const runs = async () => (await readFile(join(folder, 'runs'), 'utf8')).split('\n').length - 1;
  await Promise.all([ask(), ask()]);
  await ask();
  t.equal(await runs(), 1, 'one run serves all');
  await writeFile(join(folder, 'token'), 'two');
  valid.delete('one');
  await ask();
  t.equal(await runs(), 2, 'a 401 runs it again');
  t.equal(tokensSeen(server).at(-1), 'Bearer two');
  now = new Date('2026-11-22T11:00:00Z');
  await ask();
  t.equal(await runs(), 3, 'it has expired');
  valid.clear();
  const before = server.seen.length;
  t.equal((await failureOf(ask())).code, 'ERR_API_UNAUTHORIZED');
  t.equal(server.seen.length, before + 1, 'the same token is not sent twice');
});

t.test('a certificate that a plugin gives is presented, and a new one gets a connection of its own', async (t) => {
  const server = await serve(t, new Set());
  const folder = t.testdir({});
  const put = async (name: string) => {
    const pair = clients.issue({ commonName: name });
    const status = {
      clientCertificateData: pair.chainPem,
      clientKeyData: pair.keyPem,
      expirationTimestamp: '2020-01-01T00:00:00Z',
    };
    await writeFile(join(folder, 'out'), credentialJson(status));
  };
  const credential = await execPlugin(folder, `cat ${folder}/out`);
  const api = connect(t, accessTo(server, authority), credential, { environment: { PATH: process.env['PATH'] } });
  for (const name of ['first', 'second']) {
    await put(name);
    await api.request('GET', '/x', undefined, never);
  }
  t.same(
    server.seen.map(({ clientName }) => clientName),
    ['first', 'second'],
  );
});

const SECRET = 'eyJhbGciOiJIUzI1NiJ9.hidden0123456789hidden0123456789';
for (const row of [
  {
    name: 'fails',
    script: `echo "no account, password s3cret, token ${SECRET}" >&2; exit 3`,
    words: /failed with exit status 3$/,
    said: 'no account, password s3cret, token […]',
  },
  { name: 'is ended by a signal', script: 'kill -9 $$', words: /was ended by SIGKILL/ },
  { name: 'prints no JSON', script: `echo ${SECRET}`, words: /printed something that is no JSON/ },
  { name: 'never ends', script: 'exec sleep 60', words: /did not end in time and was killed/ },
  { name: 'prints without end', script: 'exec yes', words: /printed more than 1 MiB/ },
]) {
  t.test(`an exec plugin that ${row.name}`, async (t) => {
    const credential = await execPlugin(t.testdir({}), row.script);
    const slow = row.name === 'never ends';
    const said: string[] = [];
    const api = connect(t, { server: 'https://127.0.0.1:1', insecureSkipTlsVerify: false }, credential, {
      environment: { PATH: process.env['PATH'] },
      timeouts: { execMs: slow ? 30 : 10_000 },
      onPluginOutput: (plugin, text) => said.push(`${plugin}: ${text}`),
    });
    const error = await failureOf(api.request('GET', '/x', undefined, never));
    t.equal(error.code, 'ERR_EXEC_PLUGIN');
    t.match(error.message, row.words);
    t.notMatch(
      `${error.message} ${String(error.remedy)} ${String(error.cause)}`,
      /hidden|s3cret/,
      'what it said is for the journal alone',
    );
    t.same(said, row.said === undefined ? [] : [`${credential.plugin.command}: ${row.said}`]);
    t.equal(api.identity.label, `exec plugin ${credential.plugin.command}`);
  });
}

t.test('a plugin that was judged by one path is not run by its name over a PATH with other elements', async (t) => {
  const folder = t.testdir({ planted: `#!/bin/sh\necho run >> ${t.testdirName}/runs\n` });
  await chmod(join(folder, 'planted'), 0o755);
  const access = { server: 'https://127.0.0.1:1', insecureSkipTlsVerify: false };
  const env = [{ name: 'PATH', value: folder }];
  const plugin = { apiVersion: V1, command: 'planted', args: [], env, provideClusterInfo: false };
  const api = connect(t, access, { kind: 'exec', plugin }, { environment: { PATH: `.:${folder}` } });
  t.match(await failureOf(api.request('GET', '/x', undefined, never)), {
    code: 'ERR_EXEC_PLUGIN',
    message: /planted does not exist/,
  });
  await t.rejects(readFile(join(folder, 'runs')), 'it did not run');
});

t.test('an exec plugin that is not there shows its install hint; one that may not run says so', async (t) => {
  const access = { server: 'https://127.0.0.1:1', insecureSkipTlsVerify: false };
  const gone: Credential = {
    kind: 'exec',
    plugin: {
      apiVersion: V1,
      command: '/nowhere/plugin',
      args: [],
      env: [],
      provideClusterInfo: false,
      installHint: 'apt install\nplugin',
    },
  };
  t.match(await failureOf(connect(t, access, gone).request('GET', '/x', undefined, never)), {
    code: 'ERR_EXEC_PLUGIN',
    message: /does not exist/,
    remedy: 'apt install plugin',
  });
  const command = join(t.testdir({ plugin: 'x' }), 'plugin');
  const plain: Credential = {
    kind: 'exec',
    plugin: { apiVersion: V1, command, args: [], env: [], provideClusterInfo: false },
  };
  t.match(await failureOf(connect(t, access, plain).request('GET', '/x', undefined, never)), {
    code: 'ERR_EXEC_PLUGIN',
    message: /may not be executed/,
    remedy: /by hand/,
  });
});

for (const row of [
  { name: 'at its time limit', execMs: 500, words: /did not end in time and was killed/ },
  { name: 'that prints without end', script: 'yes', words: /printed more than 1 MiB/ },
  { name: 'when the request is aborted', abort: true, words: /stopping/ },
  { name: 'that ended before its child', script: 'exit 0', execMs: 500, words: /did not end in time and was killed/ },
]) {
  t.test(`a killed exec plugin leaves no child of its script behind, ${row.name}`, async (t) => {
    const folder = t.testdir({});
    const aborter = new AbortController();
    const credential = await execPlugin(folder, `sleep 1000 & echo $! > ${folder}/pid; ${row.script ?? 'wait'}`);
    const api = connect(t, { server: 'https://127.0.0.1:1', insecureSkipTlsVerify: false }, credential, {
      environment: { PATH: process.env['PATH'] },
      timeouts: { execMs: row.execMs ?? 10_000 },
    });
    const work = failureOf(api.request('GET', '/x', undefined, aborter.signal));
    const pidFile = await untilFound(join(folder, 'pid'), async (path) => (await readFile(path, 'utf8')).trim());
    t.teardown(() => kill(Number(pidFile)));
    if (row.abort === true) aborter.abort(new Error('stopping'));
    t.match((await work).message, row.words);
    await untilFound(pidFile, async (pid) => ((await isRunning(pid)) ? undefined : 'gone'));
  });
}

t.test('an aborted request ends the plugin and rejects with the reason', async (t) => {
  const aborter = new AbortController();
  const reason = new Error('stopping');
  const credential = await execPlugin(t.testdir({}), 'exec sleep 60');
  const api = connect(t, { server: 'https://127.0.0.1:1', insecureSkipTlsVerify: false }, credential, {
    environment: { PATH: process.env['PATH'] },
  });
  const work = failureOf(api.request('GET', '/x', undefined, aborter.signal));
  setImmediate(() => aborter.abort(reason));
  t.equal(await work, reason);
});

const plain: ExecPlugin = { apiVersion: V1, command: 'p', args: [], env: [], provideClusterInfo: false };
for (const row of [
  { name: 'another kind', output: { kind: 'Config', apiVersion: V1, status: {} }, words: /no ExecCredential/ },
  {
    name: 'another version',
    output: { kind: 'ExecCredential', apiVersion: 'client.authentication.k8s.io/v1beta1', status: {} },
    words: /did not print the version/,
  },
  { name: 'no status', output: { kind: 'ExecCredential', apiVersion: V1 }, words: /without status/ },
  {
    name: 'an empty status',
    output: { kind: 'ExecCredential', apiVersion: V1, status: { token: '' } },
    words: /neither token nor certificate/,
  },
  {
    name: 'a token that is a number',
    output: { kind: 'ExecCredential', apiVersion: V1, status: { token: 7 } },
    words: /token that is no text/,
  },
  {
    name: 'a certificate without key',
    output: { kind: 'ExecCredential', apiVersion: V1, status: { clientCertificateData: 'x' } },
    words: /only one of/,
  },
  {
    name: 'a key without certificate',
    output: { kind: 'ExecCredential', apiVersion: V1, status: { token: 't', clientKeyData: 'x' } },
    words: /only one of/,
  },
  {
    name: 'a time that is none',
    output: { kind: 'ExecCredential', apiVersion: V1, status: { token: 't', expirationTimestamp: 'soon' } },
    words: /no RFC 3339 time/,
  },
  { name: 'null', output: null, words: /no ExecCredential/ },
]) {
  t.test(`parseExecCredential refuses ${row.name}`, async (t) => {
    t.throws(() => parseExecCredential(JSON.stringify(row.output), plain), {
      code: 'ERR_EXEC_PLUGIN',
      message: row.words,
    });
  });
}

t.test('execInfo tells the cluster only where the kubeconfig asks for it', async (t) => {
  const cluster: ClusterAccess = {
    server: 'https://a',
    insecureSkipTlsVerify: true,
    tlsServerName: 'k',
    proxyUrl: proxyOf('http://p'),
  };
  t.same(JSON.parse(execInfo(plain, cluster).reveal()), {
    kind: 'ExecCredential',
    apiVersion: V1,
    spec: { interactive: false },
  });
  t.same(JSON.parse(execInfo({ ...plain, provideClusterInfo: true }, cluster).reveal()), {
    kind: 'ExecCredential',
    apiVersion: V1,
    spec: {
      interactive: false,
      cluster: {
        server: 'https://a',
        'tls-server-name': 'k',
        'insecure-skip-tls-verify': true,
        'proxy-url': 'http://p',
      },
    },
  });
});
