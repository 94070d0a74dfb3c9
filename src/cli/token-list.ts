import type { ClusterApi } from '../approve/ports.ts';
import { Cluster } from '../approve/cluster.ts';
import { CLIENT_SIGNER } from '../approve/settings.ts';
import { readItem } from '../approve/survey.ts';
import { CertletError, isCertletError } from '../errors.ts';
import { spanText } from '../timestamp.ts';
import {
  decodeToken,
  type ListedToken,
  secretName,
  TOKEN_TYPE,
  TOKENS_NAMESPACE,
} from '../token/bootstrap-token-object.ts';

/** A token with the requests that were made with it and are still there. */
export interface TokenRow extends ListedToken {
  readonly requests: readonly string[];
}

const SECRETS = `/api/v1/namespaces/${TOKENS_NAMESPACE}/secrets`;

const SECRETS_A_PAGE = 200;

/** Every bootstrap token, by id, without its other half. Throws what the API server answers. */
export async function listTokens(api: ClusterApi, signal: AbortSignal): Promise<readonly TokenRow[]> {
  const cluster = new Cluster(api, await api.discover(signal));
  const tokens: ListedToken[] = [];
  const query = { fieldSelector: `type=${TOKEN_TYPE}` };
  for await (const { items } of cluster.pages(SECRETS, { query, limit: SECRETS_A_PAGE }, signal))
    tokens.push(...items.map(decodeToken));
  const requests = new Map<string, string[]>();
  for await (const { items } of cluster.requestPages(CLIENT_SIGNER, signal)) {
    for (const item of items) {
      // What cannot be read was made with no token that could be told.
      const request = readItem(item, () => undefined);
      if (request !== undefined)
        requests.set(request.username, [...(requests.get(request.username) ?? []), request.name]);
    }
  }
  return tokens
    .toSorted((one, other) => (one.id < other.id ? -1 : 1))
    .map((token) => ({ ...token, requests: requests.get(`system:bootstrap:${token.id}`) ?? [] }));
}

/** Deletes a token by its id, or by the whole token, of which only the id is looked at. Throws `ERR_API_NOT_FOUND`, `ERR_USAGE`. */
export async function deleteToken(api: ClusterApi, text: string, signal: AbortSignal): Promise<string> {
  const id = /^([a-z0-9]{6})(?:\.[a-z0-9]{16})?$/.exec(text)?.[1];
  // It may be a mistyped token, so it is not repeated.
  if (id === undefined)
    throw new CertletError('ERR_USAGE', 'expected the id of a token, six of a-z and 0-9; see certlet token list');
  try {
    await api.request('DELETE', `${SECRETS}/${secretName(id)}`, undefined, signal);
  } catch (error) {
    if (!isCertletError(error, 'ERR_API_NOT_FOUND')) throw error;
    throw new CertletError('ERR_API_NOT_FOUND', `there is no token ${id}`, {
      remedy: 'certlet token list',
      cause: error,
    });
  }
  return id;
}

const HEADINGS = ['TOKEN', 'TTL', 'EXPIRES', 'USAGES', 'DESCRIPTION', 'EXTRA GROUPS', 'NODE', 'REQUESTS'] as const;

/** kubeadm's columns, but for the other half of the token; then the node and what was asked for with it. Ends in a newline. */
export function tokenTable(rows: readonly TokenRow[], now: Date): string {
  const cells = rows.map((row) => [
    row.id,
    ttlText(row.expiresAt, now),
    row.expiresAt?.toISOString() ?? '<never>',
    row.usages.join(',') || '<none>',
    row.description || '<none>',
    row.groups.join(',') || '<none>',
    `${row.nodeName ?? '-'}${row.once ? ' (once)' : ''}`,
    row.requests.join(', ') || '-',
  ]);
  const lines = [[...HEADINGS], ...cells];
  const widths = HEADINGS.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  return lines
    .map(
      (line) =>
        `${line
          .map((text, column) => text.replaceAll(/\s/g, ' ').padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

function ttlText(expiresAt: Date | undefined, now: Date): string {
  if (expiresAt === undefined) return '<forever>';
  const leftMs = expiresAt.getTime() - now.getTime();
  return leftMs > 0 ? spanText(leftMs) : '<expired>';
}
