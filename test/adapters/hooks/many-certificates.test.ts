/** What is noted of hooks has room for as many certificates as the settings can name. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { NodeFileSystem } from '../../../src/adapters/file-system.ts';
import { type HookEntry, HookRecord } from '../../../src/adapters/hooks/hook-record.ts';
import { MOST_CERTIFICATES } from '../../../src/adapters/settings-file.ts';

const dates = { notBefore: new Date('2029-01-01'), notAfter: new Date('2040-01-01'), selfSigned: false };

function entryOf(index: number): readonly [string, HookEntry] {
  const name = `node-exporter-${String(index)}`;
  return [
    name,
    {
      pairPath: `/var/lib/certlet/certs/${name}/${name}-2029-01-01-00-00-00.pem`,
      pending: [`reload ${name}`],
      kubeconfig: 'a'.repeat(64),
      replaced: dates,
    },
  ];
}

for (const count of [250, MOST_CERTIFICATES]) {
  t.test(`what ${String(count)} certificates were owed could not be read by the next process`, async (t) => {
    const folder = join(t.testdir({}), 'state');
    const entries = new Map(Array.from({ length: count }, (_, index) => entryOf(index)));
    await new HookRecord(new NodeFileSystem(), folder).note(entries);
    const kept = new HookRecord(new NodeFileSystem(), folder);
    await kept.load();
    t.ok(statSync(join(folder, 'hooks.json')).size > 64 * 1024, 'more than fitted before');
    for (const name of ['node-exporter-0', `node-exporter-${String(count - 1)}`])
      t.strictSame(kept.get(name)?.pending, [`reload ${name}`]);
  });
}

t.test('settings cannot name more: the shortest entry of certificates', async (t) => {
  const shortest = '- {name: a, signerName: b.c/d, commonName: e}\n';
  t.ok((1024 * 1024) / shortest.length < MOST_CERTIFICATES);
});
