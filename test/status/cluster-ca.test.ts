import t from 'tap';
import { plannedRows } from '../../src/status/planned-rows.ts';
import { clusterCaReasons, clusterCaRows, clusterCaStatus } from '../../src/status/cluster-ca.ts';
import { statusDocument } from '../../src/status/document.ts';
import { metricsText } from '../../src/status/metrics.ts';
import { EventCounters } from '../../src/status/counters.ts';
import { statusReport } from '../../src/status/text.ts';
import { verdictOf } from '../../src/status/verdict.ts';
import type { ClusterCaSnapshot } from '../../src/rotation/snapshot.ts';
import { NOW, sampleClusterCa, sampleManager, sampleSnapshot } from '../fixtures/snapshots.ts';

const mark = (letter: string): { readonly fingerprint: string; readonly subject: string } => ({
  fingerprint: letter.repeat(64),
  subject: 'CN=kubernetes',
});
const END = new Date('2030-01-01T00:00:00Z');
const LATER = new Date('2040-01-01T00:00:00Z');
const TRUSTED = [
  { ...mark('a'), notAfter: END },
  { ...mark('b'), notAfter: LATER },
];
const trouble = { code: 'ERR_API_FORBIDDEN', message: 'may not read', remedy: 'kubectl apply', at: NOW } as const;

function documentOf(clusterCa: ClusterCaSnapshot | undefined): ReturnType<typeof statusDocument> {
  const snapshot = sampleSnapshot({ managers: [sampleManager()], trusted: TRUSTED, clusterCa });
  return statusDocument(snapshot, { command: 'run', pid: 1, version: '1', now: NOW, hooks: [] });
}

t.test('where the CA is not followed the document says nothing of it', async (t) => {
  t.notOk('clusterCA' in documentOf(undefined));
});

for (const row of [
  { name: 'nothing to do', parts: {}, state: 'healthy', reasons: [] },
  {
    name: 'the kubelet lacks one and keeps another',
    parts: { kubelet: { lacks: [mark('b')], keeps: [mark('c')] } },
    state: 'waiting',
    reasons: [/does not trust CN=kubernetes \(sha256 bbbbbbbbbbbbbbbb…\)/, /goes on trusting .* cccccccccccccccc/],
  },
  {
    name: 'one that is refused',
    parts: { refused: ['CN=x: it has expired'] },
    state: 'waiting',
    reasons: [/it has expired/],
  },
  { name: 'nothing can be read', parts: { trouble }, state: 'waiting', reasons: [/may not read/] },
  {
    name: 'an old one that stays for now is no fault',
    parts: { going: [mark('a')], waits: ['https://a does not answer'] },
    state: 'healthy',
    reasons: [],
  },
]) {
  t.test(`the verdict: ${row.name}`, async (t) => {
    const document = documentOf(sampleClusterCa(row.parts));
    const { state, reasons } = verdictOf(document, NOW, 'running');
    t.equal(state, row.state);
    t.match(reasons, row.reasons);
    t.equal(reasons.length, row.reasons.length);
  });
}

t.test('for a person: what is trusted, what the kubelet holds, why an old one stays, and what mends it', async (t) => {
  const document = documentOf(
    sampleClusterCa({
      going: [mark('a')],
      waits: ['https://a does not answer'],
      kubelet: { lacks: [mark('b')], keeps: [] },
      trouble,
    }),
  );
  const verdict = verdictOf(document, NOW, 'running');
  const text = statusReport(document, { source: { kind: 'socket' }, verdict, now: NOW, colour: false });
  for (const part of [
    /cluster CA {2}followed by cluster-info/,
    /trusts +CN=kubernetes \(sha256 aaaaaaaaaaaaaaaa…\) until 2030-01-01T00:00:00Z/,
    /kubelet +does not trust CN=kubernetes \(sha256 bbbbbbbbbbbbbbbb…\) until it is restarted/,
    /going +.*not published any more/,
    /stays since +https:\/\/a does not answer/,
    /kubectl apply/,
  ])
    t.match(text, part);
});

t.test('nothing is shown where there is nothing to tell', async (t) => {
  const status = clusterCaStatus(sampleClusterCa(), TRUSTED, (text) => text);
  if (status === undefined) throw new Error('no status');
  t.strictSame(clusterCaRows(status), []);
  t.strictSame(clusterCaReasons(status), []);
});

t.test('the restart that waits for its window stands beside what the kubelet holds', async (t) => {
  const planned = [
    { purpose: 'cluster CA', since: NOW, at: new Date(NOW.getTime() + 3 * 86_400_000), by: 'window' },
  ] as const;
  const stale = sampleClusterCa({ kubelet: { lacks: [mark('b')], keeps: [] } });
  const status = clusterCaStatus(stale, TRUSTED, (text) => text, planned);
  if (status === undefined) throw new Error('no status');
  t.match(status.kubeletRestart, { by: 'window' });
  t.match(plannedRows(status, NOW), [
    ['kubelet restart', /^in 3 days .*, in its window$/],
    ['fix:', 'certlet renew --restart-now'],
  ]);
  const parts = { version: '1', hookProblems: 0, servingRotations: new EventCounters().servingRotations(), now: NOW };
  const text = metricsText(sampleSnapshot({ trusted: TRUSTED, clusterCa: stale }), { ...parts, planned });
  t.match(
    text,
    /certlet_kubelet_restart_planned_timestamp_seconds\{purpose="cluster CA",certificate="cluster CA"\} [0-9]+/,
  );
});

t.test('a subject that steers a terminal does not', async (t) => {
  const evil = { fingerprint: 'e'.repeat(64), subject: 'CN=\u001b[2J' };
  const { clusterCA } = documentOf(sampleClusterCa({ going: [evil] }));
  t.notMatch(clusterCA?.going[0]?.subject, '\u001b');
});

t.test(
  'metrics: the earliest end whether or not the CA is followed; what the kubelet holds only where it is',
  async (t) => {
    const parts = { version: '1', hookProblems: 0, servingRotations: new EventCounters().servingRotations(), now: NOW };
    const off = metricsText(sampleSnapshot({ trusted: TRUSTED }), parts);
    t.match(off, `certlet_cluster_ca_not_after_timestamp_seconds ${String(END.getTime() / 1000)}\n`);
    t.match(off, 'certlet_cluster_ca_trusted 2\n');
    t.notMatch(off, 'kubelet_stale');
    const clusterCa = sampleClusterCa({ kubelet: { lacks: [mark('b')], keeps: [] } });
    const on = metricsText(sampleSnapshot({ trusted: TRUSTED, clusterCa }), parts);
    t.match(on, 'certlet_cluster_ca_kubelet_stale 1\n');
    t.match(on, `certlet_cluster_ca_last_read_timestamp_seconds ${String(NOW.getTime() / 1000)}\n`);
    t.notMatch(metricsText(sampleSnapshot(), parts), 'certlet_cluster_ca');
  },
);
