import { canonicalIpAddress } from './ip-address.ts';

export interface AlternativeNames {
  readonly dnsNames: readonly string[];
  /** Canonical text. */
  readonly ipAddresses: readonly string[];
  /** Everything else, with its kind: `email:a@example.com`, `URI:spiffe://x/y`. */
  readonly otherNames: readonly string[];
}

/** Kind, then the value: a JSON string where Node found characters that could be taken for a separator, else bare up to the comma. */
const ENTRY = /([A-Za-z0-9 ]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/y;

/**
 * `X509Certificate.subjectAltName` in parts. Values are never split at a comma within quotes, so no certificate can pass an email
 * address or a URI off as a DNS name. What cannot be read is kept among the other names. Never throws.
 */
export function parseAlternativeNames(text: string): AlternativeNames {
  const names = { dnsNames: [] as string[], ipAddresses: [] as string[], otherNames: [] as string[] };
  const entry = new RegExp(ENTRY);
  while (entry.lastIndex < text.length) {
    const start = entry.lastIndex;
    const [, kind = '', value = ''] = entry.exec(text) ?? [];
    if (kind === '') {
      names.otherNames.push(text.slice(start));
      break;
    }
    const plain = unquoted(value);
    const address = kind === 'IP Address' ? canonicalIpAddress(plain) : undefined;
    if (kind === 'DNS') names.dnsNames.push(plain);
    else if (address !== undefined) names.ipAddresses.push(address);
    else names.otherNames.push(`${kind}:${plain}`);
  }
  return names;
}

function unquoted(value: string): string {
  if (!value.startsWith('"')) return value;
  try {
    const text: unknown = JSON.parse(value);
    return typeof text === 'string' ? text : value;
  } catch {
    return value;
  }
}
