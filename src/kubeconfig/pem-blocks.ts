import { encodePem, pemBlocks } from '../pki/pem.ts';
import type { PemBlock } from '../pki/pem.ts';

/** What a text holds of one kind, in its order, read as Go's encoding/pem does: a boundary fills a line of its own. */
export interface FoundBlocks {
  readonly blocks: readonly PemBlock[];
  /** Why there are none, where the text looks as if there were; undefined otherwise. */
  readonly hint: string | undefined;
}

/** The CERTIFICATE blocks; those of other labels (`TRUSTED CERTIFICATE`, `X509 CERTIFICATE`) do not count for Go. */
export function certificateBlocks(text: string): FoundBlocks {
  const all = pemBlocks(text);
  const blocks = all.filter(({ label }) => label === 'CERTIFICATE');
  const other = all.find(({ label }) => label.endsWith(' CERTIFICATE'));
  if (other === undefined || blocks.length > 0) return { blocks, hint: hintOf(text, blocks, 'CERTIFICATE') };
  return { blocks, hint: `its block is labelled ${other.label}, which Kubernetes passes by` };
}

/** The block that Go takes the private key from: the first one of any kind of key. */
export function keyBlock(text: string): { readonly block: PemBlock | undefined; readonly hint: string | undefined } {
  const blocks = pemBlocks(text).filter(({ label }) => /(^| )PRIVATE KEY$/.test(label));
  return { block: blocks[0], hint: hintOf(text, blocks, 'PRIVATE KEY') };
}

/** A block as PEM without headers; undefined where its content is none. */
export function pemOf({ label, der }: PemBlock): string | undefined {
  return der === undefined ? undefined : encodePem(label, der);
}

function hintOf(text: string, blocks: readonly PemBlock[], label: string): string | undefined {
  if (blocks.length > 0) return undefined;
  if (text.includes('\u0000')) return 'the text is UTF-16, and PEM is ASCII';
  return text.includes(`${label}-----`)
    ? 'each BEGIN and END line of a PEM block must fill a line of its own'
    : undefined;
}
