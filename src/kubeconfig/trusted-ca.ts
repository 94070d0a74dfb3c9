import { createHash, X509Certificate } from 'node:crypto';
import { isCertletError } from '../errors.ts';
import { type CertificateFacts, certificateFacts, splitCertificates } from '../pki/certificate.ts';
import { weakKey } from './ca-bundle.ts';

/** What a restart of the kubelet is wanted for, in flags, logs and Events: no certificate can have this name. */
export const CLUSTER_CA = 'cluster CA';
/** The same for another server, CA or way to it in the kubelet's kubeconfig. */
export const CLUSTER_ENTRY = 'cluster entry';

/** Whether a restart is wanted for what the kubelet's kubeconfig says, and not for a pair. */
export const isOfKubeconfig = (purpose: string): boolean => purpose === CLUSTER_CA || purpose === CLUSTER_ENTRY;

/** A name is for people, and the fingerprint tells CAs apart: names of pages, which whoever publishes may choose, fill no record and no status. */
const MAX_SUBJECT = 256;

/** Each round reads the same few CAs out of the same text, and to read one is to verify its signature. */
const MAX_REMEMBERED = 32;
const MAX_REMEMBERED_CHARACTERS = 16_384;
/** CAs by their PEM, of which they are a function. */
const remembered = new Map<string, TrustedCa>();

/** One of the CAs that a kubeconfig trusts, or that a cluster publishes. */
export interface TrustedCa extends Pick<CertificateFacts, 'fingerprint' | 'subject' | 'notBefore' | 'notAfter'> {
  readonly pem: string;
  /** Why it cannot vouch for a server at any time; undefined where it can. */
  readonly unfit: string | undefined;
}

/** The CAs of a PEM bundle in their order, each once; what cannot be read is left out. Never throws. */
export function readTrustedCas(pem: string | undefined): readonly TrustedCa[] {
  const found = new Map<string, TrustedCa>();
  for (const block of blocksOf(pem ?? '')) {
    const ca = remembered.get(block) ?? remember(trustedCa(block));
    if (ca !== undefined && !found.has(ca.fingerprint)) found.set(ca.fingerprint, ca);
  }
  return [...found.values()];
}

/** The bundle of these CAs as PEM. */
export const bundleOf = (cas: readonly Pick<TrustedCa, 'pem'>[]): string => cas.map(({ pem }) => pem).join('');

/** The same for the same set of CAs, in whatever order: hex of SHA-256. */
export function bundleId(cas: readonly Pick<TrustedCa, 'fingerprint'>[]): string {
  const names = [...new Set(cas.map(({ fingerprint }) => fingerprint))].sort();
  return createHash('sha256').update(names.join()).digest('hex');
}

/** `CN=kubernetes (sha256 0a1b…)`: every cluster's CA is called so, the fingerprint tells them apart. */
export const caName = ({ subject, fingerprint }: Pick<TrustedCa, 'subject' | 'fingerprint'>): string =>
  `${subject} (sha256 ${fingerprint.slice(0, 16)}…)`;

function blocksOf(pem: string): readonly string[] {
  try {
    return splitCertificates(pem);
  } catch (error) {
    if (isCertletError(error)) return [];
    throw error;
  }
}

/** Begins anew once it is full: who trusts more CAs than that reads them each time. */
function remember(ca: TrustedCa | undefined): TrustedCa | undefined {
  if (ca === undefined || ca.pem.length > MAX_REMEMBERED_CHARACTERS) return ca;
  if (remembered.size >= MAX_REMEMBERED) remembered.clear();
  remembered.set(ca.pem, ca);
  return ca;
}

function trustedCa(pem: string): TrustedCa | undefined {
  try {
    const certificate = new X509Certificate(pem);
    const { fingerprint, subject, notBefore, notAfter, isCa } = certificateFacts(certificate);
    const unfit = isCa ? weakKey(certificate) : 'it is no CA by its basic constraints';
    return { pem, fingerprint, subject: subject.slice(0, MAX_SUBJECT), notBefore, notAfter, unfit };
  } catch {
    // OpenSSL cannot read it, so nothing that it has signed could be verified.
    return undefined;
  }
}
