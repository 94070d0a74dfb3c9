/** A hostile server, proxy or link: the token goes nowhere else, memory and time are bounded, and each failure has a code. */
import { createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { createApiConnector } from '../../src/adapters/api/connector.ts';
import { isCertletError } from '../../src/errors.ts';
import type { ApiConnection } from '../../src/ports.ts';
import { Secret } from '../../src/secret.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';
import { type Handler, startServer } from '../fixtures/http/scripted-server.ts';
import { proxyOf } from '../fixtures/proxy-url.ts';

const TOKEN = 'abcdef.0123456789abcdef';
const authority = createAuthority({ name: 'kubernetes' });
const leaf = authority.issue({ commonName: 'api', ipAddresses: ['127.0.0.1'], dnsNames: ['localhost'] });
const TIMEOUTS = { connectMs: 3000, headersMs: 3000, bodyMs: 3000, totalMs: 4000, watchSilenceMs: 3000, execMs: 3000 };
const signal = new AbortController().signal;

function connection(server: string, proxy?: string): ApiConnection {
  const connector = createApiConnector({
    version: 'test',
    environment: {},
    now: () => new Date(),
    onWarning: () => undefined,
    onServerDate: () => undefined,
    timeouts: TIMEOUTS,
  });
  const proxyUrl = proxy === undefined ? {} : { proxyUrl: proxyOf(proxy) };
  return connector.connect(
    { server, caPem: authority.pem, insecureSkipTlsVerify: false, ...proxyUrl },
    { kind: 'token', token: new Secret(TOKEN) },
  );
}

/** The error of one request; undefined where it went well. */
async function failureOf(api: ApiConnection): Promise<unknown> {
  try {
    await api.request('GET', '/version', undefined, signal);
    return undefined;
  } catch (error) {
    return error;
  } finally {
    await api.close();
  }
}

async function answering(t: Test, handler: Handler): Promise<string> {
  const server = await startServer({ leaf }, handler);
  t.teardown(() => server.close());
  return server.url;
}

t.test('a redirect takes the token nowhere', async (t) => {
  const elsewhere = await startServer({ leaf }, (_request, response) => void response.end('{}'));
  t.teardown(() => elsewhere.close());
  for (const status of [301, 302, 303, 307, 308]) {
    const url = await answering(t, (_request, response) => {
      response.writeHead(status, { location: `${elsewhere.url}/version`, 'set-cookie': 'a=b' });
      response.end();
    });
    const error = await failureOf(connection(url));
    t.ok(isCertletError(error, 'ERR_API_PROTOCOL'), String(error));
  }
  t.strictSame(elsewhere.seen, []);
});

t.test('a cookie is not sent back', async (t) => {
  const server = await startServer({ leaf }, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'set-cookie': 'session=1' });
    response.end('{}');
  });
  t.teardown(() => server.close());
  const api = connection(server.url);
  await api.request('GET', '/version', undefined, signal);
  await api.request('GET', '/version', undefined, signal);
  await api.close();
  t.equal(server.seen.length, 2);
  t.notOk(server.seen.some(({ headers }) => headers.cookie !== undefined));
});

const HOSTILE: Readonly<Record<string, Handler>> = {
  'a head of a megabyte': (_request, response) => {
    for (let at = 0; at < 100; at += 1) response.setHeader(`x-${String(at)}`, 'a'.repeat(10_000));
    response.end('{}');
  },
  'a body of 100 MB': (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const piece = Buffer.alloc(1024 * 1024, 0x20);
    let left = 100;
    const more = (): void => {
      while (left > 0 && !response.destroyed) {
        left -= 1;
        if (!response.write(piece)) return void response.once('drain', more);
      }
      response.end('{}');
    };
    more();
  },
  'a body that drips': (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const drip = setInterval(() => response.write(' '), 50);
    response.on('close', () => clearInterval(drip));
  },
  'five megabytes in pieces of a byte': (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.socket?.end(Buffer.from('1\r\n[\r\n'.repeat(800_000)));
  },
  'a refusal that steers a terminal': (_request, response) => {
    response.writeHead(422, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({ kind: 'Status', message: `\u001b[2J\u009b2J\n<3>forged\u202e ${'x'.repeat(100_000)}` }),
    );
  },
};

for (const [name, handler] of Object.entries(HOSTILE)) {
  t.test(`a hostile API server: ${name}`, async (t) => {
    const before = process.memoryUsage().rss;
    const started = process.hrtime.bigint();
    const error = await failureOf(connection(await answering(t, handler)));
    t.ok(isCertletError(error), String(error));
    const message = error instanceof Error ? error.message : '';
    t.notMatch(message, /[\p{Cc}\u202e]/u);
    t.notOk(message.includes('0123456789abcdef'));
    t.ok(message.length < 3000, String(message.length));
    t.ok(Number(process.hrtime.bigint() - started) / 1e9 < 30, 'in time');
    t.ok(process.memoryUsage().rss - before < 400 * 1024 * 1024, 'memory');
  });
}

async function proxyThat(
  t: Test,
  act: (socket: Socket) => void,
): Promise<{ readonly url: string; readonly got: () => string }> {
  let got = '';
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('data', (data: Buffer) => (got += data.toString('latin1')));
    socket.once('data', () => act(socket));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return {
    url: `http://user:hunter2@127.0.0.1:${String(typeof address === 'object' ? address?.port : 0)}`,
    got: () => got,
  };
}

const PROXIES: Readonly<Record<string, (socket: Socket) => void>> = {
  'answers CONNECT with garbage': (socket) => socket.end('\0\u0001\u001b[2Jgarbage\r\n\r\n'),
  'sends a redirect': (socket) =>
    socket.end('HTTP/1.1 302 Found\r\nlocation: http://elsewhere.test/\r\ncontent-length: 0\r\n\r\n'),
  'sends a head without end': (socket) => socket.write(`HTTP/1.1 200 OK\r\n${'x-a: b\r\n'.repeat(20_000)}`),
  'says yes and then speaks plain text': (socket) =>
    socket.write('HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}'),
  'says nothing': () => undefined,
  'asks for a password in a page': (socket) =>
    socket.end('HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 5\r\n\r\n<html'),
};

for (const [name, act] of Object.entries(PROXIES)) {
  t.test(`a proxy that ${name}`, async (t) => {
    const proxy = await proxyThat(t, act);
    const error = await failureOf(connection('https://127.0.0.1:9', proxy.url));
    t.ok(isCertletError(error), String(error));
    const message =
      error instanceof Error ? `${error.message} ${isCertletError(error) ? (error.remedy ?? '') : ''}` : '';
    t.notMatch(message, /hunter2|0123456789abcdef/);
    t.notMatch(message, /\p{Cc}/u);
    t.match(proxy.got(), /^CONNECT 127\.0\.0\.1:9 /);
    t.notOk(proxy.got().includes('0123456789abcdef'), 'the token never goes to the proxy');
  });
}
