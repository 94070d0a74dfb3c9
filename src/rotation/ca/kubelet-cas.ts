import type { CaForm, KubeletCas } from '../../kubeconfig/ca-record.ts';
import { bundleId, CLUSTER_CA, type TrustedCa } from '../../kubeconfig/trusted-ca.ts';
import { restartForecast } from '../../kubelet/restart.ts';
import type { RotationEvent } from '../../ports.ts';
import type { RotationContext } from '../rotation-context.ts';
import { heldUntil, kubeletHolds, type KubeletLag, kubeletLag, LAST_STATIC, withoutCas } from '../rules/cluster-ca.ts';

/** Which CAs the running kubelet holds, and the wish to restart it where they are not those of its kubeconfig. */
export class KubeletCaKeeper {
  readonly #context: RotationContext;
  readonly #version: () => string | undefined;
  #held: KubeletCas | undefined;
  #lag: KubeletLag | undefined;
  /** For which CAs a restart was wished for in this process: a crash loses no wish, it makes another one. */
  #wished: { readonly id: string; readonly urgent: boolean; readonly run: string | undefined } | undefined;

  /** `version` reads the kubelet's, as far as it is known. */
  constructor(context: RotationContext, version: () => string | undefined) {
    this.#context = context;
    this.#version = version;
  }

  /** What the kubelet does not trust yet and goes on trusting; undefined where it holds what it should, or where nobody knows. */
  get lag(): KubeletLag | undefined {
    return this.#lag;
  }

  get held(): KubeletCas | undefined {
    return this.#held;
  }

  /** What an earlier process knew. */
  recall(held: KubeletCas | undefined): void {
    this.#held = held;
  }

  /** Looks at the kubelet: to be called before the kubeconfig changes, too. Resolves to whether what is known has changed. */
  async look(form: CaForm, trusted: readonly TrustedCa[]): Promise<boolean> {
    const kubeletVersion = this.#version();
    const run = await this.#context.clusterCa?.kubeletRun();
    const cas = trusted.map(({ fingerprint, subject }) => ({ fingerprint, subject }));
    const before = this.#held;
    const change = { purpose: CLUSTER_CA, after: { lastStaticKubelet: LAST_STATIC[form] }, kubeletVersion };
    const rereads = restartForecast(change) === undefined;
    this.#held = kubeletHolds(before, { run, form, cas }, rereads);
    this.#lag = kubeletLag(this.#held, cas);
    return JSON.stringify(before) !== JSON.stringify(this.#held);
  }

  /** Wishes for a restart where the kubelet holds other CAs than these, once for each set, and once more when it has become `urgent`. */
  async wish(form: CaForm, trusted: readonly TrustedCa[], urgent: boolean, signal: AbortSignal): Promise<void> {
    const id = bundleId(trusted);
    const isWished = this.#wished?.id === id && (this.#wished.urgent || !urgent);
    if (this.#lag === undefined) return await this.#takeBack(form, id, signal);
    if (isWished) return;
    this.#wished = { id, urgent, run: this.#held?.run };
    const replaced = heldUntil(withoutCas(trusted, this.#lag.lacks), this.#context.clock.now());
    const after = { lastStaticKubelet: LAST_STATIC[form] };
    await this.#say(form, { pairPath: id, after, replaced, ...(urgent && { urgent }) }, signal);
    // Nobody sees when this kubelet starts anew, so nothing is claimed of it from here on.
    if (this.#held?.run === undefined) await this.#assume(form, trusted);
  }

  /** The kubeconfig has become again what this run of the kubelet read: a restart that waits would change nothing. */
  async #takeBack(form: CaForm, pairPath: string, signal: AbortSignal): Promise<void> {
    const wished = this.#wished;
    this.#wished = undefined;
    if (wished?.run === undefined || wished.run !== this.#held?.run) return;
    await this.#say(form, { pairPath, after: {} }, signal);
  }

  async #say(
    form: CaForm,
    wish: Pick<RotationEvent, 'pairPath' | 'after' | 'replaced' | 'urgent'>,
    signal: AbortSignal,
  ): Promise<void> {
    const { kubeconfigPath, caFile } = this.#context.options;
    const currentPath = form === 'file' && caFile !== undefined ? caFile : kubeconfigPath;
    const event = { purpose: CLUSTER_CA, currentPath, kubeconfigPath, kubeletVersion: this.#version(), ...wish };
    await this.#context.after.rotated(event, signal);
  }

  async #assume(form: CaForm, trusted: readonly TrustedCa[]): Promise<void> {
    this.#held = undefined;
    await this.look(form, trusted);
  }
}
