import { JsonFields } from '../csr/json-fields.ts';
import type { BootstrapToken } from '../discovery/bootstrap-token.ts';
import { Secret } from '../secret.ts';

/** What a new bootstrap token is for. */
export interface TokenWish {
  /** Bound to this node; undefined for any. */
  readonly nodeName: string | undefined;
  /** May be deleted as soon as its node has asked as itself. */
  readonly once: boolean;
  /** Undefined for one that does not end. */
  readonly expiresAt: Date | undefined;
  /** Each begins with `system:bootstrappers:`. */
  readonly groups: readonly string[];
  readonly description: string | undefined;
}

/** A token as its Secret tells it; never the other half. */
export interface ListedToken {
  readonly id: string;
  /** Undefined for one that does not end; the epoch where the time cannot be read: the API server takes such a token for expired. */
  readonly expiresAt: Date | undefined;
  /** `authentication`, `signing`. */
  readonly usages: readonly string[];
  readonly groups: readonly string[];
  readonly description: string;
  readonly nodeName: string | undefined;
  readonly once: boolean;
}

/** Names of Kubernetes (cluster-bootstrap/token/api). */
export const TOKEN_TYPE = 'bootstrap.kubernetes.io/token';
export const TOKENS_NAMESPACE = 'kube-system';
/** Annotations: the group holds the node as a hash only. */
const NODE = 'certlet/node';
const ONCE = 'certlet/once';

const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';
/** 252 is the largest multiple of 36 in a byte: what is above would make some letters likelier than others. */
const FAIR = 252;

/** A fresh token from bytes that nobody can guess. */
export function newToken(random: (count: number) => Uint8Array): BootstrapToken {
  return { id: letters(6, random), secret: new Secret(letters(16, random)) };
}

/** So many letters and digits, each as likely as any other. */
export function letters(count: number, random: (count: number) => Uint8Array): string {
  let text = '';
  while (text.length < count)
    for (const byte of random(count)) if (byte < FAIR && text.length < count) text += LETTERS[byte % LETTERS.length];
  return text;
}

/** Name of the Secret of a token. */
export function secretName(id: string): string {
  return `bootstrap-token-${id}`;
}

/** The Secret as `kubeadm token create` makes it. It holds the token: for the API, or where it was asked for. */
export function tokenSecret(token: BootstrapToken, wish: TokenWish): object {
  const { nodeName, once, expiresAt, groups, description } = wish;
  const data = {
    'token-id': token.id,
    'token-secret': token.secret.reveal(),
    // Whole seconds: a time that cannot be read as RFC 3339 ends the token at once.
    expiration: expiresAt === undefined ? undefined : `${expiresAt.toISOString().slice(0, 19)}Z`,
    'usage-bootstrap-authentication': 'true',
    'usage-bootstrap-signing': 'true',
    'auth-extra-groups': groups.join(','),
    description,
  };
  const annotations = {
    ...(nodeName === undefined ? {} : { [NODE]: nodeName }),
    ...(once ? { [ONCE]: 'true' } : {}),
  };
  const encoded = Object.entries(data).flatMap(([key, text]) =>
    text === undefined || text === '' ? [] : [[key, Buffer.from(text, 'utf8').toString('base64')] as const],
  );
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: secretName(token.id),
      namespace: TOKENS_NAMESPACE,
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    },
    type: TOKEN_TYPE,
    data: Object.fromEntries(encoded),
  };
}

/** Checked decode of such a Secret. Throws `ERR_API_PROTOCOL`. */
export function decodeToken(json: unknown): ListedToken {
  const secret = new JsonFields(json, 'Secret', 'ERR_API_PROTOCOL');
  const metadata = secret.object('metadata');
  const data = secret.has('data') ? secret.object('data') : undefined;
  const text = (key: string): string | undefined => (data?.has(key) === true ? data.base64Text(key) : undefined);
  const annotations = metadata.has('annotations') ? metadata.object('annotations') : undefined;
  return {
    id: text('token-id') ?? metadata.filledText('name').replace(/^bootstrap-token-/, ''),
    expiresAt: endOf(text('expiration') ?? ''),
    usages: ['authentication', 'signing'].filter((usage) => text(`usage-bootstrap-${usage}`) === 'true'),
    groups: (text('auth-extra-groups') ?? '').split(',').filter((group) => group !== ''),
    description: text('description') ?? '',
    nodeName: annotations?.optionalText(NODE),
    once: annotations?.optionalText(ONCE) === 'true',
  };
}

/** What Go's time.RFC3339 reads; `Date` alone takes much more for a time. */
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;

function endOf(text: string): Date | undefined {
  if (text === '') return undefined;
  const time = new Date(RFC_3339.test(text) ? text : '');
  return Number.isNaN(time.getTime()) ? new Date(0) : time;
}

/** One line of a `--token-auth-file`; the groups are one field, so they are quoted. It holds the token. */
export function tokenCsvLine(secret: Secret, user: string, groups: readonly string[]): Secret {
  return new Secret(`${secret.reveal()},${user},${user},"${groups.join(',')}"`);
}
