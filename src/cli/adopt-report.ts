import { shellWord } from '../remedy.ts';
import type { HostKubelet } from '../adapters/host-kubelet.ts';
import type { AdoptionInput, AdoptionPlan } from '../kubelet/adoption.ts';
import {
  KUBELET_CLIENT,
  KUBELET_CLIENT_AFTER,
  KUBELET_SERVING,
  KUBELET_SERVING_AFTER,
  rotatedByKubelet,
} from '../csr/spec.ts';
import type { AdoptedKubeProxy } from './adopted-kube-proxy.ts';
import { type KubeletPlan, kubeletPlan } from '../kubelet/restart.ts';
import type { PlannedFile } from '../kubelet/sandbox-drop-in.ts';

/** A file of certlet's own, and how it differs from what is there. */
export interface ChangedFile extends PlannedFile {
  /** Empty when it is there already. */
  readonly diff: string;
  /** 0644 unless told. */
  readonly mode?: number;
}

/** What `certlet adopt` has to tell. */
export interface Adoption {
  readonly host: HostKubelet;
  readonly input: AdoptionInput;
  readonly plan: AdoptionPlan;
  readonly files: readonly ChangedFile[];
  /** The cert-dir does not exist yet. */
  readonly folderMissing: boolean;
  readonly kubeProxy: AdoptedKubeProxy | undefined;
  readonly written: boolean;
}

/** The whole report as text; diffs stand at the margin, so that `patch` takes them. */
export function adoptionReport(adoption: Adoption): string {
  const { plan, files } = adoption;
  const next = steps(adoption);
  const diffs = files.filter(({ diff }) => diff !== '').map(({ diff }) => diff);
  return [
    ...found(adoption),
    ...section('changes for the kubelet', plan.changes),
    ...section('after each rotation', rotationAdvice(adoption)),
    ...section('notes', plan.notes),
    ...section('warnings', [...adoption.host.warnings.map(({ text }) => text), ...plan.warnings]),
    ...(byHand(adoption) ? section('flags to add by hand', flagLines(adoption)) : []),
    '',
    ...(diffs.length === 0 ? ["certlet's files: nothing to change", ''] : diffs),
    ...section('next', next.length === 0 ? ['nothing: the kubelet runs with these flags'] : next),
    '',
  ].join('\n');
}

/** The same for programs: plain data, with the diffs. */
export function adoptionAnswer(adoption: Adoption): object {
  const { host, input, plan, files, written } = adoption;
  const { facts } = input;
  return {
    found: true,
    kubelet: {
      name: kubeletName(host),
      version: host.version,
      pid: host.running?.pid,
      read: host.sources,
      kubeconfig: facts.kubeconfig,
      bootstrapKubeconfig: facts.bootstrapKubeconfig,
      certDir: facts.certDir,
      rotates: plan.inPlace ? [] : rotatedByKubelet(facts),
    },
    ...(adoption.kubeProxy !== undefined && { kubeProxy: proxyAnswer(adoption.kubeProxy) }),
    settings: plan.settings,
    kubeletFlags: plan.kubeletFlags,
    changes: plan.changes,
    afterRotation: restartNeeds(adoption).map(({ purpose, plan: { kind }, restart }) => ({
      purpose,
      restart,
      proof: kind === 'prove',
    })),
    notes: [...(host.distribution?.explanation ?? []), ...plan.notes],
    warnings: [...host.warnings.map(({ text }) => text), ...plan.warnings],
    files: files.map(({ path, diff }) => ({ path, diff, written: written && diff !== '' })),
    next: steps(adoption),
  };
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${line}`)];
}

function proxyAnswer({ facts, plan }: AdoptedKubeProxy): object {
  const { unit, pid, kubeconfig, commonName, sources } = facts;
  return { unit, pid, read: sources, kubeconfig, commonName, managed: plan.managed };
}

function foundProxy(kubeProxy: AdoptedKubeProxy | undefined): readonly string[] {
  if (kubeProxy === undefined) return [];
  const { unit, pid, kubeconfig, commonName, sources } = kubeProxy.facts;
  const runs = pid === undefined ? 'not running' : `running as process ${String(pid)}`;
  return [
    `kube-proxy: ${unit ?? 'a process without a unit'}, ${runs}`,
    ...(sources.length === 0 ? [] : [`  read: ${sources.join(', ')}`]),
    `  kubeconfig: ${kubeconfig ?? 'none'}${commonName === undefined ? '' : `, as ${commonName}`}`,
  ];
}

function found({ host, input, plan, kubeProxy }: Adoption): readonly string[] {
  const { facts } = input;
  const rotates = plan.inPlace ? [] : rotatedByKubelet(facts);
  return [
    `kubelet: ${kubeletName(host)}, ${host.version ?? 'version unknown'}, ${processText(host)}`,
    ...(host.sources.length === 0 ? [] : [`  read: ${host.sources.join(', ')}`]),
    `  kubeconfig: ${facts.kubeconfig}`,
    `  bootstrap kubeconfig: ${facts.bootstrapKubeconfig ?? 'none'}`,
    `  cert-dir: ${facts.certDir}`,
    `  rotates: ${rotates.length === 0 ? 'nothing' : rotates.join(' and ')}`,
    ...(host.distribution?.explanation ?? []).map((line) => `  ${line}`),
    ...foundProxy(kubeProxy),
  ];
}

function kubeletName({ unit, distribution }: HostKubelet): string {
  return unit?.name ?? distribution?.name ?? 'a process without a unit';
}

function processText({ running }: HostKubelet): string {
  return running === undefined ? 'not running' : `running as process ${String(running.pid)}`;
}

function rotationAdvice(adoption: Adoption): readonly string[] {
  return restartNeeds(adoption).map(({ purpose, plan, restart }) => {
    if (plan.kind === 'prove')
      return `${purpose}: certlet looks at what the kubelet serves, and has it restarted where that is an older pair; certlet-kubelet-restart.path does that`;
    if (plan.kind === 'learn version')
      return `${purpose}: kubelets up to 1.17 must be restarted, and the version of this one is not known`;
    return restart === undefined
      ? `${purpose}: this kubelet takes the new certificate over by itself`
      : `${purpose}: the kubelet must be restarted (${restart}); certlet-kubelet-restart.path does that`;
  });
}

interface RestartNeed {
  readonly purpose: string;
  readonly plan: KubeletPlan;
  /** Why the kubelet must be restarted after a rotation; undefined where it must not. */
  readonly restart: string | undefined;
}

function restartNeeds({ input, plan }: Adoption): readonly RestartNeed[] {
  const serving = { purpose: KUBELET_SERVING, after: KUBELET_SERVING_AFTER };
  const changes = [
    { purpose: KUBELET_CLIENT, after: KUBELET_CLIENT_AFTER },
    ...(plan.settings['rotateServerCertificates'] === true ? [serving] : []),
  ];
  return changes.map((change) => {
    const plan = kubeletPlan({ ...change, kubeletVersion: input.version }, 'auto');
    return { purpose: change.purpose, plan, restart: plan.kind === 'restart' ? plan.reason : undefined };
  });
}

function flagLines({ plan, host }: Adoption): readonly string[] {
  const { distribution } = host;
  if (distribution === undefined) return plan.kubeletFlags;
  const words = plan.kubeletFlags.map((flag) =>
    distribution.flagForm === 'list' ? `- ${JSON.stringify(flag.slice(2))}` : flag,
  );
  const place =
    distribution.flagForm === 'list'
      ? `in ${distribution.flagsFile}, under kubelet-arg:`
      : `in ${distribution.flagsFile}, at its end:`;
  return [place, ...words.map((word) => `  ${word}`)];
}

function steps(adoption: Adoption): readonly string[] {
  const { host, plan, folderMissing, kubeProxy, files } = adoption;
  const changed = files.some(({ diff }) => diff !== '');
  const done = host.running !== undefined && plan.inPlace && !changed && !folderMissing;
  return [...(done ? [] : kubeletSteps(adoption, changed)), ...(kubeProxy?.next ?? [])];
}

function kubeletSteps(adoption: Adoption, changed: boolean): readonly string[] {
  const { host, input, written, folderMissing } = adoption;
  const unit = host.unit?.name ?? host.distribution?.unit;
  return [
    ...(changed && !written ? ['certlet adopt --write'] : []),
    ...(folderMissing ? [`install -d -m 0755 ${shellWord(input.facts.certDir)}`] : []),
    'systemctl daemon-reload',
    'systemctl enable --now certlet.service certlet-kubelet-restart.path',
    ...handSteps(adoption),
    ...(unit === undefined ? ['restart the kubelet'] : [`systemctl restart ${unit}`]),
  ];
}

/** No drop-in can give this kubelet its flags. */
function byHand({ plan }: Adoption): boolean {
  return !plan.inPlace && !plan.files.some(({ path }) => path.endsWith('certlet.conf'));
}

/** What a person has to edit: the new flags, and those of the same names that stand there. */
function handSteps(adoption: Adoption): readonly string[] {
  const { host, plan } = adoption;
  if (!byHand(adoption)) return [];
  const names = new Set(plan.kubeletFlags.map((flag) => flag.replace(/=.*/su, '')));
  const present = (host.arguments ?? []).filter((word) => names.has(word.replace(/=.*/su, '')));
  const place = host.distribution?.flagsFile ?? host.unit?.script?.path ?? host.unit?.execStartPath;
  const where = place === undefined ? "at the end of the kubelet's command" : `in ${place}`;
  return [
    `# add the flags above ${where}`,
    ...(present.length === 0 ? [] : [`# and take out there: ${present.join(' ')}`]),
  ];
}
