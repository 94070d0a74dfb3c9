import { isCertletError } from '../errors.ts';
import type { NewCondition } from './cluster.ts';
import { type Decision, reasonsText, shortened } from './decide.ts';
import { judge, type Judgement, type JudgeParts } from './judge.ts';
import { decodeSigningRequest, type SigningRequest } from './request.ts';

/** What became of a request. */
export type Outcome =
  /** Ours: the condition that was written. */
  | { readonly kind: 'decided'; readonly condition: NewCondition; readonly judgement: Judgement }
  /** Somebody else was first. */
  | { readonly kind: 'others'; readonly decided: NonNullable<SigningRequest['decided']> }
  /** Deleted, or replaced by another of the same name, which is judged by itself. */
  | { readonly kind: 'gone' }
  /** The settings have nothing to do with it. */
  | { readonly kind: 'foreign' }
  /** The Lease may be another's by now: nothing was written. */
  | { readonly kind: 'stopped' }
  | { readonly kind: 'pending'; readonly judgement: Judgement };

export interface ActOptions {
  /** Approve whatever the rules say: a person has named this request. */
  readonly force: boolean;
  /** Asked right before a decision is written; a person may always. */
  readonly mayAct?: () => boolean;
}

/** Each round begins with what the object has become. */
const MAX_ROUNDS = 5;

/**
 * Reads a request, judges it and writes the decision, once: another approver that was first is no error, and a request that changes meanwhile
 * is judged anew. Throws by status where the API server refuses for another reason.
 */
export async function act(
  request: Pick<SigningRequest, 'name' | 'uid'>,
  parts: JudgeParts,
  options: ActOptions,
  signal: AbortSignal,
): Promise<Outcome> {
  for (let round = 1; ; round += 1) {
    const found = await findPending(request, parts, signal);
    if ('kind' in found) return found;
    const { object, now } = found;
    const judgement = (await judge(now, parts, signal)) ?? (options.force ? foreignJudgement(now) : undefined);
    if (judgement === undefined) return { kind: 'foreign' };
    const condition = conditionFor(judgement, parts, options);
    if (condition === undefined) return { kind: 'pending', judgement };
    if (options.mayAct?.() === false) return { kind: 'stopped' };
    if (await isWritten(object, { condition, judgement, isLast: round === MAX_ROUNDS }, parts, signal))
      return { kind: 'decided', condition, judgement };
  }
}

interface Decided {
  readonly condition: NewCondition;
  readonly judgement: Judgement;
  readonly isLast: boolean;
}

/** False where the object has become another meanwhile. */
async function isWritten(
  object: Readonly<Record<string, unknown>>,
  { condition, judgement, isLast }: Decided,
  parts: JudgeParts,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await parts.cluster.decide(object, condition, signal);
  } catch (error) {
    if (isLast || !meansLookAgain(error)) throw error;
    return false;
  }
  if (condition.type === 'Approved') note(judgement, parts, condition.at);
  return true;
}

/** The object while it is pending, and still the one that was meant; else what became of it. */
async function findPending(
  request: Pick<SigningRequest, 'name' | 'uid'>,
  { cluster }: JudgeParts,
  signal: AbortSignal,
): Promise<Outcome | { readonly object: Readonly<Record<string, unknown>>; readonly now: SigningRequest }> {
  const object = await cluster.requestObject(request.name, signal);
  if (object === undefined) return { kind: 'gone' };
  const now = decodeSigningRequest(object);
  if (now.uid !== request.uid) return { kind: 'gone' };
  return now.decided === undefined ? { object, now } : { kind: 'others', decided: now.decided };
}

/** How a request stands that the settings have nothing to do with: a person may name it all the same. */
export function foreignJudgement(request: SigningRequest): Judgement {
  const reason = `nothing in the settings is about requests of this kind for the signer ${request.signerName}`;
  return {
    request,
    policy: { kind: 'certificate', nodeName: undefined, entry: undefined },
    decision: { verdict: 'refuse', passed: [], failures: [{ rule: 'signer', reason, later: false }] },
  };
}

function note({ policy, request }: Judgement, { counts }: JudgeParts, at: Date): void {
  if (policy.nodeName !== undefined) counts.note(policy.nodeName, request.uid, at);
}

/** Gone, changed or decided by somebody else meanwhile: 1.20 tells a deleted one by 409, later ones by 404, a second Approved by 422. */
function meansLookAgain(error: unknown): boolean {
  return isCertletError(error) && [404, 409, 422].includes(error.status ?? 0);
}

function conditionFor(
  { decision }: Judgement,
  { settings, now }: JudgeParts,
  { force }: ActOptions,
): NewCondition | undefined {
  const at = now();
  if (decision.verdict === 'approve')
    return { type: 'Approved', reason: 'CertletApproved', message: approvalText(decision), at };
  const message = shortened(reasonsText(decision));
  if (force)
    return { type: 'Approved', reason: 'CertletForced', message: `approved by hand against the rules: ${message}`, at };
  const denies = settings.deny && decision.verdict === 'refuse';
  return denies ? { type: 'Denied', reason: 'CertletDenied', message, at } : undefined;
}

function approvalText({ passed }: Decision): string {
  return `passed the rules ${passed.join(', ')}`;
}
