import { Agent, request } from 'node:https';
import t, { type Test } from 'tap';
import { type FakeCluster, type FakeClusterOptions, startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { deepJson, type FaultKind, hugeJson, LOGIN_PAGE } from '../fixtures/cluster/faults.ts';
import { send } from '../fixtures/cluster/plain-client.ts';
import { asBootstrap, requestsPath, submission, submit } from '../fixtures/cluster/scenario.ts';

async function started(t: Test, options: FakeClusterOptions = {}): Promise<FakeCluster> {
  const cluster = await startFakeCluster({ approval: 'manual', ...options });
  t.teardown(() => cluster.close());
  return cluster;
}

for (const row of [
  { code: 401, type: 'application/json', text: '"message":"Unauthorized"' },
  { code: 403, type: 'application/json', text: '"reason":"Forbidden"' },
  { code: 404, type: 'application/json', text: 'could not find the requested resource' },
  { code: 409, type: 'application/json', text: 'has been modified' },
  { code: 410, type: 'application/json', text: '"reason":"Expired"' },
  { code: 422, type: 'application/json', text: '"reason":"Invalid"' },
  { code: 429, type: 'text/plain; charset=utf-8', text: 'Too many requests', retryAfter: '1' },
  { code: 500, type: 'application/json', text: 'etcdserver: request timed out' },
  {
    code: 503,
    type: 'application/json',
    text: '"reason":"ServiceUnavailable"',
    retryAfter: 'Wed, 21 Oct 2037 07:28:00 GMT',
  },
  { code: 504, type: 'application/json', text: '"reason":"Timeout"' },
  { code: 418, type: 'application/json', text: 'unknown' },
])
  t.test(`status ${String(row.code)}`, async (t) => {
    const cluster = await started(t);
    const retry = row.retryAfter === undefined ? {} : { retryAfter: row.retryAfter };
    const fault = cluster.faults.add({ kind: 'status', code: row.code, ...retry });
    const answer = await submit(asBootstrap(cluster));
    t.match(answer, {
      status: row.code,
      headers: { 'content-type': row.type, ...(row.retryAfter ? { 'retry-after': row.retryAfter } : {}) },
    });
    t.match(answer.text, row.text);
    t.equal(answer.headers['retry-after'], row.retryAfter);
    t.equal(fault.hits.length, 1);
    t.strictSame(cluster.csrs, [], 'nothing was done');
  });

t.test('a status with a body of its own', async (t) => {
  const cluster = await started(t);
  cluster.faults.add({ kind: 'status', code: 502, body: '<html>Bad Gateway</html>' });
  t.match(await send(asBootstrap(cluster), { path: '/version' }), { status: 502, text: '<html>Bad Gateway</html>' });
});

for (const row of [
  { name: 'garbage', body: '{"kind":', contentType: undefined, code: undefined },
  { name: 'a login page with 200', body: LOGIN_PAGE, contentType: 'text/html', code: 200 },
  { name: 'a wrong content type', body: '{}', contentType: 'application/octet-stream', code: 201 },
  { name: 'a huge body', body: hugeJson(5_000_000), contentType: undefined, code: undefined },
  { name: 'deep JSON', body: deepJson(50_000), contentType: undefined, code: undefined },
])
  t.test(`answer: ${row.name}`, async (t) => {
    const cluster = await started(t);
    const { body, contentType, code } = row;
    cluster.faults.add({
      kind: 'answer',
      body,
      ...(contentType === undefined ? {} : { contentType }),
      ...(code === undefined ? {} : { code }),
    });
    const answer = await send(asBootstrap(cluster), { path: '/version' });
    t.equal(answer.text === body, true);
    t.equal(answer.status, code ?? 200);
    t.equal(answer.headers['content-type'], contentType ?? 'application/json');
  });

for (const row of [
  { name: 'before anything is done', at: 'request', stored: 0, status: undefined },
  { name: 'after it was done, before the answer', at: 'answer', stored: 1, status: undefined },
  { name: 'in the middle of the answer', at: 'body', stored: 1, status: 201 },
] as const)
  for (const http2 of [false, true])
    t.test(`reset ${row.name}${http2 ? ' (HTTP/2 offered)' : ''}`, async (t) => {
      const cluster = await started(t, { http2 });
      cluster.faults.add({ kind: 'reset', at: row.at }, { times: 1 });
      await t.rejects(submit(asBootstrap(cluster)), { code: 'ECONNRESET' });
      t.equal(cluster.csrs.length, row.stored);
      t.equal(cluster.requests[0]?.status, row.status);
      t.equal((await submit(asBootstrap(cluster), { name: 'again' })).status, 201, 'the next one passes');
    });

t.test('half an answer looks whole to HTTP', async (t) => {
  const cluster = await started(t);
  cluster.faults.add({ kind: 'half' });
  const answer = await send(asBootstrap(cluster), { path: '/version' });
  t.equal(answer.status, 200);
  t.throws(() => JSON.parse(answer.text), SyntaxError);
});

t.test('an answer in pieces is the whole answer', async (t) => {
  const cluster = await started(t);
  cluster.faults.add({ kind: 'pieces', bytes: 7 });
  t.equal(JSON.parse((await send(asBootstrap(cluster), { path: '/version' })).text).minor, '36');
});

for (const kind of [
  { kind: 'hold' },
  { kind: 'stall', at: 'request' },
  { kind: 'stall', at: 'body' },
] satisfies FaultKind[])
  t.test(`${kind.kind} ${'at' in kind ? kind.at : ''} until released`, async (t) => {
    const cluster = await started(t);
    const fault = cluster.faults.add(kind, { verb: 'create' });
    let answered = false;
    const answer = submit(asBootstrap(cluster)).then((one) => {
      answered = true;
      return one;
    });
    const hit = await fault.reached;
    t.equal(hit.verb, 'create');
    await send(asBootstrap(cluster), { path: '/version' });
    t.equal(answered, false, 'others pass in the meantime');
    fault.release();
    t.equal((await answer).status, 201);
    t.equal((await submit(asBootstrap(cluster), { name: 'later' })).status, 201, 'and it is over');
  });

t.test('which requests are hit', async (t) => {
  const cluster = await started(t);
  const target = asBootstrap(cluster);
  const codes = async (): Promise<readonly number[]> => [
    (await send(target, { path: '/version' })).status,
    (await send(target, { path: requestsPath() })).status,
    (await send(target, { path: requestsPath('x') })).status,
  ];
  const broken = { kind: 'status', code: 500 } as const;
  for (const [name, match, expected] of [
    ['by verb', { verb: 'list' }, [200, 500, 404]],
    ['by resource', { resource: 'certificatesigningrequests' }, [200, 500, 500]],
    ['by path', { path: requestsPath() }, [200, 500, 404]],
    ['by pattern', { path: /version|\/x$/ }, [500, 200, 500]],
    ['by predicate', { where: (one: { readonly path: string }) => one.path === '/version' }, [500, 200, 404]],
    ['by count', { skip: 1, times: 1 }, [200, 500, 404]],
  ] as const) {
    const fault = cluster.faults.add(broken, match);
    t.strictSame(await codes(), expected, name);
    fault.remove();
  }
  cluster.faults.add(broken);
  cluster.faults.clear();
  t.strictSame(await codes(), [200, 200, 404], 'none');
});

t.test('server certificates', async (t) => {
  const cluster = await started(t);
  const seen = async (): Promise<string> =>
    send(asBootstrap(cluster), { path: '/version' }).then(
      () => 'good',
      (error: unknown) => (error as { code: string }).code,
    );
  for (const [kind, code] of [
    ['expired', 'CERT_HAS_EXPIRED'],
    ['not yet valid', 'CERT_NOT_YET_VALID'],
    ['wrong name', 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['other authority', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    ['self-signed', 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['good', 'good'],
  ] as const) {
    cluster.useServerCertificate(kind);
    t.equal(await seen(), code, kind);
  }
  const before = cluster.serverCa.pem;
  cluster.rotateServerCa();
  t.equal(await seen(), 'good', 'a rotated CA');
  t.not(cluster.serverCa.pem, before);
  await t.rejects(send({ ...asBootstrap(cluster), ca: before }, { path: '/version' }), 'the old CA does not vouch');
});

t.test('a skewed Date', async (t) => {
  const now = new Date();
  const cluster = await started(t, { now: () => now, dateSkewMs: -3_600_000 });
  const answer = await send(asBootstrap(cluster), { path: '/version' });
  t.equal(answer.headers['date'], new Date(now.getTime() - 3_600_000).toUTCString());
});

t.test('stop and start keep port and objects', async (t) => {
  const cluster = await started(t);
  await submit(asBootstrap(cluster));
  const { url } = cluster;
  await cluster.stop();
  await t.rejects(send(asBootstrap(cluster), { path: '/version' }), { code: 'ECONNREFUSED' });
  await cluster.start();
  t.equal(cluster.url, url);
  t.equal((await submit(asBootstrap(cluster))).status, 409);
});

t.test('connections: counted, reused, closed when idle', async (t) => {
  const cluster = await started(t);
  const agent = new Agent({ keepAlive: true, ca: cluster.serverCa.pem });
  t.teardown(() => agent.destroy());
  const get = (): Promise<void> =>
    new Promise((resolve, reject) => {
      request(new URL('/version', cluster.url), { agent }, (answer) => answer.resume().on('end', resolve))
        .on('error', reject)
        .end();
    });
  await get();
  await get();
  t.strictSame(
    cluster.requests.map((one) => one.connectionId),
    [1, 1],
  );
  t.equal(cluster.openConnections, 1);
  cluster.closeIdleConnections();
  await new Promise<void>((resolve) => {
    const look = (): void => (cluster.openConnections === 0 ? resolve() : void setImmediate(look));
    look();
  });
  await get();
  t.equal(cluster.connectionCount, 2);
  cluster.closeConnections();
});

t.test('::1', async (t) => {
  const cluster = await started(t, { host: '::1' });
  t.match(cluster.url, /^https:\/\/\[::1\]:\d+$/);
  t.equal((await send(asBootstrap(cluster), { path: '/version' })).status, 200);
});

t.test('what is recorded', async (t) => {
  const now = new Date('2030-01-01T00:00:00Z');
  const cluster = await started(t, { now: () => now });
  const target = { ...asBootstrap(cluster), insecure: true };
  const body = submission();
  await send(target, { method: 'POST', path: requestsPath(), body });
  t.has(cluster.requests, [
    {
      method: 'POST',
      path: requestsPath(),
      verb: 'create',
      resource: 'certificatesigningrequests',
      user: 'system:bootstrap:abcdef',
      status: 201,
      at: now,
      connectionId: 1,
      body,
    },
  ]);
  t.equal(cluster.requests[0]?.headers['content-type'], 'application/json');
  cluster.forgetRequests();
  t.strictSame(cluster.requests, []);
  await t.rejects(
    cluster.until(() => {
      throw new Error('broken condition');
    }),
    { message: 'broken condition' },
  );
});
