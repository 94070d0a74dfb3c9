import type { HostKubelet } from '../adapters/host-kubelet.ts';
import { shellWord } from '../adapters/file-errors.ts';
import type { Purpose } from '../csr/template.ts';
import type { AdoptionInput, AdoptionPlan } from '../kubelet/adoption.ts';
import { kubeletRestartReasons } from '../rotation/kubelet-reload.ts';
import type { PlannedFile } from '../kubelet/adopted-files.ts';

/** A file of certlet's own, and how it differs from what is there. */
export interface ChangedFile extends PlannedFile {
  /** Empty when it is there already. */
  readonly diff: string;
}

/** What `certlet adopt` has to tell. */
export interface Adoption {
  readonly host: HostKubelet;
  readonly input: AdoptionInput;
  readonly plan: AdoptionPlan;
  readonly files: readonly ChangedFile[];
  /** The cert-dir does not exist yet. */
  readonly folderMissing: boolean;
  readonly written: boolean;
}

/** The whole report as text; diffs stand at the margin, so that `patch` takes them. */
export function adoptionReport(adoption: Adoption): string {
  const { plan, files } = adoption;
  const diffs = files.filter(({ diff }) => diff !== '').map(({ diff }) => diff);
  return [
    ...found(adoption),
    ...section('changes for the kubelet', plan.changes),
    ...section('after each rotation', rotationAdvice(adoption)),
    ...section('notes', plan.notes),
    ...section('warnings', [...adoption.host.warnings, ...plan.warnings]),
    ...(adoption.plan.files.some(({ path }) => path.endsWith('certlet.conf'))
      ? []
      : section('flags to add by hand', flagLines(adoption))),
    '',
    ...(diffs.length === 0 ? ["certlet's files: nothing to change", ''] : diffs),
    ...section('next', steps(adoption, diffs.length > 0)),
    '',
  ].join('\n');
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${line}`)];
}

function found({ host, input }: Adoption): readonly string[] {
  const { facts } = input;
  const rotates = [...(facts.rotatesClient ? ['client'] : []), ...(facts.rotatesServing ? ['serving'] : [])];
  return [
    `kubelet: ${kubeletName(host)}, ${host.version ?? 'version unknown'}, ${processText(host)}`,
    ...(host.sources.length === 0 ? [] : [`  read: ${host.sources.join(', ')}`]),
    `  kubeconfig: ${facts.kubeconfig}`,
    `  bootstrap kubeconfig: ${facts.bootstrapKubeconfig ?? 'none'}`,
    `  cert-dir: ${facts.certDir}`,
    `  rotates: ${rotates.length === 0 ? 'nothing' : rotates.join(' and ')}`,
    ...(host.distribution?.explanation ?? []).map((line) => `  ${line}`),
  ];
}

function kubeletName({ unit, distribution }: HostKubelet): string {
  return unit?.name ?? distribution?.name ?? 'a process without a unit';
}

function processText({ running }: HostKubelet): string {
  return running === undefined ? 'not running' : `running as process ${String(running.pid)}`;
}

function rotationAdvice({ input, plan }: Adoption): readonly string[] {
  const purposes: readonly Purpose[] =
    plan.settings['rotateServerCertificates'] === true ? ['client', 'serving'] : ['client'];
  return purposes.map((purpose) => {
    const [reason] = kubeletRestartReasons({ purpose, kubeletVersion: input.version }, 'auto');
    return reason === undefined
      ? `${purpose}: this kubelet takes the new certificate over by itself`
      : `${purpose}: the kubelet must be restarted (${reason}); certlet-kubelet-restart.path does that`;
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

function steps({ host, input, plan, written, folderMissing }: Adoption, changed: boolean): readonly string[] {
  const unit = host.unit?.name ?? host.distribution?.unit;
  const runs = plan.kubeletFlags.every((flag) => host.running?.arguments.includes(flag) === true);
  if (runs && !changed && !folderMissing) return ['nothing: the kubelet runs with these flags'];
  return [
    ...(changed && !written ? ['certlet adopt --write'] : []),
    ...(folderMissing ? [`install -d -m 0755 ${shellWord(input.facts.certDir)}`] : []),
    'systemctl daemon-reload',
    'systemctl enable --now certlet.service certlet-kubelet-restart.path',
    ...(unit === undefined ? ['restart the kubelet'] : [`systemctl restart ${unit}`]),
  ];
}
