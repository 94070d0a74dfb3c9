import { join } from 'node:path';
import { type KubeletUnit, kubeletDropIn, pathsDropIns, type SandboxNeeds, takesFlags } from './adopted-files.ts';
import { rotatedByKubelet } from '../csr/spec.ts';
import type { Distribution } from './distribution.ts';
import { type KubeletFacts, minorOf } from './facts.ts';
import { rejoinWords, shellWord } from '../remedy.ts';
import { restartUnitFile } from './restart-unit-file.ts';
import { KUBELET_PORT } from './served.ts';
import type { PlannedFile } from './sandbox-drop-in.ts';

/** What was found on the host, as far as the plan depends on it. */
export interface AdoptionInput {
  readonly facts: KubeletFacts & { readonly kubeconfig: string };
  /** `v1.20.2`, undefined when unknown. */
  readonly version: string | undefined;
  readonly unit: KubeletUnit | undefined;
  readonly distribution: Distribution | undefined;
  /** The host's name, as the kubelet would take it without an override. */
  readonly hostname: string;
  /** CN of the node's client certificate, where there is one. */
  readonly clientCommonName: string | undefined;
  readonly kubeconfigEmbedsCertificate: boolean;
  /** `rotateServerCertificates` of certlet's settings file, where somebody wrote it down. */
  readonly servingDecision: boolean | undefined;
  /** The settings file says whether the cluster's CA is followed. */
  readonly followDecided: boolean;
  /** The kubeconfig is root's, and the service can write it no more. */
  readonly kubeconfigByRoot: boolean;
  /** Kubeconfigs that the service writes besides the kubelet's. */
  readonly furtherKubeconfigs: readonly string[];
  /** What the kubelet runs with, or would start with now. */
  readonly effective: readonly string[] | undefined;
  /** Names of what lies in the cert-dir. */
  readonly certDirNames: readonly string[];
  /** Files that both kubeconfigs name. */
  readonly kubeconfigNames: readonly string[];
  /** Files of the units, environments and configurations of kubelet and kube-proxy. */
  readonly kubeletFiles: readonly string[];
}

export interface AdoptionPlan {
  /** Settings of certlet, as they stand in its file. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Flags that the kubelet needs at the end of its command line, where they win. */
  readonly kubeletFlags: readonly string[];
  /** The kubelet has these flags by now. */
  readonly inPlace: boolean;
  readonly files: readonly PlannedFile[];
  /** What changes in the kubelet's own words, as `name: old -> new`. */
  readonly changes: readonly string[];
  /** What a person should know; nothing to do. */
  readonly notes: readonly string[];
  /** What a person should look at. */
  readonly warnings: readonly string[];
}

const DEFAULT_UNIT = 'kubelet.service';
/** `--rotate-server-certificates` came with the configuration field serverTLSBootstrap in 1.11; older kubelets refuse to start with it. */
const FIRST_MINOR_WITH_SERVING_FLAG = 11;

/** What has to change so that certlet keeps this kubelet's certificates and the kubelet only reads them. Pure: nothing is written. */
export function adoptionPlan(input: AdoptionInput): AdoptionPlan {
  const serving = servingChoice(input);
  const kubeletFlags = flagsFor(input, serving.take);
  const inPlace = kubeletFlags.every((flag) => input.effective?.includes(flag) === true);
  const name = nodeName(input);
  return {
    settings: settingsFor(input, serving.take, name.override),
    kubeletFlags,
    inPlace,
    files: filesFor(input, kubeletFlags),
    changes: inPlace ? [] : changesFor(input, serving.take),
    notes: [...serving.notes, ...name.notes, ...followNotes(input)],
    warnings: [...rotationWarnings(input, inPlace), ...name.warnings, ...unitWarnings(input)],
  };
}

function filesFor(input: AdoptionInput, kubeletFlags: readonly string[]): readonly PlannedFile[] {
  const unitName = otherUnitName(input);
  return [
    ...(unitName === undefined ? [] : [restartUnitFile(unitName)]),
    ...(input.distribution === undefined ? kubeletDropIn(input.unit, kubeletFlags) : []),
    ...pathsDropIns(sandboxNeeds(input)),
  ];
}

function sandboxNeeds(input: AdoptionInput): SandboxNeeds {
  const { kubeconfigByRoot, furtherKubeconfigs, certDirNames, kubeconfigNames } = input;
  const { kubeconfig, certDir, staticPodPath, clientCAFile } = input.facts;
  const named = [staticPodPath, clientCAFile].filter((path) => path !== undefined);
  const kubeletReads = [...input.kubeletFiles, ...named];
  return { kubeconfig, certDir, certDirNames, kubeconfigNames, kubeconfigByRoot, furtherKubeconfigs, kubeletReads };
}

/** The kubelet's unit, where it has another name than certlet expects. */
function otherUnitName({ unit, distribution }: AdoptionInput): string | undefined {
  const name = unit?.name ?? distribution?.unit;
  return name === DEFAULT_UNIT ? undefined : name;
}

function servingLink(facts: KubeletFacts): string {
  return join(facts.certDir, 'kubelet-server-current.pem');
}

/** Following changes whom the node believes, so it is told and not set. */
function followNotes({ followDecided, kubeconfigByRoot, unit }: AdoptionInput): readonly string[] {
  if (kubeconfigByRoot) {
    const command = `${rejoinWords({ byRoot: true })} && systemctl restart ${shellWord(unit?.name ?? DEFAULT_UNIT)}`;
    return [`cluster CA: root writes the kubeconfig, so another CA of the cluster is root's to bring: ${command}`];
  }
  if (followDecided) return [];
  return [
    'cluster CA: another CA of the cluster is not trusted by itself; followClusterCA: cluster-info in the settings follows what the cluster publishes, read as nobody or by the Role in rbac/cluster-info.yaml; certlet check says which',
  ];
}

interface ServingChoice {
  readonly take: boolean;
  readonly notes: readonly string[];
}

/** A serving certificate from elsewhere (a site's own CA) is not replaced unless the settings file says so. */
function servingChoice({ facts, servingDecision }: AdoptionInput): ServingChoice {
  const { tlsCertFile } = facts;
  const ownFiles = [servingLink(facts), join(facts.certDir, 'kubelet.crt')];
  const foreign = tlsCertFile !== undefined && !ownFiles.includes(tlsCertFile) && !facts.rotatesServing;
  if (servingDecision === false)
    return { take: false, notes: ['serving: left to the kubelet, as the settings file says'] };
  if (foreign && servingDecision === undefined) {
    const note = `serving: ${tlsCertFile} comes from elsewhere and is left alone; rotateServerCertificates: true in the settings hands it to certlet`;
    return { take: false, notes: [note] };
  }
  if (facts.rotatesServing) return { take: true, notes: [] };
  return {
    take: true,
    notes: [
      'serving: the kubelet did not ask the cluster for its serving certificate; certlet will, and somebody has to approve it (until then a self-signed one serves); rotateServerCertificates: false leaves it as it is',
    ],
  };
}

function flagsFor({ facts, version }: AdoptionInput, takeServing: boolean): readonly string[] {
  const flags = [
    ...(facts.bootstrapKubeconfig === undefined ? [] : ['--bootstrap-kubeconfig=']),
    '--rotate-certificates=false',
  ];
  if (!takeServing) return flags;
  const minor = minorOf(version);
  const old = minor !== undefined && minor < FIRST_MINOR_WITH_SERVING_FLAG;
  const known = minor === undefined ? facts.rotatesServing : !old;
  const off = known ? ['--rotate-server-certificates=false'] : [];
  const gate = old && facts.rotatesServing ? ['--feature-gates=RotateKubeletServerCertificate=false'] : [];
  const link = servingLink(facts);
  return [...flags, ...off, ...gate, `--tls-cert-file=${link}`, `--tls-private-key-file=${link}`];
}

function changesFor({ facts }: AdoptionInput, takeServing: boolean): readonly string[] {
  const change = (
    name: string,
    before: string | boolean | undefined,
    after: string | boolean | undefined,
  ): readonly string[] => (before === after ? [] : [`${name}: ${String(before ?? 'none')} -> ${String(after)}`]);
  const link = servingLink(facts);
  return [
    ...change(
      'bootstrapKubeconfig',
      facts.bootstrapKubeconfig,
      facts.bootstrapKubeconfig === undefined ? undefined : 'none',
    ),
    ...change('rotateCertificates', facts.rotatesClient, false),
    ...(takeServing ? change('serverTLSBootstrap', facts.rotatesServing, false) : []),
    ...(takeServing ? change('tlsCertFile', facts.tlsCertFile, link) : []),
    ...(takeServing ? change('tlsPrivateKeyFile', facts.tlsPrivateKeyFile, link) : []),
  ];
}

function settingsFor(
  input: AdoptionInput,
  takeServing: boolean,
  override: string | undefined,
): AdoptionPlan['settings'] {
  const { facts, version } = input;
  const unitName = otherUnitName(input);
  const kubelet = {
    ...(unitName !== undefined && { unit: unitName }),
    ...(version !== undefined && { version }),
    ...(facts.cloudProvider === 'external' && takeServing && { cloudProvider: 'external' }),
    ...listening(input),
  };
  return {
    ...(facts.bootstrapKubeconfig !== undefined && { bootstrapKubeconfig: facts.bootstrapKubeconfig }),
    kubeconfig: facts.kubeconfig,
    ...(input.kubeconfigByRoot && { manageKubeconfig: false }),
    certDir: facts.certDir,
    ...(override !== undefined && { hostnameOverride: override.trim().toLowerCase() }),
    ...(facts.nodeIPs.length > 0 && { nodeIP: facts.nodeIPs }),
    rotateServerCertificates: takeServing,
    ...(Object.keys(kubelet).length > 0 && { kubelet }),
  };
}

/** Where the kubelet listens, as far as it is not where everybody would look. */
function listening({ facts: { address, port } }: AdoptionInput): { readonly address?: string; readonly port?: number } {
  return {
    ...(address !== undefined && !/^[0:.]+$/.test(address) && { address }),
    ...(port !== undefined && port !== KUBELET_PORT && { port }),
  };
}

interface NodeNameChoice {
  readonly override: string | undefined;
  readonly notes: readonly string[];
  readonly warnings: readonly string[];
}

const NODE_CN_PREFIX = 'system:node:';

/** The certificate in use is the best witness of the node's name: a cloud provider may have chosen it (until 1.2x, in tree). */
function nodeName({ facts, hostname, clientCommonName }: AdoptionInput): NodeNameChoice {
  const wanted = (facts.hostnameOverride ?? hostname).trim().toLowerCase();
  const held =
    clientCommonName?.startsWith(NODE_CN_PREFIX) === true ? clientCommonName.slice(NODE_CN_PREFIX.length) : undefined;
  if (held === undefined || held === wanted) return { override: facts.hostnameOverride, notes: [], warnings: [] };
  const source = facts.hostnameOverride === undefined ? "the host's name" : '--hostname-override';
  if (facts.cloudProvider !== undefined && facts.cloudProvider !== 'external') {
    const note = `node name: ${held}, from the certificate in use, since cloud provider ${facts.cloudProvider} chose it`;
    return { override: held, notes: [note], warnings: [] };
  }
  const warning = `node name: ${source} says ${wanted}, but the client certificate in use is for ${held}; the settings name ${wanted}: compare with kubectl get nodes`;
  return { override: facts.hostnameOverride, notes: [], warnings: [warning] };
}

function rotationWarnings(input: AdoptionInput, inPlace: boolean): readonly string[] {
  const { facts, kubeconfigEmbedsCertificate, kubeconfigByRoot } = input;
  const rotates = inPlace ? [] : rotatedByKubelet(facts);
  return [
    ...(rotates.length === 0
      ? []
      : [
          `the kubelet still rotates its ${rotates.join(' and ')} certificate in ${facts.certDir}: until it is restarted with the flags below, two programs write there`,
        ]),
    ...(kubeconfigEmbedsCertificate && !kubeconfigByRoot
      ? [
          `${facts.kubeconfig} has the client certificate inside: no kubelet reads it again while it runs. certlet rewrites it to name ${join(facts.certDir, 'kubelet-client-current.pem')}; restart the kubelet once after that`,
        ]
      : []),
  ];
}

function unitWarnings({ unit }: AdoptionInput): readonly string[] {
  if (unit === undefined) return [];
  const { script } = unit;
  if (script === undefined) {
    if (takesFlags(unit)) return [];
    return [
      `ExecStart in ${unit.execStartPath} is a shell command, to which flags cannot be added from outside: add the flags below there by hand`,
    ];
  }
  const { path, understood, unknown } = script;
  return [
    understood
      ? `${path}, which starts the kubelet, is a shell script: it was read for its kubelet command, and not run${unknown.length === 0 ? '' : `; left out, since only a shell can tell: ${unknown.join(' ')}`}`
      : `${path}, which starts the kubelet, is a shell script in which no kubelet command was found`,
    ...(takesFlags(unit) ? [] : [`${path} does not hand its arguments on: add the flags below there by hand`]),
  ];
}
