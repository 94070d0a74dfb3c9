import { createPrivateKey, createPublicKey, generateKeyPair, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { CertletError } from '../errors.ts';
import { Secret } from '../secret.ts';
import { describePem, encodePem, pemBlocks } from './pem.ts';

export const KEY_ALGORITHMS = ['ECDSA-P256', 'ECDSA-P384', 'RSA-2048', 'RSA-3072', 'RSA-4096'] as const;
/** Names as in kubernetes/kubernetes#142046; `ECDSA-P256` is what every kubelet uses. */
export type KeyAlgorithm = (typeof KEY_ALGORITHMS)[number];

/** A private key in memory. It prints as nothing: the key object has no text form of its own. */
export interface PrivateKey {
  readonly object: KeyObject;
  /** DER SubjectPublicKeyInfo of the public half. */
  readonly publicKeyDer: Uint8Array;
}

const generate = promisify(generateKeyPair);

type EcParameters = { readonly namedCurve: string };
type RsaParameters = { readonly modulusLength: number };

const PARAMETERS: Readonly<Record<KeyAlgorithm, EcParameters | RsaParameters>> = {
  'ECDSA-P256': { namedCurve: 'P-256' },
  'ECDSA-P384': { namedCurve: 'P-384' },
  'RSA-2048': { modulusLength: 2048 },
  'RSA-3072': { modulusLength: 3072 },
  'RSA-4096': { modulusLength: 4096 },
};
/** OpenSSL's names of the curves that Go's crypto/tls can sign with; other curves no kubelet and no API server can use. */
const CURVES: readonly string[] = ['prime256v1', 'secp384r1', 'secp521r1'];
const KEY_LABELS: readonly string[] = ['EC PRIVATE KEY', 'RSA PRIVATE KEY', 'PRIVATE KEY', 'ENCRYPTED PRIVATE KEY'];

/** A fresh key pair. An EC key takes a fraction of a millisecond; RSA is made on a worker thread, so the caller's loop goes on meanwhile. */
export async function generatePrivateKey(algorithm: KeyAlgorithm): Promise<PrivateKey> {
  const parameters = PARAMETERS[algorithm];
  const pair = 'namedCurve' in parameters ? generateKeyPairSync('ec', parameters) : await generate('rsa', parameters);
  return privateKey(pair.privateKey);
}

/**
 * The first private key block of a PEM text: SEC1, PKCS#1 or PKCS#8, RSA, ECDSA (P-256, P-384, P-521) or Ed25519.
 * Other blocks, such as `EC PARAMETERS` or certificates, are skipped. Throws `ERR_KEY_INVALID`.
 */
export function parsePrivateKey(pem: Secret): PrivateKey {
  const text = pem.reveal();
  const blocks = pemBlocks(text);
  const block = blocks.find(({ label }) => KEY_LABELS.includes(label));
  if (block?.der === undefined) throw invalidKey(`no private key: found ${describePem(blocks, text.length)}`);
  if (block.headers || block.label === 'ENCRYPTED PRIVATE KEY')
    throw invalidKey('the private key is locked by a passphrase');
  return privateKey(keyObject(encodePem(block.label, block.der), block.label));
}

/**
 * One PEM block as the kubelet writes it: `EC PRIVATE KEY` (SEC1) or `RSA PRIVATE KEY` (PKCS#1), since client-go's store
 * reads only the first block of the key. Ed25519 has no older form than `PRIVATE KEY` (PKCS#8).
 */
export function encodePrivateKey(key: PrivateKey): Secret {
  const types = { ec: 'sec1', rsa: 'pkcs1' } as const;
  const type = key.object.asymmetricKeyType;
  const form = type === 'ec' || type === 'rsa' ? types[type] : 'pkcs8';
  return new Secret(key.object.export({ type: form, format: 'pem' }));
}

function keyObject(pem: string, label: string): KeyObject {
  try {
    const object = createPrivateKey(pem);
    const type = object.asymmetricKeyType;
    if (type === 'rsa' || type === 'ed25519') return object;
    const curve = object.asymmetricKeyDetails?.namedCurve;
    if (type === 'ec' && CURVES.includes(curve ?? '')) return object;
    throw invalidKey(`a key of type ${String(type)}${curve === undefined ? '' : ` (${curve})`} cannot be used`);
  } catch (error) {
    if (error instanceof CertletError) throw error;
    throw invalidKey(`the ${label} block does not hold a private key`, error);
  }
}

function privateKey(object: KeyObject): PrivateKey {
  let der: Uint8Array | undefined;
  return {
    object,
    // For a request or a self-signed pair; most keys are read to be compared with a certificate.
    get publicKeyDer() {
      der ??= createPublicKey(object).export({ type: 'spki', format: 'der' });
      return der;
    },
  };
}

function invalidKey(message: string, cause?: unknown): CertletError {
  return new CertletError('ERR_KEY_INVALID', message, cause === undefined ? {} : { cause });
}
