import t from 'tap';
import type { Test } from 'tap';
import type { ApiConnectorOptions } from '../../../src/adapters/api/connector.ts';
import { createAuthority } from '../../fixtures/cluster/authority.ts';
import {
  accessTo,
  connect,
  connectorOf,
  failureOf,
  loopbackLeaf,
  never,
  tokenCredential,
} from '../../fixtures/http/api.ts';
import type { Handler, ScriptedServer } from '../../fixtures/http/scripted-server.ts';
import { sendJson, sendStatus, startServer } from '../../fixtures/http/scripted-server.ts';
import { asCertletError } from '../../../src/errors.ts';
import { Secret } from '../../../src/secret.ts';
import type { ApiConnection } from '../../../src/ports.ts';

const authority = createAuthority({ name: 'kubernetes' });
const leaf = loopbackLeaf(authority);
const resources = (...names: readonly string[]) => ({
  kind: 'APIResourceList',
  resources: names.map((name) => ({ name })),
});
const CSRS = resources('certificatesigningrequests', 'certificatesigningrequests/status');

const csr = {
  kind: 'CertificateSigningRequest',
  metadata: { name: 'n', uid: 'u', resourceVersion: '5', creationTimestamp: '2026-11-22T10:00:00Z' },
  spec: {
    request: Buffer.from('PEM').toString('base64'),
    signerName: 's/t',
    usages: ['client auth'],
    username: 'system:bootstrap:abcdef',
  },
  status: {},
};

async function serve(
  t: Test,
  handler: Handler,
  options: Partial<ApiConnectorOptions> = {},
): Promise<{ readonly server: ScriptedServer; readonly api: ApiConnection }> {
  const server = await startServer({ leaf }, handler);
  const api = connect(t, accessTo(server, authority), tokenCredential, options);
  t.teardown(() => server.close());
  return { server, api };
}

t.test('requests carry token, User-Agent and JSON types, over HTTP/1.1', async (t) => {
  const { server, api } = await serve(t, (_, response) => sendJson(response, 201, csr));
  await api.request('POST', '/apis/x?dryRun=All', { a: 1 }, never);
  await api.request('PATCH', '/apis/x', { a: 2 }, never);
  await api.request('GET', '/version', undefined, never);
  t.match(server.seen[0], {
    method: 'POST',
    url: '/apis/x?dryRun=All',
    body: '{"a":1}',
    alpn: 'http/1.1',
    headers: {
      authorization: 'Bearer abcdef.0123456789abcdef',
      'user-agent': 'certlet/1.2.3',
      accept: 'application/json',
      'content-type': 'application/json',
    },
  });
  t.match(server.seen[1], { method: 'PATCH', headers: { 'content-type': 'application/merge-patch+json' } });
  t.equal(server.seen[2]?.headers['content-type'], undefined);
  t.equal(server.connections(), 1, 'one connection serves them all');
});

t.test('a path in the server URL comes before every request path, without doubled slashes', async (t) => {
  const { server } = await serve(t, (_, response) => sendJson(response, 200, CSRS));
  const api = connect(t, { ...accessTo(server, authority), server: `${server.url}/k8s/clusters/c-1` });
  await api.discover(never);
  t.equal(server.seen[0]?.url, '/k8s/clusters/c-1/apis/certificates.k8s.io/v1');
  const twice = connect(t, { ...accessTo(server, authority), server: `${server.url}//k8s//` });
  await twice.discover(never);
  t.equal(server.seen[1]?.url, '/k8s/apis/certificates.k8s.io/v1', 'a slash too many is none, as in client-go');
});

t.test('discover', async (t) => {
  const V1 = '/apis/certificates.k8s.io/v1';
  const BETA = '/apis/certificates.k8s.io/v1beta1';
  for (const row of [
    {
      name: 'a server of 1.19 and later: v1, one request',
      answers: { [V1]: CSRS, [BETA]: CSRS },
      version: 'v1',
      asked: [V1],
    },
    { name: 'a server before 1.19: v1beta1', answers: { [BETA]: CSRS }, version: 'v1beta1', asked: [V1, BETA] },
    {
      name: 'v1 without the resource',
      answers: { [V1]: resources('x'), [BETA]: CSRS },
      version: 'v1beta1',
      asked: [V1, BETA],
    },
  ] as const) {
    t.test(row.name, async (t) => {
      const answers: Readonly<Record<string, unknown>> = row.answers;
      const { server, api } = await serve(t, ({ url }, response) => {
        if (answers[url] === undefined) sendStatus(response, 404, 'the server could not find the requested resource');
        else sendJson(response, 200, answers[url]);
      });
      t.equal(await api.discover(never), row.version);
      t.same(
        server.seen.map(({ url }) => url),
        row.asked,
      );
    });
  }
  const LIST = `${V1}/certificatesigningrequests`;
  const BETA_LIST = `${BETA}/certificatesigningrequests`;
  for (const row of [
    { name: 'and v1 answers', statuses: { [LIST]: 200 }, found: 'v1', asked: [LIST] },
    {
      name: 'and only v1beta1 answers (was: v1 asked for ever)',
      statuses: { [LIST]: 404, [BETA_LIST]: 200 },
      found: 'v1beta1',
      asked: [LIST, BETA_LIST],
    },
    { name: 'and the requests may not be listed: v1', statuses: { [LIST]: 403 }, found: 'v1', asked: [LIST] },
    { name: 'and neither is there', statuses: {}, found: 'ERR_API_UNSUPPORTED', asked: [LIST, BETA_LIST] },
    { name: 'and the server fails', statuses: { [LIST]: 500 }, found: 'ERR_API_SERVER', asked: [LIST] },
  ] as const) {
    t.test(`a list of resources that RBAC hides, ${row.name}`, async (t) => {
      const statuses: Readonly<Record<string, number>> = row.statuses;
      const { api, server } = await serve(t, ({ url }, response) => {
        if (url === V1) return sendStatus(response, 403, 'forbidden: User "u" cannot get path "/apis"');
        const status = statuses[url.replace('?limit=1', '')] ?? 404;
        return status === 200 ? sendJson(response, 200, { items: [] }) : sendStatus(response, status, 'no');
      });
      const found = await api.discover(never).catch((error: unknown) => asCertletError(error).code);
      t.equal(found, row.found);
      t.same(
        server.seen.map(({ url }) => url),
        [V1, ...row.asked.map((path) => `${path}?limit=1`)],
      );
    });
  }
  t.test('v1beta1 that is back for other resources does not count', async (t) => {
    const { api, server } = await serve(t, ({ url }, response) =>
      url === BETA ? sendJson(response, 200, resources('clustertrustbundles')) : sendStatus(response, 404, 'no'),
    );
    const error = await failureOf(api.discover(never));
    t.equal(error.code, 'ERR_API_UNSUPPORTED');
    t.match(error.remedy, `curl -k ${server.url}/version`);
  });
  t.test('other failures pass', async (t) => {
    const { api } = await serve(t, (_, response) => sendStatus(response, 503, 'no'));
    t.equal((await failureOf(api.discover(never))).code, 'ERR_API_SERVER');
  });
});

t.test('createCsr posts the encoded request and decodes what the server made of it', async (t) => {
  const { server, api } = await serve(t, (_, response) => sendJson(response, 201, csr));
  const created = await api.createCsr(
    'v1beta1',
    { name: 'n', requestPem: 'PEM', signerName: 's/t', usages: ['client auth'] },
    never,
  );
  t.match(created, { name: 'n', uid: 'u', resourceVersion: '5', requestPem: 'PEM' });
  t.match(server.seen[0], { method: 'POST', url: '/apis/certificates.k8s.io/v1beta1/certificatesigningrequests' });
  t.match(JSON.parse(server.seen[0]?.body ?? ''), {
    apiVersion: 'certificates.k8s.io/v1beta1',
    metadata: { name: 'n' },
  });
});

t.test('getCsr names the object; a missing one is ERR_API_NOT_FOUND', async (t) => {
  const { server, api } = await serve(t, ({ url }, response) =>
    url.endsWith('/n') ? sendJson(response, 200, csr) : sendStatus(response, 404, 'not found'),
  );
  t.match(await api.getCsr('v1', 'n', never), { uid: 'u' });
  t.equal((await failureOf(api.getCsr('v1', 'a/b', never))).code, 'ERR_API_NOT_FOUND');
  t.equal(server.seen[1]?.url, '/apis/certificates.k8s.io/v1/certificatesigningrequests/a%2Fb');
});

t.test('mayI asks by SelfSubjectAccessReview', async (t) => {
  const { server, api } = await serve(t, (_, response) =>
    sendJson(response, 201, { kind: 'SelfSubjectAccessReview', status: { allowed: true } }),
  );
  const attributes = {
    verb: 'create',
    group: 'certificates.k8s.io',
    resource: 'certificatesigningrequests',
    subresource: 'nodeclient',
  };
  t.equal(await api.mayI(attributes, never), true);
  t.match(server.seen[0], { method: 'POST', url: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews' });
  t.match(JSON.parse(server.seen[0]?.body ?? ''), {
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: attributes },
  });
});

t.test('getNode is undefined for a Node that is not there', async (t) => {
  const { api } = await serve(t, ({ url }, response) =>
    url === '/api/v1/nodes/n1'
      ? sendJson(response, 200, { kind: 'Node', metadata: {}, status: { nodeInfo: { kubeletVersion: 'v1.20.2' } } })
      : sendStatus(response, url.endsWith('gone') ? 404 : 500, 'no'),
  );
  t.match(await api.getNode('n1', never), { kubeletVersion: 'v1.20.2' });
  t.equal(await api.getNode('gone', never), undefined);
  t.equal((await failureOf(api.getNode('broken', never))).code, 'ERR_API_SERVER');
});

for (const row of [
  { name: 'HTML', type: 'text/html', body: '<html>login</html>', code: 'ERR_API_PROTOCOL' },
  { name: 'broken JSON', type: 'application/json', body: '{"kind":', code: 'ERR_API_PROTOCOL' },
  { name: 'another kind of object', type: 'application/json', body: '{"kind":"Pod"}', code: 'ERR_API_PROTOCOL' },
]) {
  t.test(`an answer of ${row.name} is ${row.code}`, async (t) => {
    const { api } = await serve(
      t,
      (_, response) => void response.writeHead(200, { 'content-type': row.type }).end(row.body),
    );
    t.equal((await failureOf(api.discover(never))).code, row.code);
  });
}

t.test('Retry-After, Date and Warning headers reach the caller; a Warning once per text', async (t) => {
  const warnings: string[] = [];
  const dates: Date[] = [];
  const now = new Date('2026-11-22T10:00:00Z');
  const { api } = await serve(
    t,
    (_, response) => {
      response.setHeader('date', 'Sun, 22 Nov 2026 09:00:00 GMT');
      sendJson(
        response,
        429,
        {},
        { 'retry-after': 'Sun, 22 Nov 2026 10:00:09 GMT', warning: ['299 - "old"', '299 - "older"'] },
      );
    },
    { now: () => now, onWarning: (text) => warnings.push(text), onServerDate: (date, at) => dates.push(date, at) },
  );
  for (let round = 0; round < 2; round += 1) {
    const error = await failureOf(api.request('GET', '/x', undefined, never));
    t.equal(error.code, 'ERR_API_THROTTLED');
    t.equal(error.retryAfterMs, 9000);
  }
  t.same(warnings, ['old', 'older']);
  t.equal(dates[0]?.toISOString(), '2026-11-22T09:00:00.000Z');
  t.equal(dates[1], now);
});

t.test('a server that words each warning anew does not fill the memory', async (t) => {
  const warnings: string[] = [];
  let count = 0;
  const values = (): string[] => Array.from({ length: 60 }, () => `299 - "warning ${String((count += 1))}"`);
  const { api } = await serve(t, (_, response) => sendJson(response, 200, {}, { warning: values() }), {
    onWarning: (text) => warnings.push(text),
  });
  await api.request('GET', '/x', undefined, never);
  await api.request('GET', '/x', undefined, never);
  t.equal(warnings.length, 100);
});

t.test('an aborted request rejects with the reason of the signal, before and while it runs', async (t) => {
  const reason = new Error('stopping');
  const aborter = new AbortController();
  const { api } = await serve(t, () => aborter.abort(reason));
  t.equal(await failureOf(api.discover(aborter.signal)), reason);
  t.equal(await failureOf(api.discover(aborter.signal)), reason);
});

t.test('time limits: no head, a body that stops, and a body that drips', async (t) => {
  const timeouts = { connectMs: 5000, headersMs: 50, bodyMs: 50, totalMs: 5000, watchSilenceMs: 50, execMs: 100 };
  const silent = await serve(t, () => undefined, { timeouts });
  t.match(await failureOf(silent.api.discover(never)), { code: 'ERR_API_UNREACHABLE', message: /no answer in time/ });
  const stops = await serve(
    t,
    (_, response) => void response.writeHead(200, { 'content-type': 'application/json' }).write('{'),
    { timeouts },
  );
  t.match(await failureOf(stops.api.discover(never)), { code: 'ERR_API_UNREACHABLE', message: /the link is dead/ });
  const total = await serve(t, () => undefined, { timeouts: { totalMs: 20 } });
  t.match(await failureOf(total.api.discover(never)), {
    code: 'ERR_API_UNREACHABLE',
    message: /no whole answer in time/,
  });
});

t.test('a connection that is cut is ERR_API_UNREACHABLE, in the head and in the body', async (t) => {
  const head = await serve(t, (_, response) => void response.socket?.destroy());
  t.match(await failureOf(head.api.discover(never)), { code: 'ERR_API_UNREACHABLE' });
  const body = await serve(t, (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
    response.write('{', () => response.socket?.destroy());
  });
  t.match(await failureOf(body.api.discover(never)), { code: 'ERR_API_UNREACHABLE' });
});

t.test('nothing listens', async (t) => {
  const { server, api } = await serve(t, () => undefined);
  await server.close();
  const error = await failureOf(api.discover(never));
  t.match(error, {
    code: 'ERR_API_UNREACHABLE',
    message: /nothing listens there \(ECONNREFUSED\)/,
    remedy: `nc -vz 127.0.0.1 ${String(server.port)}`,
  });
});

t.test('a name that does not resolve', async (t) => {
  const api = connect(t, { server: 'https://certlet.invalid:6443', insecureSkipTlsVerify: false });
  const error = await failureOf(api.discover(never));
  t.equal(error.code, 'ERR_API_UNREACHABLE');
  t.match(error.remedy, /getent hosts certlet\.invalid/);
});

t.test('close lets running requests end; the next request opens a new pool', async (t) => {
  let answer = (): void => undefined;
  const arrived = Promise.withResolvers<void>();
  const { server, api } = await serve(t, (_, response) => {
    answer = () => sendJson(response, 200, CSRS);
    arrived.resolve();
  });
  const running = api.discover(never);
  await arrived.promise;
  const closing = api.close();
  answer();
  t.equal(await running, 'v1');
  await closing;
  const again = api.discover(never);
  const before = server.seen.length;
  while (server.seen.length === before) await new Promise((resolve) => setImmediate(resolve));
  answer();
  t.equal(await again, 'v1');
  t.equal(server.connections(), 2);
});

t.test('each connection of a connector has sockets of its own', async (t) => {
  const { server } = await serve(t, (_, response) => sendJson(response, 200, CSRS));
  const connector = connectorOf();
  for (let round = 0; round < 2; round += 1) {
    const api = connector.connect(accessTo(server, authority), { kind: 'token', token: new Secret('x') });
    await api.discover(never);
    await api.close();
  }
  t.equal(server.connections(), 2);
});
