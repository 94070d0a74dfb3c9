import { KUBELET_CLIENT } from '../csr/spec.ts';
import type { ReserveFacts } from '../rotation/rules/reserve.ts';
import type { AgentSnapshot } from '../rotation/snapshot.ts';
import { spanText, timestamp } from '../timestamp.ts';

/** The settings' reserve: what is always left of the certificate while the node is online. */
export interface ReserveStatus {
  readonly wantedSeconds: number;
  /** The most that its lifetime allows. */
  readonly possibleSeconds: number;
  /** What to ask for, and of whom; only where that is less than what is wanted. */
  readonly ask?: string;
}

/** `clean` takes what is of foreign origin. */
export function reserveStatus(
  { wantedMs, possibleMs, ask }: ReserveFacts,
  clean: (text: string) => string,
): ReserveStatus {
  return {
    wantedSeconds: Math.round(wantedMs / 1000),
    possibleSeconds: Math.floor(possibleMs / 1000),
    ...(ask === undefined ? {} : { ask: clean(ask) }),
  };
}

/** The node may be off until then and comes back by its own certificate; undefined where it has none that is still good. */
export function survivesOffUntil({ managers }: Pick<AgentSnapshot, 'managers'>, now: Date): Date | undefined {
  const own = managers.find(({ isIdentity }) => isIdentity);
  if (own?.certificate === undefined || own.placeholder) return undefined;
  const { notAfter } = own.certificate;
  return now <= notAfter ? notAfter : undefined;
}

/** The part of a status document that tells it. */
interface TimeOffStatus {
  readonly node: { readonly survivesOffUntil?: string };
  readonly certificates: readonly {
    readonly purpose: string;
    readonly placeholder: boolean;
    readonly certificate?: { readonly notAfter: string };
    readonly lastError?: { readonly code: string };
  }[];
}

/** The same for a person. A daemon of 0.1.0 does not tell, and its client certificate does. */
export function timeOffText({ node, certificates }: TimeOffStatus, now: Date): string {
  const own = certificates.find(({ purpose, placeholder }) => purpose === KUBELET_CLIENT && !placeholder);
  const until = node.survivesOffUntil ?? own?.certificate?.notAfter;
  if (until === undefined) {
    // Nobody could look at what lies there: a folder that is open to others, another program's pair.
    const unseen = own?.lastError?.code.startsWith('ERR_STORE_') === true;
    return unseen ? 'unknown: no client certificate can be used' : 'survives none: there is no client certificate yet';
  }
  const date = new Date(until);
  if (date < now) return 'survived none of it: the client certificate is over, and a bootstrap credential is needed';
  return `survives being off until ${timestamp(date)} (${spanText(date.getTime() - now.getTime())})`;
}
