import { CertletError } from '../../errors.ts';
import { shellWord } from '../file-errors.ts';
import type { ApiStatus, Asked } from './api-errors.ts';

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
  return new CertletError('ERR_API_FORBIDDEN', message, { status: 403, remedy: forbiddenRemedy(words, text) });
}

function anonymousRemedy(asked: Asked): string {
  const host = new URL(asked.server).host;
  return asked.identity.kind === 'certificate'
    ? `Something between ends TLS, so the certificate gets lost: make the load balancer at ${host} pass TCP through, or name an API server directly.`
    : `Something between takes the Authorization header out: look at the proxy or load balancer at ${host}.`;
}

const BOOTSTRAPPER = 'system:node-bootstrapper';
const BOOTSTRAPPER_VERBS = ['create', 'get', 'list', 'watch'];

function forbiddenRemedy(words: ForbiddenWords, text: string): string {
  if (/can only create a node CSR|is not allowed to|can only access|unknown node/.test(text)) {
    return 'The identity belongs to another node name: compare hostnameOverride (or the host name) with the CN of the client certificate.';
  }
  // Never a role for nobody: that would let anybody on the network ask for certificates.
  if (words.user === 'system:anonymous') {
    return 'Give the kubeconfig a credential: kubeadm token create on a control plane node prints a bootstrap token.';
  }
  const csrs = words.resource === 'certificatesigningrequests' && BOOTSTRAPPER_VERBS.includes(words.verb);
  if (csrs) {
    const binding = `certlet-${words.user.startsWith('system:node:') ? 'nodes' : 'bootstrap'}`;
    return `kubectl create clusterrolebinding ${binding} --clusterrole=${BOOTSTRAPPER} ${subjectOf(words.user)}`;
  }
  if (words.verb === '' || words.resource === '')
    return 'Give the identity a ClusterRole that allows the request, with kubectl create clusterrolebinding.';
  const name = shellWord(`certlet-${words.verb}-${words.resource.replaceAll('/', '-')}`);
  const resource = words.group === '' ? words.resource : withGroup(words.resource, words.group);
  return (
    `kubectl create clusterrole ${name} --verb=${shellWord(words.verb)} --resource=${shellWord(resource)} && ` +
    `kubectl create clusterrolebinding ${name} --clusterrole=${name} ${subjectOf(words.user)}`
  );
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
