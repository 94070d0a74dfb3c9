import t from 'tap';
import { EventCounters } from '../../src/status/counters.ts';
import { statusDocument } from '../../src/status/document.ts';
import { metricsText } from '../../src/status/metrics.ts';
import { serverRows } from '../../src/status/server-rows.ts';
import { NOW, sampleSnapshot } from '../fixtures/snapshots.ts';

const SINCE = new Date(NOW.getTime() - 12 * 60_000);
const [A, B, C] = ['https://192.0.2.1:6443', 'https://192.0.2.2:6443', 'https://192.0.2.3:6443'];
const error = {
  code: 'ERR_API_UNREACHABLE',
  message: 'nothing listens there',
  remedy: 'nc -vz 192.0.2.1 6443',
} as const;
const snapshot = sampleSnapshot({
  server: A,
  servers: {
    inUse: B,
    ofKubeconfig: A,
    servers: [
      { server: A, state: 'down', since: SINCE, seenAt: NOW, times: 4, error },
      { server: B, state: 'up', since: SINCE, seenAt: NOW, times: 9 },
      { server: C, state: 'unknown', since: NOW, seenAt: NOW, times: 0 },
    ],
    moved: { at: SINCE, from: C, to: A },
  },
});
const document = statusDocument(snapshot, { command: 'run', pid: 1, version: '1', now: NOW, hooks: [] });

t.test('status tells which server is asked in place of which, and since when that is away', async (t) => {
  t.strictSame(serverRows(document, NOW), [
    ['API server', `${B}, in place of ${A}, which the kubeconfig names`],
    ['down', `${A}: no answer since 12 minutes ago (2026-11-21T03:59:00Z): nothing listens there`],
    ['fix:', 'nc -vz 192.0.2.1 6443'],
  ]);
  t.strictSame(serverRows({ node: { server: A } }, NOW), [['API server', A]], 'one server is told as ever');
  t.strictSame(serverRows({ node: {} }, NOW), []);
});

t.test('the document has them all, and when the kubeconfig was moved', async (t) => {
  t.match(document.node, {
    servers: [
      { server: A, state: 'down', inUse: false, error: error.message },
      { server: B, state: 'up', inUse: true },
      { server: C, state: 'unknown' },
    ],
    serverMovedAt: '2026-11-21T03:59:00Z',
  });
});

t.test('metrics of servers are there where there are several', async (t) => {
  const text = (of: typeof snapshot): string =>
    metricsText(of, {
      version: '1',
      hookProblems: 0,
      servingRotations: new EventCounters().servingRotations(),
      now: NOW,
    });
  const lines = text(snapshot).split('\n');
  t.ok(lines.includes(`certlet_api_server_up{server="${A}"} 0`));
  t.ok(lines.includes(`certlet_api_server_up{server="${B}"} 1`));
  t.ok(lines.includes(`certlet_api_server_in_use{server="${B}"} 1`));
  t.notOk(lines.some((line) => line.startsWith(`certlet_api_server_up{server="${C}"`)));
  t.ok(lines.some((line) => line.startsWith('certlet_kubeconfig_moved_timestamp_seconds 1')));
  t.notMatch(text(sampleSnapshot()), 'certlet_api_server');
});
