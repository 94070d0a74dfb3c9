import { timestamp } from '../../timestamp.ts';
import type { RecordView } from '../../adapters/probe/store-view.ts';
import type { PendingRequest, RequestHistory } from '../../csr/pending.ts';
import { type CertificateSigningRequest, decodeCsr } from '../../csr/wire.ts';
import { isCertletError } from '../../errors.ts';
import type { CheckContext, Step, StepOutcome, Target } from '../facts.ts';
import { type Finding, finding } from '../finding.ts';
import { requestsFindings } from '../rules/requests.ts';
import { askerOf, withApi } from '../targets.ts';
import { nobodyAccepted } from './authorization.ts';

/** Enough to see whether anybody is at work; a cluster with half a million of them is told by the first page. */
const PAGE = 500;

/** This node's requests, and whether an approver and a signer are at work. */
export const requestsStep: Step = {
  id: 'requests',
  title: 'Signing requests',
  async run(context): Promise<StepOutcome | string> {
    const { settings, automatic, skewMs = 0 } = context.facts;
    const asker = askerOf(context.facts);
    if (settings === undefined || asker === undefined) return nobodyAccepted(context.facts);
    const { specs } = settings;
    const purposes = specs.map(({ name }) => name);
    const store = context.ports.openStore(settings);
    const pending = await Promise.all(purposes.map((purpose) => store.pending(purpose)));
    const histories = await Promise.all(purposes.map((purpose) => store.history(purpose)));
    const listed = await list(context, asker);
    const ownNames = new Map(
      pending.flatMap((view) => (view.kind === 'read' ? [[view.value.purpose, view.value.name] as const] : [])),
    );
    const now = new Date(context.ports.now().getTime() - skewMs);
    const { nodeName } = settings;
    const found =
      'findings' in listed
        ? listed.findings
        : requestsFindings({ ...listed, nodeName, ownNames, now, automatic }, specs);
    return {
      findings: [
        ...found,
        ...purposes.flatMap((purpose, index) => heldFindings(purpose, histories[index], now)),
        ...pending.flatMap((view) => brokenFindings(view)),
      ],
    };
  },
};

interface Listed {
  readonly all: readonly CertificateSigningRequest[];
  readonly truncated: boolean;
}

/** The first page of requests; a finding where they may not be listed. */
async function list(context: CheckContext, asker: Target): Promise<Listed | { readonly findings: readonly Finding[] }> {
  const path = `/apis/certificates.k8s.io/${context.facts.apiVersion ?? 'v1'}/certificatesigningrequests?limit=${String(PAGE)}`;
  try {
    const answer = await withApi(context, asker, (api) => api.request('GET', path, undefined, context.signal));
    const { items, metadata } = answer as {
      readonly items?: unknown;
      readonly metadata?: { readonly continue?: unknown };
    };
    const all = Array.isArray(items) ? items.map((item: unknown) => decodeCsr(item)) : [];
    const more = metadata?.continue;
    return { all, truncated: typeof more === 'string' && more !== '' };
  } catch (error) {
    if (!isCertletError(error, 'ERR_API_FORBIDDEN')) throw error;
    const what = `the ${asker.label} may not list signing requests, so nobody can tell whether approver and signer are at work`;
    return { findings: [finding('skipped', 'requests.unlisted', what)] };
  }
}

function heldFindings(purpose: string, view: RecordView<RequestHistory> | undefined, now: Date): readonly Finding[] {
  if (view?.kind !== 'read' || view.value.refusal === undefined) return [];
  const { code, message, at, count } = view.value.refusal;
  // An administrator has asked since then: nothing waits for hours.
  if (view.value.renewWantedAt !== undefined && view.value.renewWantedAt >= at) return [];
  // Refusals of long ago hold nothing back any more.
  if (now.getTime() - at.getTime() > 86_400_000) return [];
  return [
    finding(
      'note',
      `requests.${purpose}-held`,
      `after ${String(count)} refused ${purpose} request${count === 1 ? '' : 's'} certlet waits for hours before the next one (${message})`,
      {
        remedy: `certlet renew ${purpose}`,
        evidence: { code, at: timestamp(at), count },
      },
    ),
  ];
}

function brokenFindings(view: RecordView<PendingRequest>): readonly Finding[] {
  if (view.kind !== 'broken') return [];
  return [
    finding(
      'warning',
      'requests.record-broken',
      `${view.path} cannot be used (${view.reason}); certlet moves it aside and asks anew`,
    ),
  ];
}
