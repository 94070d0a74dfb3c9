import type { Remedy } from '../remedy.ts';
import type { RequestHistory } from '../csr/pending.ts';
import type { CertificateSpec } from '../csr/spec.ts';
import type { CertificateFacts } from '../pki/certificate.ts';
import { reserveFacts } from '../rotation/rules/reserve.ts';
import { dueAt, receivedAt } from '../rotation/rules/schedule.ts';
import type { AgentSnapshot, FailureSnapshot, ManagerSnapshot } from '../rotation/snapshot.ts';
import { type StatusDocument, statusDocument } from './document.ts';
import type { Trouble } from './text.ts';

/** What the disk says of one certificate. */
export interface DiskCertificate {
  readonly spec: CertificateSpec;
  readonly currentPath: string;
  readonly facts: CertificateFacts | undefined;
  /** What is noted of earlier requests; empty where nothing is or may be read. */
  readonly history: RequestHistory;
}

const NOT_RUNNING: Trouble = { message: 'certlet does not run', remedy: 'systemctl start certlet' };

/** The document of a host where nothing runs and nothing has left one: what the links lead to, and nothing of what is going on. */
export function diskStatus(
  certificates: readonly DiskCertificate[],
  about: {
    readonly nodeName: string;
    readonly version: string;
    readonly now: Date;
    readonly trouble?: Trouble | undefined;
  },
): StatusDocument {
  const { nodeName, version, now, trouble } = about;
  const idle = trouble ?? NOT_RUNNING;
  const snapshot = {
    nodeName,
    startedAt: now,
    at: now,
    managers: certificates.map((certificate) => diskManager(certificate, { nodeName, now, idle })),
    server: undefined,
    clockSkewMs: undefined,
    kubeletVersion: undefined,
    lastTick: now,
    upToDate: false,
  };
  return statusDocument(snapshot, { command: 'none', pid: 0, version, now, hooks: [] });
}

/** What is told of a daemon whose cert-dir cannot be used: what could be read of it, and the trouble. */
export function troubledSnapshot(
  certificates: readonly DiskCertificate[],
  about: {
    readonly nodeName: string;
    readonly startedAt: Date;
    readonly now: Date;
    readonly trouble: FailureSnapshot;
    readonly failing: NonNullable<ManagerSnapshot['failing']>;
    readonly retry: Date;
  },
): AgentSnapshot {
  const { nodeName, startedAt, now, trouble, failing, retry } = about;
  const managers = certificates.map(
    (certificate): ManagerSnapshot => ({
      ...diskManager(certificate, { nodeName, now, idle: trouble }),
      phase: 'waiting to retry',
      reason: trouble.message,
      command: trouble.remedy,
      since: failing.since,
      nextAttempt: retry,
      lastError: trouble,
      failing,
      attempts: { [trouble.code]: failing.tries },
    }),
  );
  const unknown = { server: undefined, clockSkewMs: undefined, kubeletVersion: undefined };
  return { nodeName, startedAt, at: now, managers, ...unknown, trouble, lastTick: now, upToDate: false };
}

function diskManager(
  { spec, currentPath, facts, history }: DiskCertificate,
  {
    nodeName,
    now,
    idle,
  }: {
    readonly nodeName: string;
    readonly now: Date;
    readonly idle: Pick<FailureSnapshot, 'message'> & { readonly remedy?: Remedy | undefined };
  },
): ManagerSnapshot {
  const issued = facts !== undefined && !facts.selfSigned;
  return {
    purpose: spec.name,
    isIdentity: spec.isIdentity,
    phase: issued ? 'valid' : 'not managed',
    reason: issued ? 'read from the disk' : idle.message,
    command: issued ? undefined : idle.remedy,
    since: now,
    certificate: facts,
    currentPath,
    placeholder: facts?.selfSigned === true,
    receivedAt: facts && receivedAt(facts, history),
    rotationDeadline: dueAt(facts, { ...spec, nodeName }, history, now),
    reserve: reserveFacts(facts, spec, history, now),
    nextAttempt: undefined,
    pending: undefined,
    lastSuccess: history.lastIssuedAt,
    lastError: undefined,
    failing: undefined,
    attempts: {},
  };
}
