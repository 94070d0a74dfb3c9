/** The PEM blocks (RFC 7468) of one type in a text, in order, each ending in a newline; text around them is dropped. */
export function pemBlocks(text: string, label: string): readonly string[] {
  const begin = `-----BEGIN ${label}-----`;
  const end = `-----END ${label}-----`;
  const blocks: string[] = [];
  for (let from = text.indexOf(begin); from >= 0; from = text.indexOf(begin, from + 1)) {
    const to = text.indexOf(end, from);
    if (to < 0) break;
    blocks.push(`${text.slice(from, to + end.length)}\n`);
  }
  return blocks;
}

/** Labels of private keys that the kubelet and openssl write. `EC PARAMETERS` blocks beside them are not needed. */
const KEY_LABELS = ['EC PRIVATE KEY', 'RSA PRIVATE KEY', 'PRIVATE KEY', 'ENCRYPTED PRIVATE KEY'] as const;

/** The first private key block of a text, undefined when there is none. */
export function firstKeyBlock(text: string): string | undefined {
  return KEY_LABELS.flatMap((label) => pemBlocks(text, label))[0];
}
