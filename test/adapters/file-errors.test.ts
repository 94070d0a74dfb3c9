import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { fileError } from '../../src/adapters/file-errors.ts';
import { NodeFileSystem } from '../../src/adapters/file-system.ts';
import { replaceFile, replaceLink } from '../../src/adapters/files.ts';
import type { CertletError } from '../../src/errors.ts';

const system = (code: string, syscall: string, path: string, dest?: string): Error =>
  Object.assign(new Error(`${code}: said so, ${syscall} '${path}'`), { code, syscall, path, dest });

const STAGED = '/srv/pki/.kubelet-client-current.pem.0123456789abcdef.certlet-tmp';
const LINK = '/srv/pki/kubelet-client-current.pem';

for (const row of [
  {
    name: 'a link: the text that it was to hold',
    error: system('EPERM', 'symlink', 'kubelet-client-1.pem', STAGED),
    message: `symlink ${LINK}: said so (EPERM)`,
    remedy: /^findmnt -T \/srv\/pki {3}# this file system has no symbolic links/,
  },
  {
    name: 'a link on a full disk: the folder of this process',
    error: system('ENOSPC', 'symlink', 'kubelet-client-1.pem', STAGED),
    message: `symlink ${LINK}: said so (ENOSPC)`,
    remedy: 'df -h /srv/pki; df -i /srv/pki   # free space or inodes there',
  },
  {
    name: 'a link in a read-only folder: ReadWritePaths=., or backslashes, which the journal doubles',
    error: system('EROFS', 'symlink', 'kubelet-client-1.pem', STAGED),
    message: `symlink ${LINK}: said so (EROFS)`,
    remedy: /^certlet allow \/srv\/pki && systemctl daemon-reload && [^\\]*$/,
  },
  {
    name: 'a link in a read-only folder that others use: no command that opens it',
    error: system('EROFS', 'symlink', 'kubelet-client-1.pem', '/pki/kubelet-client-current.pem'),
    message: 'symlink /pki/kubelet-client-current.pem: said so (EROFS)',
    remedy: /^findmnt -T \/pki {3}# .*\/pki is not certlet's alone and is never opened/,
  },
  {
    name: 'a staged file that cannot be made: a name that is gone',
    error: system('ENOSPC', 'open', STAGED),
    message: `open ${LINK}: said so (ENOSPC)`,
    remedy: 'df -h /srv/pki; df -i /srv/pki   # free space or inodes there',
  },
  {
    name: 'a replacement of a mount point: a name that is gone',
    error: system('EBUSY', 'rename', STAGED, LINK),
    message: `rename ${LINK}: said so (EBUSY)`,
    remedy: `findmnt ${LINK}   # it is a mount point of its own: mount its folder in its place`,
  },
  {
    name: 'a move: one of its two paths alone',
    error: system('EACCES', 'rename', '/srv/pki/a.pem', '/srv/pki/.certlet/quarantine/a.pem.000001'),
    message: 'rename /srv/pki/a.pem to /srv/pki/.certlet/quarantine/a.pem.000001: said so (EACCES)',
    remedy: /namei -l \/srv\/pki\/\.certlet\/quarantine\/a\.pem\.000001/,
  },
  {
    name: 'a folder that the sandbox hides: one that looks healthy to whoever follows the remedy',
    error: system('EACCES', 'open', '/root/boot.conf'),
    message: 'open /root/boot.conf: said so (EACCES)',
    remedy:
      /^mv \/root\/boot\.conf \/etc\/kubernetes\/ {3}# the service sees nothing below \/home, \/root and \/run\/user/,
  },
]) {
  t.test(`an error names the wrong path (${row.name})`, async (t) => {
    t.match(fileError(row.error, '/fallback'), { message: row.message, remedy: row.remedy });
  });
}

t.test('as the real disk tells them', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'certlet-errors-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const fs = new NodeFileSystem();
  const missing = join(folder, 'missing');
  for (const work of [
    () => replaceLink(fs, join(missing, 'link'), 'target'),
    () => replaceFile(fs, join(missing, 'file'), 'x', 0o600),
  ]) {
    const error = await work().then(
      () => undefined,
      (thrown: unknown) => thrown as CertletError,
    );
    t.match(error?.message, new RegExp(`${missing}/(link|file): no such file or directory \\(ENOENT\\)$`));
    t.notMatch(error?.remedy, /certlet-tmp|target/);
  }
});
