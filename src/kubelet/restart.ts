import type { AfterSwap } from '../csr/spec.ts';
import { CLUSTER_ENTRY, isOfKubeconfig } from '../kubeconfig/trusted-ca.ts';

/** Whether certlet has the kubelet restarted after a rotation: only where it is shown to need it, after each, or never. */
export type RestartSetting = 'auto' | 'always' | 'never';

/** A pair that the kubelet has to notice. */
export interface KubeletChange {
  readonly purpose: string;
  readonly after: AfterSwap;
  /** As Node.status.nodeInfo or the settings tell it, such as `v1.20.2`; undefined when nobody knows. */
  readonly kubeletVersion: string | undefined;
}

/** What is to be done so that the kubelet uses a new pair. */
export type KubeletPlan =
  /** Nothing: the pair is not the kubelet's, it reads the files again by itself, or it must not be restarted. */
  | { readonly kind: 'none' }
  /** A restart at once; `prove`: what it serves afterwards is looked at. */
  | { readonly kind: 'restart'; readonly reason: string; readonly prove: boolean }
  /** What it serves is looked at; a stale pair is a reason to restart it, or only to say so. */
  | { readonly kind: 'prove'; readonly restartIfStale: boolean }
  /** Its version decides, and is not known yet. */
  | { readonly kind: 'learn version' };

/** A first serving certificate is a change like any other: the kubelet was started on the self-signed pair that stood there before. */
export function kubeletPlan(change: KubeletChange, setting: RestartSetting): KubeletPlan {
  const { after } = change;
  const { lastStaticKubelet } = after;
  const served = after.served === 'kubelet';
  if (!served && lastStaticKubelet === undefined) return { kind: 'none' };
  if (setting === 'always')
    return { kind: 'restart', reason: 'the settings ask for a restart after each rotation', prove: served };
  if (served) return { kind: 'prove', restartIfStale: setting === 'auto' };
  if (setting === 'never' || lastStaticKubelet === undefined) return { kind: 'none' };
  return planByVersion(change, lastStaticKubelet);
}

function planByVersion(change: KubeletChange, lastStaticKubelet: number): KubeletPlan {
  const { purpose, kubeletVersion = '' } = change;
  if (purpose === CLUSTER_ENTRY && lastStaticKubelet === Number.POSITIVE_INFINITY)
    return { kind: 'restart', reason: 'a running kubelet does not read its kubeconfig again', prove: false };
  // The wish is made by who knows which CAs the kubelet holds: in doubt it is fulfilled, since a kubelet without the new CA loses the cluster.
  const inDoubt = isOfKubeconfig(purpose);
  if (kubeletVersion === '' && !inDoubt) return { kind: 'learn version' };
  // A version that nobody understands is none that is known to need a restart.
  if (effectiveMinor(kubeletVersion) === undefined && !inDoubt) return { kind: 'none' };
  const reason = restartForecast({ ...change, after: { lastStaticKubelet } });
  return reason === undefined ? { kind: 'none' } : { kind: 'restart', reason, prove: false };
}

/** Kubelets 1.31 to 1.35 show a new serving pair only to clients that send SNI, and API servers dial by address as a rule; 1.36 mended that. */
const LAST_STATIC_SERVING = 35;

/** Where nothing can be seen, as in a look ahead: why this kubelet would have to be restarted for a new pair; undefined where it would not. */
export function restartForecast({ after, purpose, kubeletVersion }: KubeletChange): string | undefined {
  const lastStatic = after.served === 'kubelet' ? LAST_STATIC_SERVING : after.lastStaticKubelet;
  if (lastStatic === undefined) return undefined;
  if (kubeletVersion === undefined || kubeletVersion === '') return 'the kubelet version is not known';
  const minor = effectiveMinor(kubeletVersion);
  if (minor === undefined) return `kubelet version ${kubeletVersion} is not understood`;
  if (minor > lastStatic) return undefined;
  return `kubelet ${kubeletVersion} does not take over a new ${purpose} certificate while it runs`;
}

/**
 * The minor version whose behaviour to expect, counted as part of major 1. A pre-release counts as the minor before it, since what the
 * release brought may have come after it. Vendor suffixes (`+k3s1`, `-eks-1234`) change nothing.
 */
function effectiveMinor(version: string): number | undefined {
  const match = /^v?(\d+)\.(\d+)(?:\.(\d+))?(-(?:alpha|beta|rc)\b)?/.exec(version.trim());
  if (match === null) return undefined;
  const [, major, minor, , preRelease] = match;
  if (Number(major) > 1) return Number.POSITIVE_INFINITY;
  if (Number(major) < 1) return 0;
  return Number(minor) - (preRelease === undefined ? 0 : 1);
}
