import { shellWord } from '../remedy.ts';
import { basename, dirname, isAbsolute, join } from 'node:path';
import type { FileSystem } from '../adapters/file-system.ts';
import { ensureFolder, readIfPresent, replaceFile, sweepTemporaries } from '../adapters/files.ts';
import type { HostKubelet } from '../adapters/host-kubelet.ts';
import { CertletError } from '../errors.ts';
import { type AdoptionInput, type AdoptionPlan, adoptionPlan } from '../kubelet/adoption.ts';
import { isShellCommand } from '../kubelet/adopted-files.ts';
import type { KubeProxyFacts } from '../kubelet/kube-proxy.ts';
import { unifiedDiff } from '../kubelet/unified-diff.ts';
import { adoptionAnswer, adoptionReport, type ChangedFile } from './adopt-report.ts';
import { type AdoptedKubeProxy, adoptedKubeProxy } from './adopted-kube-proxy.ts';
import {
  adoptedKubeconfig,
  kubeletKubeconfig,
  kubeProxyKubeconfig,
  type RootKubeconfig,
} from './adopted-kubeconfig.ts';
import { mergeSettings, settingsFields } from './adopted-settings.ts';

export interface AdoptRequest {
  readonly host: HostKubelet;
  readonly settingsPath: string;
  readonly write: boolean;
  /** The kubeconfig becomes root's, also where the settings do not say so yet. */
  readonly writeKubeconfig: boolean;
  /** Undefined where there is none, or it is to be left alone. */
  readonly kubeProxy: KubeProxyFacts | undefined;
}

export interface AdoptPorts {
  readonly fs: FileSystem;
  /** Folder that stands for `/`. */
  readonly root: string;
  /** Words for a person. */
  readonly print: (text: string) => void;
}

export interface Adopted {
  /** Whether there is a kubelet that can be adopted. */
  readonly found: boolean;
  /** Plain data. */
  readonly answer: object;
}

const FILE_LIMIT_BYTES = 1024 * 1024;
/** Settings and drop-ins hold no secret, and `systemctl cat` shall work for everybody. */
const FILE_MODE = 0o644;
/** A kubeconfig may name a proxy with its password. */
const PRIVATE_MODE = 0o600;
const FOLDER_MODE = 0o755;

/**
 * Shows what has to change so that certlet takes this kubelet's certificates over, and with `write` writes certlet's own files.
 * Resolves to whether there is a kubelet that can be adopted, with the answer for programs. Throws `ERR_CONFIG_INVALID`, `ERR_STORE_*`.
 */
export async function adoptKubelet(request: AdoptRequest, ports: AdoptPorts): Promise<Adopted> {
  const { host, settingsPath } = request;
  const present = await readIfPresent(ports.fs, join(ports.root, settingsPath), FILE_LIMIT_BYTES);
  const fields = present === undefined ? {} : settingsFields(present, settingsPath);
  const kubelet = adoptionInput(host, fields, request.writeKubeconfig);
  if (kubelet === undefined) {
    const notes = notFound(host);
    ports.print(`${notes.join('\n')}\n`);
    return { found: false, answer: { found: false, notes } };
  }
  const kubeProxy = await kubeProxyOf(request, { kubelet, fields }, ports);
  const input = withKubeProxy(kubelet, kubeProxy);
  const kubeconfigs = await rootKubeconfigs(input, kubeProxy, ports);
  const plan = planOf(input, kubeProxy, kubeconfigs.warnings);
  const changed = await changedFiles(plan, { path: settingsPath, text: present }, ports);
  const files = [...changed, ...kubeconfigs.files];
  const folderMissing = (await ports.fs.stat(join(ports.root, input.facts.certDir))) === undefined;
  const adoption = { host, input, plan, files, folderMissing, kubeProxy, written: request.write };
  ports.print(adoptionReport(adoption));
  if (request.write) await writeFiles(files, ports);
  return { found: true, answer: adoptionAnswer(adoption) };
}

async function kubeProxyOf(
  { kubeProxy }: AdoptRequest,
  { kubelet, fields }: { readonly kubelet: AdoptionInput; readonly fields: Readonly<Record<string, unknown>> },
  { root }: AdoptPorts,
): Promise<AdoptedKubeProxy | undefined> {
  if (kubeProxy === undefined) return undefined;
  const { facts, kubeconfigByRoot: byRoot } = kubelet;
  return adoptedKubeProxy(kubeProxy, { fields, nodeKubeconfig: facts.kubeconfig, byRoot, root });
}

/** Its kubeconfig needs an open folder, and what it reads in one stays read-only. */
function withKubeProxy(kubelet: AdoptionInput, kubeProxy: AdoptedKubeProxy | undefined): AdoptionInput {
  if (kubeProxy === undefined) return kubelet;
  const { writes } = kubeProxy.plan;
  return {
    ...kubelet,
    furtherKubeconfigs: writes === undefined ? [] : [writes],
    kubeletFiles: [...kubelet.kubeletFiles, ...kubeProxy.facts.sources],
  };
}

function planOf(
  input: AdoptionInput,
  kubeProxy: AdoptedKubeProxy | undefined,
  warnings: readonly string[],
): AdoptionPlan {
  const planned = adoptionPlan(input);
  const { plan, settings } = kubeProxy ?? { plan: { notes: [], warnings: [] }, settings: {} };
  return {
    ...planned,
    settings: { ...planned.settings, ...settings },
    notes: [...planned.notes, ...plan.notes],
    warnings: [...planned.warnings, ...plan.warnings, ...warnings],
  };
}

interface RootFiles {
  readonly files: readonly ChangedFile[];
  readonly warnings: readonly string[];
}

/** The kubeconfigs among what is written, where they are root's. Their old text may hold a key, so no difference is shown. */
async function rootKubeconfigs(
  { facts, kubeconfigByRoot }: AdoptionInput,
  kubeProxy: AdoptedKubeProxy | undefined,
  { fs, root }: AdoptPorts,
): Promise<RootFiles> {
  const path = kubeProxy?.plan.byRoot;
  const wanted: readonly RootKubeconfig[] = [
    ...(kubeconfigByRoot ? [kubeletKubeconfig(facts.kubeconfig, facts.certDir)] : []),
    ...(kubeProxy === undefined || path === undefined ? [] : [kubeProxyKubeconfig(path, kubeProxy.certificatesDir)]),
  ];
  const files: ChangedFile[] = [];
  const warnings: string[] = [];
  for (const each of wanted) {
    const adopted = await adoptedKubeconfig(each, fs, root);
    warnings.push(...adopted.warnings);
    if (adopted.text === undefined) continue;
    const diff = `${each.path}: written anew by root, to name certlet's pair (not shown: it may hold credentials)\n`;
    files.push({ path: each.path, text: adopted.text.reveal(), diff, mode: PRIVATE_MODE });
  }
  return { files, warnings };
}

function adoptionInput(
  host: HostKubelet,
  settings: Readonly<Record<string, unknown>>,
  writeKubeconfig: boolean,
): AdoptionInput | undefined {
  const { facts } = host;
  if (facts === undefined) return undefined;
  const { kubeconfig, certDir } = facts;
  if (kubeconfig === undefined) throw withoutKubeconfig(host);
  for (const [flag, path] of Object.entries({ '--kubeconfig': kubeconfig, '--cert-dir': certDir })) {
    if (isAbsolute(path)) continue;
    throw new CertletError('ERR_CONFIG_INVALID', `the kubelet's ${flag} ${path} depends on its working folder`, {
      remedy: `# Give the kubelet an absolute path for ${flag}.`,
    });
  }
  const decision = settings['rotateServerCertificates'];
  return {
    facts: { ...facts, kubeconfig },
    version: host.version,
    unit: host.unit,
    distribution: host.distribution,
    hostname: host.hostname,
    clientCommonName: host.clientCommonName,
    kubeconfigEmbedsCertificate: host.kubeconfigEmbedsCertificate,
    kubeconfigByRoot: writeKubeconfig || settings['manageKubeconfig'] === false,
    furtherKubeconfigs: [],
    certDirNames: host.certDirNames,
    kubeconfigNames: host.kubeconfigNames,
    effective: host.effective,
    kubeletFiles: host.sources,
    followDecided: settings['followClusterCA'] !== undefined,
    servingDecision: typeof decision === 'boolean' ? decision : undefined,
  };
}

/** A shell may give what cannot be read here; only a kubelet of its own certainly has none. */
function withoutKubeconfig({ unit }: HostKubelet): CertletError {
  if (unit === undefined || (unit.script === undefined && !isShellCommand(unit.execStart))) {
    const message = 'the kubelet has no --kubeconfig: it runs without an API server and needs no certificates';
    return new CertletError('ERR_CONFIG_INVALID', message);
  }
  const where =
    unit.script === undefined ? `the shell command of ${unit.execStartPath}` : `the script ${unit.script.path}`;
  return new CertletError('ERR_CONFIG_INVALID', `no --kubeconfig could be read in ${where}, which starts the kubelet`, {
    remedy: `systemctl start ${shellWord(unit.name)}   # a kubelet that runs shows its flags; then certlet adopt again`,
  });
}

async function changedFiles(
  plan: AdoptionPlan,
  settings: { readonly path: string; readonly text: string | undefined },
  ports: AdoptPorts,
): Promise<readonly ChangedFile[]> {
  const merged = { path: settings.path, text: mergeSettings(settings.text, plan.settings, settings.path) };
  const files: ChangedFile[] = [{ ...merged, diff: unifiedDiff(merged.path, settings.text, merged.text) }];
  for (const file of plan.files) {
    const before = await readIfPresent(ports.fs, join(ports.root, file.path), FILE_LIMIT_BYTES);
    files.push({ ...file, diff: unifiedDiff(file.path, before, file.text) });
  }
  return files;
}

async function writeFiles(files: readonly ChangedFile[], ports: AdoptPorts): Promise<void> {
  for (const { path, text, diff, mode } of files) {
    if (diff === '') continue;
    const target = join(ports.root, path);
    await ensureFolder(ports.fs, dirname(target), FOLDER_MODE);
    // What a killed run left of it.
    await sweepTemporaries(ports.fs, dirname(target), basename(target));
    await replaceFile(ports.fs, target, text, mode ?? FILE_MODE);
    ports.print(`written: ${path}\n`);
  }
}

function notFound({ distribution }: HostKubelet): readonly string[] {
  if (distribution === undefined) {
    return [
      'No kubelet was found: no unit with a command, no process. Set kubelet.unit where its service has another name.',
    ];
  }
  return [
    ...distribution.explanation,
    `Its flags cannot be seen from outside. To give certlet its serving certificate: tls-cert-file and tls-private-key-file in ${distribution.flagsFile}.`,
    'Nothing to adopt.',
  ];
}
