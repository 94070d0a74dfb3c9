import { type Remedy, byHand } from '../../remedy.ts';
import { type CsrServer, reachesSigner, unreachedSigner } from '../../csr/signer-names.ts';
import type { CertificateSpec } from '../../csr/spec.ts';
import { type Finding, finding } from '../finding.ts';

/** `spec.expirationSeconds` exists since 1.22 (gate CSRDuration); servers before drop it without a word. */
const FIRST_WITH_LIFETIMES = 22;

/** Lifetimes that are asked for in vain; nothing is said where the server hides its version. */
export function lifetimeFindings(
  specs: readonly Pick<CertificateSpec, 'name' | 'expirationSeconds'>[],
  { version, minor }: CsrServer,
): readonly Finding[] {
  const asking = specs.filter(({ expirationSeconds }) => expirationSeconds !== undefined).map(({ name }) => name);
  const drops = version === 'v1beta1' || (minor !== undefined && minor < FIRST_WITH_LIFETIMES);
  if (!drops || asking.length === 0) return [];
  const what = `the API server drops expirationSeconds (Kubernetes before 1.22): ${asking.join(', ')} will live as long as the signer likes`;
  const remedy: Remedy =
    '# Nothing must be done; expirationSeconds may as well be left out of the settings until the cluster is upgraded.';
  return [finding('note', 'versions.lifetime', what, { remedy, evidence: { certificates: asking } })];
}

/** Certificates whose signer never sees a request, since the server is older than the names of signers. Nothing is said of the others. */
export function signersFindings(
  specs: readonly Pick<CertificateSpec, 'name' | 'signerName'>[],
  server: CsrServer,
): readonly Finding[] {
  return specs.flatMap(({ name, signerName }) => {
    const reaches = reachesSigner(signerName, server);
    if (reaches === 'yes') return [];
    const id = `versions.${name}-signer`;
    const evidence = { signer: signerName };
    if (reaches === 'unknown') {
      const what = `whether a request for ${signerName} reaches it cannot be told: the API server hides its version, and before 1.18 signers have no names`;
      return [finding('skipped', id, what, { evidence })];
    }
    const what = `the ${name} certificate is not asked for: ${unreachedSigner(signerName)}`;
    const remedy: Remedy = byHand(
      `Upgrade the API server to 1.18 or later, or take ${name} out of certificates in the settings.   # then certlet renew ${name}, or systemctl reload certlet`,
    );
    return [finding('problem', id, what, { remedy, evidence })];
  });
}
