import type { IncomingMessage } from 'node:http';
import { CertletError, defectIn, isDefect } from '../errors.ts';
import { openHttpServer, type OpenServer } from './control/http-server.ts';
import { type ControlAnswer, METRICS_TYPE } from './control/routes.ts';
import { errnoOf } from './file-errors.ts';

/** Where metrics are served, and the setting that says so. */
export interface MetricsPlace {
  readonly host: string;
  readonly port: number;
  readonly setting: 'metrics.address' | 'approve.metricsAddress';
}

/** `GET /metrics`, and `/healthz` where `isAlive` is given, and nothing else. Throws `ERR_CONTROL` where it cannot listen. */
export async function openMetricsEndpoint(
  { setting, ...address }: MetricsPlace,
  metrics: () => string,
  isAlive?: () => boolean,
): Promise<OpenServer> {
  try {
    return await openHttpServer(address, async (request) => answer(request, metrics, isAlive));
  } catch (error) {
    const place = `${address.host}:${String(address.port)}`;
    if (isDefect(error)) throw defectIn(`metrics at ${place}`, error);
    throw new CertletError('ERR_CONTROL', `cannot serve metrics at ${place}: ${errnoOf(error) ?? 'unknown error'}`, {
      cause: error,
      remedy: `ss -ltnp 'sport = :${String(address.port)}'   # shows who has it; or set ${setting} to a free port`,
    });
  }
}

function answer(request: IncomingMessage, metrics: () => string, isAlive: (() => boolean) | undefined): ControlAnswer {
  const path = (request.url ?? '').split('?', 1)[0];
  if (path === '/healthz' && isAlive !== undefined)
    return isAlive()
      ? { status: 200, type: 'text/plain', text: 'ok\n' }
      : { status: 503, type: 'text/plain', text: 'hangs\n' };
  if (path !== '/metrics') return { status: 404, type: 'text/plain', text: 'there is /metrics\n' };
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 405, type: 'text/plain', text: 'GET or HEAD\n', allow: 'GET, HEAD' };
  }
  return { status: 200, type: METRICS_TYPE, text: metrics() };
}
