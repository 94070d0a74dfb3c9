import type { Credential } from '../../kubeconfig/client-config.ts';
import { type CertificateFacts, parseChain } from '../../pki/certificate.ts';
import { shortDigest } from '../../pki/short-digest.ts';
import { isCertletError } from '../../errors.ts';

/**
 * Digest of a credential, to tell a fresh one from one that was refused, over restarts: of the token itself, wherever it is kept; of a
 * certificate's subject, whatever its serial and key; of an exec plugin as it is configured. Undefined for none, and where it cannot be told.
 */
export function credentialDigest(credential: Credential): string | undefined {
  switch (credential.kind) {
    case 'token':
      return digest('token', credential.token.reveal());
    case 'tokenFile':
      return credential.token && digest('token', credential.token.reveal());
    case 'certificate':
      return chainDigest(credential.chainPem);
    case 'exec':
      return digest('exec', JSON.stringify(credential.plugin));
    case 'none':
      return undefined;
  }
}

/** The same of a certificate: who it is for. A renewed one is the same credential to whoever approves. */
export function subjectDigest(leaf: Pick<CertificateFacts, 'commonName' | 'organizations'>): string {
  return digest('certificate', JSON.stringify([leaf.commonName, [...leaf.organizations].sort()]));
}

function chainDigest(chainPem: string): string | undefined {
  try {
    return subjectDigest(parseChain(chainPem).leaf);
  } catch (error) {
    if (!isCertletError(error)) throw error;
    return undefined;
  }
}

const digest = (kind: string, text: string): string => shortDigest(`${kind}|${text}`);
