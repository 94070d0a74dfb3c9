import { KUBELET_CLIENT, KUBELET_SERVING } from '../csr/spec.ts';
import type { AgentSnapshot, ManagerSnapshot } from '../rotation/snapshot.ts';
import { caFamilies, serverFamilies } from './cluster-metrics.ts';
import { type Histogram, ROTATION_BUCKETS } from './counters.ts';
import type { PlannedFacts } from './planned.ts';
import type { ServedFacts } from './served.ts';
import { expositionText, type Family, gauge, type Sample, seconds } from './exposition.ts';

export interface MetricsParts {
  readonly version: string;
  readonly hookProblems: number;
  readonly served?: readonly ServedFacts[];
  readonly planned?: readonly PlannedFacts[];
  readonly servingRotations: Histogram;
  /** How often a timer starts the program; undefined for a daemon. */
  readonly everyMs?: number | undefined;
  /** The moment of the scrape: ages and times to live are as of now, not as of the last round. */
  readonly now: Date;
}

/** Everything measured, as text: the kubelet's own names first, so that dashboards made for kubelets go on working, then certlet's. */
export function metricsText(snapshot: AgentSnapshot, parts: MetricsParts): string {
  return expositionText([
    ...kubeletFamilies(snapshot, parts),
    ...certificateFamilies(snapshot),
    servedFamily(snapshot, parts),
    plannedFamily(parts),
    ...requestFamilies(snapshot, parts),
    ...agentFamilies(snapshot, parts),
  ]);
}

/**
 * Names and types of kubernetes pkg/kubelet/certificate. As there, no certificate at all is `+Inf`; an expired one, which the kubelet
 * hides, is negative here, so that `ttl < 1 day` goes on firing after the expiry.
 */
function kubeletFamilies({ managers }: AgentSnapshot, { now, servingRotations }: MetricsParts): readonly Family[] {
  const of = (purpose: ManagerSnapshot['purpose']): readonly ManagerSnapshot[] =>
    managers.filter((manager) => manager.purpose === purpose);
  const ttl = (purpose: ManagerSnapshot['purpose']): readonly Sample[] =>
    of(purpose).map((manager) => ({ value: secondsLeft(manager, now) }));
  const errors = (purpose: ManagerSnapshot['purpose']): readonly Sample[] =>
    of(purpose).map((manager) => ({ value: failures(manager) }));
  return [
    gauge(
      'kubelet_certificate_manager_client_ttl_seconds',
      'Time to live of the client certificate; negative once expired, +Inf when there is none.',
      ttl(KUBELET_CLIENT),
    ),
    gauge(
      'kubelet_certificate_manager_server_ttl_seconds',
      'Time to live of the serving certificate; negative once expired, +Inf when there is none.',
      ttl(KUBELET_SERVING),
    ),
    ...expirationFamilies(of),
    counter(
      'kubelet_certificate_manager_client_expiration_renew_errors',
      'Failed attempts to renew the client certificate.',
      errors(KUBELET_CLIENT),
    ),
    counter(
      'kubelet_server_expiration_renew_errors',
      'Failed attempts to renew the serving certificate.',
      errors(KUBELET_SERVING),
    ),
    {
      name: 'kubelet_certificate_manager_server_rotation_seconds',
      type: 'histogram',
      help: 'Age of the serving certificate when it was replaced.',
      samples: of(KUBELET_SERVING).length === 0 ? [] : histogramSamples(servingRotations),
    },
  ];
}

/** Gauges that kubelets up to 1.17 (serving) and 1.18 (client) had: dashboards of legacy nodes read them. */
function expirationFamilies(
  of: (purpose: ManagerSnapshot['purpose']) => readonly ManagerSnapshot[],
): readonly Family[] {
  const ends = (purpose: ManagerSnapshot['purpose']): readonly Sample[] =>
    of(purpose).flatMap((manager) => {
      const end = issuedFacts(manager)?.notAfter;
      return end === undefined ? [] : [{ value: Math.floor(end.getTime() / 1000) }];
    });
  return [
    gauge(
      'kubelet_certificate_manager_client_expiration_seconds',
      'When the client certificate ends, Unix time, as kubelets up to 1.18 tell it.',
      ends(KUBELET_CLIENT),
    ),
    gauge(
      'kubelet_certificate_manager_server_expiration_seconds',
      'When the serving certificate ends, Unix time, as kubelets up to 1.17 tell it.',
      ends(KUBELET_SERVING),
    ),
  ];
}

function certificateFamilies({ managers }: AgentSnapshot): readonly Family[] {
  const each = eachDate(managers);
  const issued = managers.map((manager) => ({
    labels: labelsOf(manager),
    value: Number(isIssued(manager)),
  }));
  return [
    gauge(
      'certlet_certificate_issued',
      '1 when a certificate of the cluster is in place, 0 when there is none or a self-signed placeholder.',
      issued,
    ),
    gauge(
      'certlet_certificate_not_before_timestamp_seconds',
      'When the certificate begins.',
      each((manager) => issuedFacts(manager)?.notBefore),
    ),
    gauge(
      'certlet_certificate_not_after_timestamp_seconds',
      'When the certificate expires.',
      each((manager) => issuedFacts(manager)?.notAfter),
    ),
    gauge(
      'certlet_rotation_deadline_timestamp_seconds',
      'When the next rotation is due.',
      each((manager) => manager.rotationDeadline),
    ),
    ...reserveFamilies(managers),
  ];
}

function reserveFamilies(managers: readonly ManagerSnapshot[]): readonly Family[] {
  const each = (value: (reserve: NonNullable<ManagerSnapshot['reserve']>) => number): readonly Sample[] =>
    managers.flatMap((manager) =>
      manager.reserve === undefined ? [] : [{ labels: labelsOf(manager), value: value(manager.reserve) }],
    );
  return [
    gauge(
      'certlet_reserve_seconds',
      'What is to be left of the certificate while the node is online; only where a reserve is set.',
      each(({ wantedMs }) => wantedMs / 1000),
    ),
    gauge(
      'certlet_reserve_possible_seconds',
      'The most that its lifetime allows to be always left; below certlet_reserve_seconds the reserve cannot be kept.',
      each(({ possibleMs }) => Math.floor(possibleMs / 1000)),
    ),
  ];
}

/** No sample where nobody listens or no handshake came about: nothing is known then. */
function servedFamily({ managers }: AgentSnapshot, { served = [] }: MetricsParts): Family {
  const known = managers.flatMap((manager) => {
    const kind = served.find(({ purpose }) => purpose === manager.purpose)?.served.kind;
    return kind === 'current' || kind === 'stale'
      ? [{ labels: labelsOf(manager), value: Number(kind === 'current') }]
      : [];
  });
  return gauge(
    'certlet_served_current',
    '1 when the program that serves the pair shows the current one to every client, 0 when it shows another.',
    known,
  );
}

function plannedFamily({ planned = [] }: MetricsParts): Family {
  return gauge(
    'certlet_kubelet_restart_planned_timestamp_seconds',
    'When the kubelet is restarted for this certificate, or the cluster CA; only while a restart waits for its window.',
    planned.map(({ purpose, at }) => ({ labels: labelsOf({ purpose }), value: seconds(at) })),
  );
}

function requestFamilies({ managers }: AgentSnapshot, { now }: MetricsParts): readonly Family[] {
  const each = eachDate(managers);
  return [
    gauge(
      'certlet_last_success_timestamp_seconds',
      'When a certificate was last issued and taken into use.',
      each((manager) => manager.lastSuccess),
    ),
    gauge(
      'certlet_last_error_timestamp_seconds',
      'When the last attempt failed, by error code; gone after the next success.',
      lastErrors(managers),
    ),
    gauge(
      'certlet_next_attempt_timestamp_seconds',
      'When a failed request is tried again, or one is made that waits for the spacing between requests.',
      each((manager) => manager.nextAttempt),
    ),
    counter('certlet_attempts_total', 'Attempts by result: issued, or the error code.', attempts(managers)),
    gauge('certlet_pending_request_age_seconds', 'Age of the signing request that waits.', pendingAges(managers, now)),
    gauge(
      'certlet_phase',
      '1 for the phase that the certificate is in.',
      managers.map((manager) => ({ labels: { ...labelsOf(manager), phase: manager.phase }, value: 1 })),
    ),
  ];
}

function agentFamilies(snapshot: AgentSnapshot, { version, hookProblems, everyMs }: MetricsParts): readonly Family[] {
  const { clockSkewMs, upToDate, lastTick, startedAt, nodeName } = snapshot;
  return [
    ...serverFamilies(snapshot),
    gauge('certlet_up_to_date', '1 when nothing is due and nothing waits.', [{ value: Number(upToDate) }]),
    gauge(
      'certlet_clock_skew_seconds',
      "How far this host's clock is ahead of the API server's (negative: behind).",
      clockSkewMs === undefined ? [] : [{ value: clockSkewMs / 1000 }],
    ),
    ...caFamilies(snapshot),
    gauge('certlet_hook_problems', 'Hooks that failed after a rotation and were not made good yet.', [
      { value: hookProblems },
    ]),
    gauge('certlet_last_round_timestamp_seconds', 'When the loop last came round; at least once a minute.', [
      { value: seconds(lastTick) },
    ]),
    gauge(
      'certlet_run_interval_seconds',
      'How often a timer starts certlet once (--every); absent for the daemon.',
      everyMs === undefined ? [] : [{ value: everyMs / 1000 }],
    ),
    gauge('certlet_start_timestamp_seconds', 'When the process started, or read its settings anew.', [
      { value: seconds(startedAt) },
    ]),
    gauge('certlet_build_info', 'Always 1; what runs, and for which node.', [
      { labels: { version, node: nodeName }, value: 1 },
    ]),
  ];
}

/** The name of the certificate, also under the label that 0.1.0 had for it. */
const labelsOf = ({
  purpose,
}: Pick<ManagerSnapshot, 'purpose'>): { readonly purpose: string; readonly certificate: string } => ({
  purpose,
  certificate: purpose,
});

/** One sample for each certificate that has this date. */
const eachDate =
  (managers: readonly ManagerSnapshot[]) =>
  (value: (manager: ManagerSnapshot) => Date | undefined): readonly Sample[] =>
    managers.flatMap((manager) => {
      const date = value(manager);
      return date === undefined ? [] : [{ labels: labelsOf(manager), value: seconds(date) }];
    });

const counter = (name: string, help: string, samples: readonly Sample[]): Family => ({
  name,
  type: 'counter',
  help,
  samples,
});

const issuedFacts = ({ certificate, placeholder }: ManagerSnapshot): ManagerSnapshot['certificate'] =>
  placeholder ? undefined : certificate;

const isIssued = (manager: ManagerSnapshot): boolean => issuedFacts(manager) !== undefined;

/** Cut to whole seconds, as the kubelet does. */
function secondsLeft(manager: ManagerSnapshot, now: Date): number {
  const facts = issuedFacts(manager);
  return facts === undefined ? Number.POSITIVE_INFINITY : Math.trunc((facts.notAfter.getTime() - now.getTime()) / 1000);
}

/** A request that was given up for a better one did not fail. */
const NO_FAILURES: ReadonlySet<string> = new Set(['issued', 'ERR_CSR_SUPERSEDED']);

const failures = ({ attempts }: ManagerSnapshot): number =>
  Object.entries(attempts).reduce((sum, [result, count]) => (NO_FAILURES.has(result) ? sum : sum + count), 0);

/** `issued` is there from the start, so that a rate over it sees the first one. */
const attempts = (managers: readonly ManagerSnapshot[]): readonly Sample[] =>
  managers.flatMap((manager) =>
    Object.entries({ issued: 0, ...manager.attempts }).map(([result, value]) => ({
      labels: { ...labelsOf(manager), result },
      value,
    })),
  );

const lastErrors = (managers: readonly ManagerSnapshot[]): readonly Sample[] =>
  managers.flatMap((manager) => {
    const { lastError } = manager;
    return lastError === undefined
      ? []
      : [{ labels: { ...labelsOf(manager), code: lastError.code }, value: seconds(lastError.at) }];
  });

const pendingAges = (managers: readonly ManagerSnapshot[], now: Date): readonly Sample[] =>
  managers.flatMap((manager) => {
    const { pending } = manager;
    return pending === undefined
      ? []
      : [{ labels: labelsOf(manager), value: Math.max(0, seconds(now) - seconds(pending.createdAt)) }];
  });

function histogramSamples({ buckets, sum, count }: Histogram): readonly Sample[] {
  return [
    ...ROTATION_BUCKETS.map((bound, index) => ({
      suffix: '_bucket',
      labels: { le: String(bound) },
      value: buckets[index] ?? 0,
    })),
    { suffix: '_bucket', labels: { le: '+Inf' }, value: count },
    { suffix: '_sum', value: sum },
    { suffix: '_count', value: count },
  ];
}
