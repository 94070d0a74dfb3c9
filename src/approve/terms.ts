import type { CertletError } from '../errors.ts';
import { complaintFields } from './complaint.ts';
import type { Chance, Logger } from '../ports.ts';
import { again } from './again.ts';
import type { Election } from './election.ts';
import type { Troubles } from '../trouble.ts';
import type { Times } from './time.ts';

/** What one after another of the times in office takes. */
export interface TermParts {
  /** Undefined for an approver that is alone by its settings. */
  readonly election: Election | undefined;
  readonly times: Times;
  readonly chance: Chance;
  readonly log: Logger;
  readonly troubles: Troubles;
  /** Decides requests while it may; tells when it has begun, and resolves when `signal` aborts. */
  readonly serve: (mayAct: () => boolean, signal: AbortSignal, began: () => void) => Promise<void>;
  readonly becameLeader: (isLeader: boolean) => void;
  readonly failed: (code: string) => void;
}

/** Waits for the Lease, serves while it is held, and again, until `signal` aborts; then gives it up. Throws `ERR_INTERNAL` alone. */
export async function serveTerms(parts: TermParts, signal: AbortSignal): Promise<void> {
  const { election, times, chance, log, troubles, failed } = parts;
  const tell = (error: CertletError): boolean => {
    failed(error.code);
    const level = troubles.levelOf('terms', error, { at: times.now(), loud: 'warn' });
    log.log(level, 'Cannot begin to approve', complaintFields(error));
    return true;
  };
  const term = async (began: () => void): Promise<'once more'> => {
    const beginning = (): void => {
      began();
      const ended = troubles.over('terms', times.now());
      if (ended !== undefined) log.log('info', 'Approving again', { ...ended });
    };
    await oneTerm(parts, beginning, signal);
    return 'once more';
  };
  await again({ times, chance, failed: tell }, term, signal);
  // The signal has aborted; what is left to say gets its own short time.
  const end = new AbortController();
  const done = new AbortController();
  void times.pause(RELEASE_MS, done.signal).then(() => end.abort());
  await election?.release(end.signal);
  done.abort();
}

const RELEASE_MS = 3_000;

async function oneTerm(parts: TermParts, began: () => void, signal: AbortSignal): Promise<void> {
  const { election, log, serve, becameLeader } = parts;
  const held = election === undefined ? 'alone' : await election.acquire(signal);
  if (held === 'unsupported')
    log.log('warn', 'This cluster has no Leases (before 1.14): run one approver and no more', {});
  if (held === 'held') log.log('info', 'Holding the Lease: this approver acts', {});
  becameLeader(true);
  try {
    if (election === undefined || held !== 'held') await serve(() => true, signal, began);
    else await serveHolding(election, parts, began, signal);
  } finally {
    becameLeader(false);
  }
}

/** Until the Lease is lost, at the latest. */
async function serveHolding(
  election: Election,
  { serve }: Pick<TermParts, 'serve'>,
  began: () => void,
  signal: AbortSignal,
): Promise<void> {
  const term = new AbortController();
  const inTerm = AbortSignal.any([signal, term.signal]);
  const kept = election.keep(inTerm).finally(() => term.abort());
  try {
    await serve(() => election.mayAct(), inTerm, began);
  } finally {
    term.abort();
    await kept;
  }
}
