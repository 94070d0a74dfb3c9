import { isAbsolute } from 'node:path';
import { isCertletError } from '../errors.ts';
import { parseYaml } from '../kubeconfig/yaml.ts';
import { isShellCommand } from '../kubelet/adopted-files.ts';
import { flagText, parseKubeletFlags } from '../kubelet/flags.ts';
import { chosenKubeconfig, type KubeProxyFacts, kubeProxyArguments } from '../kubelet/kube-proxy.ts';
import { kubeconfigUser } from '../kubelet/kubeconfig-user.ts';
import { parseChain } from '../pki/certificate.ts';
import { HostFiles } from './host-files.ts';
import { readProcesses } from './host-processes.ts';
import { readInstalledKubelet } from './installed-kubelet.ts';

const UNIT = 'kube-proxy.service';

/**
 * Finds the kube-proxy of this host by its unit and its process; undefined where there is none, or where it runs in a container or inside a
 * distribution. Changes nothing. Throws `ERR_STORE_IO`.
 */
export async function readHostKubeProxy(root: string): Promise<KubeProxyFacts | undefined> {
  const files = new HostFiles(root);
  const found = await locate(files);
  if (found === undefined) return undefined;
  const flags = parseKubeletFlags(found.arguments);
  const config = flagText(flags, 'config');
  const { document, sources, warnings } = await readConfiguration(files, config);
  const kubeconfig = chosenKubeconfig(flags, document);
  return {
    unit: found.unit,
    pid: found.pid,
    kubeconfig,
    commonName: kubeconfig !== undefined && isAbsolute(kubeconfig) ? await commonNameOf(files, kubeconfig) : undefined,
    sources: [...found.sources, ...sources],
    warnings,
  };
}

interface Located {
  readonly unit: string | undefined;
  readonly pid: number | undefined;
  readonly arguments: readonly string[];
  readonly sources: readonly string[];
}

async function locate(files: HostFiles): Promise<Located | undefined> {
  const [running] = (await readProcesses(files)).flatMap(({ pid, unit, argv }) => {
    const args = kubeProxyArguments(argv);
    return args === undefined ? [] : [{ pid, unit, arguments: args }];
  });
  for (const name of new Set([running?.unit, UNIT])) {
    const installed = await readInstalledKubelet(files, name, []);
    if (installed === undefined) continue;
    // What a shell makes of its words is not known; what runs is.
    const seen = isShellCommand(installed.unit.execStart) ? (running ?? { arguments: [] }) : installed;
    return { unit: name, pid: running?.pid, arguments: seen.arguments, sources: installed.sources };
  }
  return running && { ...running, sources: [] };
}

interface Configured {
  readonly document: unknown;
  readonly sources: readonly string[];
  readonly warnings: readonly string[];
}

async function readConfiguration(files: HostFiles, path: string | undefined): Promise<Configured> {
  if (path === undefined) return { document: undefined, sources: [], warnings: [] };
  const text = isAbsolute(path) ? await files.read(path) : undefined;
  if (text === undefined)
    return {
      document: undefined,
      sources: [path],
      warnings: [`kube-proxy: its configuration ${path} could not be read`],
    };
  try {
    return { document: parseYaml(text, path, 'ERR_CONFIG_INVALID').value, sources: [path], warnings: [] };
  } catch (error) {
    if (!isCertletError(error)) throw error;
    return { document: undefined, sources: [path], warnings: [`kube-proxy: ${error.message}`] };
  }
}

/** What is broken there is written anew anyhow. */
async function commonNameOf(files: HostFiles, path: string): Promise<string | undefined> {
  try {
    const text = await files.read(path);
    const user = text === undefined ? undefined : kubeconfigUser(parseYaml(text, path).value);
    const pem = user?.certificatePath === undefined ? user?.certificatePem : await files.read(user.certificatePath);
    return pem === undefined ? undefined : parseChain(pem).leaf.commonName;
  } catch (error) {
    if (isCertletError(error)) return undefined;
    throw error;
  }
}
