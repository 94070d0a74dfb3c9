import { EXIT } from '../errors.ts';
import { KUBELET_WINDOW } from '../csr/spec.ts';
import { isMissed, servedInRounds } from '../rotation/rules/schedule.ts';
import { clusterCaReasons } from './cluster-ca.ts';
import type { CertificateStatus, StatusDocument } from './document.ts';
import { spanText } from '../timestamp.ts';

/** The state of a node's certificates in one word, best first. */
export type State = 'healthy' | 'waiting' | 'expiring' | 'expired' | 'unknown';

export interface Verdict {
  readonly state: State;
  /** One sentence for each thing that stands against `healthy`; empty when it is. */
  readonly reasons: readonly string[];
}

/** Whether the process that wrote the document still lives; `missing`: it does not, and a daemon is enabled on this host; `trouble`: a daemon lives and can renew nothing, and why. */
export type Liveness = 'running' | 'down' | 'missing' | { readonly trouble: string };

/** The exit code that tells a monitor the state. */
export const STATE_EXIT: Readonly<Record<State, number>> = {
  healthy: EXIT.ok,
  waiting: EXIT.waiting,
  expiring: EXIT.expiring,
  expired: EXIT.expired,
  unknown: EXIT.unknown,
};

const RANK: readonly State[] = ['healthy', 'waiting', 'unknown', 'expiring', 'expired'];

/** The worst of all certificates; a daemon that should run and does not makes `unknown` of what its last words called good. */
export function verdictOf(document: StatusDocument, now: Date, liveness: Liveness): Verdict {
  const found = [
    ...document.certificates.map((certificate) => certificateVerdict(certificate, now)),
    ...document.hooks.map(
      ({ hook, message }): Verdict => ({ state: 'waiting', reasons: [`hook ${hook}: ${message}`] }),
    ),
    ...(document.kubeconfig === undefined
      ? []
      : [{ state: 'waiting', reasons: [`${document.kubeconfig.path}: ${document.kubeconfig.reason}`] } as const]),
    ...(document.clusterCA === undefined ? [] : clusterCaReasons(document.clusterCA)).map(
      (reason): Verdict => ({ state: 'waiting', reasons: [reason] }),
    ),
    ...(liveness === 'missing' || (document.process.command === 'run' && liveness === 'down') ? [DOWN] : []),
    ...(typeof liveness === 'string' ? [] : [troubled(liveness.trouble)]),
    ...(liveness === 'running' ? [] : missedRuns(document, now)),
    ...intervalProblems(document).map((reason): Verdict => ({ state: 'waiting', reasons: [reason] })),
    ...(document.certificates.length === 0 ? [NOTHING] : []),
  ];
  const state = found.reduce<State>(
    (worst, { state }) => (RANK.indexOf(state) > RANK.indexOf(worst) ? state : worst),
    'healthy',
  );
  return { state, reasons: found.flatMap(({ reasons }) => reasons) };
}

/** The state in words. Where nothing is wrong but a hook that failed the node waits for nobody: its certificates are good, and somebody may not use them yet. */
export function stateWords({ hooks }: Pick<StatusDocument, 'hooks'>, { state, reasons }: Verdict): string {
  if (state !== 'waiting' || hooks.length === 0 || reasons.length > hooks.length) return state;
  const names = [...new Set(hooks.map(({ hook }) => hook))];
  return `degraded: ${names.length === 1 ? 'hook' : 'hooks'} ${names.join(', ')} failed`;
}

const DOWN: Verdict = { state: 'unknown', reasons: ['the daemon is not running: nothing is renewed'] };
const troubled = (why: string): Verdict => ({ state: 'unknown', reasons: [`the daemon can renew nothing: ${why}`] });
const NOTHING: Verdict = { state: 'unknown', reasons: ['no certificate is managed yet'] };

function missedRuns({ process: { startedAt, everySeconds } }: StatusDocument, now: Date): readonly Verdict[] {
  if (everySeconds === undefined || !isMissed(new Date(startedAt), now, everySeconds * 1000)) return [];
  const ago = spanText(now.getTime() - Date.parse(startedAt));
  const reason = `certlet once has not run for ${ago}, though it should every ${spanText(everySeconds * 1000)}: nothing is renewed`;
  return [{ state: 'unknown', reasons: [reason] }];
}

/** Certificates that end between two runs of `certlet once`; empty for a daemon, and where nobody knows when the next run comes. */
export function intervalProblems({ process: { everySeconds }, certificates }: StatusDocument): readonly string[] {
  if (everySeconds === undefined) return [];
  return certificates.flatMap(({ purpose, certificate, placeholder, receivedAt }) => {
    if (certificate === undefined || placeholder) return [];
    const life = { notBefore: new Date(certificate.notBefore), notAfter: new Date(certificate.notAfter) };
    const received = receivedAt === undefined ? undefined : new Date(receivedAt);
    if (servedInRounds(life, received, everySeconds * 1000) !== 'never') return [];
    const lives = spanText(life.notAfter.getTime() - life.notBefore.getTime());
    const every = spanText(everySeconds * 1000);
    return [
      `${purpose}: lives ${lives}, too short for a run every ${every}; use certlet.service in place of the timer`,
    ];
  });
}

/** One certificate by its dates first, then by what it waits for. */
export function certificateVerdict(status: CertificateStatus, now: Date): Verdict {
  const { purpose, certificate, placeholder, phase, reason } = status;
  const waits = unkept(status) ?? `${purpose}: ${phase === reason ? phase : `${phase}: ${reason}`}`;
  if (certificate === undefined || placeholder)
    return { state: 'waiting', reasons: [`${purpose}: not issued; ${phase}: ${reason}`] };
  const leftMs = Date.parse(certificate.notAfter) - now.getTime();
  if (leftMs < 0) return { state: 'expired', reasons: [`${purpose}: expired ${spanText(leftMs)} ago`] };
  if (now.getTime() > overdueAtMs(status, certificate)) {
    return {
      state: 'expiring',
      reasons: [`${purpose}: expires in ${spanText(leftMs)} and its renewal is overdue; ${phase}: ${reason}`],
    };
  }
  return passes(status) ? { state: 'healthy', reasons: [] } : { state: 'waiting', reasons: [waits] };
}

/** With a good certificate in place these pass by themselves. A daemon of 0.1.0 told a pause without a failure as one to retry. */
const passes = (status: CertificateStatus): boolean =>
  unkept(status) === undefined &&
  (PASSING.has(status.phase) || (status.phase === 'waiting to retry' && status.lastError === undefined));

/** Nothing is due and the pair is good, but what certlet keeps beside it (the kubeconfig, records) is not in order, and somebody has to mend it. */
const unkept = ({ purpose, phase, lastError }: CertificateStatus): string | undefined =>
  phase === 'valid' && lastError !== undefined ? `${purpose}: ${lastError.message}` : undefined;

const PASSING: ReadonlySet<string> = new Set([
  'starting',
  'valid',
  'requesting',
  'waiting to request',
  'proving',
  'installing',
  'waiting for issuance',
]);

function overdueAtMs(status: CertificateStatus, certificate: NonNullable<CertificateStatus['certificate']>): number {
  const start = Date.parse(certificate.notBefore);
  const latest = start + (Date.parse(certificate.notAfter) - start) * KUBELET_WINDOW.latest;
  return Math.max(latest, status.rotationDeadline === undefined ? latest : Date.parse(status.rotationDeadline));
}

export interface Health {
  readonly healthy: boolean;
  readonly reasons: readonly string[];
}

/** A loop that has not come round for so long hangs; systemd's watchdog goes by the same figure. */
export const LOOP_ALIVE_MS = 90_000;

/** For probes: the loop turns, and every certificate is issued and within its dates. What merely waits beside a good certificate is healthy. */
export function healthOf(document: StatusDocument, lastTick: Date, now: Date): Health {
  const silentMs = Math.abs(now.getTime() - lastTick.getTime());
  const reasons = [
    ...(document.trouble === undefined ? [] : [document.trouble.message]),
    ...(silentMs > LOOP_ALIVE_MS ? [`the loop has not come round for ${spanText(silentMs)}`] : []),
    ...document.certificates
      .filter(
        ({ certificate, placeholder }) =>
          certificate === undefined || placeholder || Date.parse(certificate.notAfter) < now.getTime(),
      )
      .flatMap((certificate) => certificateVerdict(certificate, now).reasons),
  ];
  return { healthy: reasons.length === 0, reasons };
}
