import { execFile } from 'node:child_process';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { isCertletError, isDefect } from '../errors.ts';
import { parseYaml } from '../kubeconfig/yaml.ts';
import { isShellCommand, KUBELET_DROP_IN_NAMES, type KubeletUnit } from '../kubelet/adopted-files.ts';
import { type Distribution, type HostProcess, kubeletArguments } from '../kubelet/distribution.ts';
import {
  type KubeletConfiguration,
  type KubeletFacts,
  kubeletFacts,
  mergeConfigurations,
  minorOf,
  readKubeletConfiguration,
  versionIn,
} from '../kubelet/facts.ts';
import { flagText, parseKubeletFlags } from '../kubelet/flags.ts';
import { type KubeconfigUser, kubeconfigNames, kubeconfigUser } from '../kubelet/kubeconfig-user.ts';
import { parseChain } from '../pki/certificate.ts';
import { errnoOf } from './file-errors.ts';
import { NodeFileSystem } from './file-system.ts';
import { HostFiles } from './host-files.ts';
import { findDistribution, readProcesses } from './host-processes.ts';
import { checkProgramSafety } from './kubeconfig-safety.ts';
import { type InstalledKubelet, readArgumentsFile, readInstalledKubelet } from './installed-kubelet.ts';

export interface HostKubeletOptions {
  /** Folder that stands for `/`. */
  readonly root: string;
  /** The kubelet's service, such as `kubelet.service`. */
  readonly unit: string;
  /** A version that is known already. */
  readonly version?: string;
  /** What `<program> --version` prints; undefined when it cannot be run. */
  readonly askVersion: (program: readonly string[]) => Promise<string | undefined>;
  /** `foreign` (unless told): without the drop-ins that adopting writes, as it was before; `all`: as it starts now. */
  readonly dropIns?: 'foreign' | 'all';
}

/** The kubelet of a host: how it will start next, and how it runs now. */
export interface HostKubelet {
  readonly hostname: string;
  readonly distribution: Distribution | undefined;
  readonly unit: KubeletUnit | undefined;
  readonly running: { readonly pid: number; readonly arguments: readonly string[] } | undefined;
  /** As it will start next; the running one's where there is no unit. Undefined when no kubelet was found. */
  readonly arguments: readonly string[] | undefined;
  readonly facts: KubeletFacts | undefined;
  readonly version: string | undefined;
  readonly clientCommonName: string | undefined;
  readonly kubeconfigEmbedsCertificate: boolean;
  /** Files that its kubeconfigs name, with relative names resolved. */
  readonly kubeconfigNames: readonly string[];
  /** Names of what lies in its cert-dir. */
  readonly certDirNames: readonly string[];
  /** What it runs with; where none runs, what its unit with every drop-in would start it with. */
  readonly effective: readonly string[] | undefined;
  /** Files that were read to find this out. */
  readonly sources: readonly string[];
  /** What could not be read or does not fit together. */
  readonly warnings: readonly HostWarning[];
}

/** `unreadable`: for want of permission. `differs`: the kubelet runs otherwise than it would start now. */
export interface HostWarning {
  readonly kind: 'unreadable' | 'differs';
  /** One sentence for a person. */
  readonly text: string;
}

/** Finds the kubelet of this host by its unit, its process and its configuration. Changes nothing. Throws `ERR_CONFIG_INVALID` for a configuration file that is no YAML. */
export async function readHostKubelet(options: HostKubeletOptions): Promise<HostKubelet> {
  const files = new HostFiles(options.root);
  const ignored = options.dropIns === 'all' ? [] : KUBELET_DROP_IN_NAMES;
  const found = await locate(files, options.unit, ignored);
  const version = options.version ?? versionIn((await options.askVersion(found.program)) ?? '');
  const configured = await readFacts(files, found.arguments, minorOf(version));
  const identity = await readIdentity(files, configured.facts);
  return {
    hostname: ((await files.read('/proc/sys/kernel/hostname')) ?? '').trim(),
    distribution: found.distribution,
    unit: found.unit,
    running: found.running,
    arguments: found.arguments,
    facts: configured.facts,
    version,
    ...identity,
    kubeconfigNames: await readNames(files, configured.facts),
    certDirNames: configured.facts === undefined ? [] : await files.list(configured.facts.certDir),
    effective: found.running?.arguments ?? found.effective,
    sources: [...found.sources, ...configured.sources],
    warnings: [...files.refused.map(unreadableFile), ...found.warnings],
  };
}

const unreadableFile = (path: string): HostWarning => ({
  kind: 'unreadable',
  text: `${path} could not be read: run as root`,
});

interface Located
  extends Pick<HostKubelet, 'distribution' | 'unit' | 'running' | 'arguments' | 'sources' | 'warnings'> {
  readonly program: readonly string[];
  /** With every drop-in. */
  readonly effective: readonly string[] | undefined;
}

/** By the unit of that name, else by that of the running kubelet, else by its process, else by the distribution's own file. */
async function locate(files: HostFiles, unitName: string, ignored: readonly string[]): Promise<Located> {
  const processes = await readProcesses(files);
  const running = runningKubelet(processes);
  const installed = await findInstalled(files, [unitName, running?.unit], ignored);
  if (installed !== undefined) return await installedAndRunning(files, installed, running);
  const distribution = await findDistribution(files, processes);
  const args = running?.arguments ?? (await readArgumentsFile(files, distribution));
  return {
    distribution,
    unit: undefined,
    running,
    arguments: args,
    sources: [],
    warnings: [],
    program: running?.program ?? [],
    effective: args,
  };
}

async function installedAndRunning(
  files: HostFiles,
  installed: InstalledKubelet,
  running: RunningKubelet | undefined,
): Promise<Located> {
  const { unit, sources } = installed;
  // What a shell makes of its words is not known; what runs is.
  const seen = isShellCommand(unit.execStart) || unit.script !== undefined ? running : undefined;
  // Compared with certlet's own drop-in: what a kubelet was started with after an adoption is no surprise.
  const now = await readInstalledKubelet(files, unit.name, []);
  const warnings = difference(seen === undefined ? now?.arguments : undefined, running?.arguments);
  const { arguments: args, program } = seen ?? installed;
  const effective = now?.arguments;
  return { distribution: undefined, unit, running, arguments: args, sources, warnings, program, effective };
}

interface RunningKubelet {
  readonly pid: number;
  readonly unit: string | undefined;
  /** Words that run it, up to its flags. */
  readonly program: readonly string[];
  readonly arguments: readonly string[];
}

function runningKubelet(processes: readonly HostProcess[]): RunningKubelet | undefined {
  for (const { pid, unit, argv } of processes) {
    const args = kubeletArguments(argv);
    if (args !== undefined) return { pid, unit, program: argv.slice(0, argv.length - args.length), arguments: args };
  }
  return undefined;
}

async function findInstalled(
  files: HostFiles,
  names: readonly (string | undefined)[],
  ignored: readonly string[],
): Promise<InstalledKubelet | undefined> {
  for (const name of names) {
    const installed = await readInstalledKubelet(files, name, ignored);
    if (installed !== undefined) return installed;
  }
  return undefined;
}

/**
 * Runs `<program> --version`; a kubelet answers at once and touches nothing. Wrappers of another name are not run: they might start one.
 * A program that another user could change is not run either.
 */
export async function askKubeletVersion(program: readonly string[]): Promise<string | undefined> {
  const [path, ...words] = program;
  if (path === undefined || !isAbsolute(path) || !['kubelet', 'hyperkube'].includes(basename(path))) return undefined;
  try {
    await checkProgramSafety(new NodeFileSystem(), path, { uid: process.geteuid?.() ?? 0, searchPath: '' });
    const { stdout } = await promisify(execFile)(path, [...words, '--version'], {
      timeout: 5000,
      // Nothing of ours: a service's environment may hold a proxy's password.
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' },
    });
    return stdout;
  } catch (error) {
    if (isDefect(error) && errnoOf(error) === undefined) throw error;
    // Not there, not safe or not for this machine: the version stays unknown, which is said.
    return undefined;
  }
}

interface Configured {
  readonly facts: KubeletFacts | undefined;
  readonly sources: readonly string[];
}

/** Flags over the files of `--config-dir` (kubelet 1.28 and later, by name) over the file of `--config`. */
async function readFacts(
  files: HostFiles,
  args: readonly string[] | undefined,
  minor: number | undefined,
): Promise<Configured> {
  if (args === undefined) return { facts: undefined, sources: [] };
  const flags = parseKubeletFlags(args);
  const file = flagText(flags, 'config');
  const folder = flagText(flags, 'config-dir') ?? '';
  const names = folder === '' ? [] : (await files.list(folder)).filter((name) => name.endsWith('.conf'));
  const read: KubeletConfiguration[] = [];
  const sources: string[] = [];
  for (const path of [...(file === undefined ? [] : [file]), ...names.map((name) => join(folder, name))]) {
    const text = await files.read(path);
    if (text === undefined) continue;
    read.push(readKubeletConfiguration(parseYaml(text, path, 'ERR_CONFIG_INVALID').value, path));
    sources.push(path);
  }
  return { facts: kubeletFacts(flags, mergeConfigurations(read), minor), sources };
}

/** What both kubeconfigs name, as far as they can be read. */
async function readNames(files: HostFiles, facts: KubeletFacts | undefined): Promise<readonly string[]> {
  const names: string[] = [];
  for (const path of [facts?.kubeconfig, facts?.bootstrapKubeconfig]) {
    const text = path === undefined ? undefined : await files.read(path);
    if (path === undefined || text === undefined) continue;
    const named = kubeconfigNames(tolerant(() => parseYaml(text, path).value));
    names.push(...named.map((name) => (isAbsolute(name) ? name : join(dirname(path), name))));
  }
  return names;
}

type Identity = Pick<HostKubelet, 'clientCommonName' | 'kubeconfigEmbedsCertificate'>;

/** Whose certificate the node uses now: the rotated one where there is one, else what the kubeconfig names. */
async function readIdentity(files: HostFiles, facts: KubeletFacts | undefined): Promise<Identity> {
  if (facts === undefined) return { clientCommonName: undefined, kubeconfigEmbedsCertificate: false };
  const user = await readUser(files, facts.kubeconfig);
  const pem =
    (await files.read(join(facts.certDir, 'kubelet-client-current.pem'))) ?? (await readCertificate(files, user));
  const chain = pem === undefined ? undefined : tolerant(() => parseChain(pem));
  return { clientCommonName: chain?.leaf.commonName, kubeconfigEmbedsCertificate: user?.embedded ?? false };
}

async function readUser(files: HostFiles, path: string | undefined): Promise<KubeconfigUser | undefined> {
  const text = path === undefined ? undefined : await files.read(path);
  return text === undefined ? undefined : kubeconfigUser(tolerant(() => parseYaml(text, path ?? '').value));
}

async function readCertificate(files: HostFiles, user: KubeconfigUser | undefined): Promise<string | undefined> {
  if (user?.certificatePath === undefined) return user?.certificatePem;
  return files.read(user.certificatePath);
}

/** What is broken here is not what adopting is about; certlet moves it aside when it starts. */
function tolerant<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isCertletError(error)) return undefined;
    throw error;
  }
}

function difference(
  installed: readonly string[] | undefined,
  running: readonly string[] | undefined,
): readonly HostWarning[] {
  if (installed === undefined || running === undefined) return [];
  const missing = installed.filter((word) => !running.includes(word));
  const extra = running.filter((word) => !installed.includes(word));
  if (missing.length + extra.length === 0) return [];
  const part = (label: string, words: readonly string[]): string =>
    words.length === 0 ? '' : `; ${label}: ${words.join(' ')}`;
  const words = `${part('only in the unit', missing)}${part('only running', extra)}`;
  return [{ kind: 'differs', text: `the running kubelet has other flags than its unit${words}` }];
}
