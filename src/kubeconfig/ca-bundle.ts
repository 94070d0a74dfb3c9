import { byHand } from '../remedy.ts';
import { X509Certificate } from 'node:crypto';
import { oneLine } from '../pki/certificate.ts';
import { unreadableCurve } from '../pki/curves.ts';
import type { Origin } from './model.ts';
import { CertletError } from '../errors.ts';
import { certificateBlocks, pemOf } from './pem-blocks.ts';

export interface CaBundle {
  /** The certificates that parse, without anything around them. */
  readonly pem: string;
  readonly warnings: readonly string[];
}

/** OpenSSL's security level 2, Node's default, refuses smaller RSA keys in a chain with "CA certificate key too weak". */
const MIN_RSA_BITS = 2048;
/** The same level's floor for elliptic curves: 112 bits of security. */
const MIN_EC_BITS = 224;
/** So many of a bundle's faults are told one by one. */
const TOLD = 10;
const EC_BITS: Readonly<Record<string, number>> = {
  prime192v1: 192,
  secp192k1: 192,
  secp160r1: 160,
  secp160k1: 160,
  secp160r2: 160,
  secp128r1: 128,
  secp128r2: 128,
  secp112r1: 112,
  secp112r2: 112,
};

/**
 * Checks the certificates to trust. As in Go, one good certificate is enough and a broken one beside it is only told.
 * Throws `ERR_KUBECONFIG_INVALID` when none parses.
 */
export function readCaBundle(text: string, origin: Origin): CaBundle {
  const label = `${origin.place}: ${origin.field}`;
  const { blocks: found, hint } = certificateBlocks(text);
  // Go passes by what has headers.
  const blocks = found.map((block) => (block.headers ? undefined : pemOf(block)));
  const good: string[] = [];
  const faults: string[] = [];
  for (const [index, block] of blocks.entries()) {
    const which = `certificate ${String(index + 1)} of ${String(blocks.length)}`;
    const { use, problem } = judged(block);
    if (use && block !== undefined) good.push(block);
    if (problem !== undefined) faults.push(use ? problem : `${which} ${problem} and is left out`);
  }
  const warnings = firstOf(faults);
  if (good.length === 0) {
    const why = hint ?? warnings.join('; ');
    throw new CertletError(
      'ERR_KUBECONFIG_INVALID',
      `${label}: no certificate in it can be parsed${why === '' ? '' : `: ${why}`}`,
      {
        remedy: byHand(
          "Put the cluster's CA certificate there as PEM: /etc/kubernetes/pki/ca.crt of a control plane node.",
        ),
      },
    );
  }
  return { pem: good.join(''), warnings: warnings.map((warning) => `${label}: ${warning}`) };
}

/** A text of megabytes may have tens of thousands of them. */
function firstOf(faults: readonly string[]): readonly string[] {
  if (faults.length <= TOLD) return faults;
  return [...faults.slice(0, TOLD), `and ${String(faults.length - TOLD)} more like these`];
}

/** Whether a certificate can be trusted at all, and what is wrong with it. Go leaves out what it cannot read. */
function judged(pem: string | undefined): { readonly use: boolean; readonly problem?: string } {
  const certificate = pem === undefined ? undefined : parse(pem);
  if (certificate === undefined) return { use: false, problem: 'cannot be parsed' };
  const weakness = weakKey(certificate);
  if (weakness !== undefined) return { use: true, problem: weakness };
  const curve = unreadableCurve(certificate);
  if (curve === undefined) return { use: true };
  return { use: false, problem: `has a key on the curve ${curve}, which Kubernetes cannot read,` };
}

/** What OpenSSL will refuse about a trusted certificate's key, with the remedy; undefined when it is strong enough. */
export function weakKey(certificate: X509Certificate): string | undefined {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = certificate.publicKey;
  const bits = type === 'ec' ? EC_BITS[details?.namedCurve ?? ''] : details?.modulusLength;
  const needed = type === 'ec' ? MIN_EC_BITS : MIN_RSA_BITS;
  if (bits === undefined || bits >= needed) return undefined;
  const name = oneLine(certificate.subject);
  const kind = type === 'ec' ? 'EC' : (type ?? '').toUpperCase();
  return (
    `the CA "${name}" has a ${kind} key of ${String(bits)} bits; OpenSSL refuses what is below ${String(needed)}: ` +
    'give the cluster a new CA (RSA 2048 or ECDSA P-256) and put it here beside the old one'
  );
}

/** Undefined also where the key in it cannot be read: nothing that it signed could be checked. */
function parse(pem: string): X509Certificate | undefined {
  try {
    const certificate = new X509Certificate(pem);
    return certificate.publicKey.asymmetricKeyType === undefined ? undefined : certificate;
  } catch {
    return undefined;
  }
}
