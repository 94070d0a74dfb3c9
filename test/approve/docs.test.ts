import { readFileSync } from 'node:fs';
import t from 'tap';
import { withTable } from '../../config/tooling/approve-rules.ts';
import { parseInventory } from '../../src/approve/inventory.ts';
import { loadApproverSettings } from '../../src/config.ts';

const page = readFileSync(new URL('../../docs/approve.md', import.meta.url), 'utf8');

t.test('the table of rules is what the code says (node config/tooling/approve-rules.ts)', async (t) => {
  t.equal(page, withTable(page));
});

t.test('the examples of settings and inventory can be read', async (t) => {
  const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = '']) => text);
  const settings = blocks.find((text) => text.startsWith('approve:'));
  t.match(loadApproverSettings(settings, '/c.yaml').approve, { certificates: [{ name: 'kube-proxy' }] });
  const inventory = parseInventory(blocks.find((text) => text.startsWith('nodes:')) ?? '', '/i.yaml');
  t.ok(inventory.allows('worker-7', 'worker-7.example.com'));
  t.ok(inventory.allows('db-1', 'db-1.internal'));
  t.notOk(inventory.allows('db-1', '192.0.2.8'));
});
