/**
 * The image for the cluster's side as an archive that `docker load`, `podman load`, `ctr image import` and `skopeo` read, made without a daemon.
 * https://github.com/opencontainers/image-spec/blob/main/image-layout.md; `manifest.json` beside it is what older Dockers look for.
 */
import { chmodSync, copyFileSync, cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { tarOf } from './archive.ts';
import type { Architecture } from './architecture.ts';
import type { Build } from './build.ts';
import { copyLibraries, documentLibraries, libraryPath, type LibraryList, RUNTIME_LIBRARIES } from './libraries.ts';
import { sha256 } from './sums.ts';
import { put, settleTimes } from './tree.ts';

/** All that there is besides certlet: no shell, no package manager. */
const IMAGE_LIBRARIES: LibraryList = {
  ...RUNTIME_LIBRARIES,
  libc6: ['libc.so.6', 'libm.so.6', 'libdl.so.2', 'libpthread.so.0'],
};
const USER_ID = 65_532;
const CARRIED = ['usr/lib/certlet', 'usr/share/certlet/rbac', 'usr/share/doc/certlet'];

interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** Gives the name of the file that it wrote. */
export async function makeOciArchive(build: Build): Promise<readonly string[]> {
  const { architecture, epochSeconds, output, version, work } = build;
  const rootfs = join(work, 'rootfs');
  fillRoot(rootfs, build);
  await documentLibraries(IMAGE_LIBRARIES, architecture, rootfs);
  settleTimes(rootfs, epochSeconds);
  const tar = join(work, 'layer.tar');
  await tarOf(rootfs, tar, epochSeconds);
  const layer = readFileSync(tar);
  const layout = join(work, 'oci');
  const blob = (mediaType: string, content: Buffer | string): Blob => {
    put(join(layout, 'blobs/sha256', sha256(content)), content);
    return { mediaType, digest: `sha256:${sha256(content)}`, size: Buffer.byteLength(content) };
  };
  const compressed = gzipSync(layer, { level: build.quick ? 1 : 9 });
  const layers = [blob('application/vnd.oci.image.layer.v1.tar+gzip', compressed)];
  const config = blob('application/vnd.oci.image.config.v1+json', imageConfig(build, `sha256:${sha256(layer)}`));
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = blob(mediaType, JSON.stringify({ schemaVersion: 2, mediaType, config, layers }));
  const tag = `certlet:${version}`;
  const annotations = {
    'org.opencontainers.image.ref.name': version,
    'io.containerd.image.name': `docker.io/library/${tag}`,
  };
  const platform = { architecture: architecture.debian, os: 'linux' };
  const index = { schemaVersion: 2, manifests: [{ ...manifest, platform, annotations }] };
  put(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  put(join(layout, 'index.json'), JSON.stringify(index));
  const path = ({ digest }: Blob): string => `blobs/sha256/${digest.slice('sha256:'.length)}`;
  put(
    join(layout, 'manifest.json'),
    JSON.stringify([{ Config: path(config), RepoTags: [tag], Layers: layers.map(path) }]),
  );
  settleTimes(layout, epochSeconds);
  const name = `certlet-${version}-${architecture.debian}.oci.tar`;
  await tarOf(layout, join(output, name), epochSeconds);
  return [name];
}

function fillRoot(rootfs: string, { architecture, tree }: Build): void {
  for (const folder of CARRIED) cpSync(join(tree, folder), join(rootfs, folder), { recursive: true });
  copyLibraries(IMAGE_LIBRARIES, architecture, join(rootfs, 'usr/lib', architecture.triplet));
  addLoader(rootfs, architecture);
  put(
    join(rootfs, 'etc/passwd'),
    `root:x:0:0::/:/nologin\ncertlet:x:${String(USER_ID)}:${String(USER_ID)}::/:/nologin\n`,
  );
  put(join(rootfs, 'etc/group'), `root:x:0:\ncertlet:x:${String(USER_ID)}:\n`);
  put(join(rootfs, 'etc/nsswitch.conf'), 'hosts: files dns\n');
  mkdirSync(join(rootfs, 'tmp'));
  chmodSync(join(rootfs, 'tmp'), 0o1777);
}

/** The loader where programs look for it, by the links of a merged /usr. */
function addLoader(rootfs: string, architecture: Architecture): void {
  const path = join(rootfs, 'usr', architecture.loader);
  mkdirSync(dirname(path), { recursive: true });
  copyFileSync(libraryPath(architecture.loader.split('/').at(-1) ?? '', architecture), path);
  chmodSync(path, 0o755);
  for (const link of ['lib', 'lib64']) {
    mkdirSync(join(rootfs, 'usr', link), { recursive: true });
    symlinkSync(`usr/${link}`, join(rootfs, link));
  }
}

/** https://github.com/opencontainers/image-spec/blob/main/config.md: runs what the launcher runs, as nobody in particular. */
function imageConfig({ architecture, epochSeconds, tree, version }: Build, layer: string): string {
  const { environment, command } = launch(readFileSync(join(tree, 'usr/bin/certlet'), 'utf8'));
  const created = new Date(epochSeconds * 1000).toISOString();
  return JSON.stringify({
    created,
    architecture: architecture.debian,
    os: 'linux',
    config: {
      User: `${String(USER_ID)}:${String(USER_ID)}`,
      Env: ['PATH=/usr/lib/certlet', ...environment],
      Entrypoint: command,
      Cmd: ['--help'],
      WorkingDir: '/',
      Labels: { 'org.opencontainers.image.version': version, 'org.opencontainers.image.licenses': 'Apache-2.0' },
    },
    rootfs: { type: 'layers', diff_ids: [layer] },
    history: [{ created, created_by: 'npm run package' }],
  });
}

/** What the launcher's shell would do: variables and the command line before the user's words. Throws where the launcher has another form. */
export function launch(launcher: string): {
  readonly environment: readonly string[];
  readonly command: readonly string[];
} {
  const environment = /^export (.*)$/m.exec(launcher)?.[1]?.split(' ');
  const command = /^exec (.*) "\$@"$/m.exec(launcher)?.[1]?.split(' ');
  if (environment === undefined || command === undefined) throw new Error(`the launcher is another:\n${launcher}`);
  return { environment, command };
}
