import { addressKind, UNINITIALIZED_TAINT } from '../../kubelet/node-addresses.ts';
import type { NodeFacts } from '../../ports.ts';

/** The first request waits so long for the cloud provider: a site that has none goes on without after that. */
export const CLOUD_WAIT_MS = 10 * 60_000;
/** While somebody waits the Node is read so often: cloud controllers take seconds, and a kubelet serves with a placeholder meanwhile. */
export const CLOUD_LOOK_MS = 10_000;

/** What is known of the Node, and of who gives it its addresses. */
export interface CloudQuestion {
  /** `--cloud-provider=external`, as the settings know it from the kubelet's flags. */
  readonly external: boolean;
  /** The cluster has answered whether there is a Node; false too where it does not let us see it. */
  readonly looked: boolean;
  readonly node: NodeFacts | undefined;
}

/** What a request that takes the Node's addresses should wait for: a reason in one sentence; undefined when the addresses are there, or nobody will tell. */
export function awaitedCloud({ external, looked, node }: CloudQuestion): string | undefined {
  if (!looked) return undefined;
  if (node === undefined) {
    return external ? 'there is no Node yet, and the cloud provider will give it its addresses' : undefined;
  }
  if (node.uninitialized === true) {
    return `the cloud provider has not given the Node its addresses yet (taint ${UNINITIALIZED_TAINT})`;
  }
  // The controller takes the taint away before it writes the addresses (k8s.io/cloud-provider, syncNode).
  const hasAddress = node.addresses.some(({ type }) => addressKind(type) === 'address');
  return external && !hasAddress ? 'the cloud provider has not written the addresses of the Node yet' : undefined;
}

/** When the wait that began then is over, whatever has come; undefined once it is, and where the clock was set back before it. */
export function cloudWaitUntil(since: Date, now: Date): Date | undefined {
  const until = new Date(since.getTime() + CLOUD_WAIT_MS);
  return since <= now && now < until ? until : undefined;
}
