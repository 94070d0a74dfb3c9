import t from 'tap';
import { serverNameIndication } from '../../src/adapters/api/server-identity.ts';
import { createDiscoveryFetch } from '../../src/adapters/discovery-fetch.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';
import { failureOf, loopbackLeaf, never } from '../fixtures/http/api.ts';
import { startProxy } from '../fixtures/http/connect-proxy.ts';
import { sendJson, startServer } from '../fixtures/http/scripted-server.ts';

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
