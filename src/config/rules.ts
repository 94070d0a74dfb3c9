import { basename, dirname } from 'node:path';
import { KUBELET_NAMES } from '../csr/spec.ts';
import { canonicalIpAddress } from '../pki/ip-address.ts';
import { formatIpRange, holdsFamily, rangeHolds } from '../pki/ip-range.ts';
import { givenNames } from '../rotation/rules/names.ts';
import { dotted, type Problem } from './codec.ts';
import { type NamedFile, namedFiles } from './named-files.ts';
import { nearest } from './nearest.ts';
import type { Settings } from './settings.ts';

/** What is wrong with settings that are each fine by themselves. */
export function combinationProblems(settings: Settings): readonly Problem[] {
  return [
    ...folderProblems(settings),
    ...kubeconfigProblems(settings),
    ...serverProblems(settings),
    ...fileProblems(settings),
    ...hookProblems(settings),
    ...metricsProblems(settings),
    ...windowProblems(settings),
    ...nameProblems(settings),
  ];
}

function folderProblems({ certDir, stateDir, runtimeDir, certificatesDir }: Settings): Problem[] {
  const problems: Problem[] = [];
  if (isWithin(certDir, stateDir)) {
    problems.push({ path: ['stateDir'], text: `must not be or hold the cert-dir ${certDir}` });
  }
  // Each of the two is the service's own down to its modes, and a folder of certificates may be meant for others to read.
  for (const [name, path] of [
    ['the cert-dir', certDir],
    ['the state folder', stateDir],
  ] as const) {
    if (isWithin(certificatesDir, path) || isWithin(path, certificatesDir)) {
      problems.push({ path: ['certificatesDir'], text: `must not lie in ${name} ${path}, nor hold it` });
    }
  }
  for (const [name, path] of [
    ['certDir', certDir],
    ['stateDir', stateDir],
    ['certificatesDir', certificatesDir],
  ] as const) {
    if (isWithin(path, runtimeDir)) {
      problems.push({
        path: [name],
        text: `must not lie in the runtime folder ${runtimeDir}, which is empty after a boot`,
      });
    } else if (isWithin(runtimeDir, path)) {
      problems.push({ path: ['runtimeDir'], text: `must not lie in ${path}, whose content is private` });
    }
  }
  return problems;
}

/** A kubeconfig that is left to root, in a folder that the service writes, is not root's. */
function kubeconfigProblems(settings: Settings): Problem[] {
  const { manageKubeconfig, kubeconfig, certDir, stateDir, certificatesDir, caFile } = settings;
  if (manageKubeconfig) return [];
  if (caFile !== undefined)
    return [{ path: ['caFile'], text: 'cannot go with manageKubeconfig: false: root says where the CA is' }];
  const folder = [certDir, stateDir, certificatesDir].find((written) => isWithin(kubeconfig, written));
  if (folder === undefined) return [];
  const text = `must not lie in ${folder} with manageKubeconfig: false: the service writes there`;
  return [{ path: ['kubeconfig'], text }];
}

/** One server twice, and a kubeconfig that cannot follow. */
function serverProblems({ servers, serversFromEndpoints, moveKubeconfigMs, ...settings }: Settings): Problem[] {
  const problems: Problem[] = servers.flatMap((server, index) =>
    servers.findIndex((other) => new URL(other).href === new URL(server).href) < index
      ? [{ path: ['servers', index], text: `${server} is named twice` }]
      : [],
  );
  if (moveKubeconfigMs === undefined) return problems;
  const why =
    servers.length === 0 && !serversFromEndpoints
      ? 'there is no other server: set servers or serversFromEndpoints'
      : !settings.manageKubeconfig
        ? 'root writes the kubeconfig (manageKubeconfig: false), so certlet makes it name no other server'
        : settings.kubelet.restart === 'never'
          ? 'a running kubelet goes on asking the server that it knows, and kubelet.restart is never'
          : undefined;
  return why === undefined ? problems : [...problems, { path: ['moveKubeconfig'], text: why }];
}

/** Two settings that name one file, or a file where certlet keeps something else, would destroy one another. */
function fileProblems(settings: Settings): Problem[] {
  const problems: Problem[] = [];
  const seen: NamedFile[] = [];
  for (const { at, path } of namedFiles(settings)) {
    const clash = seen.map((other) => clashProblem(path, other)).find((text) => text !== undefined);
    if (clash !== undefined) problems.push({ path: at, text: clash });
    seen.push({ at, path });
    const place = occupied(settings, path);
    if (place !== undefined) problems.push({ path: at, text: place });
  }
  return problems;
}

/** A file cannot be another one, nor the folder of it. */
function clashProblem(path: string, other: NamedFile): string | undefined {
  const place = dotted(other.at);
  if (path === other.path) return `is the same file as ${place}`;
  if (isWithin(path, other.path)) return `lies below ${place}, which is a file and no folder`;
  return isWithin(other.path, path) ? `is a file, and ${place} lies below it` : undefined;
}

function occupied({ certDir, stateDir, runtimeDir, specs }: Settings, path: string): string | undefined {
  const keeps = specs.some(({ files: { folder, prefix } }) => {
    const name = basename(path);
    return dirname(path) === folder && name.startsWith(`${prefix}-`) && name.endsWith('.pem');
  });
  if (keeps) return 'is a name that certlet keeps for its combined pairs';
  if (isWithin(path, stateDir)) return `must not lie in the state folder ${stateDir}`;
  if (isWithin(path, runtimeDir)) return `must not lie in the runtime folder ${runtimeDir}`;
  if (isWithin(certDir, path)) return 'is the cert-dir or a folder above it, not a file';
  const inTheWay = specs.find(({ files }) => isWithin(files.folder, path));
  return inTheWay && `is the folder of the ${inTheWay.name} certificate or a folder above it, not a file`;
}

function hookProblems({ hooks, privilegedHooks, specs }: Settings): Problem[] {
  const problems: Problem[] = [];
  const names = [...KUBELET_NAMES, ...specs.map((spec) => spec.name)];
  hooks.forEach((hook, index) => {
    if (hooks.findIndex((other) => other.name === hook.name) < index) {
      problems.push({ path: ['hooks', index, 'name'], text: `${hook.name} is the name of an earlier hook` });
    }
    if (!/^\/[^/]/.test(hook.command[0] ?? '')) {
      problems.push({ path: ['hooks', index, 'command', 0], text: 'expected the absolute path of a program' });
    }
    hook.on.forEach((name, place) => {
      if (names.includes(name)) return;
      const meant = nearest(name, names);
      const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
      problems.push({ path: ['hooks', index, 'on', place], text: `${name} is the name of no certificate${hint}` });
    });
  });
  privilegedHooks.forEach((name, index) => {
    if (privilegedHooks.indexOf(name) < index) {
      problems.push({ path: ['privilegedHooks', index], text: `${name} is named twice` });
    }
  });
  return problems;
}

/** Names that are each fine, and cannot be had together. */
function nameProblems(settings: Settings): Problem[] {
  const { ignoreAddresses, maxNames, nodeIPs, servingNames } = settings;
  const problems: Problem[] = [];
  if (holdsFamily(ignoreAddresses, 'IPv4') && holdsFamily(ignoreAddresses, 'IPv6')) {
    const text = 'ignores every address there is; to take none but those of nodeIP, set addressTypes: [Hostname]';
    problems.push({ path: ['ignoreAddresses'], text });
    return problems;
  }
  ignoreAddresses.forEach((range, index) => {
    const given = [...nodeIPs, ...servingNames].find((name) => rangeHolds(range, name));
    if (given === undefined) return;
    const place = nodeIPs.includes(given) ? 'nodeIP' : 'servingNames';
    const text = `${formatIpRange(range)} holds ${canonicalIpAddress(given) ?? given}, which ${place} asks for`;
    problems.push({ path: ['ignoreAddresses', index], text });
  });
  const given = givenNames(settings);
  if (maxNames !== undefined && given.length > maxNames) {
    const text = `is ${String(maxNames)}, and nodeIP, servingNames and the node's name alone are ${String(given.length)}: ${given.join(', ')}`;
    problems.push({ path: ['maxNames'], text });
  }
  return problems;
}

function metricsProblems({ metrics: { textfile } }: Settings): Problem[] {
  if (textfile === undefined || textfile.endsWith('.prom')) return [];
  return [{ path: ['metrics', 'textfile'], text: 'must end in .prom: node_exporter reads no other file' }];
}

function windowProblems({ kubelet: { restart, restartWindow } }: Settings): Problem[] {
  if (restartWindow === undefined || restart !== 'never') return [];
  return [{ path: ['kubelet', 'restartWindow'], text: 'has no use with restart: never; leave one of the two out' }];
}

/** Whether `path` is `folder` or lies in it. */
function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}
