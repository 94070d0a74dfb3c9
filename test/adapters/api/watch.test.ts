import type { ServerResponse } from 'node:http';
import t from 'tap';
import type { Test } from 'tap';
import type { ApiConnectorOptions } from '../../../src/adapters/api/connector.ts';
import type { CsrWatchEvent } from '../../../src/csr/wire.ts';
import type { ApiConnection } from '../../../src/ports.ts';
import { createAuthority } from '../../fixtures/cluster/authority.ts';
import { accessTo, connect, failureOf, loopbackLeaf, never, tokenCredential } from '../../fixtures/http/api.ts';
import type { Handler, ScriptedServer } from '../../fixtures/http/scripted-server.ts';
import { sendStatus, startServer } from '../../fixtures/http/scripted-server.ts';

const authority = createAuthority({ name: 'kubernetes' });
const leaf = loopbackLeaf(authority);

const object = (resourceVersion: string) => ({
  kind: 'CertificateSigningRequest',
  metadata: { name: 'grün', uid: 'u', resourceVersion, creationTimestamp: '2026-11-22T10:00:00Z' },
  spec: { request: Buffer.from('PEM').toString('base64'), usages: ['client auth'] },
});
const line = (type: string, resourceVersion: string): string =>
  `${JSON.stringify({ type, object: object(resourceVersion) })}\n`;

async function serve(
  t: Test,
  handler: Handler,
  options: Partial<ApiConnectorOptions> = {},
): Promise<{ server: ScriptedServer; api: ApiConnection }> {
  const server = await startServer({ leaf }, handler);
  const api = connect(t, accessTo(server, authority), tokenCredential, options);
  t.teardown(() => server.close());
  return { server, api };
}

function begin(response: ServerResponse): ServerResponse {
  return response.writeHead(200, { 'content-type': 'application/json' });
}

async function eventsOf(api: ApiConnection, signal: AbortSignal = never): Promise<readonly CsrWatchEvent[]> {
  const events: CsrWatchEvent[] = [];
  for await (const event of api.watchCsr('v1', 'node-csr-x', '41', signal)) events.push(event);
  return events;
}

t.test('a watch asks for one name from a resourceVersion, with bookmarks, and ends with the server', async (t) => {
  const { server, api } = await serve(t, (_, response) => {
    begin(response).write(line('ADDED', '42'));
    const modified = Buffer.from(line('MODIFIED', '43'));
    // Cut inside the two bytes of ü.
    const at = modified.indexOf(0xc3) + 1;
    response.write(modified.subarray(0, at), () => {
      response.write(modified.subarray(at));
      response.write(
        `${JSON.stringify({ type: 'BOOKMARK', object: { kind: 'CertificateSigningRequest', metadata: { resourceVersion: '50' } } })}\n`,
      );
      response.write(
        `${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, message: 'too old' } })}\n`,
      );
      response.end(line('DELETED', '51').trimEnd());
    });
  });
  t.match(await eventsOf(api), [
    { type: 'ADDED', object: { resourceVersion: '42', name: 'grün' } },
    { type: 'MODIFIED', object: { resourceVersion: '43', name: 'grün' } },
    { type: 'BOOKMARK', resourceVersion: '50' },
    { type: 'ERROR', code: 410 },
    { type: 'DELETED', object: { resourceVersion: '51' } },
  ]);
  const url = new URL(server.seen[0]?.url ?? '', server.url);
  t.equal(url.pathname, '/apis/certificates.k8s.io/v1/certificatesigningrequests');
  t.same(Object.fromEntries(url.searchParams), {
    watch: 'true',
    fieldSelector: 'metadata.name=node-csr-x',
    resourceVersion: '41',
    allowWatchBookmarks: 'true',
    timeoutSeconds: '170',
  });
});

t.test('events come while the watch is open, and the connection is free again after its end', async (t) => {
  const responses: ServerResponse[] = [];
  const { server, api } = await serve(t, (_, response) => {
    responses.push(response);
    begin(response).write(line('ADDED', '1'));
  });
  const seen: string[] = [];
  for await (const event of api.watchCsr('v1', 'x', '0', never)) {
    seen.push(event.type);
    if (seen.length === 1) responses[0]?.write(line('MODIFIED', '2'));
    else responses[0]?.end();
  }
  t.same(seen, ['ADDED', 'MODIFIED']);
  for await (const event of api.watchCsr('v1', 'x', '0', never)) {
    t.equal(event.type, 'ADDED');
    break;
  }
  t.equal(server.connections(), 1);
});

t.test('whoever stops reading closes the watch at the server', async (t) => {
  const closed = Promise.withResolvers<void>();
  const { api } = await serve(t, (_, response) => {
    response.on('close', () => closed.resolve());
    begin(response).write(line('ADDED', '1'));
  });
  for await (const event of api.watchCsr('v1', 'x', '0', never)) {
    t.equal(event.type, 'ADDED');
    break;
  }
  await closed.promise;
  t.pass('the server saw it end');
});

t.test('an aborted watch rejects with the reason of the signal', async (t) => {
  const aborter = new AbortController();
  const reason = new Error('stopping');
  const { api } = await serve(t, (_, response) => {
    begin(response).write(line('ADDED', '1'));
  });
  const work = (async () => {
    for await (const event of api.watchCsr('v1', 'x', '0', aborter.signal)) {
      t.equal(event.type, 'ADDED');
      aborter.abort(reason);
    }
  })();
  t.equal(await failureOf(work), reason);
});

for (const row of [
  {
    name: 'forbidden',
    handler: (r: ServerResponse) =>
      sendStatus(
        r,
        403,
        'forbidden: User "u" cannot watch resource "certificatesigningrequests" in API group "certificates.k8s.io" at the cluster scope',
      ),
    code: 'ERR_API_FORBIDDEN',
  },
  { name: 'throttled', handler: (r: ServerResponse) => sendStatus(r, 429, 'slow'), code: 'ERR_API_THROTTLED' },
  {
    name: 'answered by HTML',
    handler: (r: ServerResponse) => void r.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
    code: 'ERR_API_PROTOCOL',
  },
  { name: 'garbage', handler: (r: ServerResponse) => void begin(r).end('{"type":\n'), code: 'ERR_API_PROTOCOL' },
  {
    name: 'an event of no known type',
    handler: (r: ServerResponse) => void begin(r).end('{"type":"X","object":{}}\n'),
    code: 'ERR_API_PROTOCOL',
  },
  {
    name: 'cut off between events',
    handler: (r: ServerResponse) => void begin(r).write(line('ADDED', '1'), () => r.socket?.destroy()),
    code: 'ERR_API_UNREACHABLE',
  },
  {
    name: 'cut off inside an event',
    handler: (r: ServerResponse) => void begin(r).write('{"type":"ADD', () => r.socket?.destroy()),
    code: 'ERR_API_UNREACHABLE',
  },
]) {
  t.test(`a watch that is ${row.name} throws ${row.code}`, async (t) => {
    const { api } = await serve(t, (_, response) => row.handler(response));
    const error = await failureOf(eventsOf(api));
    t.equal(error.code, row.code);
    t.match(error.message, /GET \/apis\/certificates\.k8s\.io\/v1\/certificatesigningrequests|watch event/);
  });
}

t.test('410 as an answer is the same as 410 as an event', async (t) => {
  const { api } = await serve(t, (_, response) =>
    sendStatus(response, 410, 'too old resource version', { reason: 'Expired' }),
  );
  t.match(await eventsOf(api), [{ type: 'ERROR', code: 410, message: /too old resource version/ }]);
});

t.test('silence longer than allowed is a dead link', async (t) => {
  const { api } = await serve(t, (_, response) => void begin(response).write(line('ADDED', '1')), {
    timeouts: { watchSilenceMs: 50 },
  });
  t.match(await failureOf(eventsOf(api)), { code: 'ERR_API_UNREACHABLE', message: /the link is dead/ });
});

t.test('the time limit of ordinary requests does not end a watch', async (t) => {
  const { api } = await serve(
    t,
    (_, response) => {
      begin(response).flushHeaders();
      setTimeout(() => response.end(line('ADDED', '1')), 60);
    },
    { timeouts: { totalMs: 20 } },
  );
  t.match(await eventsOf(api), [{ type: 'ADDED' }]);
});
