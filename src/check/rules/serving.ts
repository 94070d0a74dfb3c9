import type { CertificateFacts } from '../../pki/certificate.ts';
import { type Finding, finding, good } from '../finding.ts';

/** What the serving certificate lacks of the names and addresses by which the kubelet is called. */
export function servingFindings(
  leaf: CertificateFacts,
  mismatches: readonly string[],
  nodeKnown: boolean,
): readonly Finding[] {
  // A placeholder has another common name and no organization, which is told with the certificates.
  const missing = mismatches.filter((text) => /^missing (requested )?(DNS name|IP address)/.test(text));
  const has = [...leaf.dnsNames, ...leaf.ipAddresses];
  const source = nodeKnown
    ? 'that the Node and the settings name'
    : 'that the settings and the route to the API server name';
  if (missing.length === 0)
    return [good('serving', `the serving certificate has every name and address ${source}`, { names: has })];
  return [
    finding(
      'problem',
      'serving.names',
      `the serving certificate lacks what the kubelet is called by: ${missing.join(', ')}; kubectl logs and metrics fail there`,
      {
        remedy:
          'certlet renew serving --wait   # the request must be approved; where nobody should ask for a name, change nodeIP and servingNames',
        evidence: { missing, names: has },
      },
    ),
  ];
}
