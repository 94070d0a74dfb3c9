import type { KeyObject } from 'node:crypto';
import type { Secret } from '../secret.ts';

export const KEY_ALGORITHMS = ['ECDSA-P256', 'ECDSA-P384', 'RSA-2048', 'RSA-3072', 'RSA-4096'] as const;
/** Names as in kubernetes/kubernetes#142046; `ECDSA-P256` is what every kubelet uses. */
export type KeyAlgorithm = (typeof KEY_ALGORITHMS)[number];

/** A private key in memory. It prints as nothing: the key object has no text form of its own. */
export interface PrivateKey {
  readonly object: KeyObject;
  /** DER SubjectPublicKeyInfo of the public half. */
  readonly publicKeyDer: Uint8Array;
}

/** STUB SIGNATURES: generatePrivateKey, parsePrivateKey, encodePrivateKey. */
export declare function generatePrivateKey(algorithm: KeyAlgorithm): Promise<PrivateKey>;
/** Throws `ERR_KEY_INVALID`. Accepts SEC1, PKCS#1 and PKCS#8 PEM; skips `EC PARAMETERS`. */
export declare function parsePrivateKey(pem: Secret): PrivateKey;
/** One PEM block as the kubelet writes it: `EC PRIVATE KEY` (SEC1) or `RSA PRIVATE KEY` (PKCS#1). */
export declare function encodePrivateKey(key: PrivateKey): Secret;
