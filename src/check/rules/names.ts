import { timestamp } from '../../timestamp.ts';
import { isCertletError } from '../../errors.ts';
import { parseChain } from '../../pki/certificate.ts';
import type { KubeconfigReading } from '../../ports.ts';
import { type Finding, finding } from '../finding.ts';

/** The certificate that the node's kubeconfig embeds or names, where that is another than the one behind our link, against the node's name. */
export function certificateNameFindings(
  nodeName: string,
  node: KubeconfigReading | undefined,
  link: string | undefined,
): readonly Finding[] {
  if (node?.kind !== 'usable' || node.config.credential.kind !== 'certificate') return [];
  const wanted = `system:node:${nodeName}`;
  const { leaf } = parseChainOrNone(node.config.credential.chainPem) ?? {};
  if (leaf === undefined || leaf.commonName === wanted) return [];
  // What lies behind the link has been told with the certificates.
  if (link !== undefined && node.config.files.includes(link)) return [];
  return [
    finding(
      'problem',
      'name.kubeconfig',
      `${node.path} holds a certificate for ${leaf.commonName}, but this node is ${nodeName}`,
      {
        remedy: `kubectl get nodes   # then set hostnameOverride to the Node's name; where the host has a new name: certlet reset`,
        evidence: { certificate: leaf.commonName, wanted, notAfter: timestamp(leaf.notAfter) },
      },
    ),
  ];
}

function parseChainOrNone(pem: string): ReturnType<typeof parseChain> | undefined {
  try {
    return parseChain(pem);
  } catch (error) {
    if (isCertletError(error)) return undefined;
    throw error;
  }
}
