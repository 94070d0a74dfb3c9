import type { CertificateFacts } from '../../pki/certificate.ts';
import type { RequestHistory } from '../../csr/pending.ts';
import type { RotationWindow } from '../../csr/spec.ts';
import { stableRoll } from '../../pki/roll.ts';
import type { JudgedTime } from './clock-judge.ts';
import { capWait, SHARE_OF_LEFT } from './retry.ts';

/** The longest spacing that a lifetime can lead to, so that a year-long certificate still follows a changed address soon. */
const LONGEST_SPACING_MS = 10 * 60_000;

/** Signers backdate by five minutes; a minute more for the way. A receipt within that is as early as can be. */
const BACKDATED_MS = 6 * 60_000;

/** Of certificates that are held now: the roll of each is asked for in every round. */
const rolls = new WeakMap<object, { readonly nodeName: string; readonly roll: number }>();

/** The same for the same certificate of the same node, in [0, 1). */
function ownRoll(certificate: Pick<CertificateFacts, 'serial'>, nodeName: string): number {
  const drawn = rolls.get(certificate);
  if (drawn?.nodeName === nodeName) return drawn.roll;
  const roll = stableRoll(`${certificate.serial}|${nodeName}`);
  rolls.set(certificate, { nodeName, roll });
  return roll;
}

/**
 * When to ask for a successor. The roll comes from the serial and the node name, so a restart does not re-roll it and
 * a fleet that got its certificates in one minute does not renew in one minute.
 * `receivedAt` sets a floor: half of what was left then, since signers backdate certificates, some by most of their life. A receipt that lies ahead of
 * `now` was told by a clock that was ahead: the floor ends with the window then (a kubelet's at 90 % of the lifetime), unless backdating alone is beyond
 * that. One that is past is believed: a deadline before it would ask for the next certificate at once, for ever.
 */
export function rotationDeadline(
  certificate: Pick<CertificateFacts, 'notBefore' | 'notAfter' | 'serial'>,
  { nodeName, window }: { readonly nodeName: string; readonly window: RotationWindow },
  receivedAt: Date | undefined,
  now?: Date,
): Date {
  const start = certificate.notBefore.getTime();
  const end = certificate.notAfter.getTime();
  const roll = ownRoll(certificate, nodeName);
  const drawn = start + (end - start) * (window.earliest + (window.latest - window.earliest) * roll);
  const received = receivedAt?.getTime() ?? start;
  if (received >= end) return new Date(drawn);
  const floor = received + (end - received) / 2;
  const believed = received - start <= BACKDATED_MS || (now !== undefined && received <= now.getTime());
  const latest = believed ? floor : start + (end - start) * window.latest;
  return new Date(Math.max(drawn, Math.min(floor, latest)));
}

/** From when on a certificate has been of use, and until when. */
export interface UsefulLife {
  readonly cameAt: Date;
  readonly endsAt: Date;
}

/** Signers backdate certificates, so a life begins with the receipt, where that is known and can be believed: see `rotationDeadline`. */
export function usefulLife(
  { notBefore, notAfter }: Pick<CertificateFacts, 'notBefore' | 'notAfter'>,
  received: Date | undefined,
  now: Date,
): UsefulLife {
  const believed = received !== undefined && received > notBefore && received < notAfter && received <= now;
  return { cameAt: believed ? received : notBefore, endsAt: notAfter };
}

/** Over which part of a life renewals that a reserve pulls forward are spread: a fleet that got its certificates in one minute has one reserve. */
export const RESERVE_SPREAD = 0.05;

/** This much of that spread is always left for the approval, so that the successor is there before the reserve is touched. */
const RESERVE_AHEAD = 0.25;

/**
 * When a successor has to be asked for so that `reserveMs` are always left. Never in the first half of a life: a signer of short certificates would be
 * asked over and over, and what it gives is used up no later than by half. `roll` is in [0, 1).
 */
export function reserveDeadline({ cameAt, endsAt }: UsefulLife, reserveMs: number, roll: number): Date {
  const [from, end] = [cameAt.getTime(), endsAt.getTime()];
  const half = from + (end - from) / 2;
  const spreadMs = (end - from) * RESERVE_SPREAD;
  if (end - reserveMs <= half) return new Date(half + spreadMs * roll);
  const ahead = RESERVE_AHEAD + (1 - RESERVE_AHEAD) * (1 - roll);
  return new Date(Math.max(half, end - reserveMs - spreadMs * ahead));
}

/** When this certificate came, as far as two clocks tell; undefined for one that certlet did not ask for. */
export const receivedAt = (
  certificate: Pick<CertificateFacts, 'serial'>,
  history: Pick<RequestHistory, 'lastIssuedAt' | 'lastIssuedByServer' | 'lastSerial'>,
): Date | undefined =>
  history.lastSerial === certificate.serial ? (history.lastIssuedByServer ?? history.lastIssuedAt) : undefined;

/** What a deadline goes by besides the certificate itself. */
export interface DueBy {
  readonly nodeName: string;
  readonly window: RotationWindow;
  /** See `reserveDeadline`. */
  readonly reserveMs?: number | undefined;
}

/**
 * When the certificate behind a link is due, for whoever tells it: the daemon, `status` from the disk, `check`, `renew --dry-run`. Undefined where
 * dates decide nothing: no certificate, or a placeholder.
 */
export function dueAt(
  certificate: Pick<CertificateFacts, 'notBefore' | 'notAfter' | 'serial' | 'selfSigned'> | undefined,
  { nodeName, window, reserveMs }: DueBy,
  history: RequestHistory,
  now: Date,
): Date | undefined {
  if (certificate === undefined || certificate.selfSigned) return undefined;
  const received = receivedAt(certificate, history);
  const usual = rotationDeadline(certificate, { nodeName, window }, received, now);
  if (reserveMs === undefined) return usual;
  const pulled = reserveDeadline(usefulLife(certificate, received, now), reserveMs, ownRoll(certificate, nodeName));
  return pulled < usual ? pulled : usual;
}

/**
 * A successor that only one of two clocks asks for waits at least for half of what the certificate had left when it came, measured by this host's
 * clock: where one of them is wrong for good, each new certificate would be due at once. Undefined when that is unknown or the clock was set back.
 */
export function doubtfulUntil(
  certificate: CertificateFacts | undefined,
  history: Pick<RequestHistory, 'lastIssuedAt' | 'lastSerial'>,
  now: Date,
): Date | undefined {
  const received = certificate?.serial === history.lastSerial ? history.lastIssuedAt : undefined;
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

/**
 * What is left of an issued certificate, by the clock that leaves less of it, as long as it is not over by that one; 0 when it is over by both.
 * Undefined without one: a placeholder has nothing to lose.
 */
export function leftMs(
  certificate: Pick<CertificateFacts, 'notAfter' | 'selfSigned'> | undefined,
  now: Pick<JudgedTime, 'earliest' | 'latest'>,
): number | undefined {
  if (certificate === undefined || certificate.selfSigned) return undefined;
  const end = certificate.notAfter.getTime();
  return [end - now.latest.getTime(), end - now.earliest.getTime()].find((ms) => ms > 0) ?? 0;
}

/** The later of two dates, either of which may be missing. */
export const laterOf = (left: Date | undefined, right: Date | undefined): Date | undefined =>
  left === undefined || (right !== undefined && right > left) ? right : left;

/** What tells whether a certificate serves: it is issued, for this node, not over and not refused. */
export interface Usability {
  readonly wantedCommonName: string;
  /** The earliest reading of the clock: a certificate counts as expired only when every clock says so. */
  readonly earliest: Date;
  /** The API server refuses it for good. */
  readonly refused: boolean;
}

/** Whether a node can work with this certificate as it is. */
export const isUsable = (
  certificate: Pick<CertificateFacts, 'commonName' | 'notAfter' | 'selfSigned'>,
  at: Usability,
): boolean =>
  !certificate.selfSigned &&
  !at.refused &&
  certificate.commonName === at.wantedCommonName &&
  at.earliest <= certificate.notAfter;

type Past = Pick<RequestHistory, 'lastIssuedAt' | 'lastRequestAt' | 'lastSerial' | 'refusal'>;
type Current = Pick<CertificateFacts, 'commonName' | 'notBefore' | 'notAfter' | 'selfSigned' | 'serial'>;

/**
 * From when on the spacing to the next request counts; undefined where there is none. It is for renewals: a node without a usable certificate asks
 * at once, unless the last one that was issued is what proved unusable, since the next may be like it.
 */
export function spacedFrom(past: Past, current: Current | undefined, at: Usability): Date | undefined {
  const either = laterOf(past.lastIssuedAt, past.lastRequestAt);
  if (current !== undefined && isUsable(current, at)) return either;
  if (past.refusal?.code.startsWith('ERR_ISSUED_') === true) return either;
  const issuedLast = current?.serial === past.lastSerial && current?.commonName === at.wantedCommonName;
  return issuedLast ? past.lastIssuedAt : undefined;
}

/**
 * A new request not before this, and no longer than what is left of the certificate allows; undefined without `last`, or when that lies in the
 * future (the clock was set back).
 */
export function spacedUntil(
  last: Date | undefined,
  current: Pick<CertificateFacts, 'notBefore' | 'notAfter' | 'selfSigned'> | undefined,
  at: { readonly now: Date; readonly minimumSpacingMs: number },
): Date | undefined {
  if (last === undefined || last > at.now) return undefined;
  const issued = current?.selfSigned === true ? undefined : current;
  const left = leftMs(issued, { earliest: at.now, latest: at.now });
  const spacingMs = capWait(requestSpacingMs(issued, at.minimumSpacingMs), left, SHARE_OF_LEFT.failure);
  return new Date(last.getTime() + spacingMs);
}

/** How long one run of `certlet once` may take to bring a new pair, and a timer may come late: `--timeout 5m`, AccuracySec=1min, and some rest. */
const RUN_MS = 10 * 60_000;

type Life = Pick<CertificateFacts, 'notBefore' | 'notAfter'>;

/**
 * From when on a run asks for a successor, where the next run comes only after `everyMs`: what falls due before that is due now. The last run but
 * one before the end counts as well, so that one run may fail. A pair that this very run has brought is never due in it.
 */
export function dueInRounds(
  deadline: Date,
  certificate: Life,
  at: { readonly everyMs: number; readonly receivedAt: Date | undefined },
): Date {
  const { everyMs, receivedAt } = at;
  const end = certificate.notAfter.getTime();
  const ahead = Math.min(deadline.getTime(), end - everyMs) - everyMs;
  const came = (receivedAt ?? certificate.notBefore).getTime();
  return new Date(Math.min(deadline.getTime(), Math.max(ahead, came + everyMs / 2)));
}

/**
 * From when on a run asks for a successor that is told to renew only what ends within `withinMs`, in place of the rotation deadline. Never in the
 * first half of what a certificate had left when it came: one that lives shorter than that time would be asked for over and over.
 */
export function dueWhenExpiring(
  certificate: Life,
  at: { readonly withinMs: number; readonly receivedAt: Date | undefined },
): Date {
  const end = certificate.notAfter.getTime();
  const came = (at.receivedAt ?? certificate.notBefore).getTime();
  return new Date(Math.max(end - at.withinMs, came + (end - came) / 2));
}

/** How well runs that are `everyMs` apart serve a certificate: `never` in time, in time unless one run fails (`barely`), or well. */
export type Service = 'never' | 'barely' | 'well';

/** By what the certificate had left when it came (all of its life where that is not known). */
export function servedInRounds(certificate: Life, receivedAt: Date | undefined, everyMs: number): Service {
  const start = certificate.notBefore.getTime();
  const lifeMs = certificate.notAfter.getTime() - Math.max(start, receivedAt?.getTime() ?? start);
  if (lifeMs <= everyMs + RUN_MS) return 'never';
  return lifeMs <= 2 * everyMs + RUN_MS ? 'barely' : 'well';
}

/** Two runs and some rest have gone by without one. */
export const isMissed = (startedAt: Date, now: Date, everyMs: number): boolean =>
  now.getTime() - startedAt.getTime() > 2 * everyMs + RUN_MS;
