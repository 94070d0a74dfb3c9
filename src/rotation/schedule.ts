import type { CertificateFacts } from '../pki/certificate.ts';
import type { RequestHistory } from '../csr/pending.ts';
import { stableRoll } from '../pki/roll.ts';

/** client-go's certificate manager: uniform in [70 %, 90 %) of the lifetime, counted from NotBefore. */
const EARLIEST = 0.7;
const SPREAD = 0.2;

/** The longest spacing that a lifetime can lead to, so that a year-long certificate still follows a changed address soon. */
const LONGEST_SPACING_MS = 10 * 60_000;

/**
 * When to ask for a successor. The roll comes from the serial and the node name, so a restart does not re-roll it and
 * a fleet that got its certificates in one minute does not renew in one minute.
 * `receivedAt` sets a floor: half of what was left then, since signers before 1.22 backdate short certificates by most of their life.
 */
export function rotationDeadline(
  certificate: Pick<CertificateFacts, 'notBefore' | 'notAfter' | 'serial'>,
  nodeName: string,
  receivedAt: Date | undefined,
): Date {
  const start = certificate.notBefore.getTime();
  const end = certificate.notAfter.getTime();
  const roll = stableRoll(`${certificate.serial}|${nodeName}`);
  const drawn = start + (end - start) * (EARLIEST + SPREAD * roll);
  const received = receivedAt?.getTime() ?? start;
  const floor = received < end ? received + (end - received) / 2 : drawn;
  return new Date(Math.max(drawn, floor));
}

/** When this certificate came, by this host's clock; undefined for one that certlet did not ask for. */
export const receivedAt = (
  certificate: Pick<CertificateFacts, 'serial'>,
  history: Pick<RequestHistory, 'lastIssuedAt' | 'lastSerial'>,
): Date | undefined => (history.lastSerial === certificate.serial ? history.lastIssuedAt : undefined);

/**
 * A successor that only one of two clocks asks for waits at least for half of what the certificate had left when it came, measured by this host's
 * clock: where one of them is wrong for good, each new certificate would be due at once. Undefined when that is unknown or the clock was set back.
 */
export function doubtfulUntil(
  certificate: CertificateFacts | undefined,
  history: Pick<RequestHistory, 'lastIssuedAt' | 'lastSerial'>,
  now: Date,
): Date | undefined {
  const received = certificate && receivedAt(certificate, history);
  if (certificate === undefined || received === undefined || received > now) return undefined;
  const from = Math.max(certificate.notBefore.getTime(), received.getTime());
  return new Date(received.getTime() + Math.max(0, certificate.notAfter.getTime() - from) / 2);
}

/** How far apart two new requests of one certificate are at least: a twentieth of the lifetime within bounds. */
export function requestSpacingMs(
  certificate: Pick<CertificateFacts, 'notBefore' | 'notAfter'> | undefined,
  minimumSpacingMs: number,
): number {
  if (certificate === undefined) return minimumSpacingMs;
  const lifetimeMs = certificate.notAfter.getTime() - certificate.notBefore.getTime();
  return Math.max(minimumSpacingMs, Math.min(lifetimeMs / 20, LONGEST_SPACING_MS));
}

/** The later of two dates, either of which may be missing. */
export const laterOf = (left: Date | undefined, right: Date | undefined): Date | undefined =>
  left === undefined || (right !== undefined && right > left) ? right : left;

/** A new request not before this; undefined when nothing was asked yet, or when the last one lies in the future (the clock was set back). */
export function spacedUntil(
  past: { readonly lastIssuedAt?: Date; readonly lastRequestAt?: Date },
  current: Pick<CertificateFacts, 'notBefore' | 'notAfter' | 'selfSigned'> | undefined,
  at: { readonly now: Date; readonly minimumSpacingMs: number },
): Date | undefined {
  const last = laterOf(past.lastIssuedAt, past.lastRequestAt);
  if (last === undefined || last > at.now) return undefined;
  const issued = current?.selfSigned === true ? undefined : current;
  return new Date(last.getTime() + requestSpacingMs(issued, at.minimumSpacingMs));
}
