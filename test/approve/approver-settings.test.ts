/** Settings and inventory of the cluster's side: where they come from, and who may have written them. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { readApproverSettings, readInventory } from '../../src/cli/approver-settings.ts';

const userId = process.geteuid?.() ?? 0;
const GOOD = 'nodes:\n- name: n1\n  addresses: [192.0.2.7]\n';

function fileFor(t: Test, text: string, mode = 0o644): string {
  const folder = t.testdir({});
  chmodSync(folder, 0o755);
  const path = join(folder, 'file.yaml');
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

t.test('settings of a file that was named, and the node’s part of it is not looked at', async (t) => {
  const path = fileFor(t, 'certDir: /x\napprove:\n  maxPerNodeAndHour: 3\nlog:\n  level: debug\n');
  const { approve, log } = await readApproverSettings(path, { userId });
  t.equal(approve.maxPerNodeAndHour, 3);
  t.equal(log.level, 'debug');
});

for (const { name, text, mode, message } of [
  {
    name: 'others may write it',
    text: '',
    mode: 0o666,
    message: /^settings: .*file\.yaml can be changed by other users$/,
  },
  {
    name: 'a wrong value',
    text: 'approve:\n  maxPerNodeAndHour: many\n',
    mode: 0o644,
    message: /file\.yaml:2:.*maxPerNodeAndHour/,
  },
  {
    name: 'a port above 65535, which ended as ERR_INTERNAL when it was to be served',
    text: 'approve:\n  metricsAddress: 127.0.0.1:99999\n',
    mode: 0o644,
    message: /file\.yaml:2:.*approve\.metricsAddress: is no address with a port from 0 to 65535$/,
  },
  {
    name: 'digits that are no address, which were looked up as a name',
    text: 'approve:\n  metricsAddress: 999.1.1.1:9099\n',
    mode: 0o644,
    message: /file\.yaml:2:.*approve\.metricsAddress: is no address with a port from 0 to 65535$/,
  },
  { name: 'no YAML', text: 'approve: [', mode: 0o644, message: /file\.yaml/ },
]) {
  t.test(`settings that are refused: ${name}`, async (t) => {
    await t.rejects(readApproverSettings(fileFor(t, text, mode), { userId }), { code: 'ERR_CONFIG_INVALID', message });
  });
}

t.test('a named settings file that is missing is an error; its folder is not made up', async (t) => {
  const path = join(t.testdir({}), 'none.yaml');
  await t.rejects(readApproverSettings(path, { userId }), {
    code: 'ERR_CONFIG_INVALID',
    message: `settings: ${path}: there is no such file`,
    remedy: '# Write it, or leave --config out.',
  });
});

t.test('no inventory where none is named', async (t) => {
  t.equal(await readInventory(undefined, { userId }), undefined);
});

t.test('an inventory is read as it stands, and allows what it says', async (t) => {
  const inventory = await readInventory(fileFor(t, GOOD), { userId });
  t.equal(inventory?.text, GOOD);
  t.ok(inventory?.allows('n1', '192.0.2.7'));
  t.notOk(inventory?.allows('n2', '192.0.2.7'));
});

for (const { name, text, mode, message } of [
  { name: 'others may write it', text: GOOD, mode: 0o646, message: /^inventory: .*can be changed by other users/ },
  { name: 'it is no inventory', text: 'nodes: n1\n', mode: 0o644, message: /file\.yaml.*nodes/s },
]) {
  t.test(`an inventory that is refused: ${name}`, async (t) => {
    await t.rejects(readInventory(fileFor(t, text, mode), { userId }), { code: 'ERR_CONFIG_INVALID', message });
  });
}

t.test('an inventory that is missing or a folder is an error with its remedy', async (t) => {
  const folder = t.testdir({});
  chmodSync(folder, 0o755);
  const [none, sub] = [join(folder, 'none.yaml'), join(folder, 'sub')];
  await t.rejects(readInventory(none, { userId }), {
    code: 'ERR_CONFIG_INVALID',
    message: `inventory: ${none}: there is no such file`,
    remedy: /approve\.namesFrom/,
  });
  mkdirSync(sub);
  await t.rejects(readInventory(sub, { userId }), { code: 'ERR_CONFIG_INVALID', message: /is not a regular file/ });
});
