import type { KeyAlgorithm } from '../pki/keys.ts';
import type { CertificateNames, KeyUsage } from '../csr/spec.ts';

/** What the approver may approve, and by which rules. Durations in milliseconds, paths absolute. */
export interface ApproveSettings {
  /** Requests of nodes for `kubernetes.io/kubelet-serving`. */
  readonly serving: boolean;
  /** Renewals of a node's own client certificate. */
  readonly clientRenewals: boolean;
  /** First client requests: `bound` approves those whose token is bound to the node's name. */
  readonly clientBootstrap: 'none' | 'bound';
  /** Further certificates that nodes may have. */
  readonly certificates: readonly AllowedCertificate[];
  /** Ask the API server whether the requester may create the subresource of its kind of request. */
  readonly permission: boolean;
  /** Who says which names and addresses are a node's; `both` wants each of them in both, `either` in one. */
  readonly namesFrom: 'node' | 'inventory' | 'both' | 'either';
  readonly inventory: string | undefined;
  /** Names (`*.` in front stands for everything below), addresses and ranges that no node may have. */
  readonly never: readonly string[];
  /** Find out what is the cluster's own, and take it for names and addresses that no node may have. */
  readonly findReserved: boolean;
  /** A DNS name counts as a node's when it resolves to addresses of that node alone. */
  readonly dns: boolean;
  readonly keyAlgorithms: readonly KeyAlgorithm[];
  readonly maxNames: number;
  readonly maxLifetimeMs: number;
  readonly maxPerNodeAndHour: number;
  /** Label of a Node that gets no certificates. */
  readonly withholdLabel: string;
  readonly deny: boolean;
  readonly events: boolean;
  /** Namespace of the Lease; undefined for an approver that is the only one. */
  readonly leaseNamespace: string | undefined;
  readonly metricsAddress: { readonly host: string; readonly port: number } | undefined;
  /** Delete a token that was made with `--once` when its node has asked as itself. */
  readonly deleteTokens: boolean;
}

/** An entry of the allow-list: what a node may ask for besides the kubelet's two certificates. */
export interface AllowedCertificate {
  readonly name: string;
  readonly signerName: string;
  /** May hold `{nodeName}`. */
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly usages: readonly KeyUsage[];
  readonly names: CertificateNames;
  /** `node`: any node asks for itself; else the user name of the one who may. */
  readonly requester: string;
}

export const SERVING_SIGNER = 'kubernetes.io/kubelet-serving';
export const CLIENT_SIGNER = 'kubernetes.io/kube-apiserver-client-kubelet';

/** Whether anything that these settings approve has names in it. */
export function judgesNames({ serving, certificates }: Pick<ApproveSettings, 'serving' | 'certificates'>): boolean {
  return serving || certificates.some(({ names }) => names.ofNode || names.listed.length > 0);
}

/** Every signer whose requests these settings are about, without repetition. */
export function signersOf(settings: ApproveSettings): readonly string[] {
  return [
    ...new Set([
      ...(settings.serving ? [SERVING_SIGNER] : []),
      ...(settings.clientRenewals || settings.clientBootstrap === 'bound' ? [CLIENT_SIGNER] : []),
      ...settings.certificates.map(({ signerName }) => signerName),
    ]),
  ];
}
