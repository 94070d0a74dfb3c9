/** Alert rules, runbook and dashboard speak of metrics that exist. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { parse } from 'yaml';
import { EventCounters } from '../../src/status/counters.ts';
import { metricsText } from '../../src/status/metrics.ts';
import { NOW, sampleManager, sampleSnapshot } from '../fixtures/snapshots.ts';

const root = new URL('../../', import.meta.url);
const text = (path: string): string => readFileSync(new URL(path, root), 'utf8');
const rulesText = text('config/prometheus/certlet.rules.yaml');
const rules = (parse(rulesText) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules);

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<string, string>>;
}

const full = sampleManager({
  nextAttempt: NOW,
  lastError: { code: 'ERR_INTERNAL', message: '', remedy: undefined, at: NOW },
  pending: { name: 'x', createdAt: NOW, posted: true, approved: false, received: false },
});
const metrics = metricsText(sampleSnapshot({ managers: [full, { ...full, purpose: 'serving' }] }), {
  version: '1',
  hookProblems: 0,
  servingRotations: new EventCounters().servingRotations(),
  now: NOW,
});
const known = new Set(metrics.split('\n').map((line) => line.split(/[ {]/, 1)[0] ?? ''));
const namesIn = (expression: string): readonly string[] => expression.match(/\b(?:certlet|kubelet)_[a-z_]+\b/g) ?? [];

t.test('every metric in a rule exists', async (t) => {
  const missing = rules.flatMap(({ expr }) => namesIn(expr)).filter((name) => !known.has(name));
  t.strictSame(missing, []);
  t.ok(namesIn(rules.map(({ expr }) => expr).join(' ')).length >= rules.length, 'names were found');
});

t.test('every alert has a section of the runbook, and the other way round', async (t) => {
  const sections = [...text('docs/alerts.md').matchAll(/^## (.+)$/gm)].map(([, title]) => title);
  t.strictSame(
    sections,
    rules.map(({ alert }) => alert),
  );
  for (const { alert, annotations, labels } of rules) {
    t.equal(annotations['runbook_url'], `docs/alerts.md#${alert.toLowerCase()}`);
    t.ok(['warning', 'critical'].includes(labels.severity));
  }
});

t.test('every alert is tested', async (t) => {
  const tested = new Set(text('config/prometheus/certlet.rules.test.yaml').match(/alertname: \w+/g));
  t.strictSame(
    rules.filter(({ alert }) => !tested.has(`alertname: ${alert}`)).map(({ alert }) => alert),
    [],
  );
});

t.test('every metric in the dashboard exists, and no panel has the place of another', async (t) => {
  const dashboard = text('config/grafana/certlet.json');
  const { panels } = JSON.parse(dashboard) as { panels: { id: number; targets: { expr: string }[] }[] };
  const names = panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => namesIn(expr)));
  t.strictSame(
    names.filter((name) => !known.has(name)),
    [],
  );
  t.ok(names.length >= panels.length, 'names were found');
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
});

const promtool = spawnSync('promtool', ['--version']).error === undefined;

t.test(
  'promtool runs the rules',
  { skip: promtool ? false : 'promtool is not installed (Debian: prometheus)' },
  async (t) => {
    const cwd = fileURLToPath(new URL('config/prometheus/', root));
    for (const args of [
      ['check', 'rules', 'certlet.rules.yaml'],
      ['test', 'rules', 'certlet.rules.test.yaml'],
    ]) {
      const { status, stdout, stderr } = spawnSync('promtool', args, { cwd, encoding: 'utf8' });
      t.equal(status, 0, `promtool ${args.join(' ')}\n${stdout}${stderr}`);
    }
  },
);
