import type { AgentSnapshot, ManagerSnapshot } from '../rotation/snapshot.ts';

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

/** A state in which the service is of use or says what it waits for: readiness is told then. */
export function isUsefulState(snapshot: AgentSnapshot): boolean {
  return snapshot.managers.every(({ phase, placeholder }) => {
    if (phase === 'valid') return !placeholder;
    return phase.startsWith('waiting') || phase === 'held';
  });
}
