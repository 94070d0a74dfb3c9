import { type CertificateTemplate, missingNames } from '../csr/template.ts';
import type { CertificateRules } from './certificate-rules.ts';
import type { CertificateState } from './manager-state.ts';
import type { RotationContext } from './rotation-context.ts';
import { cloudWaitUntil } from './rules/cloud-wait.ts';
import { type HeldBack, withoutNames } from './rules/gains.ts';
import type { StepInput } from './rules/step.ts';

type Unasked = NonNullable<StepInput['unasked']>;

/** What the names that the node has mean for a new request: too many, none to be dialled by, still to come, or seen going and coming. */
export class NameGuard {
  readonly #context: RotationContext;
  readonly #rules: CertificateRules;
  readonly #state: CertificateState;

  constructor(context: RotationContext, rules: CertificateRules, state: CertificateState) {
    this.#context = context;
    this.#rules = rules;
    this.#state = state;
  }

  /** What is asked for now: everything that is wanted but for the names that are held back. */
  askable(wanted: CertificateTemplate): CertificateTemplate {
    return withoutNames(wanted, this.heldBack()?.names ?? []);
  }

  /** Names that have come back too soon after the last request for them; undefined without any. */
  heldBack(): HeldBack | undefined {
    return this.#rules.heldBack(this.#state.current?.chain.leaf, this.#state.history.gains);
  }

  /** What a pending request lacks of the names that may be asked for now, in words; empty where it should go on. */
  supersedes(pending: CertificateTemplate, wanted: CertificateTemplate): readonly string[] {
    if (this.#rules.nameLimit() !== undefined) return [];
    const held = this.#rules.heldBack(pending, this.#state.history.gains);
    return missingNames(pending, withoutNames(wanted, held?.names ?? []));
  }

  /** Takes note of what has gone, over restarts. Call it in turn; it comes before each reading of the Node, so that nothing goes and comes unseen. */
  async noteGone(): Promise<void> {
    // Before the Node has been read its names are not gone: they are not known yet.
    if (this.#rules.spec.names.ofNode && this.#rules.isTemplateFirm())
      await this.#state.noteGone(this.#rules.template(undefined));
  }

  /** Whether the names are what the settings allow; says once that they are not. */
  look(): void {
    const limit = this.#rules.nameLimit();
    if (!this.#state.limitNames(limit) || limit === undefined) return;
    const { message: error, remedy } = limit;
    const { name: purpose } = this.#rules.spec;
    this.#context.log.log('warn', 'The names of this node are not what the settings allow; asking for nothing', {
      purpose,
      error,
      remedy,
    });
  }

  /** Why nothing new may be asked for now; undefined when it may. */
  unasked(): Unasked | undefined {
    const { nameLimit, forced } = this.#state;
    if (nameLimit !== undefined) {
      const { message: reason, remedy } = nameLimit;
      return { cause: 'held', reason, ...(remedy === undefined ? {} : { command: remedy }) };
    }
    const reason = forced || this.#holds ? undefined : this.#rules.awaitedCloud();
    const since = this.#state.history.cloudAwaitedSince;
    const until = since && cloudWaitUntil(since, this.#context.clock.now());
    return reason === undefined || until === undefined ? undefined : { cause: 'cloud', reason, until };
  }

  /** The same when the Node has just been read for a request. The first wait for the cloud provider begins here. */
  async postpones(): Promise<boolean> {
    this.look();
    const { clock, log } = this.#context;
    const { forced, history, nameLimit } = this.#state;
    const reason = this.#rules.awaitedCloud();
    const { name: purpose } = this.#rules.spec;
    if (nameLimit !== undefined || forced || this.#holds || reason === undefined) return nameLimit !== undefined;
    if (history.cloudAwaitedSince === undefined) {
      const now = clock.now();
      log.log('info', 'Waiting for the cloud provider before the first request', {
        purpose,
        reason,
        until: cloudWaitUntil(now, now),
      });
      await this.#state.noteCloudAwaited(now);
      return true;
    }
    if (this.unasked() !== undefined) return true;
    log.log('warn', 'The cloud provider did not come; asking with the names that are known', { purpose, reason });
    return false;
  }

  /** An issued certificate is current: its successor waits for nobody. */
  get #holds(): boolean {
    return this.#state.current?.chain.leaf.selfSigned === false;
  }
}
