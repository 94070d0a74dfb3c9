import { spawnSync } from 'node:child_process';
import t from 'tap';
import type { AgentEvent } from '../../src/ports.ts';
import type { AgentSnapshot } from '../../src/rotation/snapshot.ts';
import { EventCounters } from '../../src/status/counters.ts';
import { expositionText } from '../../src/status/exposition.ts';
import { metricsText } from '../../src/status/metrics.ts';
import { NOW, sampleFacts, sampleManager, sampleSnapshot, waitingServing } from '../fixtures/snapshots.ts';

const rotated = (purpose: AgentEvent['purpose'], age?: number): AgentEvent => ({
  kind: 'rotated',
  purpose,
  at: NOW,
  text: '',
  ...(age === undefined ? {} : { replacedAgeSeconds: age }),
});

function text(snapshot: AgentSnapshot, now = NOW, events: readonly AgentEvent[] = []): string {
  const counters = new EventCounters();
  for (const event of events) counters.observe(event);
  return metricsText(snapshot, {
    version: '0.1.0',
    hookProblems: 1,
    servingRotations: counters.servingRotations(),
    now,
  });
}

const value = (metrics: string, series: string): string | undefined =>
  metrics
    .split('\n')
    .find((line) => line.startsWith(`${series} `))
    ?.slice(series.length + 1);

const serving = sampleManager({
  purpose: 'serving',
  attempts: { issued: 2, ERR_API_UNREACHABLE: 3, ERR_CSR_DENIED: 1, ERR_CSR_SUPERSEDED: 5 },
  lastError: { code: 'ERR_CSR_DENIED', message: 'no', remedy: undefined, at: NOW },
  nextAttempt: NOW,
  pending: { name: 'x', createdAt: new Date('2026-11-21T04:01:00Z'), posted: true, approved: false, received: false },
});
const full = text(sampleSnapshot({ managers: [sampleManager(), serving] }), NOW, [rotated('serving', 4000)]);
const ended = sampleManager({ certificate: sampleFacts({ notAfter: new Date('2026-11-21T04:10:58.500Z') }) });

for (const { name, metrics, series, is } of [
  {
    name: "the kubelet's client time to live, cut to seconds",
    metrics: text(sampleSnapshot(), new Date(NOW.getTime() + 500)),
    series: 'kubelet_certificate_manager_client_ttl_seconds',
    is: String(43 * 86_400 - 1),
  },
  {
    name: 'it is negative once expired',
    metrics: text(sampleSnapshot({ managers: [ended] })),
    series: 'kubelet_certificate_manager_client_ttl_seconds',
    is: '-1',
  },
  {
    name: 'a placeholder counts as none, as in the kubelet',
    metrics: text(sampleSnapshot({ managers: [waitingServing()] })),
    series: 'kubelet_certificate_manager_server_ttl_seconds',
    is: '+Inf',
  },
  {
    name: "the kubelet's counter of client failures",
    metrics: full,
    series: 'kubelet_certificate_manager_client_expiration_renew_errors',
    is: '0',
  },
  {
    name: "the kubelet's counter of serving failures leaves out what was superseded",
    metrics: full,
    series: 'kubelet_server_expiration_renew_errors',
    is: '4',
  },
  {
    name: 'a replaced certificate of 4000 s is above the hour',
    metrics: full,
    series: 'kubelet_certificate_manager_server_rotation_seconds_bucket{le="3600"}',
    is: '0',
  },
  {
    name: 'and below four hours',
    metrics: full,
    series: 'kubelet_certificate_manager_server_rotation_seconds_bucket{le="14400"}',
    is: '1',
  },
  {
    name: 'and in every larger bucket',
    metrics: full,
    series: 'kubelet_certificate_manager_server_rotation_seconds_bucket{le="+Inf"}',
    is: '1',
  },
  { name: 'sum of ages', metrics: full, series: 'kubelet_certificate_manager_server_rotation_seconds_sum', is: '4000' },
  {
    name: 'attempts by result',
    metrics: full,
    series: 'certlet_attempts_total{purpose="serving",certificate="serving",result="ERR_API_UNREACHABLE"}',
    is: '3',
  },
  {
    name: 'issued is there before the first',
    metrics: text(sampleSnapshot()),
    series: 'certlet_attempts_total{purpose="serving",certificate="serving",result="issued"}',
    is: '0',
  },
  {
    name: 'the last error with its code',
    metrics: full,
    series: 'certlet_last_error_timestamp_seconds{purpose="serving",certificate="serving",code="ERR_CSR_DENIED"}',
    is: '1795234260',
  },
  {
    name: 'age of the pending request as of the scrape',
    metrics: full,
    series: 'certlet_pending_request_age_seconds{purpose="serving",certificate="serving"}',
    is: '600',
  },
  {
    name: 'the phase',
    metrics: text(sampleSnapshot()),
    series: 'certlet_phase{purpose="serving",certificate="serving",phase="waiting for approval"}',
    is: '1',
  },
  ...(['current', 'stale', 'absent', 'unclear'] as const).map((kind) => ({
    name: `what is served: ${kind}`,
    metrics: metricsText(sampleSnapshot(), {
      version: '1',
      hookProblems: 0,
      servingRotations: new EventCounters().servingRotations(),
      now: NOW,
      served: [
        { purpose: 'serving', served: { kind, serial: '1e', to: 'every client', error: '' }, port: 1, since: NOW },
      ],
    }),
    series: 'certlet_served_current{purpose="serving",certificate="serving"}',
    is: kind === 'current' ? '1' : kind === 'stale' ? '0' : undefined,
  })),
  {
    name: 'a placeholder is not issued',
    metrics: text(sampleSnapshot()),
    series: 'certlet_certificate_issued{purpose="serving",certificate="serving"}',
    is: '0',
  },
  {
    name: 'end of the certificate',
    metrics: full,
    series: 'certlet_certificate_not_after_timestamp_seconds{purpose="client",certificate="client"}',
    is: '1798949460',
  },
  {
    name: 'a placeholder has no dates',
    metrics: text(sampleSnapshot()),
    series: 'certlet_certificate_not_after_timestamp_seconds{purpose="serving",certificate="serving"}',
    is: undefined,
  },
  { name: 'clock skew in seconds', metrics: full, series: 'certlet_clock_skew_seconds', is: '1.4' },
  {
    name: 'no clock skew before the first answer',
    metrics: text(sampleSnapshot({ clockSkewMs: undefined })),
    series: 'certlet_clock_skew_seconds',
    is: undefined,
  },
  { name: 'hooks', metrics: full, series: 'certlet_hook_problems', is: '1' },
  {
    name: 'how often a timer starts it',
    metrics: metricsText(sampleSnapshot(), {
      version: '1',
      hookProblems: 0,
      servingRotations: new EventCounters().servingRotations(),
      now: NOW,
      everyMs: 3_600_000,
    }),
    series: 'certlet_run_interval_seconds',
    is: '3600',
  },
  {
    name: 'no interval for a daemon',
    metrics: full,
    series: 'certlet_run_interval_seconds',
    is: undefined,
  },
  { name: 'what runs', metrics: full, series: 'certlet_build_info{version="0.1.0",node="n1"}', is: '1' },
  { name: 'up to date', metrics: text(sampleSnapshot({ upToDate: true })), series: 'certlet_up_to_date', is: '1' },
]) {
  t.test(`metrics: ${name}`, async (t) => {
    t.equal(value(metrics, series), is);
  });
}

t.test('without a serving certificate there are no serving metrics', async (t) => {
  t.notMatch(text(sampleSnapshot({ managers: [sampleManager()] })), /server_|serving/);
});

t.test('only replaced serving certificates are counted', async (t) => {
  const counters = new EventCounters();
  for (const event of [rotated('client', 5), rotated('serving'), { ...rotated('serving', 5), kind: 'error' } as const])
    counters.observe(event);
  t.equal(counters.servingRotations().count, 0);
});

t.test('label values, help and infinities are escaped as the format wants', async (t) => {
  const labels = { a: 'quote " back \\ line \n' };
  t.equal(
    expositionText([
      {
        name: 'x',
        type: 'gauge',
        help: 'back \\ line \n',
        samples: [{ labels, value: -1.5 }, { value: Number.NEGATIVE_INFINITY }],
      },
      { name: 'empty', type: 'gauge', help: '', samples: [] },
    ]),
    '# HELP x back \\\\ line \\n\n# TYPE x gauge\nx{a="quote \\" back \\\\ line \\n"} -1.5\nx -Inf\n',
  );
});

const promtool = spawnSync('promtool', ['--version']).error === undefined;

t.test(
  'promtool finds nothing but the names that the kubelet chose',
  { skip: promtool ? false : 'promtool is not installed (Debian: prometheus)' },
  async (t) => {
    const { stderr, stdout, status } = spawnSync('promtool', ['check', 'metrics'], { input: full, encoding: 'utf8' });
    // Its words are its own; each line begins with the name that it is about.
    const named = `${stdout}${stderr}`
      .trim()
      .split('\n')
      .map((line) => line.split(' ')[0]);
    t.strictSame(named.sort(), [
      'kubelet_certificate_manager_client_expiration_renew_errors',
      'kubelet_server_expiration_renew_errors',
    ]);
    t.equal(status, 3);
    t.equal(spawnSync('promtool', ['check', 'metrics'], { input: 'x{ 1\n' }).status, 1, 'it can tell what is broken');
  },
);
