import { filledIn, type Remedy } from '../remedy.ts';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { CertletError } from '../errors.ts';
import { unreadableCurve } from '../pki/curves.ts';
import { Secret } from '../secret.ts';
import type { Origin } from './model.ts';
import type { PemBlock } from '../pki/pem.ts';
import { certificateBlocks, keyBlock, pemOf } from './pem-blocks.ts';

/** PEM text with where it came from. */
export interface PemSource {
  readonly text: Secret;
  readonly origin: Origin;
}

/**
 * Certificate chain and key out of what a kubeconfig names, as Go's tls.X509KeyPair takes them: both may be the same combined file, the
 * first certificate and the first key count, a key may be labelled as another kind. What cannot be parsed behind the first certificate is
 * left out. Throws `ERR_CREDENTIAL_INVALID` naming the field when one does not parse or the two do not belong together.
 */
export function readClientPair(
  certificate: PemSource,
  key: PemSource,
): { readonly chainPem: string; readonly keyPem: Secret } {
  const chain = certificateBlocks(certificate.text.reveal());
  // Go passes by what is no base64 or has no end.
  const [first, ...rest] = chain.blocks.filter(({ der }) => der !== undefined);
  if (first === undefined) {
    const problem = `holds no certificate${chain.hint === undefined ? '' : `: ${chain.hint}`}`;
    throw invalid(certificate.origin, problem, '# Name a PEM file with the client certificate.');
  }
  const leaf = parseCertificate(first);
  if (leaf === undefined) {
    const remedy: Remedy = '# Replace it by a whole PEM certificate.';
    throw invalid(certificate.origin, 'certificate 1 cannot be parsed', remedy);
  }
  const curve = unreadableCurve(leaf);
  if (curve !== undefined) {
    const remedy: Remedy =
      '# Replace it by a certificate with an ECDSA key on P-256 or an RSA key of 2048 bits or more.';
    throw invalid(
      certificate.origin,
      `certificate 1 has a key on the curve ${curve}, which no API server can read`,
      remedy,
    );
  }
  const found = keyBlock(key.text.reveal());
  if (found.block === undefined) {
    const problem = `holds no private key${found.hint === undefined ? '' : `: ${found.hint}`}`;
    throw invalid(key.origin, problem, '# Name a PEM file with the private key.');
  }
  const { object, pem } = parseKey(found.block, key.origin);
  if (!leaf.checkPrivateKey(object)) {
    throw invalid(
      key.origin,
      'is not the key of the client certificate',
      '# Name the key that belongs to the certificate; of several keys in one file the first one counts.',
    );
  }
  const others = rest.filter(isReadable).map((block) => pemOf(block) ?? '');
  return { chainPem: [pemOf(first) ?? '', ...others].join(''), keyPem: new Secret(pem) };
}

/** What Go cannot read behind the first certificate would make the API server refuse the whole chain. */
function isReadable(block: PemBlock): boolean {
  const certificate = parseCertificate(block);
  return certificate !== undefined && unreadableCurve(certificate) === undefined;
}

function parseCertificate(block: PemBlock): X509Certificate | undefined {
  try {
    return new X509Certificate(pemOf(block) ?? '');
  } catch {
    return undefined;
  }
}

const KEY_FORMS = ['pkcs1', 'pkcs8', 'sec1'] as const;

function parseKey(block: PemBlock, origin: Origin): { readonly object: KeyObject; readonly pem: string } {
  const locked = block.label === 'ENCRYPTED PRIVATE KEY' || (block.headers && block.label !== 'PRIVATE KEY');
  if (locked) throw encrypted(origin);
  const pem = pemOf(block) ?? '';
  const { object, cause } = tryKey(() => createPrivateKey(pem));
  if (object !== undefined) return { object, pem };
  // Go looks at no label: whatever kind of key it is.
  for (const type of KEY_FORMS) {
    const key = Buffer.from(block.der ?? []);
    const other = tryKey(() => createPrivateKey({ key, format: 'der', type })).object;
    if (other !== undefined) return { object: other, pem: other.export({ type: 'pkcs8', format: 'pem' }) };
  }
  throw invalid(origin, 'the private key cannot be parsed', '# Replace it by a whole PEM private key.', cause);
}

function tryKey(read: () => KeyObject): { readonly object?: KeyObject; readonly cause?: unknown } {
  try {
    return { object: read() };
  } catch (cause) {
    return { cause };
  }
}

function encrypted(origin: Origin): CertletError {
  return invalid(
    origin,
    'the private key is encrypted',
    filledIn('openssl pkey -in OLD -out NEW', 'stores it without a passphrase; readable by root only'),
  );
}

function invalid(origin: Origin, problem: string, remedy: Remedy, cause?: unknown): CertletError {
  return new CertletError('ERR_CREDENTIAL_INVALID', `${origin.place}: ${origin.field}: ${problem}`, { remedy, cause });
}
