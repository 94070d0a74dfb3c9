import { CertletError } from '../../errors.ts';
import type { ErrorCode } from '../../errors.ts';
import { parseJson } from './body.ts';
import { forbiddenError } from './forbidden.ts';
import type { Identity } from './identity.ts';
import { plainText } from './response-headers.ts';

/** One request, as messages and remedies name it. */
export interface Asked {
  readonly identity: Identity;
  /** URL of the API server. */
  readonly server: string;
  /** `POST /apis/…` without query. */
  readonly what: string;
}

export interface Refusal {
  readonly status: number;
  /** As received: a Status object, HTML, or nothing. */
  readonly body: string;
  readonly retryAfterMs: number | undefined;
  /** Where a redirect points. */
  readonly location?: string | undefined;
}

/** The parts of a Kubernetes `Status` that say why. */
export interface ApiStatus {
  readonly message: string;
  readonly reason: string;
  readonly retryAfterSeconds: number | undefined;
}

/** Longest text of a server that goes into a message. */
const MAX_MESSAGE_LENGTH = 1000;

/** What an answer other than 2xx means. The message holds the server's own words, made fit for one line. */
export function apiError(asked: Asked, refusal: Refusal): CertletError {
  const status = readStatus(refusal.body);
  if (refusal.status === 401) return unauthorized(asked, status);
  if (refusal.status === 403) return forbiddenError(asked, status);
  const code = codeOf(refusal.status, status);
  const words = status?.message === undefined || status.message === '' ? redirectWords(refusal) : `: ${status.message}`;
  const retryAfterMs = refusal.retryAfterMs ?? secondsToMs(status?.retryAfterSeconds);
  const remedy =
    code === 'ERR_API_PROTOCOL' ? `Check that ${asked.server} is an API server and no proxy or login page.` : undefined;
  return new CertletError(code, `${asked.what} at ${asked.server}: ${String(refusal.status)}${words}`, {
    status: refusal.status,
    ...(remedy === undefined ? {} : { remedy }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** Redirects are not followed: the credential would go to whoever says so. */
function redirectWords({ status, location }: Refusal): string {
  if (status < 300 || status > 399 || location === undefined || location === '') return '';
  return `, a redirect to ${plainText(location, MAX_MESSAGE_LENGTH)}, which is not followed`;
}

/** A `Status` body; undefined for anything else. */
export function readStatus(body: string): ApiStatus | undefined {
  let json: unknown;
  try {
    json = parseJson(body, 'Status');
  } catch {
    // Proxies answer in HTML; the status code tells enough then.
    return undefined;
  }
  const fields = fieldsOf(json);
  if (fields['kind'] !== 'Status') return undefined;
  const { message, reason } = fields;
  const { retryAfterSeconds: seconds } = fieldsOf(fields['details']);
  return {
    message: typeof message === 'string' ? plainText(message, MAX_MESSAGE_LENGTH) : '',
    reason: typeof reason === 'string' ? reason : '',
    retryAfterSeconds: typeof seconds === 'number' && seconds >= 0 && seconds <= 3600 ? seconds : undefined,
  };
}

function fieldsOf(json: unknown): Readonly<Record<string, unknown>> {
  return typeof json === 'object' && json !== null ? (json as Readonly<Record<string, unknown>>) : {};
}

function codeOf(status: number, body: ApiStatus | undefined): ErrorCode {
  if (status === 404) return 'ERR_API_NOT_FOUND';
  // 409 with the reason Conflict is a lost update, not an object that stands in the way.
  if (status === 409) return body?.reason === 'Conflict' ? 'ERR_API_SERVER' : 'ERR_API_CONFLICT';
  if (status === 429) return 'ERR_API_THROTTLED';
  if (status >= 500) return 'ERR_API_SERVER';
  // API servers never redirect; login pages do.
  return status < 400 ? 'ERR_API_PROTOCOL' : 'ERR_API_REJECTED';
}

function secondsToMs(seconds: number | undefined): number | undefined {
  return seconds === undefined ? undefined : seconds * 1000;
}

function unauthorized(asked: Asked, status: ApiStatus | undefined): CertletError {
  const { identity } = asked;
  const words =
    status?.message === undefined || status.message === '' || status.message === 'Unauthorized'
      ? ''
      : `: ${status.message}`;
  const message = `${asked.what} at ${asked.server}: 401, the API server rejects the ${identity.label}${words}`;
  return new CertletError('ERR_API_UNAUTHORIZED', message, { status: 401, remedy: unauthorizedRemedy(identity) });
}

/** A 401 looks the same for all causes, so they are named in the order in which they are met. */
function unauthorizedRemedy(identity: Identity): string {
  switch (identity.kind) {
    case 'token':
      return identity.tokenId === undefined ? TOKEN_REMEDY : bootstrapTokenRemedy(identity.tokenId);
    case 'tokenFile':
      return `Write a fresh token into the file: ${identity.label.replace(/^token in /, '')}. It is expired, revoked or from another cluster.`;
    case 'certificate':
      return (
        'Most likely first: the certificate has expired; its CA is not in the --client-ca-file of every API server; ' +
        'the kubeconfig is from another cluster; a load balancer ends TLS and anonymous access is off. ' +
        'Look at it with: openssl x509 -noout -subject -issuer -dates -in CERTIFICATE'
      );
    case 'exec':
      return 'The credential that the plugin printed is refused: run the plugin by hand and look at its account and cluster.';
    case 'none':
      return 'Put a bootstrap kubeconfig with a token in place: kubeadm token create on a control plane node prints one.';
  }
}

const TOKEN_REMEDY =
  'Most likely first: the token has expired or was deleted; it was mistyped; it is not in the --token-auth-file of every API server ' +
  '(read only when it starts); the kubeconfig is from another cluster.';

function bootstrapTokenRemedy(id: string): string {
  return (
    'Most likely first: the token has expired or was deleted (a new one: kubeadm token create); its secret half is wrong; ' +
    'the API server runs without --enable-bootstrap-token-auth; the kubeconfig is from another cluster. ' +
    `Look at it with: kubectl -n kube-system get secret bootstrap-token-${id} -o yaml`
  );
}
