import type { AfterSwap } from '../csr/spec.ts';

/** Whether certlet has the kubelet restarted after a rotation: only where its version needs it, after each, or never. */
export type RestartSetting = 'auto' | 'always' | 'never';

/** A pair that the kubelet has to notice. */
export interface KubeletChange {
  readonly purpose: string;
  readonly after: AfterSwap;
  /** As Node.status.nodeInfo or the settings tell it, such as `v1.20.2`; undefined when nobody knows. */
  readonly kubeletVersion: string | undefined;
}

/**
 * Why the kubelet must be restarted to use the new pair; empty when it need not. A first serving certificate is a change like any other:
 * the kubelet was started on the self-signed pair that stood there before.
 */
export function kubeletRestartReasons(change: KubeletChange, setting: RestartSetting): readonly string[] {
  const { lastStaticKubelet } = change.after;
  if (setting === 'never' || lastStaticKubelet === undefined) return [];
  if (setting === 'always') return ['the settings ask for a restart after each rotation'];
  const { purpose, kubeletVersion } = change;
  const minor = kubeletVersion === undefined ? undefined : effectiveMinor(kubeletVersion);
  if (minor === undefined)
    return [
      kubeletVersion === undefined
        ? 'the kubelet version is not known'
        : `kubelet version ${kubeletVersion} is not understood`,
    ];
  return minor <= lastStaticKubelet
    ? [`kubelet ${String(kubeletVersion)} does not take over a new ${purpose} certificate while it runs`]
    : [];
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
