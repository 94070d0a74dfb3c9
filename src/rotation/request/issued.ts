import { CertletError, type ErrorCode, isCertletError } from '../../errors.ts';
import { type IssuedProblem, issuedProblems } from '../../csr/issued.ts';
import type { PendingRequest } from '../../csr/pending.ts';
import { type CertificatePair, parseChain } from '../../pki/certificate.ts';
import { parsePrivateKey } from '../../pki/keys.ts';
import type { JudgedTime } from '../rules/clock-judge.ts';
import { NOT_BEFORE_TOLERANCE_MS } from '../options.ts';

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
