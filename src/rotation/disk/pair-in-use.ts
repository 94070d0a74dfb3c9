import { timestamp } from '../../timestamp.ts';
import { createSelfSigned } from '../../pki/self-signed.ts';
import { type CertificateFacts, type CertificatePair, parseChain, parsePair } from '../../pki/certificate.ts';
import { generatePrivateKey } from '../../pki/keys.ts';
import { Secret } from '../../secret.ts';
import { isCertletError } from '../../errors.ts';
import { type CertificateSpec, isExtended } from '../../csr/spec.ts';
import { type CertificateTemplate, templateMismatches } from '../../csr/template.ts';
import type { KubeconfigReading, StoredPair } from '../../ports.ts';
import type { SaidOnce } from '../../said-once.ts';
import { judgedNow, type RotationContext } from '../rotation-context.ts';

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;

/** A pair found at start, and where. `kubeconfig`: embedded in or named by the node's kubeconfig. */
export type Candidate = Pick<StoredPair, 'pair' | 'path'> & { readonly origin: StoredPair['origin'] | 'kubeconfig' };

const ANY_USAGE = '2.5.29.37.0';

/**
 * Whether a certificate may be shown for a usage, by Go's rule (crypto/x509), which API servers and kubelets verify by: one without extended
 * key usages is for all of them. Hand-made clusters have such. The bits of key usage are not looked at, as there.
 */
export function allowsUsage(leaf: CertificateFacts, usage: string): boolean {
  const { extendedKeyUsages: usages } = leaf;
  return !isExtended(usage) || usages.length === 0 || usages.includes(usage) || usages.includes(ANY_USAGE);
}

/** Why a pair on disk cannot serve as this certificate; empty means that it can. Mere presence proves nothing. */
export function unfitReasons(
  leaf: CertificateFacts,
  wanted: { readonly commonName: string; readonly usages: readonly string[]; readonly now: Date },
): readonly string[] {
  return [
    ...(leaf.selfSigned ? ['self-signed'] : []),
    ...(leaf.commonName === wanted.commonName ? [] : [`for ${leaf.commonName}`]),
    ...wanted.usages.filter((usage) => !allowsUsage(leaf, usage)).map((usage) => `no ${usage} usage`),
    ...(wanted.now > leaf.notAfter ? [`expired at ${timestamp(leaf.notAfter)}`] : []),
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

/** What is behind the link afterwards. */
export interface ChosenPair {
  /** Also when it is not fit (expired), so that it can be shown. */
  readonly pair: CertificatePair | undefined;
  /** An issued pair that will do: a kubeconfig may name it. */
  readonly fit: boolean;
  /** Another program has written here since the folder was taken over: a person decides about its files. */
  readonly foreign: boolean;
}

/** What a choice goes by. */
export interface PairChoice {
  readonly spec: CertificateSpec;
  readonly wanted: CertificateTemplate;
  /** The first look of this process: what lies there is taken over. */
  readonly first: boolean;
  /** Pairs that lie elsewhere, such as in a kubeconfig. */
  readonly elsewhere: readonly Candidate[];
}

/**
 * Chooses the pair to go on with among all that there are, and makes the link say so. Where a placeholder is wanted and no issued pair is fit, a
 * self-signed one with the wanted names becomes current until the first is issued. Nothing is touched while another program writes here, too.
 */
export async function choosePair(context: RotationContext, choice: PairChoice): Promise<ChosenPair> {
  const { store } = context;
  const { spec, wanted, elsewhere } = choice;
  const candidates = [...(await inspect(context, spec.name)), ...elsewhere];
  const current = candidates.find(({ origin }) => origin === 'current');
  const foreign = (await store.foreign(spec.name)).length > 0;
  if (foreign && (current !== undefined || !spec.placeholder)) return { pair: current?.pair, fit: false, foreign };
  const now = judgedNow(context).earliest;
  const demands = { commonName: wanted.commonName, usages: spec.usages, now };
  const best = bestCandidate(candidates, demands);
  if (best !== undefined && best.origin !== 'current') await makeCurrent(context, spec.name, best);
  if (best !== undefined) return { pair: best.pair, fit: true, foreign };
  if (spec.placeholder) return { pair: await placeholder(context, choice, current?.pair), fit: false, foreign };
  if (current !== undefined) sayUnfit(context, choice, current, demands);
  return { pair: current?.pair, fit: false, foreign };
}

/** At the first look only: what is wrong with a pair that was there before. */
function sayUnfit(
  { log }: RotationContext,
  { spec, first }: PairChoice,
  current: Candidate,
  demands: Parameters<typeof unfitReasons>[1],
): void {
  if (!first) return;
  const why = unfitReasons(current.pair.chain.leaf, demands);
  log.log('warn', `The current ${spec.name} certificate cannot be used`, { file: current.path, why });
}

async function placeholder(
  context: RotationContext,
  { spec, wanted }: PairChoice,
  current: CertificatePair | undefined,
): Promise<CertificatePair> {
  const usable = current !== undefined && placeholderServes(current.chain.leaf, wanted, judgedNow(context).earliest);
  return usable ? current : installPlaceholder(context, spec, wanted);
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

async function inspect(context: RotationContext, purpose: string): Promise<readonly Candidate[]> {
  // The store itself tells what it moved aside.
  return await context.store.inspect(purpose);
}

async function makeCurrent(context: RotationContext, purpose: string, chosen: Candidate): Promise<void> {
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
export function kubeconfigCandidate(
  context: RotationContext,
  spec: CertificateSpec,
  { node: reading, said }: { readonly node: KubeconfigReading; readonly said: SaidOnce },
): readonly Candidate[] {
  if (reading.kind !== 'usable' || reading.config.credential.kind !== 'certificate') return [];
  if (reading.config.files.includes(context.store.currentPath(spec.name))) return [];
  const { chainPem, keyPem } = reading.config.credential;
  try {
    const pair = parsePair(new Secret(`${chainPem}\n${keyPem.reveal()}`));
    return [{ pair, path: reading.path, origin: 'kubeconfig' }];
  } catch (error) {
    if (!isCertletError(error)) throw error;
    if (said.isNews(`pair in ${reading.path}`, error.message))
      context.log.log('warn', 'The pair in the kubeconfig cannot be used', { file: reading.path, why: error.message });
    return [];
  }
}

async function installPlaceholder(
  context: RotationContext,
  spec: CertificateSpec,
  wanted: CertificateTemplate,
): Promise<CertificatePair> {
  const { clock, options, store, log } = context;
  const now = clock.now();
  const key = await generatePrivateKey(spec.keyAlgorithm);
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
  const path = await store.install(spec.name, pair, now);
  log.log('info', 'Made a self-signed serving pair until the first one is issued', { purpose: spec.name, file: path });
  return pair;
}
