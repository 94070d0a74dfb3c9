import { join } from 'node:path';
import type { CertificateSpec } from '../csr/spec.ts';
import { dotted, type SettingPath } from './codec.ts';
import type { Settings } from './settings.ts';

/** A file that the settings name, and the place there. */
export interface NamedFile {
  readonly at: SettingPath;
  readonly path: string;
  /** Whose it is, where certlet writes it for one certificate. */
  readonly certificate?: string;
}

/** Every single file that the settings name, in their order. */
export function namedFiles(settings: Settings): readonly NamedFile[] {
  const { metrics, source } = settings;
  const files: NamedFile[] = source === undefined ? [] : [{ at: ['the settings file'], path: source }];
  files.push({ at: ['bootstrapKubeconfig'], path: settings.bootstrapKubeconfig });
  files.push({ at: ['kubeconfig'], path: settings.kubeconfig });
  if (settings.caFile !== undefined) files.push({ at: ['caFile'], path: settings.caFile });
  for (const { at, spec } of placedSpecs(settings)) {
    const { plain } = spec.files;
    if (plain !== undefined) {
      files.push({ at: [...at.plain, 'certFile'], path: plain.certFile, certificate: spec.name });
      files.push({ at: [...at.plain, 'keyFile'], path: plain.keyFile, certificate: spec.name });
    }
    if (spec.kubeconfig !== undefined && !spec.isIdentity) {
      files.push({ at: [...at.entry, 'kubeconfig'], path: spec.kubeconfig, certificate: spec.name });
    }
  }
  if (metrics.textfile !== undefined) files.push({ at: ['metrics', 'textfile'], path: metrics.textfile });
  return files;
}

/** The same with what certlet names by itself, the link of each certificate, and with places as people read them. */
export function filesOnDisk(
  settings: Settings,
): readonly { readonly path: string; readonly setting: string; readonly certificate?: string | undefined }[] {
  const links = placedSpecs(settings).map(({ at, spec: { name, files } }) => ({
    path: join(files.folder, `${files.prefix}-current.pem`),
    setting: files.kubelet === undefined ? `${dotted(at.entry)} (${name})` : 'certDir',
    certificate: name,
  }));
  const named = namedFiles(settings).map(({ at, path, certificate }) => ({
    path,
    setting: certificate === undefined ? dotted(at) : `${dotted(at)} (${certificate})`,
    certificate,
  }));
  return [...links, ...named];
}

/** Each certificate with the places of the settings that say where its files are. */
function placedSpecs(settings: Settings): readonly {
  readonly spec: CertificateSpec;
  readonly at: { readonly entry: SettingPath; readonly plain: SettingPath };
}[] {
  const entries = settings.specs.filter(({ files }) => files.kubelet === undefined);
  return settings.specs.map((spec) => {
    const entry: SettingPath = ['certificates', entries.indexOf(spec)];
    return { spec, at: { entry, plain: spec.files.kubelet === undefined ? entry : ['plainFiles', spec.name] } };
  });
}
