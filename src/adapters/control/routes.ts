import type { Remedy } from '../../remedy.ts';
import type { IncomingMessage } from 'node:http';
import type { LogLevel } from '../../ports.ts';
import { asCertletError } from '../../errors.ts';
import { KUBELET_SERVING } from '../../csr/spec.ts';
import { BadRequest, readObject, refuseUnknown } from './request-body.ts';

/** What the daemon can tell and do. Methods that fail throw `CertletError`; `by` is who asks, as the journal tells it. */
export interface ControlHandlers {
  /** The status document as text; undefined before the first round. */
  status(): string | undefined;
  metrics(): string;
  health(): { readonly healthy: boolean; readonly reasons: readonly string[] };
  /** Which certificates can be renewed. */
  purposes(): readonly string[];
  renew(purposes: readonly string[], by: string): Promise<void>;
  /** Restarts of the kubelet wait no longer for their window; gives what they were for. */
  restartNow(by: string): Promise<readonly string[]> | readonly string[];
  reload(by: string): Promise<void>;
  logLevel(): LogLevel;
  setLogLevel(level: LogLevel, by: string): void;
}

export interface ControlAnswer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
  /** Methods that the path knows, for 405. */
  readonly allow?: string;
}

type Route = (handlers: ControlHandlers, request: IncomingMessage) => Promise<ControlAnswer> | ControlAnswer;

const JSON_TYPE = 'application/json';
/** Prometheus' text format. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
/** Of who asks. */
const LONGEST_NAME = 200;
const LEVELS: readonly LogLevel[] = ['error', 'warn', 'info', 'debug'];

const json = (status: number, value: unknown): ControlAnswer => ({
  status,
  type: JSON_TYPE,
  text: `${JSON.stringify(value)}\n`,
});

const ROUTES: Readonly<Record<string, Readonly<Record<string, Route>>>> = {
  '/status': { GET: status },
  '/metrics': { GET: (handlers) => ({ status: 200, type: METRICS_TYPE, text: handlers.metrics() }) },
  '/health': { GET: health },
  '/renew': { POST: renew },
  '/restart-kubelet': { POST: restartKubelet },
  '/reload': { POST: reload },
  '/log-level': { GET: (handlers) => json(200, { level: handlers.logLevel() }), PUT: setLogLevel },
};

/** The answer to one request; never throws. Errors answer `{"error": {"code", "field"?, "message", "remedy"?}}`. */
export async function answerControl(handlers: ControlHandlers, request: IncomingMessage): Promise<ControlAnswer> {
  const path = (request.url ?? '').split('?', 1)[0] ?? '';
  const methods = Object.hasOwn(ROUTES, path) ? ROUTES[path] : undefined;
  if (methods === undefined)
    return problem(404, { code: 'NOT_FOUND', field: 'path', message: `no such path: ${path}` });
  const route = Object.hasOwn(methods, request.method ?? '') ? methods[request.method ?? ''] : undefined;
  if (route === undefined) {
    const allow = Object.keys(methods).join(', ');
    return { ...problem(405, { code: 'BAD_METHOD', field: 'method', message: `${path} takes ${allow}` }), allow };
  }
  try {
    return await route(handlers, request);
  } catch (thrown) {
    if (thrown instanceof BadRequest) {
      return problem(thrown.status, { code: 'BAD_REQUEST', field: thrown.field, message: thrown.message });
    }
    const { code, message, remedy } = asCertletError(thrown);
    return problem(code === 'ERR_CONFIG_INVALID' ? 422 : 500, { code, message, remedy });
  }
}

interface Problem {
  readonly code: string;
  readonly message: string;
  readonly field?: string;
  readonly remedy?: Remedy | undefined;
}

const problem = (status: number, error: Problem): ControlAnswer => json(status, { error });

function status(handlers: ControlHandlers): ControlAnswer {
  const text = handlers.status();
  if (text !== undefined) return { status: 200, type: JSON_TYPE, text };
  return problem(503, { code: 'STARTING', message: 'the daemon has just started and knows nothing yet' });
}

function health(handlers: ControlHandlers): ControlAnswer {
  const { healthy, reasons } = handlers.health();
  return json(healthy ? 200 : 503, { healthy, reasons });
}

async function renew(handlers: ControlHandlers, request: IncomingMessage): Promise<ControlAnswer> {
  const body = await readObject(request);
  refuseUnknown(body, ['purposes']);
  const purposes = wantedPurposes(body['purposes'], handlers.purposes());
  await handlers.renew(purposes, whoAsks(request));
  return json(202, { purposes });
}

function wantedPurposes(value: unknown, managed: readonly string[]): readonly string[] {
  if (value === undefined) return managed;
  const names = managed.map((name) => `"${name}"`).join(', ');
  if (!Array.isArray(value) || value.length === 0) {
    throw new BadRequest(400, 'purposes', `expected a list of names of certificates: ${names}`);
  }
  const wanted = value.map((word: unknown, index) => {
    const field = `purposes[${String(index)}]`;
    if (typeof word === 'string' && managed.includes(word)) return word;
    if (word === KUBELET_SERVING)
      throw new BadRequest(409, field, `the ${word} certificate is not managed (rotateServerCertificates: false)`);
    throw new BadRequest(400, field, `expected one of ${names}`);
  });
  // No line of the journal is longer than what is managed.
  return [...new Set(wanted)];
}

async function restartKubelet(handlers: ControlHandlers, request: IncomingMessage): Promise<ControlAnswer> {
  refuseUnknown(await readObject(request), []);
  return json(202, { restarts: await handlers.restartNow(whoAsks(request)) });
}

/** What the client calls itself (RFC 9110 10.1.5); whoever may open the socket may say anything. */
function whoAsks(request: IncomingMessage): string {
  return (request.headers['user-agent'] ?? 'the control socket').slice(0, LONGEST_NAME);
}

async function reload(handlers: ControlHandlers, request: IncomingMessage): Promise<ControlAnswer> {
  refuseUnknown(await readObject(request), []);
  await handlers.reload(whoAsks(request));
  return json(200, { reloaded: true });
}

async function setLogLevel(handlers: ControlHandlers, request: IncomingMessage): Promise<ControlAnswer> {
  const body = await readObject(request);
  refuseUnknown(body, ['level']);
  const level = LEVELS.find((word) => word === body['level']);
  if (level === undefined) throw new BadRequest(400, 'level', `expected one of ${LEVELS.join(', ')}`);
  handlers.setLogLevel(level, whoAsks(request));
  return json(200, { level });
}
