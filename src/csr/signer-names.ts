import type { CsrApiVersion } from './wire.ts';

/** What is known of the server that is to be asked. */
export interface CsrServer {
  readonly version: CsrApiVersion;
  /** Minor release of Kubernetes 1; undefined where the server does not tell, as builds without a stamp and hardened clusters do. */
  readonly minor: number | undefined;
}

/** `spec.signerName` came with the v1beta1 of 1.18 (KEP-1513); v1, from 1.19 on, requires it. Servers before drop it without a word. */
const FIRST_WITH_NAMES = 18;

/**
 * Up to 1.17 kube-controller-manager signed every approved request with its one CA, whatever it asked for: what these signers do since, by default
 * with the same CA. (1.18 calls what nobody named `kubernetes.io/legacy-unknown`.)
 */
const SIGNED_WITHOUT_NAME: ReadonlySet<string> = new Set([
  'kubernetes.io/kube-apiserver-client',
  'kubernetes.io/kube-apiserver-client-kubelet',
  'kubernetes.io/kubelet-serving',
]);

/**
 * Whether a request for this signer reaches it. `no`: the server would drop the name, and kube-controller-manager would sign what is meant for
 * another. `unknown`: the answer to the request tells, by `isNameDropped`.
 */
export function reachesSigner(signerName: string, { version, minor }: CsrServer): 'yes' | 'no' | 'unknown' {
  if (version === 'v1' || SIGNED_WITHOUT_NAME.has(signerName)) return 'yes';
  if (minor === undefined) return 'unknown';
  return minor >= FIRST_WITH_NAMES ? 'yes' : 'no';
}

/** The server has taken the request and not the name of its signer, which no other can stand in for. */
export const isNameDropped = (asked: string, answered: string | undefined): boolean =>
  answered === undefined && !SIGNED_WITHOUT_NAME.has(asked);

/** Why a request for this signer is not made, for journal, status and check alike. */
export const unreachedSigner = (signerName: string): string =>
  `the API server knows no signer names (Kubernetes before 1.18): ${signerName} would never see the request, and kube-controller-manager would sign it with the cluster's CA`;

/** Signers of this domain are controllers of kube-controller-manager; all others are programs of somebody else. */
export const isStockSigner = (signerName: string): boolean => signerName.startsWith('kubernetes.io/');

/** Why an approved request may have no certificate. */
export const unissuedReason = (signerName: string): string =>
  isStockSigner(signerName)
    ? "the signer has not signed it: kube-controller-manager's csrsigning controller (--cluster-signing-cert-file and -key-file)"
    : `the signer ${signerName} has not signed it: it does not run, or it refuses without a word; whoever runs it can tell`;

/** Who decides about requests for a signer that no controller of Kubernetes approves for. */
export const whoApproves = (signerName: string, by: 'person' | 'approver'): string =>
  `requests for ${signerName} are approved by a person${by === 'approver' ? ' or a separate approver' : ''}`;
