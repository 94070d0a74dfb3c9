import type { RequestFacts } from '../pki/request-reader.ts';
import type { Inventory } from './inventory.ts';
import type { NodeEntry } from './nodes.ts';
import type { Policy } from './policy.ts';
import type { SigningRequest } from './request.ts';
import type { Reserved } from './reserved.ts';
import type { ApproveSettings } from './settings.ts';

/** What a SubjectAccessReview said. */
export interface AccessReview {
  readonly allowed: boolean;
  /** The authorizer's words, such as the binding that allowed it. */
  readonly reason: string;
}

/** What the cluster says about a request and its node; everything that a rule may look at besides the request. */
export interface ClusterFacts {
  readonly now: Date;
  /** The answer for the subresource of the request's kind; undefined where nobody was asked. */
  readonly permission: AccessReview | undefined;
  readonly node: NodeEntry | undefined;
  /** Names of other Nodes with this name or address. */
  readonly othersWith: (text: string, nodeName: string) => readonly string[];
  readonly inventory: Inventory | undefined;
  /** What is the cluster's own; undefined where it is not looked for. */
  readonly reserved: Reserved | undefined;
  /** What a DNS name resolves to, canonical; undefined where nobody was asked or nothing came. */
  readonly resolved: (name: string) => readonly string[] | undefined;
  /** Approvals for this node in the last hour. */
  readonly approvals: number;
}

/** One request with all that its rules look at. */
export interface View {
  readonly request: SigningRequest;
  readonly policy: Policy;
  readonly settings: ApproveSettings;
  /** Undefined while only the request itself is judged. */
  readonly facts: ClusterFacts | undefined;
}

/** A view whose PKCS#10 could be read. */
export interface ReadView extends View {
  readonly content: RequestFacts;
}

/** Why a rule does not let a request pass; `later`: it may by itself, so nobody denies over it. */
export interface Objection {
  readonly reason: string;
  readonly later: boolean;
}
