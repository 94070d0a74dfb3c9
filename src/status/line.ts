import type { AgentSnapshot, ManagerSnapshot, Phase } from '../rotation/snapshot.ts';

/** One line for `systemctl status`: `client until 2027-01-03, next rotation 2026-10-14; serving waits for approval of csr …`. */
export function statusText(snapshot: AgentSnapshot): string {
  return snapshot.managers.map(managerText).join('; ');
}

function managerText(manager: ManagerSnapshot): string {
  const { purpose, certificate, rotationDeadline: deadline } = manager;
  const holds = certificate !== undefined && !manager.placeholder;
  const until = holds ? `${purpose} until ${day(certificate.notAfter)}` : `${purpose} not issued`;
  switch (manager.phase) {
    case 'valid':
      return deadline === undefined ? until : `${until}, next rotation ${day(deadline)}`;
    case 'waiting for approval':
      return `${until}, waits for approval of csr ${manager.pending?.name ?? ''}`;
    case 'waiting for issuance':
      return `${until}, waits for issuance of csr ${manager.pending?.name ?? ''}`;
    default:
      return `${until}, ${manager.phase}: ${manager.reason}`;
  }
}

const day = (date: Date): string => date.toISOString().slice(0, 10);

/** Phases that last until somebody or something else has done what they name. The others go on by themselves. */
const SAYS_WHAT_IT_WAITS_FOR: Readonly<Record<Exclude<Phase, 'valid'>, boolean>> = {
  starting: false,
  requesting: false,
  'waiting for approval': true,
  'waiting for issuance': true,
  proving: false,
  installing: false,
  'waiting to request': true,
  'waiting to retry': true,
  'waiting for the client certificate': true,
  'waiting for the clock': true,
  'waiting for the cloud provider': true,
  held: true,
  'not managed': false,
};

/** A state in which the service is of use or says what it waits for: readiness is told then. */
export function isUsefulState({ managers, at }: AgentSnapshot): boolean {
  return managers.every((manager) => {
    const { phase, placeholder } = manager;
    if (phase === 'valid') return !placeholder;
    if (isOnItsWay(manager, at)) return false;
    return SAYS_WHAT_IT_WAITS_FOR[phase];
  });
}

/** Approver and signer of a good cluster answer within a second; longer is a wait for somebody. */
const PROMPT_MS = 5_000;

/** The first client certificate, about to come: a kubelet that is started a moment before it finds no kubeconfig and fails. */
function isOnItsWay({ isIdentity, phase, certificate, since }: ManagerSnapshot, at: Date): boolean {
  if (!isIdentity || certificate !== undefined) return false;
  if (phase !== 'waiting for approval' && phase !== 'waiting for issuance') return false;
  return Math.abs(at.getTime() - since.getTime()) < PROMPT_MS;
}
