import { spawn } from 'node:child_process';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { serverNameIndication } from '../../src/adapters/api/server-identity.ts';
import { createDiscoveryFetch, type FetchTrust } from '../../src/adapters/discovery-fetch.ts';
import { createAuthority, type Issued } from '../fixtures/cluster/authority.ts';
import { failureOf, loopbackLeaf, never } from '../fixtures/http/api.ts';
import { startProxy } from '../fixtures/http/connect-proxy.ts';
import { sendJson, startServer } from '../fixtures/http/scripted-server.ts';
import { withoutOpenssl } from '../fixtures/openssl.ts';

const authority = createAuthority({ name: 'kubernetes' });
const trust = { kind: 'ca', caPem: authority.pem } as const;

t.test("join's endpoint passes by its common name alone", async (t) => {
  const leaf = authority.issue({ commonName: '127.0.0.1' });
  const server = await startServer({ leaf }, (_, response) => sendJson(response, 200, {}));
  t.teardown(() => server.close());
  t.match(await failureOf(createDiscoveryFetch({})(server.url, trust, never)), {
    code: 'ERR_API_TLS_NO_NAMES',
    message: /no subject alternative names/,
    remedy: /subjectAltName/,
  });
});

t.test('the SNI of a host with a dot at its end is without it, and an address is never SNI', async (t) => {
  t.equal(serverNameIndication('api.example.'), 'api.example');
  t.equal(serverNameIndication('[fd00::1]'), '');
  const server = await startServer({ leaf: loopbackLeaf(authority) }, (_, response) => sendJson(response, 200, {}));
  t.teardown(() => server.close());
  t.match(await createDiscoveryFetch({})(server.url, trust, never), { status: 200, body: '{}' });
  t.equal(server.seen[0]?.serverName, '');
});

t.test('join goes through the proxy that Go would choose, with a password that Node could not read', async (t) => {
  const server = await startServer({ leaf: authority.issue({ dnsNames: ['certlet.invalid'] }) }, (_, response) =>
    sendJson(response, 200, {}),
  );
  const proxy = await startProxy({ credentials: 'user:100%', to: server.port });
  t.teardown(() => Promise.all([server.close(), proxy.close()]));
  const ask = createDiscoveryFetch({ HTTPS_PROXY: `user:100%@${proxy.host}/path` });
  t.match(await ask('https://certlet.invalid:6443/x', trust, never), { status: 200 });
  t.same(proxy.targets, ['certlet.invalid:6443']);
  t.match(
    await failureOf(
      createDiscoveryFetch({ HTTPS_PROXY: 'http://u:hid/hidden@p' })('https://certlet.invalid/', trust, never),
    ),
    {
      code: 'ERR_API_UNREACHABLE',
      message: /the proxy named by HTTPS_PROXY cannot be used/,
      remedy: /%2F/,
    },
  );
});

t.test(
  "join tells what a proxy refuses without its remedy, and a proxy's expired certificate as one that is not trusted",
  async (t) => {
    const server = await startServer({ leaf: loopbackLeaf(authority) }, (_, response) => sendJson(response, 200, {}));
    const locked = await startProxy({ credentials: 'user:right', to: server.port });
    const expired = authority.issue({ ipAddresses: ['127.0.0.1'], notAfter: new Date(Date.now() - 1000) });
    const old = await startProxy({ leaf: expired, to: server.port });
    t.teardown(() => Promise.all([server.close(), locked.close(), old.close()]));
    const failed = (proxy: string): Promise<unknown> =>
      failureOf(createDiscoveryFetch({ HTTPS_PROXY: proxy })('https://certlet.invalid:6443/', trust, never));
    t.match(await failed(`http://user:wrong@${locked.host}`), {
      code: 'ERR_API_UNREACHABLE',
      message: `the proxy ${locked.host} refuses the connection (407)`,
      remedy: /Check user and password/,
    });
    t.match(await failed(`https://${old.host}`), {
      code: 'ERR_API_TLS_DATES',
      message: `the certificate of the proxy ${old.host} has expired`,
      remedy: /date -u/,
    });
    t.same(server.seen, []);
  },
);

interface Untold {
  readonly name: string;
  readonly leaf?: Issued;
  readonly trust?: FetchTrust;
  readonly code?: string;
  readonly words: RegExp;
  readonly remedy: RegExp;
}

const namesake = createAuthority({ name: 'kubernetes' });
const ended = createAuthority({ name: 'ended', notAfter: new Date(Date.now() - 1000) });
const UNTOLD: readonly Untold[] = [
  {
    name: 'a certificate for another name',
    leaf: authority.issue({ dnsNames: ['api.example'] }),
    words: /certificate is for another name: 127\.0\.0\.1 is not among DNS:api\.example$/,
    remedy: /names or addresses as ENDPOINT/,
  },
  {
    name: 'a certificate of another CA',
    leaf: loopbackLeaf(createAuthority({ name: 'other' })),
    words: /not signed by a CA of cluster-info that is pinned/,
    remedy: /^openssl s_client -connect 127\.0\.0\.1:\d+ .* {3}# .*print-join-command/,
  },
  {
    name: 'a certificate of another CA of the same name',
    leaf: loopbackLeaf(namesake),
    words: /a CA of that name is in cluster-info, with another key/,
    remedy: /print-join-command/,
  },
  {
    name: 'a CA that has expired',
    leaf: loopbackLeaf(ended),
    trust: { kind: 'ca', caPem: ended.pem },
    code: 'ERR_API_TLS_DATES',
    words: /expired/,
    remedy: /kubeadm init phase bootstrap-token/,
  },
  {
    name: 'a certificate that has expired',
    leaf: authority.issue({ ipAddresses: ['127.0.0.1'], notAfter: new Date(Date.now() - 1000) }),
    code: 'ERR_API_TLS_DATES',
    words: /has expired by this node's clock/,
    remedy: /date -u; openssl s_client/,
  },
  {
    name: 'a certificate for clients',
    leaf: authority.issue({ ipAddresses: ['127.0.0.1'], usages: ['client auth'] }),
    words: /a CA of cluster-info has signed the certificate, but/,
    remedy: /serverAuth/,
  },
  {
    name: 'a server of a discovery file whose CA this host does not have',
    leaf: loopbackLeaf(authority),
    trust: { kind: 'system' },
    words: /not signed by a CA that this host trusts \(/,
    remedy: /--discovery-file its path/,
  },
];

for (const { name, leaf, trust: given, code, words, remedy } of UNTOLD) {
  t.test(`join did not say what to do about ${name}`, async (t) => {
    const server = await startServer({ leaf: leaf ?? loopbackLeaf(authority) }, (_, response) =>
      sendJson(response, 200, {}),
    );
    t.teardown(() => server.close());
    const error = await failureOf(createDiscoveryFetch({})(`${server.url}/x`, given ?? trust, never));
    t.match(error, { code: code ?? 'ERR_API_TLS', message: words, remedy });
    t.ok(error.message.startsWith(`GET /x at ${server.url}: `), error.message);
    t.notMatch(error.remedy, /kubeconfig/, 'there is none yet');
  });
}

t.test('join did not say what to do about an endpoint where nothing listens', async (t) => {
  const gone = await startServer({ leaf: loopbackLeaf(authority) }, (_, response) => sendJson(response, 200, {}));
  await gone.close();
  t.match(await failureOf(createDiscoveryFetch({})(`${gone.url}/x`, { kind: 'unverified' }, never)), {
    code: 'ERR_API_UNREACHABLE',
    message: /nothing listens there \(ECONNREFUSED\)$/,
    remedy: `nc -vz 127.0.0.1 ${String(gone.port)}`,
  });
});

t.test('join did not say what to do about an endpoint that speaks no TLS', async (t) => {
  const plain = createServer((socket) => socket.on('error', () => undefined).end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
  t.teardown(() => void plain.close());
  const url = `https://127.0.0.1:${String((plain.address() as AddressInfo).port)}/x`;
  t.match(await failureOf(createDiscoveryFetch({})(url, { kind: 'unverified' }, never)), {
    code: 'ERR_API_TLS',
    message: /does not speak TLS$/,
    remedy: /^openssl .* {3}# .*check host and port of ENDPOINT/,
  });
});

t.test('join did not say that the server demands a client certificate', { skip: withoutOpenssl }, async (t) => {
  const leaf = loopbackLeaf(authority);
  const pem = join(t.testdir({ 'server.pem': leaf.chainPem + leaf.keyPem }), 'server.pem');
  const server = spawn(
    'openssl',
    ['s_server', '-accept', '127.0.0.1:0', '-cert', pem, '-key', pem, '-CAfile', pem, '-Verify', '1', '-www'],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  t.teardown(() => server.kill());
  let port = '';
  for await (const chunk of server.stdout as AsyncIterable<Buffer>) {
    port = /ACCEPT 127\.0\.0\.1:(\d+)/.exec(chunk.toString())?.[1] ?? '';
    if (port !== '') break;
  }
  t.match(await failureOf(createDiscoveryFetch({})(`https://127.0.0.1:${port}/x`, trust, never)), {
    code: 'ERR_API_UNAUTHORIZED',
    message: /demands a client certificate, and there is none \(certificate required\)$/,
    remedy: /a node that joins has none yet/,
  });
});

t.test('an answer whose end does not come is no answer in time', async (t) => {
  const server = await startServer({ leaf: loopbackLeaf(authority) }, (_, response) => {
    response.writeHead(200).write('{');
  });
  t.teardown(() => server.close());
  t.match(await failureOf(createDiscoveryFetch({}, 500)(`${server.url}/x`, trust, never)), {
    code: 'ERR_API_UNREACHABLE',
    message: /no whole answer in time/,
  });
});
