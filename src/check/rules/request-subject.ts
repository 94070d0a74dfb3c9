import { isCertletError } from '../../errors.ts';
import { readElement, readElements } from '../../pki/der-reader.ts';
import { pemBlocks } from '../../pki/pem.ts';

/** DER of the object identifier 2.5.4.3 (commonName). */
const COMMON_NAME = Buffer.from([0x55, 0x04, 0x03]);

/** The common name that a PKCS#10 request asks for; undefined for what cannot be read: anybody may have put it into the cluster. */
export function requestCommonName(pem: string): string | undefined {
  const block = pemBlocks(pem)[0];
  if (block?.label !== 'CERTIFICATE REQUEST' || block.der === undefined) return undefined;
  try {
    const [info] = readElements(readElement(block.der).content);
    if (info === undefined) return undefined;
    const [, subject] = readElements(info.content);
    if (subject === undefined) return undefined;
    const attributes = readElements(subject.content)
      .flatMap(({ content }) => readElements(content))
      .map(({ content }) => readElements(content));
    const values = attributes.flatMap(([type, value]) =>
      type !== undefined && value !== undefined && COMMON_NAME.equals(type.content) ? [value.content] : [],
    );
    // Several common names: the last one counts, as in Go's crypto/x509.
    const last = values.at(-1);
    return last === undefined ? undefined : Buffer.from(last).toString('utf8');
  } catch (error) {
    if (isCertletError(error, 'ERR_API_PROTOCOL')) return undefined;
    throw error;
  }
}
