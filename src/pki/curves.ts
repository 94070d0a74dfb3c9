import type { X509Certificate } from 'node:crypto';
import { readElement, unlessMalformed } from './der-reader.ts';
import { fieldsOfCertificate } from './x509-reader.ts';

/** What the AlgorithmIdentifier of an elliptic curve key begins with: id-ecPublicKey (RFC 5480 2.1.1). */
const EC_KEY = '06072a8648ce3d0201';
/** DER of the curves that Go's crypto/x509 reads: P-224, P-256, P-384, P-521. */
const GO_CURVES = ['06052b81040021', '06082a8648ce3d030107', '06052b81040022', '06052b81040023'];

/**
 * The curve of a certificate's key where neither kubelet nor API server can read the certificate ("x509: unsupported elliptic curve");
 * undefined for every other key, and for what cannot be read at all. Never throws.
 */
export function unreadableCurve(certificate: X509Certificate): string | undefined {
  const algorithm = keyAlgorithm(certificate);
  if (!algorithm.startsWith(EC_KEY) || GO_CURVES.includes(algorithm.slice(EC_KEY.length))) return undefined;
  return curveName(certificate) ?? 'of parameters of its own';
}

function keyAlgorithm(certificate: X509Certificate): string {
  const algorithm = unlessMalformed(() => readElement(fieldsOfCertificate(certificate).keyAlgorithm).content);
  return Buffer.from(algorithm ?? []).toString('hex');
}

function curveName(certificate: X509Certificate): string | undefined {
  try {
    return certificate.publicKey.asymmetricKeyDetails?.namedCurve;
  } catch {
    // A curve that OpenSSL does not know either has no name here.
    return undefined;
  }
}
