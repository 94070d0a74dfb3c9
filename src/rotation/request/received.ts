import type { PendingRequest } from '../../csr/pending.ts';
import { isCertletError, CertletError, type ErrorCode } from '../../errors.ts';
import type { ClusterAccess } from '../../kubeconfig/client-config.ts';
import { type RotationContext, judgedNow } from '../rotation-context.ts';
import type { CertificateRules } from '../certificate-rules.ts';
import { type IssuedProblem, issuedProblems } from '../../csr/issued.ts';
import { type CertificatePair, parseChain } from '../../pki/certificate.ts';
import { parsePrivateKey } from '../../pki/keys.ts';
import type { JudgedTime } from '../rules/clock-judge.ts';

/** How far ahead NotBefore of a fresh certificate may lie: as much as signers backdate (five minutes). */
const NOT_BEFORE_TOLERANCE_MS = 5 * 60_000;

/**
 * Checks what an earlier attempt has received, if anything. Where it has expired by a clock that no answer has confirmed since the start or
 * since the clock was set, the server is met first, as it would be for the next request: its date tells which of the two is over, pair or
 * clock, and while TLS fails on dates nothing could be asked either, so the pair stays. `meeting` is told of the server before that.
 * Throws what `checkIssued` and the API throw, and what keeps anybody from asking.
 */
export async function checkStaged(
  context: RotationContext,
  rules: CertificateRules,
  record: PendingRequest | undefined,
  flow: { readonly signal: AbortSignal; readonly meeting: (cluster: ClusterAccess) => void },
): Promise<void> {
  if (record === undefined) return;
  if (context.dateSample === undefined && isOnlyExpired(record, judgedNow(context))) {
    await rules.prepare('pending request', flow.signal);
    const asker = rules.asker();
    flow.meeting(asker.cluster);
    context.connections.forgetVersion(asker.cluster);
    try {
      await context.connections.csrVersion(asker.cluster, asker.api, flow.signal);
    } catch (error) {
      if (isCertletError(error, 'ERR_API_UNAUTHORIZED')) rules.refused(asker);
      throw error;
    }
  }
  checkIssued(record, judgedNow(context));
}

/**
 * The pair that came of a request, checked before anything becomes current. Throws `ERR_ISSUED_UNACCEPTABLE` when the certificate is not
 * what was asked for, `ERR_ISSUED_NOT_YET_VALID` when only its NotBefore stands against it (a clock that is behind).
 */
export function checkIssued(record: PendingRequest, now: JudgedTime): CertificatePair {
  const pair = { chain: chainOf(record), key: parsePrivateKey(record.keyPem) };
  const problems = problemsOf(record, pair, now);
  const { chain } = pair;
  if (problems.length === 0) return pair;
  throw new CertletError(
    codeOf(problems, chain.leaf.notAfter > record.createdAt),
    `the certificate issued for ${record.name} cannot be used: ${problems.map(({ text }) => text).join('; ')}`,
  );
}

function problemsOf(record: PendingRequest, pair: CertificatePair, now: JudgedTime): readonly IssuedProblem[] {
  const wanted = { template: record.template, key: pair.key, toleranceMs: NOT_BEFORE_TOLERANCE_MS };
  // Expiry is judged by the earliest reading and NotBefore by the latest: a wrong clock alone condemns nothing.
  return [
    ...issuedProblems(pair.chain, { ...wanted, now: now.earliest }).filter(({ kind }) => kind !== 'not yet valid'),
    ...issuedProblems(pair.chain, { ...wanted, now: now.latest }).filter(({ kind }) => kind === 'not yet valid'),
  ];
}

/** Nothing but its end stands against what a record has received: with another clock it would do. */
export function isOnlyExpired(record: PendingRequest, now: JudgedTime): boolean {
  if (issuedFingerprint(record) === undefined) return false;
  const pair = { chain: chainOf(record), key: parsePrivateKey(record.keyPem) };
  const problems = problemsOf(record, pair, now);
  return problems.length > 0 && problems.every(({ kind }) => kind === 'expired');
}

/** A signer that hands out expired certificates would do so again; one that had expired by the time it was looked at would not. */
function codeOf(problems: readonly IssuedProblem[], outlivedRequest: boolean): ErrorCode {
  if (problems.every(({ kind }) => kind === 'not yet valid')) return 'ERR_ISSUED_NOT_YET_VALID';
  return outlivedRequest && problems.every(({ kind }) => kind === 'expired')
    ? 'ERR_ISSUED_EXPIRED'
    : 'ERR_ISSUED_UNACCEPTABLE';
}

/** Which certificate a record has received; undefined for none that can be read. */
export function issuedFingerprint(record: PendingRequest): string | undefined {
  try {
    return chainOf(record).leaf.fingerprint;
  } catch (error) {
    if (!isCertletError(error)) throw error;
    return undefined;
  }
}

function chainOf(record: PendingRequest): CertificatePair['chain'] {
  try {
    return parseChain(record.issuedPem ?? '');
  } catch (error) {
    throw new CertletError(
      'ERR_ISSUED_UNACCEPTABLE',
      `what was issued for ${record.name} is no certificate: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
}
