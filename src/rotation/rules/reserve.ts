import { type Instruction, type Remedy, byHand } from '../../remedy.ts';
import type { CertificateSpec, RotationWindow } from '../../csr/spec.ts';
import type { RequestHistory } from '../../csr/pending.ts';
import type { CertificateFacts } from '../../pki/certificate.ts';
import { receivedAt, reserveDeadline, RESERVE_SPREAD, usefulLife, type UsefulLife } from './schedule.ts';

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;

/** What a reserve comes to with the lifetime that the signer gives. */
export interface ReserveFacts {
  readonly wantedMs: number;
  /** The most that can always be left of a certificate of this lifetime: half of what it had left when it came. */
  readonly possibleMs: number;
  /** What to ask for, and of whom, where `possibleMs` is less than what is wanted. */
  readonly ask: Remedy | undefined;
}

type Reserved = Pick<
  CertificateSpec,
  'name' | 'signerName' | 'expirationSeconds' | 'reserveMs' | 'isIdentity' | 'files'
>;
type Held = Pick<CertificateFacts, 'notBefore' | 'notAfter' | 'serial' | 'selfSigned' | 'endsWith'>;

/** Undefined where no reserve is set, and for what has not been issued. */
export function reserveFacts(
  certificate: Held | undefined,
  spec: Reserved,
  history: RequestHistory,
  now: Date,
): ReserveFacts | undefined {
  const { reserveMs: wantedMs } = spec;
  if (wantedMs === undefined || certificate === undefined || certificate.selfSigned) return undefined;
  const possibleMs = mostReserveMs(usefulLife(certificate, receivedAt(certificate, history), now));
  return { wantedMs, possibleMs, ask: possibleMs < wantedMs ? ask(certificate, spec, wantedMs) : undefined };
}

const mostReserveMs = ({ cameAt, endsAt }: UsefulLife): number => (endsAt.getTime() - cameAt.getTime()) / 2;

/**
 * The lifetime that gives a reserve, in whole hours: twice as much, and so much more that a fleet which got its certificates in one minute does not
 * renew in one minute.
 */
export const lifetimeForMs = (wantedMs: number): number =>
  Math.ceil(wantedMs / (0.5 - RESERVE_SPREAD) / HOUR_MS) * HOUR_MS;

/** kube-controller-manager signs for all of these, each for as long as one flag of it says. */
const isStock = (signerName: string): boolean => signerName.startsWith('kubernetes.io/');

/**
 * The signers of Kubernetes take the shorter of `--cluster-signing-duration` (`--experimental-cluster-signing-duration` before 1.19) and
 * `expirationSeconds` (from 1.22 on), and end no certificate after their CA.
 */
function ask({ endsWith }: Held, spec: Reserved, wantedMs: number): Instruction {
  if (endsWith !== undefined)
    return byHand(
      `Ask the cluster's admin for a signer whose CA lives longer: ${endsWith} ends before the certificate does.`,
    );
  const hours = String(lifetimeForMs(wantedMs) / HOUR_MS);
  const seconds = lifetimeForMs(wantedMs) / 1000;
  const setting = spec.files.kubelet === undefined ? `expirationSeconds of ${spec.name}` : 'expirationSeconds';
  const tooShort = spec.expirationSeconds !== undefined && spec.expirationSeconds < seconds;
  const signer = isStock(spec.signerName)
    ? `ask the cluster's admin for kube-controller-manager --cluster-signing-duration=${hours}h`
    : `ask whoever runs the signer ${spec.signerName} for lifetimes of ${hours} hours`;
  if (tooShort) return byHand(`Set ${setting}: ${String(seconds)}, and ${signer} where the signer gives less.`);
  return byHand(
    isStock(spec.signerName)
      ? `A${signer.slice(1)}.`
      : `A${signer.slice(1)}, or set ${setting}: ${String(seconds)} where it honours that.`,
  );
}

/** About how often a year a certificate of this lifetime is asked for, and so approved. Whole, and not below 1. */
export function renewalsAYear(life: UsefulLife, window: RotationWindow, reserveMs: number | undefined): number {
  const [from, to] = [life.cameAt.getTime(), life.endsAt.getTime()];
  const usualMs = (to - from) * ((window.earliest + window.latest) / 2);
  const pulledMs = reserveMs === undefined ? usualMs : reserveDeadline(life, reserveMs, 0.5).getTime() - from;
  return Math.max(1, Math.round(YEAR_MS / Math.min(usualMs, pulledMs)));
}
