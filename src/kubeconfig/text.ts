import { editing, shellWord } from '../remedy.ts';
import { CertletError } from '../errors.ts';

const MARKS = [
  { encoding: 'utf-16le', bytes: [0xff, 0xfe] },
  { encoding: 'utf-16be', bytes: [0xfe, 0xff] },
] as const;

/**
 * The text of a kubeconfig, as Go's YAML reader decodes it: UTF-8, or UTF-16 where a byte order mark says so (editors and shells of Windows
 * write that). A carriage return alone ends a line too. Throws `ERR_KUBECONFIG_INVALID` for anything else, so that nothing is read with
 * characters that the file does not have.
 */
export function decodeKubeconfig(bytes: Uint8Array, path: string): string {
  const mark = MARKS.find((each) => each.bytes.every((byte, index) => bytes[index] === byte));
  try {
    return decode(bytes, mark?.encoding).replaceAll(/\r(?!\n)/g, '\n');
  } catch (error) {
    throw new CertletError('ERR_KUBECONFIG_INVALID', `${path}: is no UTF-8 text`, {
      remedy: editing(path, `Save it as UTF-8; file -i ${shellWord(path)} tells what it is now.`),
      cause: error,
    });
  }
}

function decode(bytes: Uint8Array, encoding: 'utf-16le' | 'utf-16be' | undefined): string {
  if (encoding === undefined) return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  // Half a character at the end is none.
  if (bytes.length % 2 !== 0) throw new RangeError('odd number of bytes');
  const little = encoding === 'utf-16le' ? Buffer.from(bytes) : Buffer.from(bytes).swap16();
  return new TextDecoder('utf-16le', { fatal: true }).decode(little);
}
