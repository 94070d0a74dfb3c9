import { X509Certificate } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { isCertletError } from '../../errors.ts';
import { splitCertificates } from '../../pki/certificate.ts';
import { directTrust, MAX_CANDIDATES } from '../../pki/direct-trust.ts';
import type { DirectTrust } from '../../pki/direct-trust.ts';
import { handshake, withinConnectTime } from './handshake.ts';
import { isNameError, serverNameError } from './server-identity.ts';
import type { PeerTls } from './tls-options.ts';

/** Where a trusted connection comes from, and how long each handshake may take. */
export interface PeerTrustOptions {
  readonly tls: PeerTls;
  readonly handshakeMs: number;
  readonly now: () => Date;
  /** The alternative names of a peer that is believed, as Node tells them; not of one that nobody has verified. */
  readonly onPeer?: (alternativeNames: string) => void;
}

/** How a peer is believed. Each way judges the connection that it is tried on, and that connection alone. */
type Way = { readonly kind: 'openssl'; readonly ca: PeerTls['ca'] } | { readonly kind: 'direct' };

/**
 * OpenSSL's verdicts that say something about how it built the chain, or about purposes: what Go judges otherwise. Weak keys, revocation and
 * whatever else it finds stay its last word.
 */
const RECONSIDERED: ReadonlySet<string> = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'CERT_UNTRUSTED',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'INVALID_PURPOSE',
  'INVALID_CA',
  'PATH_LENGTH_EXCEEDED',
]);

/** OpenSSL has refused the peer, by its own code and words; `verdict` is what came of looking at its certificate alone. */
export class PeerRefusedError extends Error {
  override readonly name = 'PeerRefusedError';
  readonly code: string;
  readonly verdict: DirectTrust;

  constructor(openssl: Refusal, verdict: DirectTrust) {
    super(openssl.message);
    this.code = openssl.code;
    this.verdict = verdict;
  }
}

type Refusal = Error & { readonly code: string };

/**
 * A function that makes a connection whose peer is trusted and named as wanted, out of raw connections to one peer, before the first byte of
 * HTTP. OpenSSL decides with all CAs, then with each CA of the kubeconfig alone; after that `directTrust`, on the connection at hand. What it
 * remembers between connections is which way to try first: every connection is judged anew. Rejections are Node's errors, `PeerRefusedError`
 * and those of `serverNameError`.
 */
export function trustedPeer(options: PeerTrustOptions): (open: () => Promise<Duplex>) => Promise<TLSSocket> {
  const all: Way = { kind: 'openssl', ca: options.tls.ca };
  const others = otherWays(options.tls);
  let favourite: Way = all;
  return async (open) => {
    const deadline = performance.now() + options.handshakeMs;
    const refusals: PeerRefusedError[] = [];
    for (const way of waysFrom(favourite, all, others)) {
      if (refusals.length > 0 && performance.now() >= deadline) break;
      try {
        const socket = await connectBy(way, options, open);
        favourite = way;
        return socket;
      } catch (error) {
        // What fails otherwise after a refusal (a limit on connections, a proxy) does not say more than the refusal does.
        if (!(error instanceof PeerRefusedError)) throw isNameError(error) ? error : (refusals[0] ?? error);
        refusals.push(error);
      }
    }
    throw refusalOf(refusals);
  };
}

function* waysFrom(favourite: Way, all: Way, others: () => readonly Way[]): Generator<Way> {
  yield favourite;
  if (favourite !== all) yield all;
  for (const way of others()) if (way !== favourite) yield way;
}

/** OpenSSL's words about all CAs come first; what was found of the certificate itself goes with them. */
function refusalOf(refusals: readonly PeerRefusedError[]): Error {
  const [first] = refusals.toSorted((one, other) => Number(one.message === '') - Number(other.message === ''));
  const verdict = refusals.find((refusal) => refusal.verdict.kind !== 'unknown')?.verdict;
  return first === undefined
    ? new Error('nobody was asked about the peer')
    : new PeerRefusedError(first, verdict ?? first.verdict);
}

/** Beyond OpenSSL with all CAs, made when first needed: one CA alone is the same again where there is no other. */
function otherWays({ insecure, bundlePem }: PeerTls): () => readonly Way[] {
  let made: readonly Way[] | undefined = insecure || bundlePem === undefined ? [] : undefined;
  return () => {
    if (made !== undefined) return made;
    const cas = casOf(bundlePem ?? '');
    const alone = cas.length > 1 ? cas.slice(0, MAX_CANDIDATES) : [];
    made = [...alone.map((ca): Way => ({ kind: 'openssl', ca })), { kind: 'direct' }];
    return made;
  };
}

function casOf(bundlePem: string): readonly string[] {
  try {
    return splitCertificates(bundlePem);
  } catch (error) {
    if (isCertletError(error)) return [];
    throw error;
  }
}

/** One connection, judged by one way. Closes what it refuses. */
async function connectBy(way: Way, options: PeerTrustOptions, open: () => Promise<Duplex>): Promise<TLSSocket> {
  const { tls, handshakeMs } = options;
  const raw = await open();
  const strict = way.kind === 'openssl' && !tls.insecure;
  const { cert, key, servername } = tls;
  const ca = way.kind === 'openssl' ? way.ca : tls.ca;
  const asked = {
    ca: typeof ca === 'string' ? ca : [...ca],
    rejectUnauthorized: strict,
    servername,
    ...(cert === undefined ? {} : { cert, key }),
  };
  const socket = await withinConnectTime(handshakeMs, (signal) => handshake(raw, asked, signal)).catch(
    (error: unknown) => {
      throw isReconsidered(error) ? new PeerRefusedError(error, { kind: 'unknown' }) : error;
    },
  );
  const problem = tls.insecure ? undefined : problemOf(socket, way, options);
  if (problem === undefined) {
    if (!tls.insecure) options.onPeer?.(socket.getPeerX509Certificate()?.subjectAltName ?? '');
    return socket;
  }
  socket.on('error', () => undefined).destroy();
  throw problem;
}

/**
 * The verdict on a peer whose handshake is done: undefined lets it pass. A session that was taken up again would bring no certificate that
 * this handshake has proven; none is ever offered, and none passes.
 */
function problemOf(socket: TLSSocket, way: Way, { tls, now }: PeerTrustOptions): Error | undefined {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined || socket.isSessionReused()) return new Error('the peer has shown no certificate');
  const names = (): Error | undefined => serverNameError(tls.name, certificate.subjectAltName);
  if (socket.authorized) return names();
  const code = String(socket.authorizationError);
  if (way.kind !== 'direct' || !RECONSIDERED.has(code)) return refused(code, { kind: 'unknown' });
  const cas = casOf(tls.bundlePem ?? '').map((pem) => new X509Certificate(pem).raw);
  const verdict = directTrust({ leaf: certificate.raw, cas, host: tls.name, now: now() });
  if (verdict.kind === 'trusted') return names();
  const onlyNames = verdict.kind === 'signed' && verdict.problems.every(({ kind }) => kind === 'names');
  return (onlyNames ? names() : undefined) ?? refused(code, verdict);
}

function refused(code: string, verdict: DirectTrust): PeerRefusedError {
  return new PeerRefusedError(Object.assign(new Error(), { code }), verdict);
}

function isReconsidered(error: unknown): error is Refusal {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && RECONSIDERED.has(error.code);
}
