import type { RequestHistory } from '../../csr/pending.ts';
import type { Approval, CertificateSpec } from '../../csr/spec.ts';
import type { CertificateFacts } from '../../pki/certificate.ts';
import { renewalsAYear, reserveFacts } from '../../rotation/rules/reserve.ts';
import { receivedAt, usefulLife } from '../../rotation/rules/schedule.ts';
import { spanText } from '../../timestamp.ts';
import { type Finding, finding, good } from '../finding.ts';

/** What the reserve of the settings costs somebody, and whether the lifetime that the signer gives allows it. Empty without one. */
export function reserveFindings(question: {
  readonly spec: CertificateSpec;
  readonly leaf: CertificateFacts;
  readonly history: RequestHistory;
  readonly now: Date;
}): readonly Finding[] {
  const { spec, leaf, history, now } = question;
  const facts = reserveFacts(leaf, spec, history, now);
  if (facts === undefined) return [];
  const { wantedMs, possibleMs, ask } = facts;
  const id = `certificate.${spec.name}-reserve`;
  const life = usefulLife(leaf, receivedAt(leaf, history), now);
  const pulled = renewalsAYear(life, spec.window, wantedMs);
  const without = renewalsAYear(life, spec.window, undefined);
  const cost = `about ${String(pulled)} approvals a year (${String(without)} without it), ${APPROVED[spec.approval.by]}`;
  const evidence = {
    reserveSeconds: wantedMs / 1000,
    possibleSeconds: Math.floor(possibleMs / 1000),
    approvalsAYear: pulled,
    approvalsAYearWithout: without,
  };
  if (ask === undefined)
    return [good(id, `the ${spec.name} certificate has ${spanText(wantedMs)} in reserve: ${cost}`, evidence)];
  const lives = spanText(life.endsAt.getTime() - life.cameAt.getTime());
  const what = `a reserve of ${spanText(wantedMs)} is set, and the ${spec.name} certificate came for ${lives}: ${spanText(possibleMs)} is what is always left, with ${cost}`;
  return [finding('warning', id, what, { remedy: ask, evidence })];
}

const APPROVED: Readonly<Record<Approval['by'], string>> = {
  subresource: 'by the cluster itself where its roles say so',
  approver: 'by an approver or a person',
  person: 'by a person',
};
