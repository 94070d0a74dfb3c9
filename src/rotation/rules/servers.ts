import type { Remedy } from '../../remedy.ts';
import type { CertletError } from '../../errors.ts';
import type { ErrorCode } from '../../error-rules.ts';
import type { ServerMove } from '../../ports.ts';
import { canonicalIpAddress } from '../../pki/ip-address.ts';
import { endOf, type Pause } from './retry.ts';

const MINUTE_MS = 60_000;

/** A server that does not answer is left alone for a minute first, for ten at most: it may be gone for good, and each look at it costs a timeout. */
const FIRST_PAUSE_MS = MINUTE_MS;
const LONGEST_PAUSE_MS = 10 * MINUTE_MS;

/** What is known of one API server of the cluster. */
export interface ServerFacts {
  /** Its URL. */
  readonly server: string;
  /** `unknown`: not asked yet; `down`: no answer, or 5xx; `untrusted`: its TLS is refused, so that no request goes there. */
  readonly state: 'unknown' | 'up' | 'down' | 'untrusted';
  /** Since when it is in this state without a break. */
  readonly since: Date;
  /** When it was last found to be in this state. */
  readonly seenAt: Date;
  /** How often in a row it was found to be. */
  readonly times: number;
  /** Left alone until this is over. */
  readonly pause?: Pause | undefined;
  readonly error?: { readonly code: ErrorCode; readonly message: string; readonly remedy?: Remedy | undefined };
}

/**
 * What an error says of the server that was asked. `none`: nothing, or that it is there: it answered, if only to refuse. An error of TLS is never a
 * reason to go elsewhere: somebody between could choose by it where a node asks.
 */
export function faultOf(error: Pick<CertletError, 'code'>): 'down' | 'untrusted' | 'none' {
  switch (error.code) {
    case 'ERR_API_UNREACHABLE':
    case 'ERR_API_SERVER':
      return 'down';
    case 'ERR_API_TLS':
    case 'ERR_API_TLS_DATES':
    case 'ERR_API_TLS_NO_NAMES':
      return 'untrusted';
    default:
      return 'none';
  }
}

/** Whether an error is an answer: what came from a server over a connection that was verified. */
export const isAnswer = (error: Pick<CertletError, 'code'>): boolean => ANSWERS.has(error.code);

const ANSWERS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_API_UNAUTHORIZED',
  'ERR_API_FORBIDDEN',
  'ERR_API_ANONYMOUS',
  'ERR_API_NOT_FOUND',
  'ERR_API_CONFLICT',
  'ERR_API_REJECTED',
  'ERR_API_THROTTLED',
  'ERR_API_UNSUPPORTED',
]);

/**
 * Which servers a request goes to, one after the other until one answers: the one in use, then those that are not in a pause, in the order of the list.
 * Where all others are, the one whose pause ends first: after a whole control plane was away each attempt looks at two, and none is waited for
 * for long.
 */
export function serversToTry(
  servers: readonly ServerFacts[],
  inUse: string,
  now: Date,
): readonly [string, ...(readonly string[])] {
  const others = servers.filter(({ server }) => server !== inUse);
  const ready = others.filter(({ pause }) => endOf(pause, now) === undefined);
  const rested = [...others].sort((a, b) => pauseEnd(a) - pauseEnd(b)).slice(0, 1);
  return [inUse, ...(ready.length > 0 ? ready : rested).map(({ server }) => server)];
}

const pauseEnd = ({ pause }: ServerFacts): number => pause?.at.getTime() ?? 0;

/** Which server is in use: the one that answered last as long as it is in the list, else the kubeconfig's. */
export const serverInUse = (ofKubeconfig: string, others: readonly string[], last: string | undefined): string =>
  last !== undefined && (last === ofKubeconfig || others.includes(last)) ? last : ofKubeconfig;

/** The same servers once, the kubeconfig's first. URLs are compared as they would be dialled. */
export function serverList(ofKubeconfig: string, others: readonly string[]): readonly string[] {
  const seen = new Set<string>();
  return [ofKubeconfig, ...others].filter((server) => {
    const key = new URL(server).href;
    return seen.has(key) ? false : seen.add(key);
  });
}

/** After a look at a server: what is known of it then. `roll` is in [0, 1). */
export function afterLook(
  before: ServerFacts,
  found: { readonly state: ServerFacts['state']; readonly error?: CertletError },
  at: { readonly now: Date; readonly roll: number },
): ServerFacts {
  const { state, error } = found;
  const { now, roll } = at;
  const same = before.state === state && before.since <= now;
  const times = same ? before.times + 1 : 1;
  const common = { server: before.server, state, since: same ? before.since : now, seenAt: now, times };
  if (error === undefined) return common;
  const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(times - 1, 10)) * (0.75 + 0.25 * roll);
  const { code, message, remedy } = error;
  return { ...common, pause: { setAt: now, at: new Date(now.getTime() + pauseMs) }, error: { code, message, remedy } };
}

/** A kubeconfig that names another server needs a restart of the kubelet: no more of them than this. */
export const BETWEEN_MOVES_MS = 60 * MINUTE_MS;

/** A host that slept for hours between two looks has seen nothing of what lay between. */
const LEAST_LOOKS = 3;

/**
 * Which server the node's kubeconfig is to name in place of its own; undefined while it stays. Its own has been found down again and again for
 * `afterMs`, from the first look to the last, and the one in use answers.
 */
export function moveTo(
  ofKubeconfig: ServerFacts | undefined,
  inUse: ServerFacts | undefined,
  at: { readonly now: Date; readonly afterMs: number; readonly last: ServerMove | undefined },
): string | undefined {
  if (ofKubeconfig === undefined || inUse === undefined || ofKubeconfig.server === inUse.server) return undefined;
  if (ofKubeconfig.state !== 'down' || inUse.state !== 'up') return undefined;
  if (ofKubeconfig.times < LEAST_LOOKS) return undefined;
  if (ofKubeconfig.seenAt.getTime() - ofKubeconfig.since.getTime() < at.afterMs) return undefined;
  const sinceMoveMs = at.last === undefined ? BETWEEN_MOVES_MS : at.now.getTime() - at.last.at.getTime();
  // A move that lies ahead was noted by a clock that was: it holds nothing back.
  return sinceMoveMs >= 0 && sinceMoveMs < BETWEEN_MOVES_MS ? undefined : inUse.server;
}

/** How soon a server is to be looked at again of its own accord: one that is down, and whose state decides whether the kubeconfig follows, often enough for that. */
export function lookAt(facts: ServerFacts, moveAfterMs: number | undefined): Date | undefined {
  if (facts.pause === undefined) return undefined;
  const { pause, since } = facts;
  if (moveAfterMs === undefined || facts.state !== 'down') return pause.at;
  const decides = since.getTime() + moveAfterMs;
  return pause.setAt.getTime() < decides && pause.at.getTime() > decides ? new Date(decides) : pause.at;
}

/** The addresses of Endpoints `default/kubernetes` as URLs: each API server writes its own there. Empty for anything else. */
export function endpointServers(body: unknown): readonly string[] {
  const subsets = listOf(fieldOf(body, 'subsets'));
  const servers = subsets.flatMap((subset) => {
    const ports = listOf(fieldOf(subset, 'ports'));
    const port = fieldOf(ports.find((each) => fieldOf(each, 'name') === 'https') ?? ports[0], 'port');
    if (typeof port !== 'number') return [];
    return listOf(fieldOf(subset, 'addresses')).flatMap((address) => {
      const given = fieldOf(address, 'ip');
      const ip = typeof given === 'string' ? canonicalIpAddress(given) : undefined;
      if (ip === undefined) return [];
      const url = `https://${ip.includes(':') ? `[${ip}]` : ip}:${String(port)}`;
      return URL.canParse(url) ? [url] : [];
    });
  });
  return [...new Set(servers)].slice(0, MOST_ENDPOINTS);
}

/** More API servers than this has no cluster; what names more is not taken whole. */
const MOST_ENDPOINTS = 16;

const fieldOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
