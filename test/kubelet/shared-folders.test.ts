import t from 'tap';
import { fileError } from '../../src/adapters/file-errors.ts';
import { isSharedFolder, readOnlyPaths } from '../../src/kubelet/shared-folders.ts';

for (const [folder, shared] of [
  ['/', true],
  ['/etc', true],
  ['/srv', true],
  ['/var/lib', true],
  ['/var/lib/kubelet', true],
  ['/var/lib/kubelet/pki', false],
  ['/var/lib/kubelet-pki', false],
  ['/var/lib/rancher', true],
  ['/var/lib/rancher/k3s', true],
  ['/var/lib/rancher/k3s/agent', true],
  ['/var/lib/rancher/k3s/agent/certlet', false],
  ['/etc/kubernetes', true],
  ['/etc/kubernetes/node', false],
  ['/etc/cron.hourly', true],
  ['/etc/systemd/system/x.d', true],
  ['/usr/local/lib/certlet', true],
  ['/root/certlet', true],
  ['/srv/certlet', false],
  ['/etc/certificates', false],
] as const) {
  t.test(`${folder} is ${shared ? '' : 'not '}shared`, async (t) => t.equal(isSharedFolder(folder), shared));
}

t.test('what stays read-only: the file itself, or the folder that could be renamed with it', async (t) => {
  const open = ['/etc/kubernetes', '/srv/a', '/srv/a/pki'];
  t.strictSame(
    readOnlyPaths(open, [
      '/etc/kubernetes/a.yaml',
      '/etc/kubernetes/ssl/x/ca.crt',
      '/etc/kubernetes/ssl/b',
      '/etc/default/kubelet',
    ]),
    ['/etc/kubernetes/a.yaml', '/etc/kubernetes/ssl'],
  );
  t.strictSame(readOnlyPaths(open, ['/srv/a/pki/ca.crt']), ['/srv/a/pki/ca.crt'], 'within the innermost that is open');
  t.strictSame(readOnlyPaths(open, ['/srv/a/pki']), [], 'an open folder is not closed again');
});

t.test('the remedy of a read-only file opened shared folders to the sandbox', async (t) => {
  const error = (path: string): unknown =>
    fileError(Object.assign(new Error('EROFS: read-only'), { code: 'EROFS', syscall: 'open', path }), path);
  t.match(error('/srv/certlet/x.pem'), { remedy: /certlet allow \// });
  for (const path of ['/var/lib/kubelet/kubeconfig', '/etc/x.pem', '/usr/lib/x.pem']) {
    const { remedy } = error(path) as { readonly remedy: string };
    t.notMatch(remedy, /certlet allow/);
    t.match(remedy, /--write-kubeconfig/);
  }
});
