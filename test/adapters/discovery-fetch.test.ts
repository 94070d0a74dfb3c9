import t from 'tap';
import { serverIdentity } from '../../src/adapters/api/server-identity.ts';
import { createDiscoveryFetch } from '../../src/adapters/discovery-fetch.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';
import { failureOf, loopbackLeaf, never } from '../fixtures/http/api.ts';
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
  t.match(serverIdentity('api.example.', 'api.example.'), { servername: 'api.example' });
  t.equal(serverIdentity('[fd00::1]', '[fd00::1]').servername, undefined);
  const server = await startServer({ leaf: loopbackLeaf(authority) }, (_, response) => sendJson(response, 200, {}));
  t.teardown(() => server.close());
  t.match(await createDiscoveryFetch({})(server.url, trust, never), { status: 200, body: '{}' });
  t.equal(server.seen[0]?.serverName, '');
});
