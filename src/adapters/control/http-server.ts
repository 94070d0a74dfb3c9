import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { ControlAnswer } from './routes.ts';

/** A connection carries one request and lives so long at most. */
const CONNECTION_LIMIT_MS = 10_000;
/** Until a request's head is whole. Clients are on this host or beside it and send theirs in one piece. */
const HEAD_LIMIT_MS = 1_000;
/** Node would look at its connections at intervals for ever, which wakes an idle process; each connection has a timer of its own instead. */
const NEVER_MS = 2 ** 31 - 1;
/** Answers that take longer are broken off when the server closes. */
const CLOSE_LIMIT_MS = 2_000;
const MAX_CONNECTIONS = 32;
const MAX_HEADER_BYTES = 8 * 1024;

/** Where to listen. */
export type ListenPlace = { readonly path: string } | { readonly host: string; readonly port: number };

export interface OpenServer {
  /** The port, for a place with one. */
  readonly port: number | undefined;
  /** Takes no more requests; those under way are answered first. */
  close(): Promise<void>;
}

/**
 * A small HTTP/1.1 server with limits on size, time and number: whoever may open it still must not stop the daemon's work.
 * Rejects with the system's error where it cannot listen.
 */
export async function openHttpServer(
  place: ListenPlace,
  answer: (request: IncomingMessage) => Promise<ControlAnswer>,
  limits: { readonly connectionMs: number; readonly headMs: number } = LIMITS,
): Promise<OpenServer> {
  const crowd = new Crowd(limits);
  const server = createServer(
    {
      requestTimeout: 0,
      headersTimeout: 0,
      connectionsCheckingInterval: NEVER_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      // One answer for each connection: nothing idles, and closing needs no hunt for idle ones.
      keepAlive: false,
    },
    (request, response) => {
      crowd.headIsWhole(request.socket);
      void respond(request, response, answer);
    },
  );
  server.on('connection', (socket) => crowd.enter(socket));
  await listen(server, place);
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : undefined,
    close: () => close(server),
  };
}

const LIMITS = { connectionMs: CONNECTION_LIMIT_MS, headMs: HEAD_LIMIT_MS };

/**
 * The open connections. `maxConnections` would turn the newest away, and forty idle ones of any user of the host would keep a scraper out:
 * here the oldest goes that has not yet sent a whole head.
 */
class Crowd {
  readonly #limits: typeof LIMITS;
  readonly #all = new Set<Socket>();
  /** Those without a whole head, oldest first, with the timer that ends them. */
  readonly #waiting = new Map<Socket, NodeJS.Timeout>();

  constructor(limits: typeof LIMITS) {
    this.#limits = limits;
  }

  enter(socket: Socket): void {
    if (this.#all.size >= MAX_CONNECTIONS) this.#makeRoom(socket);
    if (socket.destroyed) return;
    const whole = endAfter(socket, this.#limits.connectionMs);
    this.#all.add(socket);
    this.#waiting.set(socket, endAfter(socket, this.#limits.headMs));
    socket.once('close', () => {
      clearTimeout(whole);
      this.headIsWhole(socket);
      this.#all.delete(socket);
    });
  }

  headIsWhole(socket: Socket): void {
    clearTimeout(this.#waiting.get(socket));
    this.#waiting.delete(socket);
  }

  /** All others have asked something: then the new one has to come again. */
  #makeRoom(newest: Socket): void {
    const [oldest = newest] = this.#waiting.keys();
    oldest.destroy();
    this.headIsWhole(oldest);
    this.#all.delete(oldest);
  }
}

function endAfter(socket: Socket, ms: number): NodeJS.Timeout {
  return setTimeout(() => socket.destroy(), ms).unref();
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  answer: (request: IncomingMessage) => Promise<ControlAnswer>,
): Promise<void> {
  // A client that goes away is no news; the error would be uncaught otherwise.
  request.on('error', () => undefined);
  response.on('error', () => undefined);
  const { status, type, text, allow } = await answer(request);
  if (response.destroyed) return;
  const body = Buffer.from(text, 'utf8');
  response.writeHead(status, {
    'content-type': type,
    'content-length': body.length,
    'cache-control': 'no-store',
    connection: 'close',
    ...(allow === undefined ? {} : { allow }),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
  // What is left of a body that was refused is not read to its end.
  if (!request.complete) request.resume();
}

function listen(server: Server, place: ListenPlace): Promise<void> {
  return new Promise((done, failed) => {
    server.once('error', failed);
    server.listen(place, () => {
      server.off('error', failed);
      server.on('error', () => undefined);
      done();
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(() => server.closeAllConnections(), CLOSE_LIMIT_MS);
    server.close(() => {
      clearTimeout(timer);
      done();
    });
    server.closeIdleConnections();
  });
}
