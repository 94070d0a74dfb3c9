import { type Remedy, inSettings } from '../../remedy.ts';
import type { OwnUnits } from '../../adapters/own-units.ts';
import { formatDuration } from '../../config/duration.ts';
import type { Settings } from '../../config.ts';
import { KUBELET_SERVING } from '../../csr/spec.ts';
import { latestRestart } from '../../kubelet/restart-window.ts';
import { restartForecast } from '../../kubelet/restart.ts';
import { type Finding, finding, good } from '../finding.ts';
import { servedInRounds } from '../../rotation/rules/schedule.ts';
import { everyMs } from './timer.ts';

const MINUTE_MS = 60_000;
/** The lifetime that is asked about. */
const LIFE_MS = 60 * MINUTE_MS;
/** By the window of the kubelet, between 70 and 90 % of the life: so many a day, of one certificate. */
const RENEWALS_A_DAY = Math.ceil(86_400_000 / (LIFE_MS * 0.7));
/** Signers backdate by five minutes, and verifiers allow no more either way. */
const SKEW_MS = 5 * MINUTE_MS;

/** What certificates of an hour would meet on this node. */
export interface ShortLivedQuestion {
  readonly settings: Settings;
  /** Whether client requests are approved by the cluster itself; undefined where that is not known. */
  readonly automatic: boolean | undefined;
  readonly units: Pick<OwnUnits, 'service' | 'timer' | 'command'>;
  readonly kubeletVersion: string | undefined;
  readonly skewMs: number | undefined;
  /** A bootstrap credential that can be used lies there. */
  readonly bootstraps: boolean;
}

/** What of settings, approval, pace and start does not survive lifetimes of an hour. */
export function shortLivedFindings(question: ShortLivedQuestion): readonly Finding[] {
  const findings = [
    ...paceFindings(question.settings),
    ...reserveFindings(question.settings),
    ...approvalFindings(question),
    ...timerFindings(question),
    ...restartFindings(question),
    ...hostFindings(question),
  ];
  const through = findings.every(({ verdict }) => verdict === 'note');
  const what = `nothing on this node stands against certificates of an hour: about ${String(RENEWALS_A_DAY)} renewals a day each`;
  return through ? [good('short-lived', what), ...findings] : findings;
}

/** Settings that are longer than what an hour leaves. The other times of the rotation are capped by what is left of the certificate. */
function paceFindings({ rotation, specs }: Settings): readonly Finding[] {
  const findings: Finding[] = [];
  const { minimumSpacingMs, pruneGraceMs } = rotation;
  // Between 70 and 90 % of an hour are twelve minutes: two requests must fit in, so that one may fail.
  const mostMs = LIFE_MS * 0.1;
  if (minimumSpacingMs > mostMs) {
    const what = `rotation.minimumSpacing is ${formatDuration(minimumSpacingMs)}: with certificates of an hour a second try does not fit in before the end`;
    const remedy = inSettings(
      `rotation: { minimumSpacing: ${formatDuration(mostMs)} }`,
      'or less; then systemctl reload certlet',
    );
    const verdict = minimumSpacingMs > LIFE_MS * 0.3 ? 'problem' : 'warning';
    findings.push(finding(verdict, 'short-lived.spacing', what, { remedy }));
  }
  const kept = Math.ceil(pruneGraceMs / (LIFE_MS * 0.7));
  if (kept > 100) {
    const what = `rotation.pruneGrace is ${formatDuration(pruneGraceMs)}: about ${String(kept)} old pairs of each certificate would lie in the cert-dir`;
    findings.push(
      finding('warning', 'short-lived.old-pairs', what, {
        remedy: inSettings('rotation: { pruneGrace: 1h }'),
      }),
    );
  }
  for (const { name, expirationSeconds } of specs) {
    if (expirationSeconds === undefined || expirationSeconds * 1000 <= LIFE_MS) continue;
    const what = `the settings ask ${String(expirationSeconds)} s for the ${name} certificate; the signer may give less, and gives no more than its own --cluster-signing-duration`;
    findings.push(finding('note', `short-lived.${name}-asks`, what));
  }
  return findings;
}

/** Renewals come at half of a life at the earliest, so half of an hour is the most that is always left (`rotation/rules/reserve.ts`). */
function reserveFindings({ specs }: Settings): readonly Finding[] {
  const mostMs = LIFE_MS / 2;
  return specs.flatMap(({ name, reserveMs, files }) => {
    if (reserveMs === undefined || reserveMs <= mostMs) return [];
    const setting = files.kubelet === undefined ? `reserve of ${name}` : 'reserve';
    const often = String(Math.round(86_400_000 / mostMs));
    const what = `${setting} is ${formatDuration(reserveMs)}, and certificates of an hour have half of that always left at most: the ${name} certificate would be asked for about ${often} times a day, and this node would survive being off for half an hour at most`;
    const remedy = inSettings(
      `reserve: ${formatDuration(mostMs / 2)}`,
      `or none; then systemctl reload certlet; or keep a longer lifetime for the ${name} certificate`,
    );
    return [finding('warning', `short-lived.${name}-reserve`, what, { remedy })];
  });
}

function approvalFindings({ settings: { specs }, automatic }: ShortLivedQuestion): readonly Finding[] {
  const day = `about ${String(RENEWALS_A_DAY)} times a day`;
  return specs.flatMap(({ name, approval: { by }, isIdentity }) => {
    if (isIdentity) {
      if (automatic !== false) return [];
      const what = `nobody approves the ${name} request by itself, and it would be made ${day}`;
      return [
        finding('problem', `short-lived.${name}-approval`, what, {
          remedy: 'certlet check   # its step on approval prints the role binding',
        }),
      ];
    }
    if (by === 'person') {
      const what = `a person approves the ${name} certificate, and would have to ${day}, also at night`;
      return [
        finding('problem', `short-lived.${name}-approval`, what, {
          remedy: 'certlet approve --watch   # by rules, on control plane nodes: docs/approve.md',
        }),
      ];
    }
    const what = `an approver has to run at all times for the ${name} certificate: it would be asked for ${day}`;
    return [
      finding('note', `short-lived.${name}-approval`, what, {
        remedy: 'certlet approve --watch   # by rules, on control plane nodes: docs/approve.md',
      }),
    ];
  });
}

/** `certlet once` by a timer looks at the certificates at most once in its interval. */
function timerFindings({ units }: ShortLivedQuestion): readonly Finding[] {
  if (!units.timer || units.service) return [];
  const intervalMs = everyMs(units.command) ?? LIFE_MS;
  const life = { notBefore: new Date(0), notAfter: new Date(LIFE_MS) };
  if (servedInRounds(life, undefined, intervalMs) === 'well') return [];
  const what = `certlet-once.timer runs every ${formatDuration(intervalMs)}: certificates of an hour end before one failed run is made up for`;
  const remedy: Remedy = 'systemctl disable --now certlet-once.timer && systemctl enable --now certlet';
  return [finding('problem', 'short-lived.timer', what, { remedy })];
}

function restartFindings({ settings: { kubelet, specs }, kubeletVersion }: ShortLivedQuestion): readonly Finding[] {
  return specs.flatMap(({ name: purpose, after }) => {
    const reason = restartForecast({ purpose, after, kubeletVersion });
    if (reason === undefined) return [];
    const often = `about ${String(RENEWALS_A_DAY)} times a day`;
    const what =
      kubelet.restart === 'never'
        ? `${reason}, and the settings forbid to restart it: it would go on with an expired pair within the hour`
        : `${reason}: it would be restarted ${often}`;
    const newer = purpose === KUBELET_SERVING ? '1.36' : '1.18';
    const remedy: Remedy = `# Upgrade the kubelet to ${newer} or later, or keep longer lifetimes for the ${purpose} certificate.`;
    const verdict = kubelet.restart === 'never' ? 'problem' : 'warning';
    const restarted = finding(verdict, `short-lived.${purpose}-restart`, what, { remedy });
    return [restarted, ...windowFindings(kubelet, purpose, remedy)];
  });
}

/** Of an hour a restart may wait at most for what is left at 70 %, less the margin before the end (`kubelet/restart-window.ts`). */
function windowFindings({ restartWindow }: Settings['kubelet'], purpose: string, remedy: Remedy): readonly Finding[] {
  if (restartWindow === undefined) return [];
  const replaced = new Date(LIFE_MS * 0.7);
  const life = { notBefore: new Date(0), notAfter: new Date(LIFE_MS), selfSigned: false };
  const mostMs = latestRestart(life).getTime() - replaced.getTime();
  const what = `a restart for the ${purpose} certificate could wait ${formatDuration(mostMs)} for kubelet.restartWindow at most: it would come outside of a window that is closed for longer than that`;
  return [finding('warning', `short-lived.${purpose}-window`, what, { remedy })];
}

function hostFindings({ skewMs, bootstraps }: ShortLivedQuestion): readonly Finding[] {
  const findings: Finding[] = [];
  if (skewMs !== undefined && Math.abs(skewMs) > SKEW_MS) {
    const what = `this host's clock is ${formatDuration(Math.round(Math.abs(skewMs) / 1000) * 1000)} off the server's, which is too much of an hour`;
    findings.push(finding('problem', 'short-lived.clock', what, { remedy: 'timedatectl set-ntp true' }));
  }
  if (!bootstraps) {
    const what =
      'without a bootstrap credential that can be used, a node that was off or cut off for an hour cannot come back by itself';
    findings.push(
      finding('warning', 'short-lived.off', what, {
        remedy: 'certlet join --seal   # or a bootstrap kubeconfig whose token does not expire; see docs/join.md',
      }),
    );
  }
  return findings;
}
