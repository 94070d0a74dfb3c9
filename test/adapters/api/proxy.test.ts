import t from 'tap';
import type { Test } from 'tap';
import { redact } from '../../../src/adapters/log/redact.ts';
import { Secret } from '../../../src/secret.ts';
import { createAuthority } from '../../fixtures/cluster/authority.ts';
import {
  accessTo,
  connect,
  connectorOf,
  failureOf,
  loopbackLeaf,
  never,
  TOKEN,
  tokenCredential,
} from '../../fixtures/http/api.ts';
import { startProxy } from '../../fixtures/http/connect-proxy.ts';
import type { ConnectProxy, ConnectProxyOptions } from '../../fixtures/http/connect-proxy.ts';
import { sendJson, startServer } from '../../fixtures/http/scripted-server.ts';
import type { ScriptedServer } from '../../fixtures/http/scripted-server.ts';
import { proxyOf } from '../../fixtures/proxy-url.ts';

const authority = createAuthority({ name: 'kubernetes' });
const clients = createAuthority({ name: 'clients' });
const proxies = createAuthority({ name: 'proxies' });

async function serve(
  t: Test,
  options: ConnectProxyOptions = {},
): Promise<{ server: ScriptedServer; proxy: ConnectProxy }> {
  const server = await startServer({ leaf: loopbackLeaf(authority), clientCas: [clients] }, ({ url }, response) => {
    if (url.includes('watch=true')) {
      const bookmark = {
        type: 'BOOKMARK',
        object: { kind: 'CertificateSigningRequest', metadata: { resourceVersion: '7' } },
      };
      response.writeHead(200, { 'content-type': 'application/json' }).end(`${JSON.stringify(bookmark)}\n`);
    } else sendJson(response, 200, { kind: 'APIResourceList', resources: [{ name: 'certificatesigningrequests' }] });
  });
  const proxy = await startProxy(options);
  t.teardown(() => Promise.all([server.close(), proxy.close()]));
  return { server, proxy };
}

t.test(
  'through an http proxy of the kubeconfig with a password: discovery, watch, client certificate, glimpse',
  async (t) => {
    const { server, proxy } = await serve(t, { credentials: 'us er:p@ss' });
    const cluster = accessTo(server, authority, {
      proxyUrl: proxyOf(`http://us%20er:p%40ss@${proxy.host}`),
      tlsServerName: 'kubernetes',
    });
    const pair = clients.issue({ commonName: 'system:node:n1' });
    const api = connect(t, cluster, { kind: 'certificate', chainPem: pair.chainPem, keyPem: new Secret(pair.keyPem) });
    t.equal(await api.discover(never), 'v1');
    for await (const event of api.watchCsr('v1', 'x', '1', never))
      t.match(event, { type: 'BOOKMARK', resourceVersion: '7' });
    t.match(server.seen[0], { clientName: 'system:node:n1', serverName: 'kubernetes' });
    t.match((await connectorOf().glimpse(cluster, never)).certificate, { issuer: 'CN=kubernetes' });
    t.same(new Set(proxy.targets), new Set([`127.0.0.1:${String(server.port)}`]));
    t.notMatch(JSON.stringify(server.seen), /proxy-authorization/i, 'the password goes to the proxy only');
  },
);

t.test('through an https proxy named by address, whose certificate is verified', async (t) => {
  const { server, proxy } = await serve(t, { leaf: loopbackLeaf(proxies) });
  const cluster = accessTo(server, authority, { proxyUrl: proxyOf(`https://${proxy.host}`) });
  const untrusted = await failureOf(connect(t, cluster).discover(never));
  t.equal(untrusted.code, 'ERR_API_TLS');
  t.equal(untrusted.reason, undefined, 'the CA of the kubeconfig is not to blame');
  t.match(untrusted.message, `the certificate of the proxy ${proxy.host} is signed neither by`);
  t.match(untrusted.remedy, `openssl s_client -connect ${proxy.host} `, 'the command looks at the proxy');
  t.same(server.seen, [], 'nothing passed');
  t.same(proxy.targets, []);
});

for (const row of [
  {
    name: 'is for another name',
    leaf: authority.issue({ dnsNames: ['proxy.example'] }),
    code: 'ERR_API_TLS',
    words: /the certificate of the proxy 127\.0\.0\.1:\d+ is for another name: /,
    reason: 'other name',
  },
  {
    name: 'has no alternative names',
    leaf: authority.issue({ commonName: '127.0.0.1' }),
    code: 'ERR_API_TLS_NO_NAMES',
    words: /the certificate of the proxy 127\.0\.0\.1:\d+: .*no subject alternative names/,
  },
  {
    name: 'has expired',
    leaf: authority.issue({ ipAddresses: ['127.0.0.1'], notAfter: new Date(Date.now() - 1000) }),
    code: 'ERR_API_TLS_DATES',
    words: /the certificate of the proxy 127\.0\.0\.1:\d+ has expired/,
  },
]) {
  t.test(`the server is not blamed for a proxy whose certificate ${row.name}`, async (t) => {
    const { server, proxy } = await serve(t, { leaf: row.leaf });
    const cluster = accessTo(server, authority, { proxyUrl: proxyOf(`https://${proxy.host}`) });
    for (const error of [
      await failureOf(connect(t, cluster).discover(never)),
      await failureOf(connectorOf().glimpse(cluster, never)),
    ])
      t.match(error, { code: row.code, message: row.words, reason: row.reason });
  });
}

t.test('the server is not blamed for an https proxy that speaks no TLS', async (t) => {
  const { server, proxy } = await serve(t);
  const cluster = accessTo(server, authority, { proxyUrl: proxyOf(`https://${proxy.host}`) });
  t.match(await failureOf(connect(t, cluster).discover(never)), {
    code: 'ERR_API_TLS',
    message: `the TLS handshake with the proxy ${proxy.host} failed`,
    remedy: /check scheme, host and port of the proxy$/,
  });
});

t.test("an https proxy is trusted by the kubeconfig's CA, as in Go, or by the flag that trusts anybody", async (t) => {
  const { server, proxy } = await serve(t, { leaf: loopbackLeaf(authority) });
  const proxyUrl = proxyOf(`https://${proxy.host}`);
  t.equal(await connect(t, accessTo(server, authority, { proxyUrl })).discover(never), 'v1');
  t.match((await connectorOf().glimpse(accessTo(server, authority, { proxyUrl }), never)).certificate, {
    issuer: 'CN=kubernetes',
  });
  t.equal(proxy.targets.length, 2);
  const unknown = await serve(t, { leaf: loopbackLeaf(proxies) });
  const lax = {
    server: unknown.server.url,
    insecureSkipTlsVerify: true,
    proxyUrl: proxyOf(`https://${unknown.proxy.host}`),
  };
  t.equal(await connect(t, lax).discover(never), 'v1');
});

t.test('proxy variables of the environment, except for loopback servers', async (t) => {
  const { server, proxy } = await serve(t);
  const environment = { HTTPS_PROXY: `http://${proxy.host}` };
  await connect(t, accessTo(server, authority), tokenCredential, { environment }).discover(never);
  t.same(proxy.targets, [], 'loopback goes direct');
  const far = connect(t, { server: 'https://certlet.invalid:6443', insecureSkipTlsVerify: false }, tokenCredential, {
    environment,
  });
  const error = await failureOf(far.discover(never));
  t.equal(error.code, 'ERR_API_UNREACHABLE');
  t.match(error.message, `through the proxy ${proxy.host}`);
  t.same(proxy.targets, ['certlet.invalid:6443']);
});

for (const row of [
  { name: '407', status: 407, words: /refuses the connection \(407\)/, remedy: /user and password in proxy-url/ },
  { name: '403', status: 403, words: /refuses the connection \(403\)/, remedy: /allow CONNECT to 127\.0\.0\.1:\d+/ },
]) {
  t.test(`a proxy that answers CONNECT with ${row.name}`, async (t) => {
    const { server, proxy } = await serve(t, { refuseWith: row.status });
    const cluster = accessTo(server, authority, { proxyUrl: proxyOf(`http://u:hidden@${proxy.host}`) });
    for (const error of [
      await failureOf(connect(t, cluster).discover(never)),
      await failureOf(connectorOf().glimpse(cluster, never)),
    ]) {
      t.equal(error.code, 'ERR_API_UNREACHABLE');
      t.match(error.message, row.words);
      t.match(error.remedy, row.remedy);
      t.notMatch(`${error.message} ${String(error.remedy)}`, new RegExp(`hidden|${TOKEN}`));
      t.equal(redact(error.remedy ?? ''), error.remedy, 'a log does not blot the advice out');
    }
  });
}

t.test('a proxy that says nothing, and one that is not there', async (t) => {
  const { server, proxy } = await serve(t, { refuseWith: 0 });
  const cluster = accessTo(server, authority, { proxyUrl: proxyOf(`http://${proxy.host}`) });
  const watch = connect(t, cluster, tokenCredential, { timeouts: { headersMs: 50 } }).watchCsr('v1', 'x', '1', never);
  t.match(
    await failureOf(watch[Symbol.asyncIterator]().next()),
    { code: 'ERR_API_UNREACHABLE', message: /no answer in time/ },
    'a watch has no other limit',
  );
  await proxy.close();
  t.match(
    await failureOf(connect(t, cluster).discover(never)),
    {
      code: 'ERR_API_UNREACHABLE',
      message: /nothing listens/,
      remedy: `nc -vz ${proxy.host.replace(':', ' ')}`,
    },
    'the command looks at the proxy: the server cannot be reached from here',
  );
});

t.test('an environment that names a proxy certlet cannot speak to', async (t) => {
  const api = connect(t, { server: 'https://certlet.invalid', insecureSkipTlsVerify: false }, tokenCredential, {
    environment: { HTTPS_PROXY: 'socks5://p' },
  });
  t.match(await failureOf(api.discover(never)), { code: 'ERR_API_UNREACHABLE', remedy: /NO_PROXY/ });
});

t.test(
  'a proxy where nothing listens: the remedy asks whether the server runs there, and it is the proxy',
  async (t) => {
    const { server, proxy } = await serve(t);
    await proxy.close();
    const cluster = accessTo(server, authority, { proxyUrl: proxyOf(`http://${proxy.host}`) });
    const { code, remedy } = await failureOf(connect(t, cluster).discover(never));
    const [host = '', port = ''] = proxy.host.split(':');
    t.strictSame(
      { code, remedy },
      {
        code: 'ERR_API_UNREACHABLE',
        remedy: `nc -vz ${host} ${port}   # whether the proxy runs there; then route and firewall`,
      },
    );
  },
);
