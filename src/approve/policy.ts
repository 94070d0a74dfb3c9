import { isCertletError } from '../errors.ts';
import { NODE_NAME } from '../csr/spec.ts';
import { NODE_PREFIX, sameSet, type SigningRequest } from './request.ts';
import { type AllowedCertificate, type ApproveSettings, CLIENT_SIGNER, SERVING_SIGNER } from './settings.ts';

/** The kinds of request that rules tell apart. */
export const POLICY_KINDS = ['serving', 'clientRenewal', 'clientBootstrap', 'certificate'] as const;
export type PolicyKind = (typeof POLICY_KINDS)[number];

/** What one request is judged as. */
export interface Policy {
  readonly kind: PolicyKind;
  /** The node that it is for, as subject or requester tell it; undefined where neither does. */
  readonly nodeName: string | undefined;
  /** The entry of the allow-list; undefined where the signer is on, but none fits the subject. */
  readonly entry: AllowedCertificate | undefined;
}

/** How the settings see a request; undefined for one that this approver has nothing to do with: it is never approved, denied or told. */
export function policyOf(request: SigningRequest, settings: ApproveSettings): Policy | undefined {
  const subject = nodeOf(commonNameOf(request));
  const requester = nodeOf(request.username);
  if (request.signerName === SERVING_SIGNER)
    return settings.serving ? { kind: 'serving', nodeName: subject, entry: undefined } : undefined;
  if (request.signerName === CLIENT_SIGNER) {
    const renewal = requester !== undefined;
    const on = renewal ? settings.clientRenewals : settings.clientBootstrap === 'bound';
    return on
      ? { kind: renewal ? 'clientRenewal' : 'clientBootstrap', nodeName: subject, entry: undefined }
      : undefined;
  }
  const entries = settings.certificates.filter(({ signerName }) => signerName === request.signerName);
  if (entries.length === 0) return undefined;
  return { kind: 'certificate', nodeName: requester, entry: entryFor(request, entries) };
}

/** Of the entries with this subject the one that fits best, so that reasons are about that: several may differ by requester or usages. */
function entryFor(request: SigningRequest, entries: readonly AllowedCertificate[]): AllowedCertificate | undefined {
  const node = nodeOf(request.username);
  const named = entries.filter(({ commonName }) => put(commonName, node) === commonNameOf(request));
  const theirs = named.filter((entry) =>
    entry.requester === 'node' ? node !== undefined : entry.requester === request.username,
  );
  return theirs.find(({ usages }) => sameSet(usages, request.usages)) ?? theirs[0] ?? named[0];
}

/** The node's name behind the placeholder; a text that needs one where there is none fits nothing. */
export function put(text: string, nodeName: string | undefined): string | undefined {
  if (!text.includes(NODE_NAME)) return text;
  return nodeName === undefined ? undefined : text.replaceAll(NODE_NAME, nodeName);
}

/** The node of a user name or common name `system:node:<name>`. */
export function nodeOf(user: string | undefined): string | undefined {
  const name = user?.startsWith(NODE_PREFIX) === true ? user.slice(NODE_PREFIX.length) : '';
  return name === '' ? undefined : name;
}

function commonNameOf({ content }: SigningRequest): string | undefined {
  return isCertletError(content) ? undefined : content.commonName;
}
