import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { CertletError } from '../errors.ts';
import { Secret } from '../secret.ts';
import type { Origin } from './model.ts';
import { firstKeyBlock, pemBlocks } from './pem-blocks.ts';

/** PEM text with where it came from. */
export interface PemSource {
  readonly text: Secret;
  readonly origin: Origin;
}

/**
 * Certificate chain and key out of what a kubeconfig names; both may be the same combined file. Throws
 * `ERR_CREDENTIAL_INVALID` naming the field when one does not parse or the two do not belong together.
 */
export function readClientPair(
  certificate: PemSource,
  key: PemSource,
): { readonly chainPem: string; readonly keyPem: Secret } {
  const blocks = pemBlocks(certificate.text.reveal(), 'CERTIFICATE');
  if (blocks.length === 0)
    throw invalid(certificate.origin, 'holds no certificate', 'Name a PEM file with the client certificate.');
  const [leaf] = blocks.map((block, index) => parseCertificate(block, index, certificate.origin));
  const keyBlock = firstKeyBlock(key.text.reveal());
  if (keyBlock === undefined)
    throw invalid(key.origin, 'holds no private key', 'Name a PEM file with the private key.');
  if (leaf?.checkPrivateKey(parseKey(keyBlock, key.origin)) !== true) {
    throw invalid(
      key.origin,
      'is not the key of the client certificate',
      'Name the key that belongs to the certificate.',
    );
  }
  return { chainPem: blocks.join(''), keyPem: new Secret(keyBlock) };
}

function parseCertificate(pem: string, index: number, origin: Origin): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw invalid(
      origin,
      `certificate ${String(index + 1)} cannot be parsed`,
      'Replace it by a whole PEM certificate.',
      error,
    );
  }
}

function parseKey(pem: string, origin: Origin): KeyObject {
  if (pem.includes('ENCRYPTED')) {
    throw invalid(
      origin,
      'the private key is encrypted',
      'Store it without a passphrase, readable by root only (openssl pkey -in OLD -out NEW).',
    );
  }
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw invalid(origin, 'the private key cannot be parsed', 'Replace it by a whole PEM private key.', error);
  }
}

function invalid(origin: Origin, problem: string, remedy: string, cause?: unknown): CertletError {
  return new CertletError('ERR_CREDENTIAL_INVALID', `${origin.place}: ${origin.field}: ${problem}`, { remedy, cause });
}
