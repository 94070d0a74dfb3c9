import type { ClusterApi } from './approve/ports.ts';
import type { Judgement } from './approve/judge.ts';
import { APPROVER, EVENTS_NAMESPACE } from './approve/rbac.ts';
import { asCertletError } from './errors.ts';
import type { Logger } from './ports.ts';
import { eventText } from './status/node-event.ts';

/** A node that makes one bad request after another must not fill the cluster with Events. */
const SPACING_MS = 300_000;
const GIVE_UP_MS = 10_000;

/** Records Events on Nodes, at most one a node in five minutes. */
export class NodeTeller {
  readonly #api: ClusterApi;
  readonly #isOn: boolean;
  readonly #log: Logger;
  readonly #told = new Map<string, number>();

  constructor(api: ClusterApi, isOn: boolean, log: Logger) {
    this.#api = api;
    this.#isOn = isOn;
    this.#log = log;
  }

  /** Never throws and never waits: nothing depends on it. */
  tell({ request, policy, decision }: Judgement, text: string, at: Date): void {
    const { nodeName } = policy;
    if (!this.#isOn || nodeName === undefined) return;
    // In either direction: a clock may be set back.
    for (const [node, toldMs] of this.#told) if (Math.abs(at.getTime() - toldMs) >= SPACING_MS) this.#told.delete(node);
    if (this.#told.has(nodeName)) return;
    this.#told.set(nodeName, at.getTime());
    const verb = decision.verdict === 'refuse' ? 'not approved' : 'left pending';
    const message = `signing request ${request.name} was ${verb}: ${text}`;
    const path = `/api/v1/namespaces/${EVENTS_NAMESPACE}/events`;
    this.#api
      .request('POST', path, eventObject(nodeName, { message, uid: request.uid }, at), AbortSignal.timeout(GIVE_UP_MS))
      .catch((thrown: unknown) => {
        this.#log.log('debug', 'An Event was not recorded', { error: asCertletError(thrown).message });
      });
  }
}

function eventObject(node: string, { message, uid }: { message: string; uid: string }, at: Date): object {
  const time = `${at.toISOString().slice(0, 19)}Z`;
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${node}.${uid.slice(0, 8)}${at.getTime().toString(16)}`, namespace: EVENTS_NAMESPACE },
    // As kubelets do: the uid of a Node in its Events is its name.
    involvedObject: { kind: 'Node', name: node, uid: node },
    reason: 'CertificateRequestNotApproved',
    message: eventText(message),
    type: 'Warning',
    source: { component: APPROVER },
    firstTimestamp: time,
    lastTimestamp: time,
    count: 1,
  };
}
