import type { KeyAlgorithm } from '../pki/keys.ts';

/** Key usages that a TLS certificate of a node may ask for, in the words of the CSR API. */
export type KeyUsage = 'digital signature' | 'key encipherment' | 'client auth' | 'server auth';
export const KEY_USAGES: readonly KeyUsage[] = ['digital signature', 'key encipherment', 'client auth', 'server auth'];

/** Stands for the node's name in a subject and in a list of names. */
export const NODE_NAME = '{nodeName}';

/** Where the pair lies, and in which forms. All paths are absolute. */
export interface CertificateFiles {
  /** Holds `<prefix>-current.pem` and the timestamped pairs behind it. */
  readonly folder: string;
  readonly prefix: string;
  /** The same pair as two files, for programs that cannot read one. */
  readonly plain?: PlainFiles;
  /** Pair and key may be read by the group of their (setgid) folder: 0640. */
  readonly groupReadable: boolean;
  /** A kubelet writes under this prefix, too: what it left is adopted, and what it goes on writing is told. */
  readonly kubelet?: KubeletFiles;
  /** Every kept file is touched after a swap: inotify watchers may be on any of them (kubelets from 1.31 on). */
  readonly touched: boolean;
}

/** Absolute paths of a pair as two files. */
export interface PlainFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** What a kubelet does with the files of this certificate. */
export interface KubeletFiles {
  /** The setting of its configuration that makes it rotate this certificate itself. */
  readonly rotatedBy: 'rotateCertificates' | 'serverTLSBootstrap';
  /** A key file, by name, that it reuses over bootstrap attempts, and that stops it for good when it cannot be parsed. */
  readonly bootstrapKey?: string;
}

/**
 * Who decides about a request. `subresource`: kube-controller-manager's approver does where the requester may create that subresource, whose name
 * differs by who asks. `approver`: a person or a separate approver. `person`: nobody but a person.
 */
export type Approval =
  | { readonly by: 'subresource'; readonly bootstrap: string; readonly node: string }
  | { readonly by: 'approver' }
  | { readonly by: 'person' };

/** Everything in which one certificate of a node differs from another. */
export interface CertificateSpec {
  /** A DNS label, unique on the node: in records, logs, metrics and commands. */
  readonly name: string;
  readonly signerName: string;
  /** May hold `{nodeName}`. */
  readonly commonName: string;
  readonly organizations: readonly string[];
  /** The usages to ask for. */
  readonly usages: readonly KeyUsage[];
  /** The signer may want the set with or without key encipherment, depending on its version: the other one is tried once where it says so. */
  readonly usagesNegotiable: boolean;
  readonly names: CertificateNames;
  readonly keyAlgorithm: KeyAlgorithm;
  /** Lifetime to ask for; undefined for the signer's own. */
  readonly expirationSeconds: number | undefined;
  /** Between which parts of the lifetime the successor is asked for. */
  readonly window: RotationWindow;
  /** So much of it is left at least while the node is online; undefined where nothing is asked for. */
  readonly reserveMs?: number | undefined;
  /**
   * The one certificate that the node asks with: for it the node asks itself or, where it cannot, the bootstrap credential. All others are asked for by
   * the node.
   */
  readonly isIdentity: boolean;
  /**
   * How an issued pair is shown to be of use before it becomes current: by an access review made with it, by a TLS handshake in which this process is
   * server and client, or not at all.
   */
  readonly proof: 'access review' | 'handshake' | 'none';
  readonly files: CertificateFiles;
  /** The kubeconfig that names the pair. */
  readonly kubeconfig: string | undefined;
  /** A self-signed pair stands in until the first one is issued, so that what serves with it can start. */
  readonly placeholder: boolean;
  readonly approval: Approval;
  readonly after: AfterSwap;
}

/** Which names stand in the certificate. */
export interface CertificateNames {
  /** Host name and addresses of the node, as settings (`servingNames` among them) and Node object tell them. */
  readonly ofNode: boolean;
  /** These besides; may hold `{nodeName}`. */
  readonly listed: readonly string[];
}

/** Parts of the lifetime, each in [0, 1]. */
export interface RotationWindow {
  readonly earliest: number;
  readonly latest: number;
}

/** client-go's certificate manager: uniform in [70 %, 90 %) of the lifetime, counted from NotBefore. */
export const KUBELET_WINDOW: RotationWindow = { earliest: 0.7, latest: 0.9 };

/** What follows a swap, besides hooks. */
export interface AfterSwap {
  /**
   * The last minor version of Kubernetes 1 whose kubelet keeps the pair that it read at its start, and so must be restarted; undefined where the pair is
   * not the kubelet's, or where what the kubelet serves tells.
   */
  readonly lastStaticKubelet?: number;
  /** Instance of `certlet-reload@`, whose unit and action root has set. */
  readonly reload?: string;
  /** Who serves the pair, so that handshakes can show whether it is the current one. */
  readonly served?: ServedBy;
}

/** The kubelet, wherever it listens, or the program at an address, which has so long to take a new pair over. */
export type ServedBy = 'kubelet' | { readonly host: string; readonly port: number; readonly withinMs: number };

/** Names of the kubelet's two certificates. */
export const KUBELET_CLIENT = 'client';
export const KUBELET_SERVING = 'serving';
export const KUBELET_NAMES = [KUBELET_CLIENT, KUBELET_SERVING] as const;
export type KubeletName = (typeof KUBELET_NAMES)[number];

/** Which of the two a kubelet rotates by itself, by what its configuration and flags say. */
export const rotatedByKubelet = (facts: {
  readonly rotatesClient: boolean;
  readonly rotatesServing: boolean;
}): readonly KubeletName[] =>
  KUBELET_NAMES.filter((name) => (name === KUBELET_CLIENT ? facts.rotatesClient : facts.rotatesServing));

/** client-go re-reads the files at each handshake and every five minutes since 1.18 (kubernetes pull request 79083). */
export const KUBELET_CLIENT_AFTER: AfterSwap = { lastStaticKubelet: 17 };
/** Kubelets up to 1.30 never reload, 1.31 to 1.35 for clients that send SNI alone, later ones at once: what is served is asked for. */
export const KUBELET_SERVING_AFTER: AfterSwap = { served: 'kubelet' };

/** What the settings say of the kubelet's own two certificates. */
export interface KubeletOptions {
  readonly certDir: string;
  readonly kubeconfigPath: string;
  readonly keyAlgorithm: KeyAlgorithm;
  /** Three usages (with key encipherment) or two: signers up to 1.24 take exactly the three, later ones either set. */
  readonly keyEncipherment: boolean;
  readonly expirationSeconds: number | undefined;
  readonly reserveMs?: number | undefined;
  readonly plainFiles: Readonly<Partial<Record<KubeletName, PlainFiles>>>;
}

/** The node's identity: CN `system:node:<name>`, O `system:nodes`, no names; signer `kubernetes.io/kube-apiserver-client-kubelet`. */
export function kubeletClientSpec(options: KubeletOptions): CertificateSpec {
  return {
    ...kubeletSpec(options, 'client auth'),
    name: KUBELET_CLIENT,
    signerName: 'kubernetes.io/kube-apiserver-client-kubelet',
    names: { ofNode: false, listed: [] },
    isIdentity: true,
    proof: 'access review',
    files: {
      folder: options.certDir,
      prefix: 'kubelet-client',
      ...plainOf(options.plainFiles.client),
      groupReadable: false,
      kubelet: { rotatedBy: 'rotateCertificates', bootstrapKey: 'kubelet-client.key.tmp' },
      touched: false,
    },
    kubeconfig: options.kubeconfigPath,
    placeholder: false,
    approval: { by: 'subresource', bootstrap: 'nodeclient', node: 'selfnodeclient' },
    after: KUBELET_CLIENT_AFTER,
  };
}

/**
 * The same subject with the node's names; signer `kubernetes.io/kubelet-serving`, whose requests no stock controller approves since Kubernetes 1.11.
 * A kubelet whose `tlsCertFile` is missing does not start, and without it there may be no Node for an approver to look at: hence the placeholder.
 */
export function kubeletServingSpec(options: KubeletOptions): CertificateSpec {
  return {
    ...kubeletSpec(options, 'server auth'),
    name: KUBELET_SERVING,
    signerName: 'kubernetes.io/kubelet-serving',
    names: { ofNode: true, listed: [] },
    isIdentity: false,
    proof: 'handshake',
    files: {
      folder: options.certDir,
      prefix: 'kubelet-server',
      ...plainOf(options.plainFiles.serving),
      groupReadable: false,
      kubelet: { rotatedBy: 'serverTLSBootstrap' },
      touched: true,
    },
    kubeconfig: undefined,
    placeholder: true,
    approval: { by: 'approver' },
    after: KUBELET_SERVING_AFTER,
  };
}

/** What both have in common. */
function kubeletSpec(
  options: KubeletOptions,
  auth: 'client auth' | 'server auth',
): Pick<
  CertificateSpec,
  | 'commonName'
  | 'organizations'
  | 'usages'
  | 'usagesNegotiable'
  | 'keyAlgorithm'
  | 'expirationSeconds'
  | 'window'
  | 'reserveMs'
> {
  return {
    commonName: `system:node:${NODE_NAME}`,
    organizations: ['system:nodes'],
    usages: usagesWith(['digital signature', 'key encipherment', auth], options.keyEncipherment),
    usagesNegotiable: true,
    keyAlgorithm: options.keyAlgorithm,
    expirationSeconds: options.expirationSeconds,
    window: KUBELET_WINDOW,
    reserveMs: options.reserveMs,
  };
}

const plainOf = (plain: PlainFiles | undefined): { readonly plain?: PlainFiles } =>
  plain === undefined ? {} : { plain };

/** The same usages with or without key encipherment, in the order of kubelets up to 1.26 (signers compare sets). */
export function usagesWith(usages: readonly KeyUsage[], keyEncipherment: boolean): readonly KeyUsage[] {
  const wanted = new Set<KeyUsage>([...usages, 'key encipherment']);
  return KEY_USAGES.filter((usage) => wanted.has(usage) && (keyEncipherment || usage !== 'key encipherment'));
}

/** The usages that show in a certificate as extended key usage; the others are key usage bits. */
export const isExtended = (usage: string): boolean => usage === 'client auth' || usage === 'server auth';

/** Whether servers are meant to show it. */
export const servesWith = (spec: Pick<CertificateSpec, 'usages'>): boolean => spec.usages.includes('server auth');

/** Text of a spec with the node's name put in. */
export const withNodeName = (text: string, nodeName: string): string => text.replaceAll(NODE_NAME, nodeName);
