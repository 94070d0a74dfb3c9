import { dirname, join } from 'node:path';
import {
  type AfterSwap,
  type Approval,
  type CertificateSpec,
  KUBELET_NAMES,
  kubeletClientSpec,
  type KubeletName,
  type KubeletOptions,
  kubeletServingSpec,
  NODE_NAME,
  withNodeName,
  type PlainFiles,
} from '../csr/spec.ts';
import type { Problem, SettingPath } from './codec.ts';
import type { SettingsFile } from './fields.ts';

type CertificateEntry = SettingsFile['certificates'][number];

/** Names that 1.9 kubelets and guides use for pairs in two files. */
const PLAIN_NAMES: Readonly<Record<KubeletName, string>> = { client: 'kubelet-client', serving: 'kubelet' };

/** Every certificate that these settings manage: the node's identity first, then the kubelet's serving certificate, then the entries of `certificates`. */
export function certificateSpecs(file: SettingsFile): readonly CertificateSpec[] {
  const { certDir, keyAlgorithm, keyEncipherment, expirationSeconds } = file;
  const options: KubeletOptions = {
    certDir,
    kubeconfigPath: file.kubeconfig,
    keyAlgorithm,
    keyEncipherment,
    expirationSeconds,
    reserveMs: reserveMs(file.reserve),
    plainFiles: Object.fromEntries(KUBELET_NAMES.flatMap((name) => plainFiles(file, name))),
  };
  const kubelets = [
    kubeletClientSpec(options),
    ...(file.rotateServerCertificates ? [kubeletServingSpec(options)] : []),
  ];
  return [...kubelets, ...file.certificates.map((entry) => entrySpec(file, entry))];
}

/** No time is no reserve. */
const reserveMs = (given: number | undefined): number | undefined => (given === 0 ? undefined : given);

/** None where the settings ask for none. */
function plainFiles(file: SettingsFile, name: KubeletName): readonly (readonly [KubeletName, PlainFiles])[] {
  const given = file.plainFiles[name];
  if (given === undefined) return [];
  const stem = join(file.certDir, PLAIN_NAMES[name]);
  return [[name, { certFile: given.certFile ?? `${stem}.crt`, keyFile: given.keyFile ?? `${stem}.key` }]];
}

function entrySpec(file: SettingsFile, entry: CertificateEntry): CertificateSpec {
  const { name, signerName, certFile, keyFile, rotationWindow } = entry;
  return {
    name,
    signerName,
    commonName: entry.commonName,
    organizations: entry.organizations,
    usages: entry.usages,
    usagesNegotiable: false,
    names: entry.names,
    keyAlgorithm: entry.keyAlgorithm ?? file.keyAlgorithm,
    expirationSeconds: entry.expirationSeconds,
    window: { earliest: rotationWindow.earliestPercent / 100, latest: rotationWindow.latestPercent / 100 },
    reserveMs: reserveMs(entry.reserve ?? file.reserve),
    isIdentity: false,
    proof: proofOf(entry),
    files: {
      folder: join(file.certificatesDir, name),
      prefix: name,
      ...(certFile === undefined || keyFile === undefined ? {} : { plain: { certFile, keyFile } }),
      groupReadable: entry.groupReadable,
      touched: false,
    },
    kubeconfig: entry.kubeconfig,
    placeholder: false,
    approval: approvalOf(entry),
    after: afterOf(entry),
  };
}

function afterOf({ reload, verify }: CertificateEntry): AfterSwap {
  return {
    ...(reload === undefined ? {} : { reload }),
    ...(verify === undefined ? {} : { served: { ...verify.address, withinMs: verify.within } }),
  };
}

/** Only what the API server itself takes can be shown to it; a client certificate of another signer can be shown to nobody. */
function proofOf({ signerName, usages }: CertificateEntry): CertificateSpec['proof'] {
  if (signerName === API_CLIENT_SIGNER) return 'access review';
  return usages.includes('server auth') ? 'handshake' : 'none';
}

/** Certificates of this signer are taken by the API server; no stock controller approves requests for it. */
const API_CLIENT_SIGNER = 'kubernetes.io/kube-apiserver-client';

const approvalOf = ({ approval, signerName }: CertificateEntry): Approval => ({
  by: approval ?? (signerName === API_CLIENT_SIGNER ? 'person' : 'approver'),
});

/** Signers of kubernetes.io that no entry may name, with the reason (Kubernetes: "Certificates and Certificate Signing Requests"). */
const OWN_SIGNERS: Readonly<Record<string, string>> = {
  'kubernetes.io/kube-apiserver-client-kubelet':
    "signs the node's own client certificate, which certlet manages already",
  'kubernetes.io/kubelet-serving': 'signs the serving certificate of the kubelet: rotateServerCertificates manages it',
  'kubernetes.io/legacy-unknown': 'cannot be asked for through certificates.k8s.io/v1; name the signer that is meant',
};

/** RFC 5280, ub-common-name and ub-organization-name. */
const MAX_SUBJECT_LENGTH = 64;

/** What is wrong with the entries of `certificates`, by themselves and beside one another. */
export function certificateProblems(file: SettingsFile, nodeName: string): readonly Problem[] {
  return file.certificates.flatMap((entry, index) => {
    const at = (...path: SettingPath): SettingPath => ['certificates', index, ...path];
    const earlier = file.certificates.slice(0, index).some((other) => other.name === entry.name);
    const texts: readonly (readonly [SettingPath, string | undefined])[] = [
      [at('name'), earlier ? `${entry.name} is the name of an earlier certificate` : reservedName(entry.name)],
      [at('signerName'), OWN_SIGNERS[entry.signerName]],
      [at('usages'), usagesProblem(entry)],
      // certificates.k8s.io/v1 refuses such a request (validation: allowDuplicateUsages, for v1beta1 alone).
      ...repeated(entry.usages).map(([usage, place]) => [at('usages', place), `${usage} stands here twice`] as const),
      [at('names'), namesProblem(entry)],
      [at('rotationWindow'), windowProblem(entry)],
      [at('commonName'), lengthProblem(entry.commonName, nodeName)],
      ...entry.organizations.map(
        (organization, place) =>
          [at('organizations', place), organizationProblem(entry, organization, nodeName)] as const,
      ),
      [at('kubeconfig'), leftToRoot(file, entry)],
      [at('verify'), verifyProblem(entry)],
      ...filesProblems(entry).map(([field, text]) => [at(field), text] as const),
    ];
    return texts.flatMap(([path, text]) => (text === undefined ? [] : [{ path, text }]));
  });
}

const reservedName = (name: string): string | undefined =>
  [...KUBELET_NAMES, 'all'].includes(name)
    ? `${name} stands for certificates of the kubelet; take another name`
    : undefined;

/** What kube-controller-manager's signers take (pkg/controller/certificates/authority and csr validation of kubernetes.io signers). */
function usagesProblem({ signerName, usages }: CertificateEntry): string | undefined {
  if (!usages.some((usage) => usage === 'client auth' || usage === 'server auth')) {
    return 'expected client auth, server auth or both among them';
  }
  return signerName === API_CLIENT_SIGNER && usages.includes('server auth')
    ? `${API_CLIENT_SIGNER} signs no certificate for server auth`
    : undefined;
}

const namesProblem = ({ names, usages }: CertificateEntry): string | undefined =>
  usages.includes('server auth') && !names.ofNode && names.listed.length === 0
    ? 'every client refuses a server certificate without names: set names: node, or list them'
    : undefined;

/** What is stale can only be mended by a reload, and a client's certificate is shown to nobody who asks. */
function verifyProblem({ verify, reload, usages }: CertificateEntry): string | undefined {
  if (verify === undefined) return undefined;
  if (!usages.includes('server auth')) return 'looks at what a server shows: server auth is not among the usages';
  return reload === undefined ? 'needs reload, which makes the server take the new pair: set reload' : undefined;
}

/** What stands in a list for the second time, with its place. */
const repeated = <T>(list: readonly T[]): readonly (readonly [T, number])[] =>
  list.flatMap((value, place) => (list.indexOf(value) < place ? [[value, place] as const] : []));

const windowProblem = ({ rotationWindow: { earliestPercent, latestPercent } }: CertificateEntry): string | undefined =>
  earliestPercent > latestPercent ? 'earliestPercent is above latestPercent' : undefined;

function lengthProblem(text: string, nodeName: string): string | undefined {
  const filled = withNodeName(text, nodeName);
  if (filled.length <= MAX_SUBJECT_LENGTH) return undefined;
  const filledIn = text.includes(NODE_NAME) ? ` with ${nodeName} put in` : '';
  return `is ${String(filled.length)} characters long${filledIn}; a subject may have ${String(MAX_SUBJECT_LENGTH)} (RFC 5280)`;
}

/** The API server's admission (CertificateSubjectRestriction) refuses the group of administrators to this signer. */
function organizationProblem(
  { signerName }: CertificateEntry,
  organization: string,
  nodeName: string,
): string | undefined {
  if (organization === 'system:masters' && signerName === API_CLIENT_SIGNER) {
    return `${API_CLIENT_SIGNER} signs nothing for system:masters (admission CertificateSubjectRestriction)`;
  }
  return lengthProblem(organization, nodeName);
}

/** Whoever may write the kubeconfig of a program that runs as root is root: its `exec` entry names what that program runs. */
const leftToRoot = ({ manageKubeconfig }: SettingsFile, { kubeconfig }: CertificateEntry): string | undefined =>
  manageKubeconfig || kubeconfig === undefined
    ? undefined
    : 'manageKubeconfig: false leaves kubeconfigs to root: leave this out, and name the pair in one that root writes';

function filesProblems(entry: CertificateEntry): readonly (readonly [string, string])[] {
  const { certFile, keyFile, groupReadable, kubeconfig, usages } = entry;
  const problems: (readonly [string, string])[] = [];
  if (certFile !== undefined && keyFile === undefined)
    problems.push(['keyFile', 'is missing: certFile and keyFile go together']);
  if (keyFile !== undefined && certFile === undefined)
    problems.push(['certFile', 'is missing: certFile and keyFile go together']);
  if (groupReadable && certFile !== undefined && keyFile !== undefined && dirname(certFile) !== dirname(keyFile)) {
    problems.push([
      'groupReadable',
      'certFile and keyFile lie in different folders: the group comes from one setgid folder',
    ]);
  }
  if (kubeconfig !== undefined && !usages.includes('client auth')) {
    problems.push(['kubeconfig', 'names a certificate for a client: client auth is not among the usages']);
  }
  return problems;
}
