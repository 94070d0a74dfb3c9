import { createHmac, timingSafeEqual } from 'node:crypto';
import type { BootstrapToken } from './bootstrap-token.ts';

/**
 * What is wrong with the detached JWS (RFC 7515 appendix F) that the bootstrapsigner controller puts beside a cluster-info
 * document. Empty means that whoever signed these exact bytes knows the token's secret.
 *
 * The header is taken as it came and the MAC is computed over it, instead of signing again and comparing text: the order of
 * the header's fields is no business of ours. The algorithm is fixed, so a header cannot choose a weaker one.
 */
export function signatureProblems(content: string, jws: string, token: BootstrapToken): readonly string[] {
  const [header, payload, mac, ...rest] = jws.split('.');
  if (header === undefined || payload === undefined || mac === undefined || rest.length > 0) {
    return ['the signature is not in compact form (three parts with dots between)'];
  }
  if (payload !== '') return ['the signature is not detached (its middle part is not empty)'];
  const problems = headerProblems(header, token.id);
  if (problems.length > 0) return problems;
  const expected = createHmac('sha256', Buffer.from(token.secret.reveal(), 'utf8'))
    .update(`${header}.${Buffer.from(content, 'utf8').toString('base64url')}`)
    .digest();
  const given = Buffer.from(mac, 'base64url');
  // The length is public (SHA-256), the bytes are compared in constant time.
  const matches = given.length === expected.length && timingSafeEqual(given, expected);
  return matches
    ? []
    : ["the signature does not match: the token's secret is wrong, or the document was changed on its way"];
}

function headerProblems(header: string, tokenId: string): readonly string[] {
  const fields = parseHeader(header);
  if (fields === undefined) return ['the header of the signature is not a JSON object'];
  const algorithm = fields['alg'];
  const keyId = fields['kid'];
  return [
    ...(algorithm === 'HS256'
      ? []
      : [`the signature's algorithm is ${JSON.stringify(algorithm) ?? 'missing'}, not "HS256"`]),
    ...(keyId === tokenId
      ? []
      : [`the signature was made with token id ${JSON.stringify(keyId) ?? 'unknown'}, not "${tokenId}"`]),
  ];
}

function parseHeader(header: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(header, 'base64url').toString('utf8'));
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    return value as Readonly<Record<string, unknown>>;
  } catch {
    return undefined;
  }
}
