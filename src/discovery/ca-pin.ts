import { createHash } from 'node:crypto';
import type { X509Certificate } from 'node:crypto';
import { onControlPlane } from '../remedy.ts';
import { CertletError } from '../errors.ts';
import { readCertificate } from '../pki/x509-reader.ts';

/** `sha256:` and 64 lower-case hex digits: SHA-256 of a CA certificate's DER SubjectPublicKeyInfo, as kubeadm prints it. */
export type CaPin = `sha256:${string}`;

const PIN_FORM = /^sha256:([0-9a-f]{64})$/;
const BARE_DIGEST = /^[0-9a-f]{64}$/;

/** Reads one `--discovery-token-ca-cert-hash`; prefix and digits may be in either case (kubeadm pubkeypin). Throws `ERR_USAGE`. */
export function parseCaPin(text: string): CaPin {
  const given = text.trim().toLowerCase();
  const digest = PIN_FORM.exec(given)?.[1];
  if (digest === undefined) {
    throw new CertletError(
      'ERR_USAGE',
      `--discovery-token-ca-cert-hash ${JSON.stringify(text)}: want sha256: and 64 hex digits`,
      {
        remedy: BARE_DIGEST.test(given)
          ? `# Write --discovery-token-ca-cert-hash sha256:${given}`
          : onControlPlane(
              "openssl x509 -pubkey -noout -in /etc/kubernetes/pki/ca.crt | openssl pkey -pubin -outform der | sha256sum | sed 's/^/sha256:/; s/ .*//'",
            ),
      },
    );
  }
  return `sha256:${digest}`;
}

/**
 * The pin of a certificate: of the key's bytes as they stand in it, whatever key it is (kubeadm pubkeypin). It stays the same when the CA is
 * reissued with the same key. Throws `ERR_CERTIFICATE_INVALID` for what is no DER.
 */
export function caPinOf(certificate: X509Certificate): CaPin {
  const spki = readCertificate(certificate.raw).publicKey;
  return `sha256:${createHash('sha256').update(spki).digest('hex')}`;
}

/**
 * Which certificates of a bundle are pinned, and the pins of the others. kubeadm takes the whole bundle where one is; but the document is signed
 * with the token alone, and whoever has that could put a CA beside the pinned one.
 */
export function pinnedOf(
  certificates: readonly X509Certificate[],
  pins: readonly CaPin[],
): { readonly kept: readonly X509Certificate[]; readonly leftOut: readonly CaPin[] } {
  const isPinned = (certificate: X509Certificate): boolean => pins.includes(caPinOf(certificate));
  return {
    kept: certificates.filter(isPinned),
    leftOut: certificates.filter((certificate) => !isPinned(certificate)).map(caPinOf),
  };
}
