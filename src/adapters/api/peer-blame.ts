import type { CommandText, Remedy } from '../../remedy.ts';
import type { ErrorReason } from '../../errors.ts';
import type { DirectTrust, TrustProblem } from '../../pki/direct-trust.ts';
import { PeerRefusedError } from './peer-trust.ts';
import { plainText } from './response-headers.ts';
import type { TrustWords } from './trust-words.ts';

/** OpenSSL's codes for dates: the clock of either side is off, or a certificate's life is over. */
export const DATE_CODES: readonly string[] = ['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID'];

/** What is really wrong with a peer, beyond OpenSSL's words for it. */
export interface Blame {
  /** Dates where nothing but dates is wrong. */
  readonly code: 'ERR_API_TLS' | 'ERR_API_TLS_DATES';
  readonly problem: string;
  readonly remedy: Remedy;
  readonly reason: ErrorReason | undefined;
}

/**
 * Why a peer whose certificate a CA of those at hand has signed is refused all the same; undefined where none has, or where the dates of the
 * peer's own certificate are all there is, for which OpenSSL has the right words. `look` is a command that shows the certificate.
 */
export function blameOf(error: unknown, look: CommandText, words: TrustWords): Blame | undefined {
  const verdict = verdictOf(error);
  if (verdict?.kind !== 'signed') return undefined;
  const { problems } = verdict;
  const dates = problems.every(({ kind }) => kind === 'dates');
  if (dates && problems.every(({ about }) => about === 'leaf')) return undefined;
  const text = problems.map((problem) => problem.text).join('; ');
  return {
    code: dates ? 'ERR_API_TLS_DATES' : 'ERR_API_TLS',
    problem: dates
      ? plainText(text, 500)
      : `a CA of ${words.place} has signed the certificate, but ${plainText(text, 500)}`,
    remedy: remedyFor(problems, look, words),
    reason: problems.some(({ kind }) => kind === 'names') ? 'other name' : undefined,
  };
}

/** What is added to OpenSSL's words where a CA of the signer's name is there. */
export function signerHint(error: unknown, { place }: TrustWords): string {
  return verdictOf(error)?.kind === 'other key' ? `; a CA of that name is in ${place}, with another key` : '';
}

function remedyFor(problems: readonly TrustProblem[], look: CommandText, words: TrustWords): Remedy {
  const [first] = problems;
  if (first?.about === 'ca') return words.presentCa;
  if (first?.kind === 'usage')
    return `${look} | openssl x509 -noout -ext extendedKeyUsage   # what it has; issue that certificate anew with the extended key usage serverAuth`;
  return `${look} | openssl x509 -noout -text   # what it has; issue that certificate anew, kubectl refuses it, too`;
}

function verdictOf(error: unknown): DirectTrust | undefined {
  let current: unknown = error;
  for (let depth = 0; depth < 8 && current instanceof Error; depth += 1) {
    if (current instanceof PeerRefusedError) return current.verdict;
    current = current.cause;
  }
  return undefined;
}
