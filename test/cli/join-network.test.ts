/** What keeps `join` from the API server: each time with what to do about it. */
import { createServer } from 'node:net';
import t, { type Test } from 'tap';
import { createDiscoveryFetch } from '../../src/adapters/discovery-fetch.ts';
import { discoverByToken } from '../../src/cli/token-discovery.ts';
import { parseBootstrapToken } from '../../src/discovery/bootstrap-token.ts';
import { parseCaPin } from '../../src/discovery/ca-pin.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';
import { FakeClock } from '../fixtures/fakes/clock.ts';
import { failureOf, loopbackLeaf, never, TOKEN } from '../fixtures/http/api.ts';
import { startProxy } from '../fixtures/http/connect-proxy.ts';
import { type Handler, sendJson, startServer } from '../fixtures/http/scripted-server.ts';

const authority = createAuthority({ name: 'kubernetes' });

interface Place {
  readonly endpoint: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** For a whole answer; long where one comes. */
  readonly patienceMs?: number;
}

async function serving(t: Test, handler: Handler): Promise<Place> {
  const server = await startServer({ leaf: loopbackLeaf(authority) }, handler);
  t.teardown(() => server.close());
  return { endpoint: server.url };
}

const answering =
  (status: number, body = '', headers: Readonly<Record<string, string>> = {}) =>
  (t: Test): Promise<Place> =>
    serving(t, (_, response) => void response.writeHead(status, headers).end(body));

/** Nobody waits in these tests: the first failure is the last. */
function joining({ endpoint, environment = {}, patienceMs = 60_000 }: Place) {
  return discoverByToken(
    { endpoint, token: parseBootstrapToken(TOKEN, 'the test'), pins: [], timeoutMs: 0 },
    {
      fetch: createDiscoveryFetch(environment, patienceMs),
      clock: new FakeClock(),
      chance: { roll: () => 0.5 },
      progress: () => undefined,
    },
    never,
  );
}

interface Row {
  readonly name: string;
  readonly place: (t: Test) => Promise<Place>;
  readonly code: string;
  readonly says: RegExp;
  readonly remedy: RegExp;
}

const ROWS: readonly Row[] = [
  {
    name: 'nothing listens',
    place: async () => {
      const server = await startServer({ leaf: loopbackLeaf(authority) }, (_, response) => sendJson(response, 200, {}));
      await server.close();
      return { endpoint: server.url };
    },
    code: 'ERR_TIMEOUT',
    says: /ECONNREFUSED/,
    remedy: /^nc -vz 127\.0\.0\.1 \d+/,
  },
  {
    name: 'no answer comes',
    place: async (t) => ({ ...(await serving(t, () => undefined)), patienceMs: 200 }),
    code: 'ERR_TIMEOUT',
    says: /in time/,
    remedy: /^nc -vz 127\.0\.0\.1 \d+/,
  },
  {
    name: 'the name does not resolve',
    place: async () => ({ endpoint: 'https://certlet.invalid:6443' }),
    code: 'ERR_TIMEOUT',
    says: /name/,
    remedy: /^getent hosts certlet\.invalid/,
  },
  {
    name: 'it speaks no TLS',
    place: async (t) => {
      const plain = createServer((socket) =>
        socket.on('error', () => undefined).end('HTTP/1.1 400 Bad Request\r\n\r\n'),
      );
      await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
      t.teardown(() => void plain.close());
      const address = plain.address();
      return { endpoint: `https://127.0.0.1:${typeof address === 'object' ? String(address?.port) : ''}` };
    },
    code: 'ERR_API_TLS',
    says: /does not speak TLS/,
    remedy: /^openssl s_client .*check host and port of ENDPOINT/,
  },
  {
    name: 'the proxy wants a password',
    place: async (t) => {
      const proxy = await startProxy({ credentials: 'user:secret' });
      t.teardown(() => proxy.close());
      return { endpoint: 'https://certlet.invalid:6443', environment: { HTTPS_PROXY: `http://${proxy.host}` } };
    },
    code: 'ERR_TIMEOUT',
    says: /refuses the connection \(407\)/,
    remedy: /user and password in HTTPS_PROXY/,
  },
  {
    name: 'a redirect',
    place: answering(302, '', { location: 'https://login.example/' }),
    code: 'ERR_DISCOVERY',
    says: /302, a redirect, which is not followed/,
    remedy: /^curl -kis https:\/\/127\.0\.0\.1:\d+\/version .*ENDPOINT/,
  },
  {
    name: 'a login page',
    place: answering(200, '<html>Log in</html>'),
    code: 'ERR_DISCOVERY',
    says: /no JSON; something else than an API server/,
    remedy: /print-join-command .*endpoint/,
  },
  {
    name: 'another server with its own status',
    place: answering(418),
    code: 'ERR_DISCOVERY',
    says: /unexpected status 418/,
    remedy: /^curl -kis /,
  },
  { name: 'it is busy', place: answering(429), code: 'ERR_TIMEOUT', says: /429/, remedy: /^curl -ks .*\/version/ },
  {
    name: 'it is broken',
    place: answering(503),
    code: 'ERR_TIMEOUT',
    says: /503/,
    remedy: /^curl -ks .*kube-apiserver/,
  },
  { name: 'no cluster-info', place: answering(404), code: 'ERR_TIMEOUT', says: /404/, remedy: /bootstrap-token/ },
  {
    name: 'no anonymous users',
    place: answering(403),
    code: 'ERR_DISCOVERY',
    says: /anonymous/,
    remedy: /--discovery-file/,
  },
  {
    name: 'an answer without end',
    place: answering(200, 'x'.repeat(600 * 1024)),
    code: 'ERR_API_PROTOCOL',
    says: /larger than/,
    remedy: /host and port of ENDPOINT/,
  },
];

for (const { name, place, code, says, remedy } of ROWS)
  t.test(`join did not say what to do: ${name}`, async (t) => {
    t.match(await failureOf(joining(await place(t))), { code, message: says, remedy });
  });

t.test('a hash without sha256: is told as it has to be written', async (t) => {
  const digest = 'ab'.repeat(32);
  const bad = async (text: string) => parseCaPin(text);
  t.match(await failureOf(bad(digest)), {
    code: 'ERR_USAGE',
    remedy: `Write --discovery-token-ca-cert-hash sha256:${digest}`,
  });
  t.match(await failureOf(bad('sha256:ab')), { code: 'ERR_USAGE', remedy: /: openssl .*s\/\^\/sha256:\// });
});
