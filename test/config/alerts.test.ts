/** Alert rules, runbook and dashboard speak of metrics that exist. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { parse } from 'yaml';
import { ApproverFigures } from '../../src/approve/figures.ts';
import { RULES } from '../../src/approve/decide.ts';
import { EventCounters } from '../../src/status/counters.ts';
import { approverMetrics } from '../../src/status/approver-metrics.ts';
import { metricsText } from '../../src/status/metrics.ts';
import { NOW, sampleClusterCa, sampleManager, sampleSnapshot } from '../fixtures/snapshots.ts';

const root = new URL('../../', import.meta.url);
const text = (path: string): string => readFileSync(new URL(path, root), 'utf8');

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<string, string>>;
}

const rulesOf = (file: string): readonly Rule[] =>
  (parse(text(`config/prometheus/${file}.rules.yaml`)) as { groups: { rules: Rule[] }[] }).groups.flatMap(
    (group) => group.rules,
  );

function agentMetrics(): string {
  const full = sampleManager({
    nextAttempt: NOW,
    reserve: { wantedMs: 2000, possibleMs: 1000, ask: '# Ask.' },
    lastError: { code: 'ERR_INTERNAL', message: '', remedy: undefined, at: NOW },
    pending: { name: 'x', createdAt: NOW, posted: true, approved: false, received: false },
  });
  const managers = [full, { ...full, purpose: 'serving' }];
  const trusted = [{ fingerprint: '', subject: '', notAfter: NOW }];
  const server = { server: 'https://a:1', state: 'up', since: NOW, seenAt: NOW, times: 1 } as const;
  const servers = { inUse: server.server, ofKubeconfig: server.server, servers: [server], moved: undefined };
  return metricsText(sampleSnapshot({ managers, trusted, clusterCa: sampleClusterCa(), servers }), {
    version: '1',
    hookProblems: 0,
    everyMs: 3_600_000,
    served: [{ purpose: 'serving', served: { kind: 'current' }, port: 10_250, since: NOW }],
    planned: [{ purpose: 'serving', since: NOW, at: NOW, by: 'window' }],
    servingRotations: new EventCounters().servingRotations(),
    now: NOW,
  });
}

function metricsOfApprover(): string {
  const figures = new ApproverFigures(RULES.map(({ name }) => name));
  figures.pending = { size: 1, oldest: NOW };
  figures.decided('s', 'approved');
  figures.failed('ERR_INTERNAL');
  return approverMetrics(figures, '1');
}

const SETS = [
  { file: 'certlet', tests: ['certlet', 'certlet-days'], metrics: agentMetrics() },
  { file: 'certlet-approver', tests: ['certlet-approver'], metrics: metricsOfApprover() },
].map(({ file, tests, metrics }) => ({
  file,
  tests: tests.map((name) => `${name}.rules.test.yaml`),
  rules: rulesOf(file),
  known: new Set(metrics.split('\n').map((line) => line.split(/[ {]/, 1)[0] ?? '')),
}));
const namesIn = (expression: string): readonly string[] => expression.match(/\b(?:certlet|kubelet)_[a-z_]+\b/g) ?? [];

for (const { file, tests, rules, known } of SETS) {
  t.test(`${file}: every metric in a rule exists`, async (t) => {
    const missing = rules.flatMap(({ expr }) => namesIn(expr)).filter((name) => !known.has(name));
    t.strictSame(missing, []);
    t.ok(namesIn(rules.map(({ expr }) => expr).join(' ')).length >= rules.length, 'names were found');
  });

  t.test(`${file}: every alert is tested`, async (t) => {
    const tested = new Set(tests.flatMap((test) => text(`config/prometheus/${test}`).match(/alertname: \w+/g) ?? []));
    t.strictSame(
      rules.filter(({ alert }) => !tested.has(`alertname: ${alert}`)).map(({ alert }) => alert),
      [],
    );
  });

  t.test(`${file}: every metric in the dashboard exists, and no panel has the place of another`, async (t) => {
    const dashboard = text(`config/grafana/${file}.json`);
    const { panels } = JSON.parse(dashboard) as { panels: { id: number; targets: { expr: string }[] }[] };
    const names = panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => namesIn(expr)));
    t.strictSame(
      names.filter((name) => !known.has(name)),
      [],
    );
    t.ok(names.length >= panels.length, 'names were found');
    t.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  });
}

t.test('every alert has a section of the runbook, and the other way round', async (t) => {
  const rules = SETS.flatMap((set) => set.rules);
  const sections = [...text('docs/alerts.md').matchAll(/^##+ (Certlet.+)$/gm)].map(([, title]) => title);
  t.strictSame(
    sections,
    rules.map(({ alert }) => alert),
  );
  for (const { alert, annotations, labels } of rules) {
    t.equal(annotations['runbook_url'], `docs/alerts.md#${alert.toLowerCase()}`);
    t.ok(['warning', 'critical'].includes(labels.severity));
  }
});

t.test(
  'every rule in an alert about objections is one, and every metric of the approver stands in its document',
  async (t) => {
    const known = new Set(RULES.map(({ name }) => name));
    const named = rulesOf('certlet-approver').flatMap(({ expr }) =>
      [...expr.matchAll(/rule=~"([^"]+)"/g)].flatMap(([, list = '']) => list.split('|')),
    );
    t.ok(named.length > 0);
    t.strictSame(
      named.filter((name) => !known.has(name)),
      [],
    );
    const documented = text('docs/approve.md');
    const metrics = new Set(metricsOfApprover().match(/^certlet_approver_[a-z_]+/gm));
    for (const name of metrics) t.match(documented, `\`${name}`);
  },
);

const promtool = spawnSync('promtool', ['--version']).error === undefined;

t.test(
  'promtool runs the rules',
  { skip: promtool ? false : 'promtool is not installed (Debian: prometheus)' },
  async (t) => {
    const cwd = fileURLToPath(new URL('config/prometheus/', root));
    for (const args of SETS.flatMap(({ file, tests }) => [
      ['check', 'rules', `${file}.rules.yaml`],
      ...tests.map((test) => ['test', 'rules', test]),
    ])) {
      // It ends in seconds: to collect garbage so often as a server does costs it a fifth of them.
      const env = { ...process.env, GOGC: '800' };
      const { status, stdout, stderr } = spawnSync('promtool', args, { cwd, env, encoding: 'utf8' });
      t.equal(status, 0, `promtool ${args.join(' ')}\n${stdout}${stderr}`);
    }
  },
);
