/** What root's side of certlet reads of a host: its files, its units, and what root has said about reloads. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { HostFiles } from '../../src/adapters/host-files.ts';
import { readHostReloads, readReloadedUnit, readWantedUnits } from '../../src/adapters/host-reloads.ts';

type Tree = Readonly<Record<string, string>>;

function hostOf(t: Test, tree: Tree): string {
  const root = t.testdir();
  for (const [path, text] of Object.entries(tree)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

const UNITS = '/etc/systemd/system';
const RELOADS = '/etc/certlet/reload';
const RELOADABLE = '[Service]\nExecReload=/bin/kill -HUP $MAINPID\n';

for (const row of [
  {
    name: 'a unit that can be reloaded',
    text: 'UNIT=web.service\n',
    tree: { [`${UNITS}/web.service`]: RELOADABLE },
    choice: { name: 'x', unit: 'web.service', action: 'try-reload-or-restart' },
    unit: { exists: true, reloadable: true },
  },
  {
    name: 'a unit that can only be restarted',
    text: 'UNIT=web\nACTION=reload\n',
    tree: { [`${UNITS}/web.service`]: '[Service]\nExecStart=/bin/web\n' },
    choice: { name: 'x', unit: 'web.service', action: 'reload' },
    unit: { exists: true, reloadable: false },
  },
  {
    name: 'an instance of a template',
    text: 'UNIT=web@1.service\n',
    tree: { '/usr/lib/systemd/system/web@.service': '[Service]\nType=notify-reload\n' },
    choice: { name: 'x', unit: 'web@1.service', action: 'try-reload-or-restart' },
    unit: { exists: true, reloadable: true },
  },
  {
    name: 'a unit that a generator has made, whose file tells nothing',
    text: 'UNIT=web\n',
    tree: { '/run/systemd/generator/web.service': '' },
    choice: { name: 'x', unit: 'web.service', action: 'try-reload-or-restart' },
    unit: { exists: true, reloadable: true },
  },
  {
    name: 'a unit that is nowhere',
    text: 'UNIT=web\n',
    tree: {},
    choice: { name: 'x', unit: 'web.service', action: 'try-reload-or-restart' },
    unit: { exists: false, reloadable: true },
  },
  { name: 'no unit', text: 'ACTION=reload\n', tree: {}, choice: 'UNIT= is missing', unit: undefined },
  {
    name: 'a verb that starts things',
    text: 'UNIT=web\nACTION=restart\n',
    tree: {},
    choice: 'ACTION=restart: expected one of reload, try-restart, try-reload-or-restart',
    unit: undefined,
  },
]) {
  t.test(`a reload of root’s that names ${row.name}`, async (t) => {
    const tree: Tree = { [`${RELOADS}/x.env`]: row.text, [`${RELOADS}/README`]: 'UNIT=other\n', ...(row.tree as Tree) };
    const [found, ...others] = await readHostReloads(new HostFiles(hostOf(t, tree)));
    t.strictSame(others, [], 'files of other endings name nothing');
    t.match(found, { name: 'x', path: `${RELOADS}/x.env` });
    t.strictSame(found?.choice, row.choice);
    t.strictSame(found?.unit, row.unit);
    t.equal(typeof found?.owner?.uid, 'number');
  });
}

t.test('a reload whose link leads nowhere says nothing, and is there', async (t) => {
  const root = hostOf(t, { [`${RELOADS}/y.env`]: 'UNIT=web\n' });
  symlinkSync('nowhere', join(root, RELOADS, 'x.env'));
  const [dangling, whole] = await readHostReloads(new HostFiles(root));
  t.match(dangling, { name: 'x', choice: undefined, unit: undefined, owner: { kind: 'link' } });
  t.match(whole, { name: 'y', choice: { unit: 'web.service' } });
});

t.test('a host without the folder has no reloads and wants no units', async (t) => {
  const files = new HostFiles(hostOf(t, {}));
  t.strictSame(await readHostReloads(files), []);
  t.strictSame(await readWantedUnits(files), new Set());
});

t.test('units that others start at boot', async (t) => {
  const links = ['multi-user.target.wants/a.path', 'b.service.requires/b.path', 'c.target.upholds/c.path'];
  const others = ['a.service.d/d.path', 'x.wants.old/e.path', 'f.path'];
  const tree = Object.fromEntries([...links, ...others].map((name) => [`${UNITS}/${name}`, '']));
  t.strictSame(await readWantedUnits(new HostFiles(hostOf(t, tree))), new Set(['a.path', 'b.path', 'c.path']));
});

for (const row of [
  { name: 'a drop-in adds the reload', drop: RELOADABLE, reloadable: true },
  { name: 'a drop-in takes the reload away', main: RELOADABLE, drop: '[Service]\nExecReload=\n', reloadable: false },
  { name: 'a drop-in says nothing', drop: '', reloadable: false },
]) {
  t.test(`a unit to which ${row.name}`, async (t) => {
    const { main = '[Service]\nExecStart=/bin/web\n' } = row;
    const tree = {
      '/usr/lib/systemd/system/web.service': main,
      [`${UNITS}/web.service.d/10-x.conf`]: row.drop,
      [`${UNITS}/web.service.d/20-x.txt`]: '[Service]\nType=notify-reload\n',
    };
    const unit = await readReloadedUnit(new HostFiles(hostOf(t, tree)), 'web.service');
    t.strictSame(unit, { exists: true, reloadable: row.reloadable });
  });
}

t.test('a masked unit is there and does nothing; a masked drop-in hides the weaker one of its name', async (t) => {
  const root = hostOf(t, {
    '/usr/lib/systemd/system/web.service': RELOADABLE,
    '/usr/lib/systemd/system/api.service': '[Service]\nExecStart=/bin/api\n',
    '/usr/lib/systemd/system/api.service.d/10-x.conf': RELOADABLE,
    [`${UNITS}/api.service.d/90-y.conf`]: '',
  });
  symlinkSync('/dev/null', join(root, UNITS, 'web.service'));
  symlinkSync('/dev/null', join(root, UNITS, 'api.service.d/10-x.conf'));
  const files = new HostFiles(root);
  t.strictSame(await files.readUnit('web.service', []), []);
  t.equal(await files.hasUnit('web.service'), true);
  const texts = await files.readUnit('api.service', ['90-y.conf']);
  t.strictSame(
    texts.map(({ path, text }) => [path, text]),
    [
      ['/usr/lib/systemd/system/api.service', '[Service]\nExecStart=/bin/api\n'],
      [`${UNITS}/api.service.d/10-x.conf`, ''],
    ],
  );
});

t.test('paths of a host that lead nowhere', async (t) => {
  const root = hostOf(t, { '/a/file': 'text', '/a/b/c': '' });
  symlinkSync('b', join(root, 'a/link'));
  symlinkSync('loop', join(root, 'a/loop'));
  const files = new HostFiles(root);
  t.equal(await files.read('/a/file'), 'text');
  t.equal(await files.read('/a/none'), undefined);
  t.equal(await files.read('/a/file/below'), undefined, 'a file where a folder is meant');
  t.equal(await files.facts('/a/file/below'), undefined);
  t.match(await files.facts('/a/loop'), { kind: 'link' });
  t.equal(await files.facts('/a/loop/below'), undefined);
  t.strictSame(await files.list('/a/file'), []);
  t.strictSame(await files.list('/a/none'), []);
  t.equal(await files.real('/a/link/c'), '/a/b/c');
  t.equal(await files.real('/a/link/x/y'), '/a/b/x/y', 'as far as it exists');
  t.equal(await files.real('/none/x'), '/none/x');
  t.equal(await files.real('/a/loop/x'), '/a/loop/x');
  t.equal(await files.real('/'), '/');
  t.strictSame(files.refused, []);
  await t.rejects(files.read('/a\0b'), { code: 'ERR_STORE_IO' }, 'a path that cannot be is no absent file');
});
