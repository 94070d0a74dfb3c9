import { onControlPlane, type CommandText } from '../../remedy.ts';
import type { BootstrapToken } from '../../discovery/bootstrap-token.ts';
import type { ClusterInfo } from '../../discovery/cluster-info.ts';
import { signatureProblems } from '../../discovery/cluster-info-signature.ts';
import type { Cause } from '../finding.ts';

/** What cluster-info, read without a credential, says about one bootstrap token. */
export type TokenTrace =
  /** Signed with this token's secret: the cluster knows the token. */
  | { readonly kind: 'signed' }
  /** Signed under this id with another secret. */
  | { readonly kind: 'other secret' }
  /** Not signed under this id; so many other ids are. */
  | { readonly kind: 'unsigned'; readonly others: number }
  /** cluster-info may not be read, or there is none. */
  | { readonly kind: 'unknown'; readonly why: string };

/** Looks for a token among the signatures that the bootstrapsigner controller keeps for every token that may sign. */
export function tokenTrace(info: ClusterInfo, token: BootstrapToken): TokenTrace {
  const jws = info.signatures.get(token.id);
  if (jws === undefined) return { kind: 'unsigned', others: info.signatures.size };
  return signatureProblems(info.kubeconfig, jws, token).length === 0 ? { kind: 'signed' } : { kind: 'other secret' };
}

/** What cluster-info has shown, in words. */
export function traceText(trace: TokenTrace): string {
  switch (trace.kind) {
    case 'signed':
      return 'cluster-info is signed with this very token, so the cluster knows it';
    case 'other secret':
      return 'cluster-info is signed under this id with another secret';
    case 'unsigned':
      return trace.others > 0
        ? 'cluster-info is signed for other tokens, not for this one'
        : 'cluster-info is signed for no token at all';
    case 'unknown':
      return `cluster-info tells nothing (${trace.why})`;
  }
}

const NEW_TOKEN = onControlPlane('kubeadm token create', 'then certlet join on this node');
const GONE: Cause = { what: 'the token has expired or was deleted', sure: 'likely', remedy: NEW_TOKEN };
const OTHER_CLUSTER: Cause = { what: 'the token is of another cluster', sure: 'possible', remedy: NEW_TOKEN };
const OFF: Cause = {
  what: 'the API server runs without --enable-bootstrap-token-auth',
  sure: 'likely',
  remedy:
    '# Add --enable-bootstrap-token-auth=true to kube-apiserver, with kubeadm in /etc/kubernetes/manifests/kube-apiserver.yaml.',
};

const secretOf = (id: string): CommandText => `kubectl -n kube-system get secret bootstrap-token-${id}`;

const noUsage = (id: string): Cause => ({
  what: `Secret bootstrap-token-${id} lacks usage-bootstrap-authentication: "true"`,
  sure: 'possible',
  remedy: `kubectl -n kube-system patch secret bootstrap-token-${id} -p '{"stringData":{"usage-bootstrap-authentication":"true"}}'`,
});

const noSignature = (id: string): Cause => ({
  what: `the token is there but not for signing (usage-bootstrap-signing), or kube-controller-manager does not run its bootstrapsigner, so cluster-info says nothing about it`,
  sure: 'possible',
  remedy: `${secretOf(id)} -o yaml`,
});

/** A 401 for a bootstrap token looks the same whatever the reason; what cluster-info shows tells them apart. Most likely first. */
export function bootstrapTokenCauses(id: string, trace: TokenTrace): readonly Cause[] {
  const possiblyOff: Cause = { ...OFF, sure: 'possible' };
  const mistyped: Cause = {
    what: "the token's second half is mistyped",
    sure: 'possible',
    remedy: `${secretOf(id)} -o yaml`,
  };
  switch (trace.kind) {
    case 'signed':
      return [
        OFF,
        noUsage(id),
        {
          ...GONE,
          what: 'the token has expired, and kube-controller-manager is down and has not noticed',
          sure: 'possible',
        },
      ];
    case 'other secret':
      return [
        { ...mistyped, what: "the token's second half is not the one that the cluster has", sure: 'likely' },
        OTHER_CLUSTER,
      ];
    case 'unsigned':
      return trace.others > 0
        ? [
            { ...GONE, what: 'the token has expired, was deleted, or never was in this cluster' },
            noSignature(id),
            possiblyOff,
          ]
        : [GONE, possiblyOff, noSignature(id), OTHER_CLUSTER];
    case 'unknown':
      return [GONE, possiblyOff, mistyped, noUsage(id), OTHER_CLUSTER];
  }
}
