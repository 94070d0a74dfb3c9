import { dirname } from 'node:path';
import type { Settings } from './settings.ts';

/** A folder that the service writes, and the setting that says so. */
export interface WrittenFolder {
  readonly path: string;
  readonly setting: string;
}

/** Every folder that a service with these settings writes, each once, under the first setting that names it. The runtime folder is systemd's matter. */
export function writtenFolders(settings: Settings): readonly WrittenFolder[] {
  const { certDir, stateDir, specs, manageKubeconfig, kubeconfig, metrics } = settings;
  const folders: WrittenFolder[] = [
    { path: certDir, setting: 'certDir' },
    { path: stateDir, setting: 'stateDir' },
    ...(manageKubeconfig ? [{ path: dirname(kubeconfig), setting: 'kubeconfig' }] : []),
  ];
  for (const { name, files, kubeconfig: own, isIdentity } of specs) {
    const { folder, plain } = files;
    const of = files.kubelet === undefined ? `certificates, ${name}` : `plainFiles.${name}`;
    folders.push({ path: folder, setting: files.kubelet === undefined ? 'certificatesDir' : 'certDir' });
    if (plain !== undefined) {
      folders.push({ path: dirname(plain.certFile), setting: `${of}: certFile` });
      folders.push({ path: dirname(plain.keyFile), setting: `${of}: keyFile` });
    }
    if (own !== undefined && !isIdentity) folders.push({ path: dirname(own), setting: `${of}: kubeconfig` });
  }
  if (metrics.textfile !== undefined) folders.push({ path: dirname(metrics.textfile), setting: 'metrics.textfile' });
  if (settings.deleteBootstrapKubeconfig)
    folders.push({ path: dirname(settings.bootstrapKubeconfig), setting: 'deleteBootstrapKubeconfig' });
  return folders.filter(({ path }, index) => folders.findIndex((other) => other.path === path) === index);
}
