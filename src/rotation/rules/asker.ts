import { timestamp } from '../../timestamp.ts';
import { type CertificateFacts, parseChain } from '../../pki/certificate.ts';
import type { Credential } from '../../kubeconfig/client-config.ts';
import { shortDigest } from '../../pki/short-digest.ts';
import { isCertletError } from '../../errors.ts';

/** Answers of 401 to the current client certificate, each on a fresh connection. */
export interface Refusals {
  readonly count: number;
  readonly since: Date;
}

/** A certificate is dead only after so many refusals: a control plane that changes its CA replica by replica refuses in turns. */
const DEAD_AFTER_REFUSALS = 5;

/** The refusals after one more. */
export function refusedOnceMore(refusals: Refusals | undefined, now: Date): Refusals {
  // A first refusal that lies in the future (the clock was set back) must not keep a dead certificate alive for years.
  const since = refusals !== undefined && refusals.since <= now ? refusals.since : now;
  return { count: (refusals?.count ?? 0) + 1, since };
}

/**
 * What an earlier process saw of the same certificate: else runs of a few minutes, each beginning to count anew, would show a dead certificate for
 * ever. One refusal of this process is needed in any case, since the server may have come to its senses meanwhile.
 */
export const recalled = ({ count, since }: Refusals): Refusals => ({
  count: Math.min(count, DEAD_AFTER_REFUSALS - 1),
  since,
});

/** As many as matter: a certificate that is refused for weeks must not wear the disk out. */
export const noted = ({ count, since }: Refusals): Refusals => ({
  count: Math.min(count, DEAD_AFTER_REFUSALS),
  since,
});

/** Refused often enough, for long enough. */
export function isDead(refusals: Refusals | undefined, now: Date, deadAfterMs: number): boolean {
  if (refusals === undefined) return false;
  return refusals.count >= DEAD_AFTER_REFUSALS && now.getTime() - refusals.since.getTime() >= deadAfterMs;
}

/** A proof of the pair in use at the server in use, so young that a run needs no other. One in the future says nothing: the clock was set back. */
export function isGoodProof(
  proved: { readonly server: string; readonly at: Date } | undefined,
  at: { readonly server: string | undefined; readonly now: Date; readonly goodForMs: number | undefined },
): boolean {
  if (proved === undefined || at.goodForMs === undefined || proved.server !== at.server) return false;
  const ageMs = at.now.getTime() - proved.at.getTime();
  return ageMs >= 0 && ageMs < at.goodForMs;
}

export type IdentityChoice = { readonly kind: 'node' } | { readonly kind: 'bootstrap'; readonly reason: string };

/**
 * Which identity asks: the node's own while it is valid, has the wanted name and is not refused for good; else the bootstrap credential.
 * Decided at each attempt (client-go makes its client from the current certificate each time). `now` is the earliest reading of the clock:
 * a certificate counts as expired only when every clock says so.
 */
export function chooseIdentity(input: {
  readonly current: CertificateFacts | undefined;
  readonly wantedCommonName: string;
  readonly dead: boolean;
  readonly now: Date;
}): IdentityChoice {
  const { current } = input;
  if (current === undefined) return { kind: 'bootstrap', reason: 'no client certificate yet' };
  if (current.commonName !== input.wantedCommonName) {
    return { kind: 'bootstrap', reason: `the client certificate is for ${current.commonName}` };
  }
  if (input.now > current.notAfter) {
    return { kind: 'bootstrap', reason: `the client certificate expired at ${timestamp(current.notAfter)}` };
  }
  if (input.dead) return { kind: 'bootstrap', reason: 'the API server refuses the client certificate' };
  return { kind: 'node' };
}

/**
 * Digest of a credential, to tell a fresh one from one that was refused, over restarts: of the token itself, wherever it is kept; of a
 * certificate's subject, whatever its serial and key; of an exec plugin as it is configured. Undefined for none, and where it cannot be told.
 */
export function credentialDigest(credential: Credential): string | undefined {
  switch (credential.kind) {
    case 'token':
      return digest('token', credential.token.reveal());
    case 'tokenFile':
      return credential.token && digest('token', credential.token.reveal());
    case 'certificate':
      return chainDigest(credential.chainPem);
    case 'exec':
      return digest('exec', JSON.stringify(credential.plugin));
    case 'none':
      return undefined;
  }
}

/** The same of a certificate: who it is for. A renewed one is the same credential to whoever approves. */
export function subjectDigest(leaf: Pick<CertificateFacts, 'commonName' | 'organizations'>): string {
  return digest('certificate', JSON.stringify([leaf.commonName, [...leaf.organizations].sort()]));
}

function chainDigest(chainPem: string): string | undefined {
  try {
    return subjectDigest(parseChain(chainPem).leaf);
  } catch (error) {
    if (!isCertletError(error)) throw error;
    return undefined;
  }
}

const digest = (kind: string, text: string): string => shortDigest(`${kind}|${text}`);

/** Tells two credentials apart; stays in memory. */
export function credentialKey(credential: Credential): string {
  switch (credential.kind) {
    case 'token':
      return credential.token.reveal();
    case 'tokenFile':
      return credential.path;
    case 'certificate':
      return `${credential.chainPem}${credential.keyPem.reveal()}`;
    case 'exec':
      return JSON.stringify(credential.plugin);
    case 'none':
      return '';
  }
}
