import { OUTLOOKS } from '../outlooks.ts';
import type { FlagSpec } from './flags.ts';

/** What `certlet check` can look ahead to. */
export const OUTLOOK_FLAGS: readonly FlagSpec[] = [
  {
    name: 'for',
    kind: 'text',
    value: 'CHANGE',
    choices: OUTLOOKS,
    summary:
      'Also whether this node survives a change: an API server that verifies kubelets, certificates of an hour, another CA of the cluster.',
  },
  {
    name: 'kubelet-certificate-authority',
    kind: 'text',
    value: 'FILE',
    completes: 'file',
    summary:
      "With --for kubelet-ca: the CAs of the API server's --kubelet-certificate-authority. Default: those of the node's kubeconfig.",
  },
];
