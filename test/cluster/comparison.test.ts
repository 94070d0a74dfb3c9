/** certlet and a real kubectl read the same kubeconfigs and meet the same server certificates; client-go is the yardstick. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { compareAll, describe, disagreements } from './comparison/compare.ts';
import type { Bench, Compared } from './comparison/compare.ts';
import { configJson, fieldsRow } from './comparison/config-text.ts';
import { allDecided, judge, parseDecided } from './comparison/decided.ts';
import { makeMaterials } from './comparison/materials.ts';
import { CertletReader, kubectlReader, newestKubectl } from './comparison/readers.ts';
import { titleOf } from './comparison/row.ts';
import type { Row } from './comparison/row.ts';
import { allRows } from './comparison/tables.ts';

/** The decisions were made about this kubectl; with another one some may not be needed. */
const DECIDED_FOR = [1, 32];
/** Older ones know fewer fields, and were built with a Go that read some certificates otherwise. */
const OLDEST = [1, 30];

const kubectl = await newestKubectl();

/** Rows that differ because certlet is given another kubeconfig than kubectl. */
const PLANTED: readonly Row[] = [
  {
    ...fieldsRow('planted', 'certlet refuses what kubectl takes', {}),
    plantedFiles: (scene) => ({ config: configJson(scene, { cluster: { 'certificate-authority-data': undefined } }) }),
  },
  {
    ...fieldsRow('planted', 'certlet takes what kubectl refuses', { cluster: { 'tls-server-name': 'other' } }),
    plantedFiles: (scene) => ({ config: configJson(scene) }),
  },
  {
    ...fieldsRow('planted', 'certlet comes as somebody else', {}),
    plantedFiles: (scene) => ({ config: configJson(scene, { user: { token: 'another' } }) }),
  },
];

t.test('decisions are read from tables', async (t) => {
  const table = '| input | why |\n|---|---|\n| `a: b` | one reason |\n| `c: *` | another |\n| not code | x |\n';
  const markdown = `text\n\n${table}\n| rule | asked |\n|---|---|\n| \`g: h\` | of another table |\n`;
  const decisions = parseDecided(markdown);
  t.strictSame(decisions, [
    { pattern: 'a: b', reason: 'one reason' },
    { pattern: 'c: *', reason: 'another' },
  ]);
  const reading = { accepted: false, seen: '', words: '' };
  const differing = ['c: d', 'e: f'].map((title): Compared => {
    const [kind = '', name = ''] = title.split(': ');
    return { row: fieldsRow(kind, name, {}), kubectl: reading, certlet: reading };
  });
  const { unexplained, stale } = judge(differing, decisions);
  t.strictSame(
    unexplained.map(({ row }) => titleOf(row)),
    ['e: f'],
  );
  t.strictSame(stale, ['a: b']);
});

t.test('the tables are large enough, and titles are unique', async (t) => {
  const rows = allRows();
  t.ok(rows.filter(({ table }) => table === 'kubeconfig').length >= 150);
  t.ok(rows.filter(({ table }) => table === 'certificate').length >= 60);
});

const [major = 0, minor = 0] = kubectl?.release ?? [];
const recent = major > (OLDEST[0] ?? 0) || (major === OLDEST[0] && minor >= (OLDEST[1] ?? 0));
const skip = recent ? false : 'no kubectl of 1.30 or later in KUBEBUILDER_ASSETS, nor made by test/systemd/newer-tree';

t.test('certlet and kubectl', { skip }, async (t) => {
  if (kubectl === undefined) return;
  const folder = mkdtempSync(join(tmpdir(), 'certlet-comparison-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const materials = makeMaterials();
  const home = join(folder, 'home');
  const surroundings = { home, hostRoots: join(home, 'roots.pem') };
  mkdirSync(home);
  writeFileSync(surroundings.hostRoots, materials.hostCa.pem);
  const certlet = new CertletReader(surroundings);
  t.teardown(() => certlet.close());
  const reader = kubectlReader(kubectl.path, surroundings);
  const bench = (name: string): Bench => {
    mkdirSync(join(folder, name));
    return { folder: join(folder, name), materials, kubectl: reader, certlet: certlet.read, atOnce: 4 };
  };

  t.test('three planted differences are found, and nothing else', async (t) => {
    const compared = await compareAll([...PLANTED, fieldsRow('planted', 'none', {})], bench('planted'));
    t.strictSame(
      disagreements(compared).map(({ row }) => row.name),
      PLANTED.map(({ name }) => name),
    );
  });

  t.test('no difference is without a decision', async (t) => {
    const compared = await compareAll(allRows(), bench('tables'));
    const count = (table: Row['table']): string => String(compared.filter(({ row }) => row.table === table).length);
    const { unexplained, stale } = judge(disagreements(compared), allDecided());
    const figures = `${count('kubeconfig')} kubeconfigs, ${count('certificate')} certificates`;
    console.log(`# figure comparison: ${figures}, ${String(unexplained.length)} unexplained differences`);
    t.strictSame(unexplained.map(describe), []);
    if (String([major, minor]) === String(DECIDED_FOR)) t.strictSame(stale, [], 'every decision is still needed');
    const both = compared.filter((one) => one.kubectl.accepted && one.certlet.accepted).length;
    t.ok(both * 3 >= compared.length, `${String(both)} of ${String(compared.length)} are accepted by both`);
    for (const kind of new Set(compared.map(({ row }) => row.kind))) {
      const verdicts = new Set(compared.filter(({ row }) => row.kind === kind).map((one) => one.kubectl.accepted));
      t.equal(verdicts.size, 2, `${kind}: some are accepted and some refused`);
    }
  });
});
