import { dirname, isAbsolute } from 'node:path';
import { flagText, type KubeletFlags } from './flags.ts';
import { isBelow, isSharedFolder } from './shared-folders.ts';

/** A kube-proxy of this host, as it will start next; the running one's where there is no unit. */
export interface KubeProxyFacts {
  /** Its service. */
  readonly unit: string | undefined;
  readonly pid: number | undefined;
  /** As written; undefined where it has none. */
  readonly kubeconfig: string | undefined;
  /** CN of the certificate that its kubeconfig names now. */
  readonly commonName: string | undefined;
  /** Files of its unit, environment and configuration. */
  readonly sources: readonly string[];
  /** What could not be read. */
  readonly warnings: readonly string[];
}

/** `clientConnection.kubeconfig` of a KubeProxyConfiguration; undefined where the file names none. */
export function proxyKubeconfig(document: unknown): string | undefined {
  const connection = fieldOf(document, 'clientConnection');
  const path = fieldOf(connection, 'kubeconfig');
  return typeof path === 'string' && path !== '' ? path : undefined;
}

const fieldOf = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null ? (Reflect.get(value, key) as unknown) : undefined;

/** Its kubeconfig: with `--config` that file decides alone, and `--kubeconfig` is ignored (kube-proxy options.go, Complete). */
export const chosenKubeconfig = (flags: KubeletFlags, document: unknown): string | undefined =>
  flagText(flags, 'config') === undefined ? flagText(flags, 'kubeconfig') : proxyKubeconfig(document);

/** The arguments of a kube-proxy, without the program; undefined when this process is none. */
export function kubeProxyArguments(argv: readonly string[]): readonly string[] | undefined {
  const [path = '', word = ''] = argv;
  const program = path.slice(path.lastIndexOf('/') + 1);
  if (program === 'kube-proxy') return argv.slice(1);
  return program === 'hyperkube' && ['kube-proxy', 'proxy'].includes(word) ? argv.slice(2) : undefined;
}

/** Name of the entry, of its files, and of its `reload`. */
export const KUBE_PROXY = 'kube-proxy';
const DEFAULT_USER = 'system:kube-proxy';

export interface KubeProxyQuestion {
  readonly proxy: KubeProxyFacts;
  /** Of the kubelet. */
  readonly nodeKubeconfig: string;
  /** Kubeconfigs are root's (`manageKubeconfig: false`). */
  readonly byRoot: boolean;
  /** Entries of `certificates` that stand in the settings, as written. */
  readonly entries: readonly unknown[];
  /** Folders that the units of certlet open before anything is planned. */
  readonly open: readonly string[];
  /** Folders that they close again, whatever else is opened. */
  readonly closed: readonly string[];
}

/** What adopting a kube-proxy comes to. */
export interface KubeProxyPlan {
  /** To be added to `certificates`; undefined where the settings have one, or none can be made. */
  readonly entry: Readonly<Record<string, unknown>> | undefined;
  /** The settings have its certificate, or will. */
  readonly managed: boolean;
  /** The kubeconfig that the service writes; its folder is to be open. */
  readonly writes: string | undefined;
  /** The kubeconfig that root writes. */
  readonly byRoot: string | undefined;
  readonly notes: readonly string[];
  readonly warnings: readonly string[];
}

/** Decides how a kube-proxy gets its certificate from certlet. Pure: nothing is written. */
export function kubeProxyPlan(question: KubeProxyQuestion): KubeProxyPlan {
  const { proxy, nodeKubeconfig, byRoot, entries } = question;
  const { kubeconfig, warnings } = proxy;
  const none = { entry: undefined, managed: false, writes: undefined, byRoot: undefined, notes: [], warnings };
  if (kubeconfig === undefined) return { ...none, warnings: [...warnings, NO_KUBECONFIG] };
  const refused = refusal(kubeconfig, nodeKubeconfig);
  if (refused !== undefined) return { ...none, warnings: [...warnings, refused] };
  const rootsOwn = byRoot || mustStayClosed(question, dirname(kubeconfig));
  const managed = { ...none, managed: true, byRoot: rootsOwn ? kubeconfig : undefined };
  const present = entries.find((entry) => isFor(entry, kubeconfig));
  if (present !== undefined) {
    const written = !rootsOwn && fieldOf(present, 'kubeconfig') === kubeconfig;
    return { ...managed, writes: written ? kubeconfig : undefined };
  }
  const closed = `kube-proxy: ${dirname(kubeconfig)} is not certlet's alone, so root writes ${kubeconfig}`;
  return {
    ...managed,
    entry: entryFor(rootsOwn ? undefined : kubeconfig),
    writes: rootsOwn ? undefined : kubeconfig,
    notes: rootsOwn && !byRoot ? [closed] : [],
    warnings: [...warnings, ...userWarnings(proxy)],
  };
}

const entryFor = (kubeconfig: string | undefined): Readonly<Record<string, unknown>> => ({
  name: KUBE_PROXY,
  signerName: 'kubernetes.io/kube-apiserver-client',
  commonName: DEFAULT_USER,
  organizations: ['system:node-proxier'],
  usages: ['digital signature', 'client auth'],
  ...(kubeconfig !== undefined && { kubeconfig }),
  reload: KUBE_PROXY,
});

function userWarnings({ commonName }: KubeProxyFacts): readonly string[] {
  if (commonName === undefined || commonName === DEFAULT_USER) return [];
  return [
    `kube-proxy: it is ${commonName} now and becomes ${DEFAULT_USER}: look that the role of kube-proxy is bound to that user, or change commonName`,
  ];
}

const NO_KUBECONFIG =
  'kube-proxy: it has no kubeconfig (--kubeconfig, or clientConnection.kubeconfig of its configuration), so there is nothing to write a certificate for';

function refusal(kubeconfig: string, nodeKubeconfig: string): string | undefined {
  if (!isAbsolute(kubeconfig))
    return `kube-proxy: its kubeconfig ${kubeconfig} depends on its working folder: give it an absolute path and run certlet adopt again`;
  if (kubeconfig === nodeKubeconfig)
    return `kube-proxy: it uses the kubelet's kubeconfig ${kubeconfig}: give it one of its own, such as /etc/kubernetes/kube-proxy.kubeconfig, and run certlet adopt again`;
  return undefined;
}

/** The service may not write there, whatever is opened. */
function mustStayClosed({ open, closed }: KubeProxyQuestion, folder: string): boolean {
  if (closed.some((path) => isBelow(folder, path))) return true;
  return !open.some((path) => isBelow(folder, path)) && isSharedFolder(folder);
}

const isFor = (entry: unknown, kubeconfig: string): boolean =>
  fieldOf(entry, 'name') === KUBE_PROXY || fieldOf(entry, 'kubeconfig') === kubeconfig;
