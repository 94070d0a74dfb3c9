import t from 'tap';
import { writtenFolders } from '../../src/config/written-folders.ts';
import { loadSettings } from '../../src/config.ts';

const folders = (fileText: string): readonly string[] =>
  writtenFolders(loadSettings({ flags: {}, fileText, filePath: '/etc/certlet/config.yaml', osHostname: 'n1' })).map(
    ({ path, setting }) => `${path} ${setting}`,
  );

t.test('the folders that a service writes, each under the first setting that names it', async (t) => {
  t.strictSame(folders(''), [
    '/var/lib/kubelet/pki certDir',
    '/var/lib/kubelet/pki/.certlet stateDir',
    '/etc/kubernetes kubeconfig',
  ]);
  const entry = `
certificates:
  - name: a
    signerName: example.com/a
    commonName: a
    usages: [client auth]
    certFile: /srv/a/crt
    keyFile: /srv/b/key
    kubeconfig: /etc/a/conf
metrics: { textfile: /srv/text/certlet.prom }
deleteBootstrapKubeconfig: true
bootstrapKubeconfig: /etc/boot/conf
plainFiles: { serving: { certFile: /srv/s/crt } }
`;
  t.strictSame(folders(entry), [
    '/var/lib/kubelet/pki certDir',
    '/var/lib/kubelet/pki/.certlet stateDir',
    '/etc/kubernetes kubeconfig',
    '/srv/s plainFiles.serving: certFile',
    '/var/lib/certlet/certs/a certificatesDir',
    '/srv/a certificates, a: certFile',
    '/srv/b certificates, a: keyFile',
    '/etc/a certificates, a: kubeconfig',
    '/srv/text metrics.textfile',
    '/etc/boot deleteBootstrapKubeconfig',
  ]);
  t.notOk(folders('manageKubeconfig: false\n').some((line) => line.startsWith('/etc/kubernetes')));
});
