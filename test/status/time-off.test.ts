import t from 'tap';
import { metricsText } from '../../src/status/metrics.ts';
import { EventCounters } from '../../src/status/counters.ts';
import { statusDocument } from '../../src/status/document.ts';
import { statusReport } from '../../src/status/text.ts';
import { verdictOf } from '../../src/status/verdict.ts';
import type { ManagerSnapshot } from '../../src/rotation/snapshot.ts';
import { NOW, sampleFacts, sampleManager, sampleSnapshot } from '../fixtures/snapshots.ts';

const DAY = 86_400_000;
const TODO = "Ask the cluster's admin for kube-controller-manager --cluster-signing-duration=1120h.";
const ASK = `# ${TODO}` as const;

function documentOf(manager: Partial<ManagerSnapshot>) {
  const snapshot = sampleSnapshot({ managers: [sampleManager(manager)] });
  return statusDocument(snapshot, { command: 'run', pid: 1, version: '1', now: NOW, hooks: [] });
}

function report(manager: Partial<ManagerSnapshot>, details = false): string {
  const document = documentOf(manager);
  const verdict = verdictOf(document, NOW, 'running');
  return statusReport(document, { source: { kind: 'socket' }, verdict, now: NOW, colour: false, details });
}

for (const row of [
  {
    name: 'as long as the client certificate is good',
    manager: {},
    line: 'survives being off until 2027-01-03T04:11:00Z (43 days)',
    until: '2027-01-03T04:11:00Z',
  },
  {
    name: 'without one',
    manager: { certificate: undefined },
    line: 'survives none: there is no client certificate yet',
    until: undefined,
  },
  {
    name: 'with a cert-dir that nobody may use, where a good pair may lie',
    manager: {
      certificate: undefined,
      lastError: { code: 'ERR_STORE_UNSAFE', message: 'open to others', remedy: undefined, at: NOW } as const,
    },
    line: 'unknown: no client certificate can be used',
    until: undefined,
  },
  {
    name: 'with one that is over',
    manager: { certificate: sampleFacts({ notAfter: new Date(NOW.getTime() - 1000) }) },
    line: 'survived none of it: the client certificate is over, and a bootstrap credential is needed',
    until: undefined,
  },
]) {
  t.test(`status tells how long the node may be off: ${row.name}`, async (t) => {
    t.match(report(row.manager), `  time off        ${row.line}\n`);
    t.equal(documentOf(row.manager).node.survivesOffUntil, row.until);
  });
}

const kept = { wantedMs: 21 * DAY, possibleMs: 182 * DAY, ask: undefined };
const short = { wantedMs: 21 * DAY, possibleMs: DAY / 2, ask: ASK };

t.test('a reserve that is kept is one of the facts, no trouble', async (t) => {
  t.notMatch(report({ reserve: kept }), 'reserve');
  t.match(report({ reserve: kept }, true), '  reserve         21 days, kept while the node is online\n');
  t.strictSame(documentOf({ reserve: kept }).certificates[0]?.reserve, {
    wantedSeconds: 1_814_400,
    possibleSeconds: 15_724_800,
  });
});

t.test('a reserve that the lifetime does not allow is shown without being asked for, with what mends it', async (t) => {
  const lines = `  reserve         21 days wanted; its lifetime allows 12 hours\n  do:             ${TODO}\n`;
  for (const details of [false, true]) t.match(report({ reserve: short }, details), lines);
  t.equal(documentOf({ reserve: short }).certificates[0]?.reserve?.ask, ASK);
});

t.test('metrics tell what is wanted and what is possible; nothing without a reserve', async (t) => {
  const text = (manager: Partial<ManagerSnapshot>): string =>
    metricsText(sampleSnapshot({ managers: [sampleManager(manager)] }), {
      version: '1',
      hookProblems: 0,
      servingRotations: new EventCounters().servingRotations(),
      now: NOW,
    });
  t.match(text({ reserve: short }), '\ncertlet_reserve_seconds{purpose="client",certificate="client"} 1814400\n');
  t.match(
    text({ reserve: short }),
    '\ncertlet_reserve_possible_seconds{purpose="client",certificate="client"} 43200\n',
  );
  t.notMatch(text({}), 'certlet_reserve');
});
