import { isCertletError } from '../../errors.ts';
import { readElement, readElements } from '../../pki/der-reader.ts';
import { commonNameOf, readName } from '../../pki/distinguished-name.ts';
import { pemBlocks } from '../../pki/pem.ts';

/** The common name that a PKCS#10 request asks for; undefined for what cannot be read: anybody may have put it into the cluster. */
export function requestCommonName(pem: string): string | undefined {
  const block = pemBlocks(pem)[0];
  if (block?.label !== 'CERTIFICATE REQUEST' || block.der === undefined) return undefined;
  try {
    const [info] = readElements(readElement(block.der).content);
    if (info === undefined) return undefined;
    const [, subject] = readElements(info.content);
    if (subject === undefined) return undefined;
    return commonNameOf(readName(subject));
  } catch (error) {
    if (isCertletError(error, 'ERR_API_PROTOCOL')) return undefined;
    throw error;
  }
}
