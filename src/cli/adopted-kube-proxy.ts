import { shellWord } from '../remedy.ts';
import { join } from 'node:path';
import { HostFiles } from '../adapters/host-files.ts';
import { readWantedUnits } from '../adapters/host-reloads.ts';
import { CLOSED_FOLDERS, WRITABLE_FOLDERS } from '../kubelet/adopted-files.ts';
import { KUBE_PROXY, type KubeProxyFacts, type KubeProxyPlan, kubeProxyPlan } from '../kubelet/kube-proxy.ts';
import { reloadPath } from '../kubelet/reload-file.ts';

type Fields = Readonly<Record<string, unknown>>;

/** What is known of the node when its kube-proxy is looked at. */
export interface KubeProxyContext {
  /** Settings as they stand in the file. */
  readonly fields: Fields;
  readonly nodeKubeconfig: string;
  readonly byRoot: boolean;
  /** Folder that stands for `/`. */
  readonly root: string;
}

/** How a kube-proxy is adopted along with its kubelet. */
export interface AdoptedKubeProxy {
  readonly facts: KubeProxyFacts;
  readonly plan: KubeProxyPlan;
  /** `certificates` anew, where that list changes. */
  readonly settings: Fields;
  /** Where the pair lies. */
  readonly certificatesDir: string;
  /** What is left for root and for the cluster's admin. */
  readonly next: readonly string[];
}

const DEFAULT_FOLDER = '/var/lib/certlet/certs';

/** Plans the entry of `certificates` for a kube-proxy, and what comes after it. Changes nothing. */
export async function adoptedKubeProxy(facts: KubeProxyFacts, context: KubeProxyContext): Promise<AdoptedKubeProxy> {
  const { fields, nodeKubeconfig, byRoot, root } = context;
  const entries: readonly unknown[] = Array.isArray(fields['certificates']) ? fields['certificates'] : [];
  const folder = fields['certificatesDir'];
  const certificatesDir = typeof folder === 'string' ? folder : DEFAULT_FOLDER;
  const open = byRoot ? [] : WRITABLE_FOLDERS;
  const plan = kubeProxyPlan({ proxy: facts, nodeKubeconfig, byRoot, entries, open, closed: CLOSED_FOLDERS });
  const kept = byRoot ? entries.map(withoutKubeconfig) : entries;
  const changed = plan.entry !== undefined || kept.some((entry, index) => entry !== entries[index]);
  const certificates = plan.entry === undefined ? kept : [...kept, plan.entry];
  return {
    facts,
    plan,
    settings: changed ? { certificates } : {},
    certificatesDir,
    next: plan.managed ? await nextSteps(facts, new HostFiles(root), certificatesDir) : [],
  };
}

/** `manageKubeconfig: false` and a kubeconfig for the service to write do not go together. */
function withoutKubeconfig(entry: unknown): unknown {
  if (typeof entry !== 'object' || entry === null || !('kubeconfig' in entry)) return entry;
  return Object.fromEntries(Object.entries(entry).filter(([key]) => key !== 'kubeconfig'));
}

async function nextSteps(
  { unit }: KubeProxyFacts,
  files: HostFiles,
  certificatesDir: string,
): Promise<readonly string[]> {
  const pathUnit = `certlet-reload@${KUBE_PROXY}.path`;
  // A kube-proxy before 1.18 keeps the certificate that it read at its start.
  const choice = `${KUBE_PROXY}=${unit ?? 'UNIT'}:try-restart`;
  const told = await files.exists(reloadPath(KUBE_PROXY));
  const enabled = (await readWantedUnits(files)).has(pathUnit);
  const issued = await files.exists(join(certificatesDir, KUBE_PROXY, `${KUBE_PROXY}-current.pem`));
  return [
    ...(told ? [] : [`certlet allow --reload ${shellWord(choice)}`]),
    ...(enabled ? [] : [`systemctl enable --now ${pathUnit}`]),
    ...(issued
      ? []
      : [
          'kubectl apply -f /usr/share/certlet/rbac/kube-proxy.yaml   # by an admin of the cluster, once: who may approve the request',
          'kubectl certificate approve NAME   # by an admin; certlet status has the name, now and at each renewal',
        ]),
  ];
}
