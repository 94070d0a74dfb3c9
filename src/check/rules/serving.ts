import { byHand, inSettings } from '../../remedy.ts';
import { type CertificateSpec, KUBELET_SERVING } from '../../csr/spec.ts';
import type { CertificateFacts } from '../../pki/certificate.ts';
import type { CertletError } from '../../errors.ts';
import type { HeldBack } from '../../rotation/rules/gains.ts';
import { timestamp } from '../../timestamp.ts';
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

/** What the settings make of the names that this node has. */
export interface NamesQuestion {
  /** Why nothing is asked for with these names: see `nameLimit`. */
  readonly limit: CertletError | undefined;
  /** The Node's first InternalIP, where it is left out. */
  readonly ignoredFirst: string | undefined;
  /** The kubelet's `--cloud-provider`, and what the settings say of it. */
  readonly cloud: { readonly kubelet: string | undefined; readonly settings: 'none' | 'external' };
}

/** Names that are left out, too many, or asked for before anybody has given them. */
export function namesFindings({ limit, ignoredFirst, cloud }: NamesQuestion): readonly Finding[] {
  const findings: Finding[] = [];
  if (limit !== undefined) {
    const { message, remedy, code } = limit;
    findings.push(finding('problem', 'serving.limit', message, { remedy, evidence: { code } }));
  }
  if (ignoredFirst !== undefined) {
    const what = `the Node's first InternalIP, ${ignoredFirst}, is left out of the serving certificate: API servers that kubeadm set up and metrics-server dial it first`;
    const remedy = byHand(
      `Narrow ignoreAddresses or widen addressTypes in the settings, or name it: nodeIP: ["${ignoredFirst}"].`,
    );
    findings.push(finding('warning', 'serving.first-address', what, { remedy }));
  }
  if (cloud.kubelet === 'external' && cloud.settings === 'none') {
    const what = `the kubelet runs with --cloud-provider=external, and the settings do not say so: a new node asks for a serving certificate before its addresses are known, and once more after that`;
    findings.push(
      finding('note', 'serving.cloud-provider', what, {
        remedy: inSettings('kubelet: { cloudProvider: external }'),
      }),
    );
  }
  return findings;
}

/** Names that come and go: nothing is wrong with the certificate that lacks them now. */
export const heldBackFinding = ({ name }: CertificateSpec, { names, until }: HeldBack): Finding =>
  finding(
    'warning',
    'serving.held-back',
    `${names.join(', ')} came back to this node within a day of the last request for it: the ${name} certificate is without it until ${timestamp(until)}`,
    {
      remedy: `certlet renew ${name} --wait   # asks now; an address that moves between nodes belongs into ignoreAddresses`,
      evidence: { names },
    },
  );
