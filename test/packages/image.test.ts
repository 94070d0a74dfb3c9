/** The OCI archives: read as their format says, and run; arm64's under qemu-user through a whole bootstrap. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { NodeFolder } from '../integration/program.ts';
import { packageNamed } from './fixtures/booted.ts';

interface Blob {
  readonly digest: string;
  readonly size: number;
}
interface Config {
  readonly architecture: string;
  readonly config: { readonly Entrypoint: readonly string[]; readonly Env: readonly string[]; readonly User: string };
  readonly rootfs: { readonly diff_ids: readonly string[] };
}
interface Image {
  readonly root: string;
  /** For what a node has; empty. */
  readonly node: string;
  readonly config: Config;
}

const sha256 = (content: Buffer): string => `sha256:${createHash('sha256').update(content).digest('hex')}`;

/** Unpacks an archive as a runtime does, holding every digest and size against its content. */
function unpack(t: Test, architecture: string): Image {
  const folder = t.testdir({ layout: {}, root: {}, node: {} });
  const layout = join(folder, 'layout');
  execFileSync('tar', ['-xf', packageNamed(new RegExp(`${architecture}\\.oci\\.tar$`)), '-C', layout]);
  const json = (path: string): unknown => JSON.parse(readFileSync(join(layout, path), 'utf8'));
  const file = ({ digest }: Pick<Blob, 'digest'>): string => `blobs/${digest.replace(':', '/')}`;
  const holds = (blob: Blob): void => {
    const content = readFileSync(join(layout, file(blob)));
    t.strictSame({ digest: sha256(content), size: content.length }, { digest: blob.digest, size: blob.size });
  };
  t.strictSame(json('oci-layout'), { imageLayoutVersion: '1.0.0' });
  const { manifests } = json('index.json') as { manifests: readonly [Blob & { platform: object }] };
  t.match(manifests[0].platform, { architecture, os: 'linux' });
  holds(manifests[0]);
  const manifest = json(file(manifests[0])) as { config: Blob; layers: readonly [Blob] };
  holds(manifest.config);
  holds(manifest.layers[0]);
  const config = json(file(manifest.config)) as Config;
  const layer = join(layout, file(manifest.layers[0]));
  t.equal(sha256(execFileSync('gzip', ['-dc', layer], { maxBuffer: 2 ** 30 })), config.rootfs.diff_ids[0]);
  const docker = json('manifest.json') as readonly [
    { Config: string; Layers: readonly string[]; RepoTags: readonly string[] },
  ];
  t.strictSame(
    [docker[0].Config, ...docker[0].Layers],
    [file(manifest.config), file(manifest.layers[0])],
    'for docker load',
  );
  execFileSync('tar', ['-xzf', layer, '--no-same-owner', '-C', join(folder, 'root')]);
  return { root: join(folder, 'root'), node: join(folder, 'node'), config };
}

t.test('amd64: an image of certlet and the libraries that it needs', async (t) => {
  const { root, config } = unpack(t, 'amd64');
  t.match(config, { architecture: 'amd64', config: { User: '65532:65532' } });
  for (const shell of ['bin/sh', 'usr/bin/sh']) t.notOk(existsSync(join(root, shell)), 'no shell');
  t.match(readFileSync(join(root, 'usr/share/doc/certlet/sbom.cdx.json'), 'utf8'), 'pkg:deb/debian/libc6@');
  t.match(
    readFileSync(join(root, 'usr/share/doc/certlet/THIRD-PARTY-LICENSES'), 'utf8'),
    /^libstdc\+\+6 .*\(Debian\)$/m,
  );
  if (process.getuid?.() !== 0) {
    t.pass('the image runs', { skip: 'needs root' });
    return;
  }
  mkdirSync(join(root, 'dev'), { recursive: true });
  const told = spawnSync(
    '/usr/sbin/chroot',
    ['--userspec=65532:65532', root, ...config.config.Entrypoint, '--version'],
    {
      encoding: 'utf8',
      env: Object.fromEntries(config.config.Env.map((line) => line.split('=', 2))) as Record<string, string>,
    },
  );
  t.match(told, { status: 0, stdout: /^certlet \d/ }, told.stderr);
});

const qemu = spawnSync('qemu-aarch64-static', ['--version']).error === undefined;

t.test(
  'arm64: a whole bootstrap under qemu-user',
  { skip: qemu ? false : 'no qemu-aarch64-static (apt-get install qemu-user-static)' },
  async (t) => {
    const { root, node: nodeFolder, config } = unpack(t, 'arm64');
    const cluster = await startFakeCluster({ approveServing: true });
    t.teardown(() => cluster.close());
    const folder = new NodeFolder(nodeFolder);
    folder.writeSettings();
    folder.writeBootstrap(cluster.bootstrapKubeconfig());
    const [node = '', ...words] = config.config.Entrypoint.map((word) =>
      word.startsWith('/usr/') ? join(root, word) : word,
    );
    const child = spawn(
      'qemu-aarch64-static',
      ['-L', root, node, ...words, 'once', '--config', folder.file('config.yaml')],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    const said: string[] = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => said.push(data.toString()));
    const status = await new Promise<number | null>((done) => child.once('close', done));
    t.equal(status, 0, said.join(''));
    t.match(
      new X509Certificate(readFileSync(folder.file('pki/kubelet-client-current.pem'))).subject,
      'CN=system:node:n1',
    );
    t.ok(folder.current('serving'), 'the serving certificate too');
    t.ok(existsSync(folder.file('kubelet.conf')));
  },
);
