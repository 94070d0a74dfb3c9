import { createServer as createHttpServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createSecureServer } from 'node:http2';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { connect, createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Front, Served } from './row.ts';

/** A request that came, in the words in which readings are compared. */
export interface Seen {
  readonly agent: 'kubectl' | 'certlet';
  readonly what: string;
}

/** The server of one row. */
export interface Listener {
  readonly port: number;
  readonly seen: readonly Seen[];
  close(): Promise<void>;
}

/** Old middleboxes give up on a first message that takes more than one packet. */
const SMALL_HELLO_BYTES = 1_300;

type Request = IncomingMessage | Http2ServerRequest;
type Response = ServerResponse | Http2ServerResponse;

/** One port on all `addresses`, which are loopback. */
export async function listen(
  served: Served,
  front: Front | undefined,
  addresses: readonly string[],
): Promise<Listener> {
  const seen: Seen[] = [];
  const sockets = new Set<Socket>();
  const make = (): Server => makeServer(served, front, (request, response) => answer(front, request, response, seen));
  const servers: Server[] = [];
  let port = 0;
  for (const address of addresses) {
    const server = make();
    server.on('connection', (socket) => sockets.add(socket.on('error', () => undefined)));
    server.on('tlsClientError', () => undefined);
    port = await bound(server, address, port);
    servers.push(server);
  }
  return {
    port,
    seen,
    async close() {
      for (const socket of sockets) socket.destroy();
      await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
    },
  };
}

function bound(server: Server, host: string, port: number): Promise<number> {
  return new Promise((done, failed) => {
    server.once('error', failed);
    server.listen({ host, port }, () => done((server.address() as AddressInfo).port));
  });
}

function makeServer(
  served: Served,
  front: Front | undefined,
  handler: (request: Request, response: Response) => void,
): Server {
  if (front === 'plain http') return createHttpServer(handler);
  const options = {
    cert: served.chain,
    key: served.key,
    requestCert: true,
    rejectUnauthorized: false,
    // Certificates that a cautious server would not even load are for the clients to judge.
    ciphers: 'DEFAULT@SECLEVEL=0',
    ...(served.curves === undefined ? {} : { ecdhCurve: served.curves }),
    ...(served.maxVersion === undefined ? {} : { maxVersion: served.maxVersion }),
  };
  if (front === 'http2 only') return createSecureServer({ ...options, allowHTTP1: false }, handler);
  const server = createHttpsServer(options, handler);
  return front === 'small hello' ? behindMiddlebox(server) : server;
}

/** Passes a connection on only when its first packet is small. */
function behindMiddlebox(inner: Server): Server {
  return createTcpServer((socket) => {
    socket.once('data', (first) => {
      if (first.length > SMALL_HELLO_BYTES) {
        socket.destroy();
        return;
      }
      socket.pause();
      socket.unshift(first);
      inner.emit('connection', socket);
    });
  });
}

function answer(front: Front | undefined, request: Request, response: Response, seen: Seen[]): void {
  const url = request.url ?? '';
  if (front === 'redirect' && !url.startsWith('/elsewhere')) {
    response.statusCode = 307;
    response.setHeader('location', `/elsewhere${url}`);
    response.end();
    return;
  }
  seen.push({ agent: agentOf(request), what: `${credentialOf(request)} ${url.split('?')[0] ?? ''}` });
  response.setHeader('content-type', 'application/json');
  response.end('{"major":"1","minor":"36","gitVersion":"v1.36.2"}');
}

function agentOf(request: Request): Seen['agent'] {
  const agent = String(request.headers['user-agent']);
  // kubectl calls itself by the name of its file.
  return agent.startsWith('certlet/') ? 'certlet' : 'kubectl';
}

/** The one that an API server goes by: the certificate, where there is one, before what the request says. */
function credentialOf(request: Request): string {
  const socket = request.socket as TLSSocket;
  const certificate = 'getPeerX509Certificate' in socket ? socket.getPeerX509Certificate() : undefined;
  // A certificate without subject has none, whatever Node's types say.
  const name =
    certificate === undefined ? undefined : `certificate ${String(certificate.subject).replaceAll('\n', ',')}`;
  const impersonated = request.headers['impersonate-user'];
  const suffix = impersonated === undefined ? '' : ` as ${String(impersonated)}`;
  return (name ?? request.headers.authorization ?? 'nobody') + suffix;
}

/** A SOCKS 5 proxy without authentication that connects wherever it is asked to (RFC 1928). */
export async function startSocks(): Promise<{ readonly port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((client) => {
    sockets.add(client.on('error', () => undefined));
    client.once('data', () => {
      client.write(Uint8Array.of(5, 0));
      client.once('data', (asked: Buffer) => {
        const port = asked.readUInt16BE(asked.length - 2);
        const upstream = connect(port, '127.0.0.1', () => {
          client.write(Uint8Array.of(5, 0, 0, 1, 0, 0, 0, 0, 0, 0));
          client.pipe(upstream).pipe(client);
        });
        sockets.add(upstream.on('error', () => client.destroy()));
      });
    });
  });
  const port = await bound(server, '127.0.0.1', 0);
  return {
    port,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}
