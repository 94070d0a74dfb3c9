import type { Remedy } from '../../remedy.ts';
import type { CertificateFacts } from '../../pki/certificate.ts';
import { templateMismatches, type CertificateTemplate } from '../../csr/template.ts';
import { timestamp } from '../../timestamp.ts';
import type { JudgedTime } from './clock-judge.ts';
import type { HeldBack } from './gains.ts';
import type { Phase } from '../snapshot.ts';

/** What to do with one certificate now. */
export type Step =
  /** Resume the pending request, or make a new one. */
  | { readonly kind: 'request'; readonly reasons: readonly string[] }
  /** Nothing to do before `until`. */
  | {
      readonly kind: 'wait';
      readonly cause: WaitCause;
      readonly until: Date | undefined;
      readonly reason: string;
      readonly command?: Remedy;
      /** Why a request is due all the same: it is made at `until`. Only where nothing but the spacing, or the spread of a start, holds it back. */
      readonly due?: readonly string[];
    };

/** Why nothing is done. `loading`: the files have not been read; `blocked`: another certificate is needed first; `cloud`: the Node has no addresses yet. */
export type WaitCause =
  | 'loading'
  | 'held'
  | 'blocked'
  | 'cloud'
  | 'retry'
  | 'spread'
  | 'spacing'
  | 'clock'
  | 'doubt'
  | 'valid';

export interface StepInput {
  readonly now: JudgedTime;
  /** The certificate behind the current link. */
  readonly current: CertificateFacts | undefined;
  /** The API server refuses the current client certificate for good. */
  readonly refused: boolean;
  readonly wanted: CertificateTemplate;
  readonly deadline: Date | undefined;
  /** Not due before this while only one of two clocks says so. */
  readonly doubtfulUntil?: Date | undefined;
  readonly pending: boolean;
  /** Neither a retry nor a new request before this. */
  readonly retryAt: Date | undefined;
  /** Nothing is asked before this, since many start at once. */
  readonly quietUntil?: Date | undefined;
  /** A new request (not a resumed one) not before this. */
  readonly spacedUntil: Date | undefined;
  /** An administrator asked for a new certificate. */
  readonly forced: boolean;
  /** Why nothing may be done at all, such as another writer in the same folder. */
  readonly hold: { readonly cause: 'loading' | 'held' | 'blocked'; readonly reason: string } | undefined;
  /** Why nothing new may be asked for, while a request that is pending goes on. */
  readonly unasked?:
    | { readonly cause: 'held' | 'cloud'; readonly reason: string; readonly until?: Date; readonly command?: Remedy }
    | undefined;
  /** Names that the node has gained and that are not asked for yet; `wanted` is without them. */
  readonly heldBack?: HeldBack | undefined;
  /** What speaks against the certificate though nothing is due. */
  readonly doubt?: string | undefined;
}

/** The part of it that tells whether a successor is needed. */
export type RotationFacts = Pick<
  StepInput,
  'now' | 'current' | 'refused' | 'wanted' | 'deadline' | 'doubtfulUntil' | 'forced'
>;

/** What to call the state of a certificate for which nothing is done now. */
export const REST_PHASES: Readonly<Record<WaitCause, Phase>> = {
  loading: 'waiting to retry',
  held: 'held',
  blocked: 'waiting for the client certificate',
  retry: 'waiting to retry',
  spread: 'waiting to request',
  spacing: 'waiting to request',
  clock: 'waiting for the clock',
  cloud: 'waiting for the cloud provider',
  doubt: 'waiting to retry',
  valid: 'valid',
};

/**
 * The whole decision for one certificate. `forced` overrides the spacing, never a hold nor the retry (which an administrator's wish has cleared
 * when it came); a pending request is always resumed before a new one is made.
 */
export function nextStep(input: StepInput): Step {
  const held = input.hold ?? (input.pending ? undefined : input.unasked);
  if (held !== undefined) return { kind: 'wait', until: undefined, ...held };
  if (input.retryAt !== undefined && input.now.local < input.retryAt) {
    return { kind: 'wait', cause: 'retry', until: input.retryAt, reason: 'waiting to try again' };
  }
  const reasons = input.pending ? ['a request is pending'] : rotationReasons(input);
  if (reasons.length === 0) return restingUntilDue(input);
  if (input.quietUntil !== undefined && input.now.local < input.quietUntil) {
    const reason = `${reasons.join('; ')}; first request by ${timestamp(input.quietUntil)} (spread over time after a start)`;
    return { kind: 'wait', cause: 'spread', until: input.quietUntil, reason, due: reasons };
  }
  return spacedOut(input, reasons) ?? { kind: 'request', reasons };
}

/** A new request too soon after the last one; a pending one is resumed at once. */
function spacedOut({ pending, forced, spacedUntil, now }: StepInput, reasons: readonly string[]): Step | undefined {
  if (pending || forced || spacedUntil === undefined || now.local >= spacedUntil) return undefined;
  const reason = `${reasons.join('; ')}; waits for the spacing between requests`;
  return { kind: 'wait', cause: 'spacing', until: spacedUntil, reason, due: reasons };
}

/** Why a certificate needs a successor now; empty when it does not. */
export function rotationReasons(input: RotationFacts): readonly string[] {
  const { current } = input;
  if (current === undefined) return ['no certificate'];
  if (current.selfSigned) return ['self-signed placeholder'];
  const expired = input.now.earliest > current.notAfter;
  const due = !expired && isDue(input, current);
  return [
    ...(expired ? [`certificate is expired since ${timestamp(current.notAfter)}`] : []),
    ...(input.refused ? ['the API server refuses the certificate'] : []),
    ...templateMismatches(current, input.wanted),
    ...(due ? ['rotation deadline reached'] : []),
    ...(input.forced ? ['asked for by an administrator'] : []),
  ];
}

/**
 * Either clock may say that it is due, as long as the certificate is good by that clock: a server that is ahead would refuse it before this
 * host's clock calls it due, and a `Date` that lies about the past must not hold renewal back until it has expired.
 */
function isDue({ now, deadline, doubtfulUntil }: RotationFacts, current: CertificateFacts): boolean {
  if (deadline === undefined) return false;
  if (now.earliest >= deadline) return true;
  if (doubtfulUntil !== undefined && now.local < doubtfulUntil) return false;
  return now.latest >= deadline && now.latest <= current.notAfter;
}

function restingUntilDue(input: StepInput): Step {
  const wait = { kind: 'wait', until: input.deadline } as const;
  if (input.doubt !== undefined) return { ...wait, cause: 'doubt', reason: input.doubt, command: 'certlet check' };
  const wrong = clockDoubt(input);
  if (wrong !== undefined) return { ...wait, cause: 'clock', reason: wrong };
  return { ...wait, ...heldBackUntil(input), cause: 'valid' };
}

/** A name that comes and goes is told where its certificate is called valid without it. */
function heldBackUntil({ heldBack, deadline }: StepInput): { readonly reason: string; readonly until?: Date } {
  if (heldBack === undefined) return { reason: 'valid' };
  const { names, until } = heldBack;
  const reason = `valid; ${names.join(', ')} came back within a day of the last request for it, and is asked for after ${timestamp(until)}`;
  return { reason, until: deadline !== undefined && deadline < until ? deadline : until };
}

/** A certificate that begins in the future by every clock means a wrong clock, not a reason to ask for another. */
function clockDoubt(input: StepInput): string | undefined {
  const { current } = input;
  if (current === undefined) return undefined;
  if (input.now.latest < current.notBefore) {
    return `clock: the certificate begins at ${timestamp(current.notBefore)}, which is in the future`;
  }
  const doubtful = input.now.latest >= current.notAfter && input.now.earliest < current.notAfter;
  return doubtful ? 'clock: expired by one clock and valid by the other' : undefined;
}
