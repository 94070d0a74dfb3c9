import { createSelfSigned } from '../pki/self-signed.ts';
import { type CertificateFacts, type CertificatePair, parseChain, parsePair } from '../pki/certificate.ts';
import { generatePrivateKey } from '../pki/keys.ts';
import { Secret } from '../secret.ts';
import { isCertletError } from '../errors.ts';
import { type CertificateTemplate, templateMismatches } from '../csr/template.ts';
import type { KubeconfigReading, StoredPair } from '../ports.ts';
import { judgedNow, type RotationContext } from './context.ts';
import type { Credentials } from './credentials.ts';

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;

/** A pair found at start, and where. `kubeconfig`: embedded in or named by the node's kubeconfig. */
export type Candidate = Pick<StoredPair, 'pair' | 'path'> & { readonly origin: StoredPair['origin'] | 'kubeconfig' };

const ANY_USAGE = '2.5.29.37.0';

/**
 * Whether a certificate may be shown for a usage, by Go's rule (crypto/x509), which API servers and kubelets verify by: one without extended
 * key usages is for all of them. Hand-made clusters have such.
 */
export function allowsUsage(leaf: CertificateFacts, usage: 'client auth' | 'server auth'): boolean {
  const { extendedKeyUsages: usages } = leaf;
  return usages.length === 0 || usages.includes(usage) || usages.includes(ANY_USAGE);
}

/** Why a pair on disk cannot serve as this certificate; empty means that it can. Mere presence proves nothing. */
export function unfitReasons(
  leaf: CertificateFacts,
  wanted: { readonly commonName: string; readonly usage: 'client auth' | 'server auth'; readonly now: Date },
): readonly string[] {
  return [
    ...(leaf.selfSigned ? ['self-signed'] : []),
    ...(leaf.commonName === wanted.commonName ? [] : [`for ${leaf.commonName}`]),
    ...(allowsUsage(leaf, wanted.usage) ? [] : [`no ${wanted.usage} usage`]),
    ...(wanted.now > leaf.notAfter ? [`expired at ${leaf.notAfter.toISOString()}`] : []),
  ];
}

/** The pair to go on with: the current one while it is fit, else the fit one that lasts longest. */
export function bestCandidate(
  candidates: readonly Candidate[],
  wanted: Parameters<typeof unfitReasons>[1],
): Candidate | undefined {
  const fit = candidates.filter(({ pair }) => unfitReasons(pair.chain.leaf, wanted).length === 0);
  const current = fit.find(({ origin }) => origin === 'current');
  const longest = [...fit].sort((a, b) => b.pair.chain.leaf.notAfter.getTime() - a.pair.chain.leaf.notAfter.getTime());
  return current ?? longest[0];
}

/** What is behind the client link afterwards, also when it is not fit (expired), so that it can be shown. */
export interface AdoptedClient {
  readonly pair: CertificatePair | undefined;
  readonly fit: boolean;
  /** Another program has written here since the folder was taken over: a person decides about its files. */
  readonly foreign: boolean;
}

/** Chooses the client pair to go on with among all that lie in the cert-dir and in the kubeconfig, and makes the link say so. */
export async function adoptClient(
  context: RotationContext,
  credentials: Credentials,
  first: boolean,
): Promise<AdoptedClient> {
  const { store, log, options } = context;
  const inspection = await inspect(context, 'client');
  if ((await store.foreign('client')).length > 0)
    return { pair: await store.current('client'), fit: false, foreign: true };
  const candidates = [...inspection, ...kubeconfigCandidate(context, credentials)];
  const now = judgedNow(context).earliest;
  const wanted = { commonName: `system:node:${options.nodeName}`, usage: 'client auth', now } as const;
  const best = bestCandidate(candidates, wanted);
  const current = candidates.find(({ origin }) => origin === 'current');
  if (best === undefined) {
    if (current !== undefined && first) {
      log.log('warn', 'The current client certificate cannot be used', {
        file: current.path,
        why: unfitReasons(current.pair.chain.leaf, wanted),
      });
    }
    return { pair: current?.pair, fit: false, foreign: false };
  }
  if (best.origin !== 'current') await makeCurrent(context, 'client', best);
  return { pair: best.pair, fit: true, foreign: false };
}

/**
 * The same for the serving pair. Where no issued one is fit, a self-signed pair with the wanted names becomes current until the first is issued:
 * a kubelet whose `tlsCertFile` is missing does not start, and without it there may be no Node for an approver to look at.
 */
export async function adoptServing(
  context: RotationContext,
  wanted: CertificateTemplate,
): Promise<{ readonly pair: CertificatePair; readonly foreign: boolean }> {
  const { store } = context;
  const candidates = await inspect(context, 'serving');
  const current = candidates.find(({ origin }) => origin === 'current');
  const foreign = (await store.foreign('serving')).length > 0;
  if (current !== undefined && foreign) return { pair: current.pair, foreign };
  const now = judgedNow(context).earliest;
  const fit = bestCandidate(candidates, { commonName: wanted.commonName, usage: 'server auth', now });
  if (fit !== undefined) {
    if (fit.origin !== 'current') await makeCurrent(context, 'serving', fit);
    return { pair: fit.pair, foreign };
  }
  const usable = current !== undefined && placeholderServes(current.pair.chain.leaf, wanted, now);
  return { pair: usable ? current.pair : await installPlaceholder(context, wanted), foreign };
}

/** An issued certificate is kept even when expired (a kubelet starts on it); a placeholder is replaced when it lacks a name. */
function placeholderServes(leaf: CertificateFacts, wanted: CertificateTemplate, now: Date): boolean {
  if (!leaf.selfSigned) return true;
  const missing = templateMismatches(
    { ...leaf, commonName: wanted.commonName, organizations: wanted.organizations },
    wanted,
  );
  return missing.length === 0 && now < leaf.notAfter;
}

async function inspect(context: RotationContext, purpose: 'client' | 'serving'): Promise<readonly Candidate[]> {
  // The store itself tells what it moved aside.
  return (await context.store.inspect(purpose)).pairs;
}

async function makeCurrent(context: RotationContext, purpose: 'client' | 'serving', chosen: Candidate): Promise<void> {
  const { store, log, clock } = context;
  if (chosen.origin === 'timestamped') await store.relink(purpose, { ...chosen, origin: 'timestamped' });
  else await store.install(purpose, chosen.pair, clock.now());
  const { serial, notAfter } = chosen.pair.chain.leaf;
  log.log('info', 'Loading cert/key pair', {
    purpose,
    file: chosen.path,
    from: chosen.origin,
    serial,
    expires: notAfter,
  });
}

/** What the certificate of the node's kubeconfig lacks to be the node's own, in words; undefined where there is none, or nothing is wrong. */
export function kubeconfigPairProblem(
  reading: KubeconfigReading,
  wanted: Parameters<typeof unfitReasons>[1],
): string | undefined {
  if (reading.kind !== 'usable' || reading.config.credential.kind !== 'certificate') return undefined;
  try {
    const { leaf } = parseChain(reading.config.credential.chainPem);
    const reasons = unfitReasons(leaf, wanted);
    if (reasons.length === 0) return undefined;
    return `the client certificate ${leaf.subject} of ${reading.path} is not used: ${reasons.join(', ')}`;
  } catch (error) {
    if (!isCertletError(error)) throw error;
    return `the client certificate of ${reading.path} is not used: ${error.message}`;
  }
}

/** A pair that the kubeconfig embeds (or names elsewhere): clusters that were set up long ago keep it there until it expires. */
function kubeconfigCandidate(context: RotationContext, credentials: Credentials): readonly Candidate[] {
  const reading = credentials.nodeKubeconfig;
  if (reading.kind !== 'usable' || reading.config.credential.kind !== 'certificate') return [];
  if (reading.config.files.includes(context.store.currentPath('client'))) return [];
  const { chainPem, keyPem } = reading.config.credential;
  try {
    const pair = parsePair(new Secret(`${chainPem}\n${keyPem.reveal()}`));
    return [{ pair, path: reading.path, origin: 'kubeconfig' }];
  } catch (error) {
    if (!isCertletError(error)) throw error;
    if (credentials.said.isNews(`pair in ${reading.path}`, error.message))
      context.log.log('warn', 'The pair in the kubeconfig cannot be used', { file: reading.path, why: error.message });
    return [];
  }
}

async function installPlaceholder(context: RotationContext, wanted: CertificateTemplate): Promise<CertificatePair> {
  const { clock, options, store, log } = context;
  const now = clock.now();
  const key = await generatePrivateKey(options.keyAlgorithm);
  const pem = createSelfSigned({
    // The name that the kubelet gives to its own self-signed certificate.
    commonName: `${options.nodeName}@${String(Math.floor(now.getTime() / 1000))}`,
    dnsNames: wanted.dnsNames,
    ipAddresses: wanted.ipAddresses,
    notBefore: new Date(now.getTime() - HOUR_MS),
    notAfter: new Date(now.getTime() + YEAR_MS),
    key,
    serial: key.publicKeyDer.slice(-16),
  });
  const pair = { chain: parseChain(pem), key };
  const path = await store.install('serving', pair, now);
  log.log('info', 'Made a self-signed serving pair until the first one is issued', { purpose: 'serving', file: path });
  return pair;
}
