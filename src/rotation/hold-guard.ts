import type { CertletError } from '../errors.ts';
import type { CertificateSpec } from '../csr/spec.ts';
import { nameHold, writersHold } from './disk/holds.ts';
import type { CertificateState } from './manager-state.ts';
import { judgedNow, type RotationContext } from './rotation-context.ts';

/** Whether somebody else's doing speaks against touching one certificate. */
export class HoldGuard {
  readonly #context: RotationContext;
  readonly #spec: CertificateSpec;
  readonly #state: CertificateState;

  constructor(context: RotationContext, spec: CertificateSpec, state: CertificateState) {
    this.#context = context;
    this.#spec = spec;
    this.#state = state;
  }

  /** Looks at the files and at the host's name; says once why the certificate is left alone. Throws what the store throws. */
  async check(): Promise<void> {
    const { log, store } = this.#context;
    const { name: purpose, isIdentity } = this.#spec;
    const files = this.#state.accepting ? [] : await store.foreign(purpose);
    if (isIdentity) await this.#noteMachine();
    const hold = writersHold(this.#spec, files) ?? (isIdentity ? this.#nameHold() : undefined);
    if (!this.#state.holdFor(hold) || hold === undefined) return;
    const { message: error, remedy } = hold;
    if (hold.code === 'ERR_NODE_NAME')
      log.log('warn', 'This host has another name than its certificate; leaving that alone', {
        purpose,
        error,
        remedy,
      });
    else if (this.#spec.files.kubelet === undefined)
      log.log('warn', 'Another program writes here too; leaving this certificate alone', { purpose, files, remedy });
    else log.log('warn', 'The kubelet rotates here too; leaving this certificate alone', { purpose, files, remedy });
  }

  /** Which machine works with the pair of this node, so that a clone of its disk is told from a host with a passing name. */
  async #noteMachine(): Promise<void> {
    const { nodeName, machine } = this.#context.options;
    const own = this.#state.current?.chain.leaf.commonName === `system:node:${nodeName}`;
    if (machine !== undefined && own) await this.#state.noteMachine(machine);
  }

  #nameHold(): CertletError | undefined {
    const { nodeName, namedByHost = false, machine } = this.#context.options;
    const { current, forced, history } = this.#state;
    const { earliest } = judgedNow(this.#context);
    const recorded = history.machine;
    const leaf = current?.chain.leaf;
    return nameHold({ current: leaf, nodeName, namedByHost, earliest, forced, recorded, machine }, this.#spec.name);
  }
}
