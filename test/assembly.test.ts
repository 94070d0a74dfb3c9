import t from 'tap';
import { loadSettings } from '../src/config.ts';
import { rotationOptions } from '../src/assembly.ts';

for (const { name, filePath, fileText, command } of [
  {
    name: 'nothing to add for the usual settings',
    filePath: '/etc/certlet/config.yaml',
    fileText: '{}',
    command: 'certlet join --write-kubeconfig && systemctl restart kubelet.service',
  },
  {
    name: 'no settings file',
    filePath: '/etc/certlet/config.yaml',
    fileText: undefined,
    command: 'certlet join --write-kubeconfig && systemctl restart kubelet.service',
  },
  {
    name: 'settings elsewhere, and a unit that a shell would read otherwise',
    filePath: '/srv/node a/certlet.yaml',
    fileText: 'kubelet: {unit: "kubelet-a\\\\x2db.service"}',
    command:
      "certlet join --write-kubeconfig --config '/srv/node a/certlet.yaml' && systemctl restart 'kubelet-a\\x2db.service'",
  },
]) {
  t.test(`the command for root writes the kubeconfig of the running daemon: ${name}`, async (t) => {
    const settings = loadSettings({ flags: {}, fileText, filePath, osHostname: 'node-a' });
    t.equal(rotationOptions(settings, false).kubeconfigCommand, command);
  });
}
