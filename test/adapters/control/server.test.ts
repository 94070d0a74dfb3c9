import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { callControl, type ControlCall } from '../../../src/adapters/control/client.ts';
import { openHttpServer } from '../../../src/adapters/control/http-server.ts';
import type { ControlAnswer, ControlHandlers } from '../../../src/adapters/control/routes.ts';
import { controlSocketPath, openControlServer } from '../../../src/adapters/control/server.ts';
import { NodeFileSystem } from '../../../src/adapters/file-system.ts';
import { openMetricsEndpoint } from '../../../src/adapters/metrics-endpoint.ts';
import { CertletError } from '../../../src/errors.ts';

interface Calls {
  readonly renewed: unknown[];
  readonly levels: string[];
  reloads: number;
}

function fakeHandlers(parts: Partial<ControlHandlers> = {}): ControlHandlers & Calls {
  const calls: Calls = { renewed: [], levels: [], reloads: 0 };
  return Object.assign(calls, {
    status: () => '{"version":1}\n',
    metrics: () => 'x 1\n',
    health: () => ({ healthy: true, reasons: [] }),
    purposes: () => ['client', 'serving'] as const,
    renew: async (purposes: unknown) => void calls.renewed.push(purposes),
    restartNow: () => ['serving'],
    reload: async () => {
      calls.reloads += 1;
    },
    logLevel: () => 'info' as const,
    setLogLevel: (level: string) => void calls.levels.push(level),
    ...parts,
  });
}

/** A folder with a short path: a socket's path has at most 107 bytes. */
function shortFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'certlet-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function opened(t: Test, handlers: ControlHandlers, folder = shortFolder(t)): Promise<string> {
  const server = await openControlServer(new NodeFileSystem(), folder, handlers);
  t.teardown(() => server.close());
  return controlSocketPath(folder);
}

/** A raw exchange: what a client gets that does not play by the rules. */
async function raw(path: string, text: string): Promise<string> {
  const socket = connect(path);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => undefined);
  socket.write(text);
  await once(socket, 'close');
  return Buffer.concat(chunks).toString('utf8');
}

interface Row {
  readonly name: string;
  readonly call: ControlCall;
  readonly handlers?: Partial<ControlHandlers>;
  readonly status: number;
  readonly answer: unknown;
}

const rows: readonly Row[] = [
  { name: 'status', call: { method: 'GET', path: '/status' }, status: 200, answer: { version: 1 } },
  { name: 'a query is ignored', call: { method: 'GET', path: '/status?pretty' }, status: 200, answer: { version: 1 } },
  {
    name: 'status before the first round',
    call: { method: 'GET', path: '/status' },
    handlers: { status: () => undefined },
    status: 503,
    answer: { error: { code: 'STARTING' } },
  },
  { name: 'health', call: { method: 'GET', path: '/health' }, status: 200, answer: { healthy: true, reasons: [] } },
  {
    name: 'ill health says why',
    call: { method: 'GET', path: '/health' },
    handlers: { health: () => ({ healthy: false, reasons: ['expired'] }) },
    status: 503,
    answer: { healthy: false, reasons: ['expired'] },
  },
  {
    name: 'renew one',
    call: { method: 'POST', path: '/renew', body: { purposes: ['client'] } },
    status: 202,
    answer: { purposes: ['client'] },
  },
  {
    name: 'one that is named a thousand times is renewed once',
    call: {
      method: 'POST',
      path: '/renew',
      body: { purposes: [...Array<string>(1500).fill('client'), 'serving', 'client'] },
    },
    status: 202,
    answer: { purposes: ['client', 'serving'] },
  },
  {
    name: 'renew all',
    call: { method: 'POST', path: '/renew' },
    status: 202,
    answer: { purposes: ['client', 'serving'] },
  },
  {
    name: 'renew something else',
    call: { method: 'POST', path: '/renew', body: { purposes: ['client', 'both'] } },
    status: 400,
    answer: { error: { code: 'BAD_REQUEST', field: 'purposes[1]', message: 'expected one of "client", "serving"' } },
  },
  {
    name: 'renew nothing',
    call: { method: 'POST', path: '/renew', body: { purposes: [] } },
    status: 400,
    answer: { error: { field: 'purposes' } },
  },
  {
    name: 'renew by a misspelt field does not renew everything',
    call: { method: 'POST', path: '/renew', body: { purpose: 'client' } },
    status: 400,
    answer: { error: { field: 'purpose', message: 'unknown field; there is purposes' } },
  },
  {
    name: 'renew what is not managed',
    call: { method: 'POST', path: '/renew', body: { purposes: ['serving'] } },
    handlers: { purposes: () => ['client'] },
    status: 409,
    answer: { error: { field: 'purposes[0]', message: /rotateServerCertificates/ } },
  },
  {
    name: 'renew that fails',
    call: { method: 'POST', path: '/renew' },
    handlers: {
      renew: async () => {
        throw new CertletError('ERR_STORE_FULL', 'disk full', { remedy: 'df -h' });
      },
    },
    status: 500,
    answer: { error: { code: 'ERR_STORE_FULL', message: 'disk full', remedy: 'df -h' } },
  },
  {
    name: 'a restart of the kubelet that waits, now',
    call: { method: 'POST', path: '/restart-kubelet', body: {} },
    status: 202,
    answer: { restarts: ['serving'] },
  },
  {
    name: 'and who asks for it',
    call: { method: 'POST', path: '/restart-kubelet', by: 'root, sudo of mia' },
    handlers: { restartNow: (by) => [by] },
    status: 202,
    answer: { restarts: ['root, sudo of mia'] },
  },
  {
    name: 'whoever asks has a name of some length at most',
    call: { method: 'POST', path: '/restart-kubelet', by: 'x'.repeat(1000) },
    handlers: { restartNow: (by) => [by] },
    status: 202,
    answer: { restarts: ['x'.repeat(200)] },
  },
  {
    name: 'none waits',
    call: { method: 'POST', path: '/restart-kubelet' },
    handlers: { restartNow: () => [] },
    status: 202,
    answer: { restarts: [] },
  },
  {
    name: 'a restart of one certificate alone is none',
    call: { method: 'POST', path: '/restart-kubelet', body: { purposes: ['client'] } },
    status: 400,
    answer: { error: { field: 'purposes', message: 'unknown field; there is none' } },
  },
  {
    name: 'looking at it restarts nothing',
    call: { method: 'GET', path: '/restart-kubelet' },
    status: 405,
    answer: { error: {} },
  },
  { name: 'reload', call: { method: 'POST', path: '/reload', body: {} }, status: 200, answer: { reloaded: true } },
  {
    name: 'reload takes nothing',
    call: { method: 'POST', path: '/reload', body: { now: true } },
    status: 400,
    answer: { error: { field: 'now', message: 'unknown field; there is none' } },
  },
  {
    name: 'reload of bad settings',
    call: { method: 'POST', path: '/reload' },
    handlers: {
      reload: async () => {
        throw new CertletError('ERR_CONFIG_INVALID', 'settings: nodeIP: no address');
      },
    },
    status: 422,
    answer: { error: { code: 'ERR_CONFIG_INVALID', message: 'settings: nodeIP: no address' } },
  },
  { name: 'log level', call: { method: 'GET', path: '/log-level' }, status: 200, answer: { level: 'info' } },
  {
    name: 'another log level',
    call: { method: 'PUT', path: '/log-level', body: { level: 'debug' } },
    status: 200,
    answer: { level: 'debug' },
  },
  {
    name: 'a log level that is none',
    call: { method: 'PUT', path: '/log-level', body: { level: 'trace' } },
    status: 400,
    answer: { error: { field: 'level', message: 'expected one of error, warn, info, debug' } },
  },
  {
    name: 'a body that is no object',
    call: { method: 'PUT', path: '/log-level', body: ['debug'] },
    status: 400,
    answer: { error: { field: 'body' } },
  },
  {
    name: 'a body that is too large',
    call: { method: 'POST', path: '/renew', body: { purposes: ['x'.repeat(20_000)] } },
    status: 413,
    answer: { error: { field: 'body', message: 'larger than 16384 bytes' } },
  },
  {
    name: 'no such path',
    call: { method: 'GET', path: '/' },
    status: 404,
    answer: { error: { code: 'NOT_FOUND', field: 'path' } },
  },
  {
    name: 'a path of the language',
    call: { method: 'GET', path: '/constructor' },
    status: 404,
    answer: { error: { code: 'NOT_FOUND' } },
  },
  {
    name: 'a wrong method',
    call: { method: 'GET', path: '/renew' },
    status: 405,
    answer: { error: { code: 'BAD_METHOD', field: 'method', message: '/renew takes POST' } },
  },
  {
    name: 'a defect is told as one',
    call: { method: 'GET', path: '/metrics' },
    handlers: {
      metrics: () => {
        throw new TypeError('oops');
      },
    },
    status: 500,
    answer: { error: { code: 'ERR_INTERNAL', message: 'unexpected: oops' } },
  },
];

for (const { name, call, handlers = {}, status, answer } of rows) {
  t.test(`control: ${name}`, async (t) => {
    const path = await opened(t, fakeHandlers(handlers));
    const reply = await callControl(path, call);
    if (reply.kind !== 'answer') throw new Error(reply.kind);
    t.equal(reply.status, status);
    t.match(JSON.parse(reply.text), answer);
  });
}

t.test('orders reach the daemon, refused ones do not', async (t) => {
  const handlers = fakeHandlers();
  const path = await opened(t, handlers);
  await callControl(path, { method: 'POST', path: '/renew', body: { purposes: ['serving'] } });
  await callControl(path, { method: 'POST', path: '/renew', body: { purposes: ['nonsense'] } });
  await callControl(path, { method: 'PUT', path: '/log-level', body: { level: 'warn' } });
  await callControl(path, { method: 'POST', path: '/reload' });
  t.strictSame(handlers.renewed, [['serving']]);
  t.strictSame(handlers.levels, ['warn']);
  t.equal(handlers.reloads, 1);
});

t.test('metrics in the text format', async (t) => {
  const path = await opened(t, fakeHandlers());
  const answer = await raw(path, 'GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n');
  t.match(answer, /^HTTP\/1\.1 200 /);
  t.match(answer, /content-type: text\/plain; version=0\.0\.4/i);
  t.match(answer, /\r\n\r\nx 1\n$/);
});

t.test('what is no JSON and what is no HTTP', async (t) => {
  const path = await opened(t, fakeHandlers());
  t.match(
    await raw(path, 'POST /renew HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{x'),
    /400 Bad Request[^]*"field":"body","message":"no JSON"/,
  );
  t.match(await raw(path, 'nonsense\r\n\r\n'), /^HTTP\/1\.1 400 Bad Request/);
  t.match(await raw(path, `GET /status HTTP/1.1\r\nx: ${'y'.repeat(10_000)}\r\n\r\n`), /^HTTP\/1\.1 431 /);
  t.match(await raw(path, 'DELETE /renew HTTP/1.1\r\nhost: x\r\n\r\n'), /405[^]*allow: POST/i);
});

t.test('the socket is for its owner alone, in a folder that everyone may enter', async (t) => {
  const folder = join(shortFolder(t), 'run', 'certlet');
  const before = process.umask(0);
  t.teardown(() => process.umask(before));
  const path = await opened(t, fakeHandlers(), folder);
  t.equal(statSync(path).mode & 0o7777, 0o600);
  t.equal(statSync(folder).mode & 0o7777, 0o755);
  t.equal(process.umask(), 0, 'the umask is as it was');
});

t.test('the socket of a dead daemon is replaced', async (t) => {
  const folder = shortFolder(t);
  const path = controlSocketPath(folder);
  const dead = createServer().listen(path);
  await once(dead, 'listening');
  // As after a kill: the file stays when its listener goes without unlinking. A rename keeps Node from removing it.
  renameSync(path, `${path}.kept`);
  dead.close();
  await once(dead, 'close');
  renameSync(`${path}.kept`, path);
  t.strictSame(await callControl(path, { method: 'GET', path: '/status' }), { kind: 'absent' });
  await opened(t, fakeHandlers(), folder);
  t.match(await callControl(path, { method: 'GET', path: '/status' }), { kind: 'answer', status: 200 });
});

t.test('the socket of a live daemon is not', async (t) => {
  const folder = shortFolder(t);
  const path = await opened(t, fakeHandlers(), folder);
  await t.rejects(openControlServer(new NodeFileSystem(), folder, fakeHandlers()), {
    code: 'ERR_CONTROL',
    message: `another process listens at ${path}`,
  });
  t.match(await callControl(path, { method: 'GET', path: '/status' }), { kind: 'answer' });
});

t.test('a file in its place is not removed', async (t) => {
  const folder = shortFolder(t);
  writeFileSync(controlSocketPath(folder), 'mine');
  await t.rejects(openControlServer(new NodeFileSystem(), folder, fakeHandlers()), {
    code: 'ERR_CONTROL',
    message: /is in the way: it is no socket/,
  });
  t.strictSame(readdirSync(folder), ['control.sock']);
});

t.test('a folder that cannot be made is an error of the store', async (t) => {
  const folder = join(shortFolder(t), 'file', 'run');
  writeFileSync(join(folder, '..'), '');
  await t.rejects(openControlServer(new NodeFileSystem(), folder, fakeHandlers()), { code: 'ERR_STORE_IO' });
});

t.test('closing answers what is under way and removes the socket', async (t) => {
  const folder = shortFolder(t);
  const path = controlSocketPath(folder);
  let closing: Promise<void> | undefined;
  const server = await openControlServer(
    new NodeFileSystem(),
    folder,
    fakeHandlers({
      // As a reload does: the generation that answers is the one that ends.
      reload: async () => {
        closing = server.close();
      },
    }),
  );
  t.match(await callControl(path, { method: 'POST', path: '/reload' }), { kind: 'answer', status: 200 });
  await closing;
  t.notOk(existsSync(path));
  t.strictSame(await callControl(path, { method: 'GET', path: '/status' }), { kind: 'absent' });
});

t.test('a daemon that breaks the connection off is an error', async (t) => {
  const path = controlSocketPath(shortFolder(t));
  const rude = createServer((socket) => socket.destroy()).listen(path);
  await once(rude, 'listening');
  t.teardown(() => void rude.close());
  await t.rejects(callControl(path, { method: 'GET', path: '/status' }), {
    code: 'ERR_CONTROL',
    message: /no answer at/,
  });
});

t.test('an answer without an end is cut off', async (t) => {
  const path = controlSocketPath(shortFolder(t));
  const endless = createServer((socket) => {
    socket.on('error', () => undefined);
    const piece = 'x'.repeat(64 * 1024);
    const more = (): void => {
      while (!socket.destroyed && socket.write(piece)) continue;
    };
    socket.on('drain', more);
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      more();
    });
  }).listen(path);
  await once(endless, 'listening');
  t.teardown(() => void endless.close());
  await t.rejects(callControl(path, { method: 'GET', path: '/status' }), {
    code: 'ERR_CONTROL',
    message: /the answer is too large/,
  });
});

t.test(
  'a socket that others may not open',
  { skip: process.geteuid?.() === 0 ? 'root may open all' : false },
  async (t) => {
    const folder = shortFolder(t);
    const path = await opened(t, fakeHandlers(), folder);
    chmodSync(path, 0);
    t.strictSame(await callControl(path, { method: 'GET', path: '/status' }), { kind: 'forbidden' });
  },
);

t.test('a folder in the way of the path counts as absent', async (t) => {
  const folder = shortFolder(t);
  writeFileSync(join(folder, 'file'), '');
  t.strictSame(await callControl(join(folder, 'file', 'control.sock'), { method: 'GET', path: '/' }), {
    kind: 'absent',
  });
});

t.test('a client that never ends its request is cut off, and the next one is served', async (t) => {
  const path = controlSocketPath(shortFolder(t));
  const answer = async (): Promise<ControlAnswer> => ({ status: 200, type: 'text/plain', text: 'ok' });
  const server = await openHttpServer({ path }, answer, { connectionMs: 30, headMs: 10_000 });
  t.teardown(() => server.close());
  t.equal(await raw(path, 'GET / HTTP/1.1\r\nhost: x\r\nx: never ends'), '');
  t.match(await callControl(path, { method: 'GET', path: '/' }), { kind: 'answer', text: 'ok' });
});

t.test('a client whose head never gets whole is cut off long before one that waits for its answer', async (t) => {
  const path = controlSocketPath(shortFolder(t));
  const answer = async (request: IncomingMessage): Promise<ControlAnswer> => {
    if (request.url === '/slow')
      await once(request.socket, 'never', { signal: AbortSignal.timeout(100) }).catch(() => undefined);
    return { status: 200, type: 'text/plain', text: 'ok' };
  };
  const server = await openHttpServer({ path }, answer, { connectionMs: 60_000, headMs: 30 });
  t.teardown(() => server.close());
  t.equal(await raw(path, 'GET / HTTP/1.1\r\nhost: x\r\nx: never ends'), '');
  t.match(await callControl(path, { method: 'GET', path: '/slow' }), { kind: 'answer', text: 'ok' });
});

t.test('a question that a daemon broke off as it ended was an error; an order is not given twice', async (t) => {
  const path = controlSocketPath(shortFolder(t));
  let asked = 0;
  const server = createServer((socket) => {
    asked += 1;
    socket.on('error', () => undefined);
    socket.once('data', () => socket.destroy());
    // Those that come after it find nobody.
    server.close();
  });
  const begins = async (): Promise<void> => {
    asked = 0;
    server.listen(path);
    await once(server, 'listening');
  };
  await begins();
  t.strictSame(await callControl(path, { method: 'GET', path: '/status' }), { kind: 'absent' });
  t.equal(asked, 1);
  await begins();
  await t.rejects(callControl(path, { method: 'POST', path: '/renew' }), { code: 'ERR_CONTROL' });
  t.equal(asked, 1);
});

t.test('forty slow connections of any local user keep nobody from the metrics', async (t) => {
  const server = await openMetricsEndpoint({ host: '127.0.0.1', port: 0, setting: 'metrics.address' }, () => 'x 1\n');
  t.teardown(() => server.close());
  const port = server.port ?? 0;
  const slow = Array.from({ length: 40 }, () => connect(port, '127.0.0.1').on('error', () => undefined));
  t.teardown(() => slow.map((socket) => socket.destroy()));
  for (const socket of slow) {
    if (socket.connecting) await once(socket, 'connect');
    socket.write('GET /metrics HTTP/1.1\r\nx: ');
  }
  const answer = await fetch(`http://127.0.0.1:${String(port)}/metrics`);
  t.equal(await answer.text(), 'x 1\n');
});

t.test('a path that no socket can have is told as such, and nobody listens there', async (t) => {
  const folder = join(shortFolder(t), 'x'.repeat(100));
  await t.rejects(openControlServer(new NodeFileSystem(), folder, fakeHandlers()), {
    code: 'ERR_CONTROL',
    message: /is too long for a socket: at most 107 bytes/,
  });
  t.strictSame(await callControl(controlSocketPath(folder), { method: 'GET', path: '/status' }), { kind: 'absent' });
});

t.test('the metrics endpoint serves metrics and nothing else', async (t) => {
  const server = await openMetricsEndpoint({ host: '127.0.0.1', port: 0, setting: 'metrics.address' }, () => 'x 1\n');
  t.teardown(() => server.close());
  const port = server.port ?? 0;
  const ask = async (path: string, method = 'GET'): Promise<{ status: number; text: string }> => {
    const answer = await fetch(`http://127.0.0.1:${String(port)}${path}`, { method });
    return { status: answer.status, text: await answer.text() };
  };
  t.strictSame(await ask('/metrics'), { status: 200, text: 'x 1\n' });
  t.strictSame(await ask('/metrics', 'HEAD'), { status: 200, text: '' });
  t.equal((await ask('/metrics', 'POST')).status, 405);
  t.equal((await ask('/renew', 'POST')).status, 404);
  await t.rejects(
    openMetricsEndpoint({ host: '127.0.0.1', port, setting: 'metrics.address' }, () => ''),
    {
      code: 'ERR_CONTROL',
      message: `cannot serve metrics at 127.0.0.1:${String(port)}: EADDRINUSE`,
    },
  );
});
