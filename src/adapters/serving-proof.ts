import { duplexPair } from 'node:stream';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import { defectIn, isDefect } from '../errors.ts';
import type { CertificatePair } from '../pki/certificate.ts';
import { encodePrivateKey } from '../pki/keys.ts';
import { encodePem } from '../pki/pem.ts';
import type { ServingProof } from '../ports.ts';
import { handshake, leaveOwnRoots } from './api/handshake.ts';

/** How strong keys and digests must be is for the signer to say, and for whoever connects. */
const ANY_STRENGTH = { ciphers: 'DEFAULT@SECLEVEL=0' } as const;

/** Judged elsewhere, by two clocks: a fresh certificate may begin a little later than now. */
const DATES: readonly unknown[] = ['CERT_NOT_YET_VALID', 'CERT_HAS_EXPIRED'];

/** A handshake between two ends of a pipe in this process: no port is opened, and nobody else can be met there. */
export function createServingProof(): ServingProof {
  return {
    async refusal(pair, signal) {
      try {
        await connectOnce(pair, signal);
        return undefined;
      } catch (error) {
        if (signal.aborted) throw error;
        if (isDefect(error)) throw defectIn('proof of a serving certificate', error);
        const { message, code } = error as Error & { readonly code?: unknown };
        return DATES.includes(code) ? undefined : message;
      }
    },
  };
}

/** Rejects with what breaks the handshake off. */
async function connectOnce(pair: CertificatePair, signal: AbortSignal): Promise<void> {
  const secureContext = contextOf(pair);
  const [near, far] = duplexPair();
  const broken = new AbortController();
  const server = new TLSSocket(far, { isServer: true, secureContext });
  server.on('error', (error) => broken.abort(error));
  try {
    const client = { ...ANY_STRENGTH, ca: topOf(pair), rejectUnauthorized: true, servername: '' };
    const socket = await handshake(near, client, AbortSignal.any([signal, broken.signal]));
    socket.on('error', () => undefined).destroy();
  } finally {
    server.destroy();
    far.destroy();
  }
}

/** Throws OpenSSL's error where certificate, chain or key are none that it could show. */
function contextOf({ chain, key }: CertificatePair): SecureContext {
  leaveOwnRoots();
  return createSecureContext({ ...ANY_STRENGTH, cert: chain.pem, key: encodePrivateKey(key).reveal() });
}

/** Whom the client believes: the end of the chain, be it the leaf. Who vouches for that, those who connect later know and this host need not. */
function topOf({ chain }: CertificatePair): string {
  const top = chain.certificates.at(-1);
  return top === undefined ? '' : encodePem('CERTIFICATE', top.raw);
}
