import { type CertificateSpec, KUBELET_SERVING } from '../../csr/spec.ts';
import type { CertificateFacts } from '../../pki/certificate.ts';
import { type Finding, finding, good } from '../finding.ts';

/** What a certificate with the node's names lacks of the names and addresses by which the node is called. */
export function servingFindings(question: {
  readonly spec: CertificateSpec;
  readonly leaf: CertificateFacts;
  /** Names and addresses, in words. */
  readonly missing: readonly string[];
  readonly nodeKnown: boolean;
}): readonly Finding[] {
  const { spec, leaf, missing, nodeKnown } = question;
  const { name } = spec;
  const kubelets = name === KUBELET_SERVING;
  const has = [...leaf.dnsNames, ...leaf.ipAddresses];
  const source = nodeKnown
    ? 'that the Node and the settings name'
    : 'that the settings and the route to the API server name';
  if (missing.length === 0)
    return [good('serving', `the ${name} certificate has every name and address ${source}`, { names: has })];
  return [
    finding(
      'problem',
      'serving.names',
      kubelets
        ? `the serving certificate lacks what the kubelet is called by: ${missing.join(', ')}; kubectl logs and metrics fail there`
        : `the ${name} certificate lacks what this node is called by: ${missing.join(', ')}`,
      {
        remedy: `certlet renew ${name} --wait   # the request must be approved; where nobody should ask for a name, change nodeIP and servingNames`,
        evidence: { missing, names: has },
      },
    ),
  ];
}
