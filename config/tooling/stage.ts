/**
 * Lays the program out as it stands on a host: `npm run stage -- DIR`, and prints how root installs or upgrades it there, also while it runs. The
 * same sources give the same bytes on every machine, whatever else is installed there; with SOURCE_DATE_EPOCH
 * the same times too.
 */
import {
  chmodSync,
  closeSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { shellWord } from '../../src/remedy.ts';
import { completionScript } from '../../src/cli/completion.ts';
import { bundle, BUNDLES, NODE_FLAGS } from './bundle.ts';
import { thirdPartyLicenses } from './licenses.ts';
import { programPage, settingsPage } from './man.ts';
import { sbom, shippedPackages } from './sbom.ts';
import { stripElf } from './strip-elf.ts';

const root = resolve(import.meta.dirname, '../..');

/** No core dump of a process that holds keys; nothing of the caller's environment may change how the program's own Node runs; the rest keeps a small host's memory small. */
const LAUNCHER = `#!/bin/sh
ulimit -c 0
unset NODE_OPTIONS NODE_PATH NODE_EXTRA_CA_CERTS NODE_TLS_REJECT_UNAUTHORIZED NODE_V8_COVERAGE NODE_COMPILE_CACHE NODE_DEBUG NODE_DEBUG_NATIVE
export MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=65536 UV_THREADPOOL_SIZE=2
exec /usr/lib/certlet/node ${NODE_FLAGS.join(' ')} /usr/lib/certlet/start.cjs "$@"
`;

/** Compiles the programs for this host's Node, with the flags of the launcher. Packages run it when they are installed. */
const CACHE_BUILDER = `#!/bin/sh
exec /usr/lib/certlet/node ${NODE_FLAGS.join(' ')} /usr/lib/certlet/build-cache.cjs
`;

const KUBELET_UNIT = `# The kubelet's unit, for certlet-kubelet-restart.service: /etc/certlet/kubelet-unit.env. kubelet.unit in config.yaml should say the same.
# KUBELET_UNIT=k3s-agent.service
`;

const PIECE_BYTES = 32 * 1024;

/** For whom it is laid out. */
export interface StageTarget {
  /** As Node names it: `x64`, `arm64`. */
  readonly architecture: string;
  /** Folder of the npm package with the Node for it. */
  readonly nodePackage: string;
}

/** This machine's architecture, with the Node of `npm ci`. */
export const hostTarget = (): StageTarget => ({
  architecture: process.arch,
  nodePackage: join(root, `node_modules/node-linux-${process.arch}`),
});

/** Fills `folder`, which may hold an earlier stage. Everything is below `usr`: settings are their owner's. */
export async function stage(folder: string, target: StageTarget = hostTarget()): Promise<void> {
  const at = (path: string): string => join(folder, path);
  rmSync(at('usr/lib/certlet'), { recursive: true, force: true });
  mkdirSync(at('usr/lib/certlet'), { recursive: true });
  for (const { entry, file, ...options } of BUNDLES) await bundle(entry, at(`usr/lib/certlet/${file}`), options);
  stageNode(at('usr/lib/certlet/node'), target);
  text(at('usr/bin/certlet'), LAUNCHER, 0o755);
  text(at('usr/lib/certlet/certlet-cache'), CACHE_BUILDER, 0o755);
  stageUnits(at);
  stageSettings(at);
  stageDocuments(at, target);
  settleModesAndTimes(folder);
}

function stageNode(path: string, { architecture, nodePackage }: StageTarget): void {
  const source = join(nodePackage, 'bin/node');
  if (!existsSync(source)) throw new Error(`no Node for ${architecture} in ${nodePackage}: npm ci`);
  inPieces(path, stripElf(readFileSync(source)));
  chmodSync(path, 0o755);
}

/**
 * As dpkg and tar write. Of a program that was written in one go Linux maps two megabytes at a time as long as it stays in the disk's cache: a
 * Node that does nothing then has 36 MB more resident, and what is measured here is not what a host has.
 */
function inPieces(path: string, content: Uint8Array): void {
  const target = openSync(path, 'w');
  try {
    for (let at = 0; at < content.length; at += PIECE_BYTES)
      writeFileSync(target, content.subarray(at, at + PIECE_BYTES));
  } finally {
    closeSync(target);
  }
}

function stageUnits(at: (path: string) => string): void {
  const units = join(root, 'systemd');
  for (const name of readdirSync(units).filter((name) => /\.(service|timer|path)$/.test(name)))
    file(join(units, name), at(`usr/lib/systemd/system/${name}`));
  for (const folder of ['tmpfiles.d', 'sysusers.d', 'system-preset'])
    for (const name of readdirSync(join(units, folder)))
      file(
        join(units, folder, name),
        at(`usr/lib/${folder === 'system-preset' ? `systemd/${folder}` : folder}/${name}`),
      );
  tree(join(units, 'drop-ins'), at('usr/share/certlet/drop-ins'));
}

function stageSettings(at: (path: string) => string): void {
  file(join(root, 'config/config.example.yaml'), at('usr/share/certlet/config.example.yaml'));
  text(at('usr/share/certlet/kubelet-unit.example.env'), KUBELET_UNIT, 0o644);
  file(join(root, 'config/config.schema.json'), at('usr/share/certlet/config.schema.json'));
  file(join(root, 'config/status.schema.json'), at('usr/share/certlet/status.schema.json'));
  for (const folder of ['rbac', 'approver', 'certificates', 'prometheus', 'grafana'])
    tree(join(root, 'config', folder), at(`usr/share/certlet/${folder}`));
}

function stageDocuments(at: (path: string) => string, { architecture, nodePackage }: StageTarget): void {
  const isNode = (name: string): boolean => name === `node-linux-${architecture}`;
  const shipped = shippedPackages(architecture).map((entry) =>
    isNode(entry.name) ? { ...entry, place: nodePackage } : entry,
  );
  text(at('usr/share/man/man8/certlet.8'), programPage(), 0o644);
  text(at('usr/share/man/man5/certlet-config.5'), settingsPage(), 0o644);
  text(at('usr/share/bash-completion/completions/certlet'), completionScript('bash'), 0o644);
  text(at('usr/share/zsh/vendor-completions/_certlet'), completionScript('zsh'), 0o644);
  text(at('usr/share/fish/vendor_completions.d/certlet.fish'), completionScript('fish'), 0o644);
  file(join(root, 'LICENSE'), at('usr/share/doc/certlet/LICENSE'));
  text(at('usr/share/doc/certlet/THIRD-PARTY-LICENSES'), thirdPartyLicenses(shipped), 0o644);
  for (const name of ['README.md', 'CHANGELOG.md', 'SECURITY.md'])
    file(join(root, name), at(`usr/share/doc/certlet/${name}`));
  tree(join(root, 'docs'), at('usr/share/doc/certlet/docs'));
  text(at('usr/share/doc/certlet/sbom.cdx.json'), sbom(architecture), 0o644);
}

function file(source: string, target: string): void {
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(source, target);
  chmodSync(target, 0o644);
}

function text(target: string, content: string, mode: number): void {
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, content);
  chmodSync(target, mode);
}

function tree(source: string, target: string): void {
  rmSync(target, { recursive: true, force: true });
  cpSync(source, target, { recursive: true });
}

/** Programs, which alone may be run. */
const PROGRAMS = ['usr/bin/certlet', 'usr/lib/certlet/node', 'usr/lib/certlet/certlet-cache'];

/** Modes do not depend on who stages, nor on the umask of the checkout; times on SOURCE_DATE_EPOCH alone: https://reproducible-builds.org/specs/source-date-epoch/ */
function settleModesAndTimes(folder: string): void {
  const epoch = process.env['SOURCE_DATE_EPOCH'];
  const below = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path));
  const programs = PROGRAMS.map((path) => join(folder, path));
  for (const path of [folder, ...below])
    chmodSync(path, statSync(path).isDirectory() || programs.includes(path) ? 0o755 : 0o644);
  if (epoch !== undefined) for (const path of [...below, folder]) utimesSync(path, Number(epoch), Number(epoch));
}

/** As in docs/install.md. */
function nextSteps(folder: string): string {
  const word = shellWord(folder);
  return [
    `${folder}: certlet as it stands on a host; as root there:`,
    `  cp -r --no-preserve=ownership --remove-destination ${word}/usr/. /usr/   # also while it runs`,
  ].join('\n');
}

if (import.meta.main) {
  const [folder = '-', ...rest] = process.argv.slice(2);
  if (folder.startsWith('-') || rest.length > 0) {
    console.error('usage: npm run stage -- DIR');
    process.exitCode = 64;
  } else {
    await stage(resolve(folder));
    console.log(nextSteps(resolve(folder)));
  }
}
