import type { Purpose } from '../csr/template.ts';

/** Whether certlet has the kubelet restarted after a rotation: only where its version needs it, after each, or never. */
export type RestartSetting = 'auto' | 'always' | 'never';

/** A pair that the kubelet has to notice. */
export interface KubeletChange {
  readonly purpose: Purpose;
  /** As Node.status.nodeInfo or the settings tell it, such as `v1.20.2`; undefined when nobody knows. */
  readonly kubeletVersion: string | undefined;
}

/**
 * Last minor version of 1 that keeps the pair it read at its start.
 * Client: client-go re-reads the files at each handshake and every five minutes since 1.18 (kubernetes pull request 79083).
 * Serving: 1.31 to 1.35 reload the file but show it only to clients that send SNI, and API servers dial by address as a rule;
 * 1.36 mended that.
 */
const LAST_STATIC_MINOR: Readonly<Record<Purpose, number>> = { client: 17, serving: 35 };

/**
 * Why the kubelet must be restarted to use the new pair; empty when it need not. A first serving certificate is a change like any other:
 * the kubelet was started on the self-signed pair that stood there before.
 */
export function kubeletRestartReasons(change: KubeletChange, setting: RestartSetting): readonly string[] {
  if (setting === 'never') return [];
  if (setting === 'always') return ['the settings ask for a restart after each rotation'];
  const { purpose, kubeletVersion } = change;
  const minor = kubeletVersion === undefined ? undefined : effectiveMinor(kubeletVersion);
  if (minor === undefined)
    return [
      kubeletVersion === undefined
        ? 'the kubelet version is not known'
        : `kubelet version ${kubeletVersion} is not understood`,
    ];
  return minor <= LAST_STATIC_MINOR[purpose]
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
