import type { Purpose } from '../csr/template.ts';
import type { ApiConnection } from '../ports.ts';
import { isCertletError } from '../errors.ts';

/** The command that approves a request. */
export const approveCommand = (name: string): string => `kubectl certificate approve ${name}`;

/** Who decides about a request: the stock approver by itself, or a person. */
export interface ApprovalOutlook {
  readonly automatic: 'yes' | 'no' | 'unknown';
  readonly why: string;
}

/**
 * Whether the stock approver of kube-controller-manager would approve by itself: it asks whether the requester may `create`
 * `certificatesigningrequests/nodeclient` (or `/selfnodeclient` for its own name), and so can the requester.
 * Serving requests are approved by no stock controller since Kubernetes 1.11.
 */
export async function approvalOutlook(
  purpose: Purpose,
  asker: () => { readonly identity: 'node' | 'bootstrap'; readonly api: ApiConnection },
  signal: AbortSignal,
): Promise<ApprovalOutlook> {
  if (purpose === 'serving') {
    return { automatic: 'no', why: 'serving requests are approved by a person or a separate approver' };
  }
  try {
    const { identity, api } = asker();
    const subresource = identity === 'node' ? 'selfnodeclient' : 'nodeclient';
    const question = {
      verb: 'create',
      group: 'certificates.k8s.io',
      resource: 'certificatesigningrequests',
      subresource,
    } as const;
    const allowed = await api.mayI(question, signal);
    return allowed
      ? { automatic: 'yes', why: 'the approver of kube-controller-manager should approve it; is it running?' }
      : {
          automatic: 'no',
          why: `no role allows this identity to create certificatesigningrequests/${subresource}, so a person must approve`,
        };
  } catch (error) {
    if (!isCertletError(error)) throw error;
    return { automatic: 'unknown', why: `could not ask (${error.code})` };
  }
}
