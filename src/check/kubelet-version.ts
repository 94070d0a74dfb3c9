import type { Settings } from '../config.ts';
import type { Facts } from './facts.ts';

/** The settings win over what the kubelet of this host says, which wins over the Node. Undefined where none of them tells. */
export const kubeletVersionOf = (
  { kubelet: set }: Pick<Settings, 'kubelet'>,
  { kubelet, nodeObject }: Pick<Facts, 'kubelet' | 'nodeObject'>,
): string | undefined => set.version ?? kubelet?.version ?? nodeObject?.kubeletVersion;
