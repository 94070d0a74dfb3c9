/**
 * Lays the program out as it stands on a host: `npm run stage -- DIR`, and prints how root installs it, and how root upgrades it, also while it runs,
 * which leaves the settings alone. The same sources give the same bytes on every machine, whatever else is installed there; with SOURCE_DATE_EPOCH
 * the same times too.
 */
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { shellWord } from '../../src/adapters/file-errors.ts';
import { completionScript } from '../../src/cli/completion.ts';
import { bundle, BUNDLES, NODE_FLAGS } from './bundle.ts';
import { thirdPartyLicenses } from './licenses.ts';
import { programPage, settingsPage } from './man.ts';
import { sbom } from './sbom.ts';
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

const KUBELET_UNIT = `# The kubelet's unit, for certlet-kubelet-restart.service; kubelet.unit in config.yaml should say the same.
# KUBELET_UNIT=k3s-agent.service
`;

/** Fills `folder`, which may hold an earlier stage. */
export async function stage(folder: string): Promise<void> {
  const at = (path: string): string => join(folder, path);
  rmSync(at('usr/lib/certlet'), { recursive: true, force: true });
  mkdirSync(at('usr/lib/certlet'), { recursive: true });
  for (const { entry, file } of BUNDLES) await bundle(entry, at(`usr/lib/certlet/${file}`));
  stageNode(at('usr/lib/certlet/node'));
  text(at('usr/bin/certlet'), LAUNCHER, 0o755);
  text(at('usr/lib/certlet/certlet-cache'), CACHE_BUILDER, 0o755);
  stageUnits(at);
  stageSettings(at);
  stageDocuments(at);
  settleModesAndTimes(folder);
}

function stageNode(target: string): void {
  const source = join(root, `node_modules/node-linux-${process.arch}/bin/node`);
  if (!existsSync(source)) throw new Error(`no Node for ${process.arch} in node_modules: npm ci`);
  writeFileSync(target, stripElf(readFileSync(source)));
  chmodSync(target, 0o755);
}

function stageUnits(at: (path: string) => string): void {
  const units = join(root, 'systemd');
  for (const name of readdirSync(units).filter((name) => /\.(service|timer|path)$/.test(name)))
    file(join(units, name), at(`usr/lib/systemd/system/${name}`));
  for (const folder of ['tmpfiles.d', 'sysusers.d'])
    for (const name of readdirSync(join(units, folder)))
      file(join(units, folder, name), at(`usr/lib/${folder}/${name}`));
  tree(join(units, 'drop-ins'), at('usr/share/certlet/drop-ins'));
}

function stageSettings(at: (path: string) => string): void {
  file(join(root, 'config/config.example.yaml'), at('etc/certlet/config.yaml'));
  text(at('etc/certlet/kubelet-unit.env'), KUBELET_UNIT, 0o644);
  file(join(root, 'config/config.schema.json'), at('usr/share/certlet/config.schema.json'));
  file(join(root, 'config/status.schema.json'), at('usr/share/certlet/status.schema.json'));
  for (const folder of ['rbac', 'approver', 'certificates', 'prometheus', 'grafana'])
    tree(join(root, 'config', folder), at(`usr/share/certlet/${folder}`));
}

function stageDocuments(at: (path: string) => string): void {
  text(at('usr/share/man/man8/certlet.8'), programPage(), 0o644);
  text(at('usr/share/man/man5/certlet-config.5'), settingsPage(), 0o644);
  text(at('usr/share/bash-completion/completions/certlet'), completionScript('bash'), 0o644);
  text(at('usr/share/zsh/vendor-completions/_certlet'), completionScript('zsh'), 0o644);
  text(at('usr/share/fish/vendor_completions.d/certlet.fish'), completionScript('fish'), 0o644);
  file(join(root, 'LICENSE'), at('usr/share/doc/certlet/LICENSE'));
  text(at('usr/share/doc/certlet/THIRD-PARTY-LICENSES'), thirdPartyLicenses(), 0o644);
  for (const name of ['README.md', 'CHANGELOG.md', 'SECURITY.md'])
    file(join(root, name), at(`usr/share/doc/certlet/${name}`));
  tree(join(root, 'docs'), at('usr/share/doc/certlet/docs'));
  text(at('usr/share/doc/certlet/sbom.cdx.json'), sbom(), 0o644);
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
    `  new:     cp -r --no-preserve=ownership ${word}/. /`,
    `  upgrade: cp -r --no-preserve=ownership --remove-destination ${word}/usr/. /usr/   # the settings stay`,
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
