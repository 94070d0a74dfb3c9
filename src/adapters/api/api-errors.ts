import { filledIn, onControlPlane, type Remedy, explained, shellWord } from '../../remedy.ts';
import { CertletError, type ErrorCode, type ErrorReason } from '../../errors.ts';
import { parseJson } from './body.ts';
import type { Identity } from './credential-label.ts';
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
  const remedy: Remedy | undefined =
    code === 'ERR_API_PROTOCOL'
      ? `# Check that ${asked.server} is an API server and no proxy or login page.`
      : undefined;
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
function unauthorizedRemedy(identity: Identity): Remedy {
  switch (identity.kind) {
    case 'token':
      return identity.tokenId === undefined ? TOKEN_REMEDY : bootstrapTokenRemedy(identity.tokenId);
    case 'tokenFile':
      return tokenFileRemedy(identity.label.replace(/^token in /, ''));
    case 'certificate':
      return filledIn(
        'openssl x509 -noout -subject -issuer -dates -in CERTIFICATE',
        'most likely first: the certificate has expired; its CA is not in the --client-ca-file of every API server; ' +
          'the kubeconfig is from another cluster; a load balancer ends TLS and anonymous access is off',
      );
    case 'exec':
      return '# Run the plugin by hand and look at its account and cluster: the credential that it printed is refused.';
    case 'none':
      return onControlPlane('kubeadm token create', 'prints a token; then put a bootstrap kubeconfig with it in place');
  }
}

const TOKEN_REMEDY = explained(
  '# Give the kubeconfig a fresh token.',
  'most likely first: the token has expired or was deleted; it was mistyped; it is not in the --token-auth-file of every API server ' +
    '(read only when it starts); the kubeconfig is from another cluster',
);

const tokenFileRemedy = (path: string): Remedy =>
  `cat > ${shellWord(path)}   # paste a fresh token, then Enter and Ctrl-D: this one has expired, was revoked or is from another cluster`;

function bootstrapTokenRemedy(id: string): Remedy {
  return onControlPlane(
    'kubeadm token list',
    `is ${id} there? Most likely first: it has expired or was deleted; kubeadm token create makes a new one; ` +
      'its secret half is wrong; the API server runs without --enable-bootstrap-token-auth; the kubeconfig is from another cluster',
  );
}

/** What a 403 says about who may not do what. Fields that the server did not tell are empty. */
export interface ForbiddenWords {
  readonly user: string;
  readonly verb: string;
  /** Plural, with the subresource behind a slash: `certificatesigningrequests/nodeclient`. */
  readonly resource: string;
  readonly group: string;
}

/**
 * Reads the authorizer's sentence, of 1.12 and later (`User "u" cannot create resource "r" in API group "g" at the cluster scope`),
 * of 1.9 to 1.11 (`User "u" cannot create r.g at the cluster scope`), and for paths (`User "u" cannot get path "/p"`).
 */
export function parseForbidden(message: string): ForbiddenWords {
  const user = /User "([^"]*)" cannot/.exec(message)?.[1] ?? '';
  const recent = /cannot (?<verb>\w+) resource "(?<resource>[^"]*)" in API group "(?<group>[^"]*)"/;
  const old =
    /cannot (?<verb>\w+) (?<resource>[a-z]+(?:\/[a-z]+)?)(?:\.(?<group>[a-z0-9.-]+))? (?:at the cluster scope|in the namespace)/;
  const { verb = '', resource = '', group = '' } = (recent.exec(message) ?? old.exec(message))?.groups ?? {};
  return { user, verb, resource, group };
}

/** The error for a 403, with the binding that mends it. */
export function forbiddenError(asked: Asked, status: ApiStatus | undefined): CertletError {
  const text = status?.message ?? '';
  const words = parseForbidden(text);
  const where = `${asked.what} at ${asked.server}: 403`;
  if (words.user === 'system:anonymous' && asked.identity.kind !== 'none') {
    const message = `${where}, the API server saw nobody (system:anonymous) although the ${asked.identity.label} was sent`;
    return new CertletError('ERR_API_ANONYMOUS', message, { status: 403, remedy: anonymousRemedy(asked) });
  }
  const message = `${where} for the ${asked.identity.label}${text === '' ? '' : `: ${text}`}`;
  return new CertletError('ERR_API_FORBIDDEN', message, { status: 403, ...forbiddenDetails(words, text) });
}

function anonymousRemedy(asked: Asked): Remedy {
  const host = new URL(asked.server).host;
  return asked.identity.kind === 'certificate'
    ? `# Make the load balancer at ${host} pass TCP through, or name an API server directly: something between ends TLS, so the certificate gets lost.`
    : `# Look at the proxy or load balancer at ${host}: something between takes the Authorization header out.`;
}

const BOOTSTRAPPER = 'system:node-bootstrapper';
const BOOTSTRAPPER_VERBS = ['create', 'get', 'list', 'watch'];

function forbiddenDetails(
  words: ForbiddenWords,
  text: string,
): { readonly remedy: Remedy; readonly reason?: ErrorReason } {
  if (/can only create a node CSR|is not allowed to|can only access|unknown node/.test(text)) {
    return {
      remedy:
        '# Compare hostnameOverride, or the host name, with the CN of the client certificate: the identity belongs to another node name.',
    };
  }
  // Never a role for nobody: that would let anybody on the network ask for certificates.
  if (words.user === 'system:anonymous') {
    return {
      remedy: onControlPlane(
        'kubeadm token create',
        'prints a bootstrap token; give the kubeconfig one as its credential',
      ),
    };
  }
  const csrs = words.resource === 'certificatesigningrequests' && BOOTSTRAPPER_VERBS.includes(words.verb);
  if (csrs) {
    const binding = `certlet-${words.user.startsWith('system:node:') ? 'nodes' : 'bootstrap'}`;
    const remedy: Remedy = `kubectl create clusterrolebinding ${binding} --clusterrole=${BOOTSTRAPPER} ${subjectOf(words.user)}`;
    return { remedy, reason: 'no requests' };
  }
  return { remedy: roleRemedy(words) };
}

function roleRemedy(words: ForbiddenWords): Remedy {
  if (words.verb === '' || words.resource === '')
    return '# Give the identity a ClusterRole that allows the request, and bind it.';
  const name = shellWord(`certlet-${words.verb}-${words.resource.replaceAll('/', '-')}`);
  const resource = words.group === '' ? words.resource : withGroup(words.resource, words.group);
  const [verb, user] = [shellWord(words.verb), subjectOf(words.user)];
  return `kubectl create clusterrole ${name} --verb=${verb} --resource=${shellWord(resource)} && kubectl create clusterrolebinding ${name} --clusterrole=${name} ${user}`;
}

/** kubectl wants the group before the slash of a subresource: `certificatesigningrequests.certificates.k8s.io/nodeclient`. */
function withGroup(resource: string, group: string): string {
  const [plural = '', ...rest] = resource.split('/');
  return [`${plural}.${group}`, ...rest].join('/');
}

/** Nodes and bootstrap tokens come and go: for them the group that they are always in is bound, not the one user. */
function subjectOf(user: string): string {
  if (user.startsWith('system:node:')) return '--group=system:nodes';
  if (user.startsWith('system:bootstrap:')) return '--group=system:bootstrappers';
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(user);
  if (account !== null) return `--serviceaccount=${shellWord(`${account[1] ?? ''}:${account[2] ?? ''}`)}`;
  return user === '' ? '--user=USER' : `--user=${shellWord(user)}`;
}
