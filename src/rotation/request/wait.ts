import { CertletError, isCertletError } from '../../errors.ts';
import { requestOutcome, type RequestOutcome } from '../../csr/outcome.ts';
import type { CertificateSigningRequest, CsrApiVersion, CsrWatchEvent } from '../../csr/wire.ts';
import type { ApiConnection, Chance, Clock } from '../../ports.ts';

/**
 * A watch that ends sooner than this without an event is broken by something between, also when it ends cleanly; a few of them, and we poll.
 * A server that is well ends ours after the timeoutSeconds that it is asked for (170), or at its own limit: one to two times
 * kube-apiserver's --min-request-timeout (1800 s), which nobody sets to below some minutes. What cuts sooner is the idle limit of a proxy
 * (30 to 60 s are usual), and one below half a minute would cost more requests than polling does.
 */
const SHORT_WATCH_MS = 30_000;
const BROKEN_WATCHES = 3;
const POLL_FIRST_MS = 5_000;
const POLL_LAST_MS = 60_000;
/** Between two watches, so that a server that ends each at once is not hammered. */
const PAUSE_MS = 1_000;
/** An API server that ends takes the watches of a whole fleet with it: whoever has waited long comes back within this. */
const LONGEST_PAUSE_MS = 30_000;

export type FinalOutcome = Exclude<RequestOutcome, { readonly kind: 'pending' }>;

export interface Waiting {
  readonly api: ApiConnection;
  readonly version: CsrApiVersion;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly signal: AbortSignal;
  /** Called whenever the object was seen, pending ones included. */
  readonly seen: (csr: CertificateSigningRequest, outcome: RequestOutcome) => void;
}

/**
 * Waits as long as the request lives: one watch after another from the last resourceVersion, GET where watch is refused or broken.
 * Resolves with the outcome. Throws `ERR_CSR_DELETED` when the object is gone, and what the API throws when neither watch nor GET get through;
 * the pending record lets the next attempt resume. Stops with the signal's reason.
 */
export async function waitForOutcome(first: CertificateSigningRequest, waiting: Waiting): Promise<FinalOutcome> {
  const uid = first.uid;
  let csr = first;
  let brokenWatches = 0;
  let polls = 0;
  for (;;) {
    const outcome = requestOutcome(csr, uid);
    waiting.seen(csr, outcome);
    if (outcome.kind !== 'pending') return outcome;
    waiting.signal.throwIfAborted();
    if (brokenWatches < BROKEN_WATCHES) {
      const started = waiting.clock.now().getTime();
      const ending = await watchOnce(csr, waiting);
      if (ending.kind === 'outcome') return ending.outcome;
      const lastedMs = waiting.clock.now().getTime() - started;
      const short = lastedMs < SHORT_WATCH_MS;
      if (ending.kind === 'refused') brokenWatches = BROKEN_WATCHES;
      else brokenWatches = short && !ending.progress ? brokenWatches + 1 : 0;
      const spreadMs = Math.max(PAUSE_MS, Math.min(LONGEST_PAUSE_MS, lastedMs / 10));
      await pause(waiting, PAUSE_MS + spreadMs * waiting.chance.roll());
      if (ending.kind === 'again') {
        csr = ending.csr;
        continue;
      }
    } else {
      await pause(waiting, Math.min(POLL_LAST_MS, POLL_FIRST_MS * 2 ** polls) * (0.75 + 0.5 * waiting.chance.roll()));
      polls += 1;
    }
    csr = await readRequest(first.name, waiting);
  }
}

async function pause(waiting: Waiting, ms: number): Promise<void> {
  await waiting.clock.sleepUntil(new Date(waiting.clock.now().getTime() + ms), waiting.signal);
  waiting.signal.throwIfAborted();
}

/** GET, with 404 told as the deletion that it is. */
export async function readRequest(
  name: string,
  at: Pick<Waiting, 'api' | 'version' | 'signal'>,
): Promise<CertificateSigningRequest> {
  try {
    return await at.api.getCsr(at.version, name, at.signal);
  } catch (error) {
    if (!isCertletError(error, 'ERR_API_NOT_FOUND')) throw error;
    throw new CertletError('ERR_CSR_DELETED', `certificate signing request ${name} was deleted`, { cause: error });
  }
}

type WatchEnding =
  | { readonly kind: 'outcome'; readonly outcome: FinalOutcome }
  /** The server ended it: go on from there. */
  | { readonly kind: 'again'; readonly csr: CertificateSigningRequest; readonly progress: boolean }
  /** Too old, dead link, broken stream: read the object again first. */
  | { readonly kind: 'read'; readonly progress: boolean }
  /** This identity or this proxy lets no watch through. */
  | { readonly kind: 'refused' };

async function watchOnce(first: CertificateSigningRequest, waiting: Waiting): Promise<WatchEnding> {
  let csr = first;
  // A bookmark, an error or the object as we know it tell nothing new: a server that sends only those and hangs up is polled.
  let progress = false;
  try {
    for await (const event of waiting.api.watchCsr(
      waiting.version,
      first.name,
      first.resourceVersion,
      waiting.signal,
    )) {
      if (event.type === 'ERROR') return { kind: 'read', progress };
      if (event.type === 'BOOKMARK') {
        csr = { ...csr, resourceVersion: event.resourceVersion };
        continue;
      }
      progress ||= event.object.resourceVersion !== csr.resourceVersion;
      const outcome = eventOutcome(event, first.uid);
      csr = event.object;
      waiting.seen(csr, outcome);
      if (outcome.kind !== 'pending') return { kind: 'outcome', outcome };
    }
    return { kind: 'again', csr, progress };
  } catch (error) {
    waiting.signal.throwIfAborted();
    if (isCertletError(error, 'ERR_API_FORBIDDEN', 'ERR_API_REJECTED', 'ERR_API_NOT_FOUND')) return { kind: 'refused' };
    if (isCertletError(error, 'ERR_API_UNREACHABLE', 'ERR_API_SERVER', 'ERR_API_PROTOCOL')) {
      return { kind: 'read', progress };
    }
    throw error;
  }
}

/** A DELETED event carries the last state: a certificate that was issued before the cleaner came still counts. */
function eventOutcome(event: Exclude<CsrWatchEvent, { type: 'BOOKMARK' | 'ERROR' }>, uid: string): RequestOutcome {
  const outcome = requestOutcome(event.object, uid);
  if (event.type === 'DELETED' && outcome.kind !== 'issued') {
    throw new CertletError('ERR_CSR_DELETED', `certificate signing request ${event.object.name} was deleted`);
  }
  return outcome;
}
