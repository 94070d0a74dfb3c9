import type { Remedy } from '../../remedy.ts';
import { unissuedReason, whoApproves } from '../../csr/signer-names.ts';
import type { CertificateSpec } from '../../csr/spec.ts';
import type { ApiConnection } from '../../ports.ts';
import { isCertletError } from '../../errors.ts';
import type { PendingRequest } from '../../csr/pending.ts';
import type { RotationContext } from '../rotation-context.ts';
import type { Asker } from '../node/node-identity.ts';

/** The command that approves a request. */
export const approveCommand = (name: string): Remedy => `kubectl certificate approve ${name}`;

/** Who decides about a request: the stock approver by itself, or a person. */
export interface ApprovalOutlook {
  readonly automatic: 'yes' | 'no' | 'unknown';
  readonly why: string;
}

/**
 * Whether the stock approver of kube-controller-manager would approve by itself: it asks whether the requester may `create`
 * `certificatesigningrequests/nodeclient` (or `/selfnodeclient` for its own name), and so can the requester.
 * Of other certificates their spec knows.
 */
export async function approvalOutlook(
  { signerName, approval }: Pick<CertificateSpec, 'signerName' | 'approval'>,
  asker: () => { readonly identity: 'node' | 'bootstrap'; readonly api: ApiConnection },
  signal: AbortSignal,
): Promise<ApprovalOutlook> {
  if (approval.by !== 'subresource') return { automatic: 'no', why: whoApproves(signerName, approval.by) };
  try {
    const { identity, api } = asker();
    const subresource = approval[identity];
    const question = {
      verb: 'create',
      group: 'certificates.k8s.io',
      resource: 'certificatesigningrequests',
      subresource,
    } as const;
    const allowed = await api.mayI(question, signal);
    return allowed
      ? { automatic: 'yes', why: 'the approver of kube-controller-manager should approve it; is it running?' }
      : {
          automatic: 'no',
          why: `no role allows this identity to create certificatesigningrequests/${subresource}, so a person must approve${identity === 'bootstrap' ? ', or certlet approve by the binding of its token' : ''}`,
        };
  } catch (error) {
    if (!isCertletError(error)) throw error;
    return { automatic: 'unknown', why: `could not ask (${error.code})` };
  }
}

const HOUR_MS = 3_600_000;
/** How long from one reminder to the next: none for a request that is approved at once, then ever more rarely, and daily in the end. */
const GAPS_MS = [10_000, HOUR_MS - 10_000, 5 * HOUR_MS, 18 * HOUR_MS] as const;
const LAST_GAP_MS = 24 * HOUR_MS;

/** Says in the journal, while a request is pending, what it waits for and which command helps. */
export class ApprovalReminder {
  readonly #context: RotationContext;
  readonly #asker: () => Asker;
  readonly #spec: CertificateSpec;
  readonly #record: PendingRequest;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #approved = false;
  /** Aborts when the wait is for somebody else. */
  #phase = new AbortController();

  /** `asker` tells at each reminder who asks then: a wait may outlast many client certificates. It may throw as `CertificateRules.asker` does. */
  constructor(
    context: RotationContext,
    asker: () => Asker,
    about: { readonly spec: CertificateSpec; readonly record: PendingRequest },
  ) {
    this.#context = context;
    this.#spec = about.spec;
    this.#asker = asker;
    this.#record = about.record;
  }

  /** The request was seen pending; the first call starts the reminders. */
  start(): void {
    if (this.#running !== undefined) return;
    this.#running = this.#run();
    // A defect is thrown by `stop`; until then it must not count as unhandled.
    this.#running.catch(() => undefined);
  }

  /** The request was approved and is not issued yet. */
  approved(): void {
    if (!this.#approved) this.#phase.abort();
    this.#approved = true;
    this.start();
  }

  /** Ends the reminders; resolves when nothing of them runs any more. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock } = this.#context;
    const { signal } = this.#stop;
    for (let said = 0; ; said += 1) {
      // Counted from the last one: a clock set ahead by years, or a month of sleep, is no reason to make up for every day.
      const next = new Date(clock.now().getTime() + (GAPS_MS[said] ?? LAST_GAP_MS));
      await clock.sleepUntil(next, AbortSignal.any([signal, this.#phase.signal]));
      if (signal.aborted) return;
      if (this.#phase.signal.aborted) {
        // Approved after days: the signer's wait is told from its own beginning, not a day later.
        this.#phase = new AbortController();
        said = -1;
        continue;
      }
      await this.#say(signal);
    }
  }

  async #say(signal: AbortSignal): Promise<void> {
    const { log, observer, clock } = this.#context;
    const { purpose, name, createdAt } = this.#record;
    if (this.#approved) {
      log.log('warn', 'Certificate signing request is approved, waiting to be issued', {
        purpose,
        csr: name,
        since: createdAt,
        why: unissuedReason(this.#spec.signerName),
        remedy: 'certlet check',
      });
      observer.observe({ kind: 'waiting', purpose, at: clock.now(), text: `${name} is approved and not issued` });
      return;
    }
    const outlook = await approvalOutlook(this.#spec, this.#asker, signal).catch((error: unknown) => {
      // Stopped in the middle of the question: the request is decided, and that must not be lost over a reminder.
      if (signal.aborted) return undefined;
      throw error;
    });
    if (outlook === undefined || signal.aborted) return;
    log.log('warn', 'Certificate signing request waits for approval', {
      purpose,
      csr: name,
      since: createdAt,
      automatic: outlook.automatic,
      why: outlook.why,
      remedy: approveCommand(name),
    });
    const text = `${purpose} certificate waits for approval: ${approveCommand(name)}`;
    observer.observe({ kind: 'waiting', purpose, at: clock.now(), text });
  }
}
