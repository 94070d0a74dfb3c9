/** One `-----BEGIN label-----` … `-----END label-----` block. */
export interface PemBlock {
  readonly label: string;
  /** Undefined when the block has no matching END line or its content is no base64. */
  readonly der: Uint8Array | undefined;
  /** Whether the block carries RFC 1421 headers (`Proc-Type: 4,ENCRYPTED` marks a key locked by a passphrase). */
  readonly headers: boolean;
}

const BOUNDARY = /^-----(BEGIN|END) ([A-Z0-9 #]{1,64})-----\s*$/;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/**
 * Every PEM block of a text in its order, with whatever stands around the blocks skipped: OpenSSL and signers print
 * subjects and comments between them. Works line by line, so its cost is linear for any input. Never throws.
 */
export function pemBlocks(text: string): readonly PemBlock[] {
  const blocks: PemBlock[] = [];
  let open: { readonly label: string; readonly lines: string[] } | undefined;
  for (const line of text.split('\n')) {
    const boundary = BOUNDARY.exec(line);
    if (boundary === null) {
      open?.lines.push(line);
      continue;
    }
    const [, side, label = ''] = boundary;
    if (open !== undefined) {
      const ended = side === 'END' && label === open.label;
      blocks.push(ended ? closedBlock(label, open.lines) : { label: open.label, der: undefined, headers: false });
    }
    open = side === 'BEGIN' ? { label, lines: [] } : undefined;
  }
  if (open !== undefined) blocks.push({ label: open.label, der: undefined, headers: false });
  return blocks;
}

/** DER as one PEM block: 64 columns, newline at the end (RFC 7468). */
export function encodePem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}

/** What a text holds, for messages: `PEM blocks EC PRIVATE KEY`, `no PEM block in 12 characters`. Never its content. */
export function describePem(blocks: readonly PemBlock[], length: number): string {
  if (blocks.length === 0) return length === 0 ? 'an empty text' : `no PEM block in ${String(length)} characters`;
  const labels = [...new Set(blocks.map((block) => (block.der === undefined ? `broken ${block.label}` : block.label)))];
  return `${blocks.length === 1 ? 'PEM block' : 'PEM blocks'} ${labels.slice(0, 5).join(', ')}`;
}

function closedBlock(label: string, lines: readonly string[]): PemBlock {
  const blank = lines.some((line) => line.includes(':')) ? lines.findIndex((line) => line.trim() === '') : -1;
  const body = lines
    .slice(blank + 1)
    .join('')
    .replaceAll(/\s/g, '');
  const valid = body !== '' && body.length % 4 === 0 && BASE64.test(body);
  return { label, der: valid ? Buffer.from(body, 'base64') : undefined, headers: blank >= 0 };
}
