import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { readInventoryFile, readSettingsFile } from '../../src/adapters/settings-file.ts';

const userId = process.geteuid?.() ?? 0;
const isRoot = userId === 0;

/** A settings file of its own in a folder of its own, whatever the umask. */
function settingsFile(test: Test, mode: number): string {
  const folder = test.testdir({ etc: {} });
  chmodSync(join(folder, 'etc'), 0o755);
  const path = join(folder, 'etc', 'config.yaml');
  writeFileSync(path, 'events: true\n');
  chmodSync(path, mode);
  return path;
}

for (const mode of [0o600, 0o644, 0o640, 0o444]) {
  t.test(`mode ${mode.toString(8)} is read`, async (t) => {
    t.equal(await readSettingsFile({ path: settingsFile(t, mode), mustExist: true, userId }), 'events: true\n');
  });
}

for (const mode of [0o664, 0o646, 0o666, 0o777]) {
  t.test(`mode ${mode.toString(8)}, which others can write, is refused with the command that mends it`, async (t) => {
    const path = settingsFile(t, mode);
    await t.rejects(readSettingsFile({ path, mustExist: true, userId }), {
      code: 'ERR_CONFIG_INVALID',
      message: `settings: ${path} can be changed by other users`,
      remedy: `chmod go-w ${path}`,
    });
  });
}

t.test('a file of another user is refused', { skip: isRoot ? false : 'needs root' }, async (t) => {
  const path = settingsFile(t, 0o600);
  chownSync(path, 12_345, 12_345);
  await t.rejects(readSettingsFile({ path, mustExist: true, userId: 0 }), {
    code: 'ERR_CONFIG_INVALID',
    message: /belongs to user 12345/,
    remedy: `chown root ${path}`,
  });
  t.equal(await readSettingsFile({ path, mustExist: true, userId: 12_345 }), 'events: true\n', 'but it may be our own');
});

t.test('a folder that everybody may write is refused, a sticky one is not', async (t) => {
  const path = settingsFile(t, 0o644);
  const folder = join(path, '..');
  chmodSync(folder, 0o777);
  await t.rejects(readSettingsFile({ path, mustExist: true, userId }), { message: /which every user may write/ });
  chmodSync(folder, 0o1777);
  t.equal(await readSettingsFile({ path, mustExist: true, userId }), 'events: true\n');
});

t.test('a link into a folder that everybody may write was followed', async (t) => {
  const folder = t.testdir({ open: {}, etc: {} });
  chmodSync(join(folder, 'etc'), 0o755);
  chmodSync(join(folder, 'open'), 0o777);
  const behind = join(folder, 'open', 'config.yaml');
  writeFileSync(behind, 'events: true\n', { mode: 0o644 });
  const link = join(folder, 'etc', 'link.yaml');
  symlinkSync(behind, link);
  await t.rejects(readSettingsFile({ path: link, mustExist: true, userId }), {
    message: `settings: ${link} lies in ${join(folder, 'open')}, which every user may write`,
  });
});

t.test('a link is followed, and the file behind it is judged', async (t) => {
  const path = settingsFile(t, 0o644);
  const link = `${path}.link`;
  symlinkSync('config.yaml', link);
  t.equal(await readSettingsFile({ path: link, mustExist: true, userId }), 'events: true\n');
  chmodSync(path, 0o666);
  await t.rejects(readSettingsFile({ path: link, mustExist: true, userId }), { code: 'ERR_CONFIG_INVALID' });
});

t.test('no file: fine for the default path, an error for a path that was asked for', async (t) => {
  const path = join(t.testdir(), 'config.yaml');
  t.equal(await readSettingsFile({ path, mustExist: false, userId }), undefined);
  await t.rejects(readSettingsFile({ path, mustExist: true, userId }), {
    code: 'ERR_CONFIG_INVALID',
    message: `settings: ${path}: there is no such file`,
  });
});

t.test('a folder and a fifo in its place are refused without waiting', async (t) => {
  const folder = t.testdir();
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, 'dir'));
  const fifo = join(folder, 'fifo');
  spawnSync('mkfifo', [fifo]);
  for (const path of [join(folder, 'dir'), fifo]) {
    await t.rejects(readSettingsFile({ path, mustExist: true, userId }), { message: /is not a regular file/ });
  }
});

t.test('a file of more than 1 MiB is not read', async (t) => {
  const path = settingsFile(t, 0o644);
  truncateSync(path, 1024 * 1024 + 1);
  await t.rejects(readSettingsFile({ path, mustExist: true, userId }), { message: /larger than 1 MiB/ });
});

t.test('settings without a size and without an end filled the memory', async (t) => {
  // 128 GiB of zeros, and the size is told as 0.
  const path = '/proc/self/pagemap';
  await t.rejects(readSettingsFile({ path, mustExist: true, userId }), { message: /larger than 1 MiB/ });
});

t.test('what can never be opened as a file had the service restarted for ever', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'certlet-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o755);
  const at = (name: string): string => join(folder, name);
  const server = createServer().listen(at('socket'));
  await once(server, 'listening');
  t.teardown(() => server.close());
  for (const [link, target] of [
    ['circle', 'circle'],
    ['to-socket', 'socket'],
  ] as const)
    symlinkSync(target, at(link));
  for (const name of ['socket', 'to-socket', 'circle']) {
    const refused = {
      code: 'ERR_CONFIG_INVALID',
      message: `settings: ${at(name)} is not a regular file`,
      remedy: '# Put a file in its place.',
    };
    for (const mustExist of [true, false])
      await t.rejects(readSettingsFile({ path: at(name), mustExist, userId }), refused, name);
  }
  await t.rejects(readInventoryFile({ path: at('socket'), userId }), {
    message: /^inventory: .* is not a regular file$/,
  });
});

t.test('a path that no file can have, too', async (t) => {
  const path = settingsFile(t, 0o644);
  for (const [given, errno] of [
    [`${path}/x`, 'ENOTDIR'],
    [join(path, '..', 'x'.repeat(300)), 'ENAMETOOLONG'],
  ] as const)
    await t.rejects(readSettingsFile({ path: given, mustExist: false, userId }), {
      code: 'ERR_CONFIG_INVALID',
      message: new RegExp(`^settings: open .*\\(${errno}\\)$`),
    });
});
