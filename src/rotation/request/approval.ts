import type { CertificateSpec } from '../../csr/spec.ts';
import type { ApiConnection } from '../../ports.ts';
import { isCertletError } from '../../errors.ts';

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
 * Of other certificates their spec knows.
 */
export async function approvalOutlook(
  { name, approval }: Pick<CertificateSpec, 'name' | 'approval'>,
  asker: () => { readonly identity: 'node' | 'bootstrap'; readonly api: ApiConnection },
  signal: AbortSignal,
): Promise<ApprovalOutlook> {
  if (approval.by === 'approver') {
    return { automatic: 'no', why: `${name} requests are approved by a person or a separate approver` };
  }
  if (approval.by === 'person') return { automatic: 'no', why: `${name} requests are approved by a person` };
  try {
    const { identity, api } = asker();
    const subresource = approval[identity];
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
