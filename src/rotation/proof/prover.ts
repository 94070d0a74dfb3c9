import type { CertificateSpec } from '../../csr/spec.ts';
import { type ErrorCode, isCertletError } from '../../errors.ts';
import type { CertificatePair } from '../../pki/certificate.ts';
import type { ClusterAccess } from '../../kubeconfig/client-config.ts';
import { clusterDifferences } from '../rules/clusters.ts';
import { judgedNow, type RotationContext } from '../rotation-context.ts';
import type { Credentials } from '../node/credentials.ts';
import { proveClientPair } from './proof.ts';
import { removeProvenBootstrap } from './proven-bootstrap.ts';
import { openAt, type RetryGate } from '../manager-state.ts';
import { retryDelayMs } from '../rules/retry.ts';
import { leftMs } from '../rules/schedule.ts';

/**
 * Proves the client pair in use: after a start with an adopted one, while it is being refused, and against another cluster entry that the
 * bootstrap kubeconfig offers (a new CA or server is taken over only after an accepted request with it).
 */
export class Prover {
  readonly #context: RotationContext;
  readonly #credentials: Credentials;
  readonly #identity: CertificateSpec;
  readonly #remember: () => Promise<void>;
  /** Fingerprint of the pair whose proof is wanted: one that has been issued since was proved before it became current. */
  #wanted: string | undefined;
  #gate: RetryGate | undefined;
  #failures = 0;
  /** The offer that was refused last, so that it is not tried for ever. An accepted one is in the kubeconfig, so it is no offer any more. */
  #refusedOffer: ClusterAccess | undefined;
  /** The offer that nobody answered while the pair was good elsewhere. */
  #silentOffer: ClusterAccess | undefined;

  /** `remember` is called after each round, for what a restart has to know of it. */
  constructor(
    context: RotationContext,
    node: { readonly credentials: Credentials; readonly identity: CertificateSpec },
    remember: () => Promise<void>,
  ) {
    this.#context = context;
    this.#credentials = node.credentials;
    this.#identity = node.identity;
    this.#remember = remember;
  }

  /** A proof is wanted as soon as possible. */
  want(): void {
    this.#wanted = this.#credentials.pair?.chain.leaf.fingerprint;
    this.#gate = undefined;
    this.#refusedOffer = undefined;
    this.#silentOffer = undefined;
  }

  /** Nothing to prove now: the pair is accepted (or there is none to prove). */
  get idle(): boolean {
    const { offered } = this.#credentials.cluster;
    const onlyAnOffer = !this.#isWanted() && this.#credentials.refusals === undefined;
    // An offer that nobody answers is looked at again, but nothing waits for it.
    return !this.#needed() || (onlyAnOffer && offered !== undefined && sameAs(this.#silentOffer, offered));
  }

  /** When to run next; undefined while there is nothing to prove. */
  due(): Date | undefined {
    if (!this.#needed()) return undefined;
    const now = this.#context.clock.now();
    return openAt(this.#gate, now) ?? now;
  }

  /** One round. Throws only defects. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#round(signal);
    await this.#remember();
  }

  async #round(signal: AbortSignal): Promise<void> {
    const { pair } = this.#credentials;
    try {
      if (await this.#settled(pair, signal)) {
        await removeProvenBootstrap(this.#context, this.#credentials);
        this.#wanted = undefined;
        // The pair is good, but an offer that nobody answered is looked at again slowly: it may stay so for years.
        this.#silentOffer = this.#credentials.cluster.offered;
        if (this.#needed()) this.#again('ERR_API_TLS', undefined);
        else this.#rest();
      } else {
        if (pair !== undefined) this.#credentials.refused(pair.chain.leaf.fingerprint);
        if (this.#credentials.refusals === undefined) this.#rest();
        else this.#again('ERR_API_UNAUTHORIZED', undefined);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!isCertletError(error)) throw error;
      const retry = this.#again(error.code, error.retryAfterMs);
      const { code, message, remedy } = error;
      this.#context.log.log('warn', 'Could not prove the client certificate', { code, error: message, remedy, retry });
    }
  }

  /** True when the pair was accepted somewhere; false when it was refused; throws when nobody answered. */
  async #settled(pair: CertificatePair | undefined, signal: AbortSignal): Promise<boolean> {
    const { cluster } = this.#credentials;
    if (pair === undefined || cluster.active === undefined) return true;
    const offered = cluster.offered === undefined ? 'none' : await this.#proveOffered(pair, cluster.offered, signal);
    if (offered === 'accepted') return true;
    try {
      const refusal = await proveClientPair(this.#context, cluster.active, pair, signal);
      if (refusal === undefined) this.#credentials.accepted(pair.chain.leaf.fingerprint);
      return refusal === undefined;
    } catch (error) {
      // The old cluster entry does not answer and the new one answers with a refusal: that is a refusal.
      if (offered === 'refused' && isCertletError(error)) return false;
      throw error;
    }
  }

  async #proveOffered(
    pair: CertificatePair,
    offered: ClusterAccess,
    signal: AbortSignal,
  ): Promise<'accepted' | 'refused' | 'no answer'> {
    const { log } = this.#context;
    const { active } = this.#credentials.cluster;
    const differences = active === undefined ? [] : clusterDifferences(active, offered);
    try {
      const refusal = await proveClientPair(this.#context, offered, pair, signal);
      this.#credentials.said.over(`offer of ${offered.server}`);
      if (refusal !== undefined) {
        this.#refusedOffer = offered;
        log.log('warn', 'The bootstrap kubeconfig names a cluster that refuses the client certificate', {
          differences,
          error: refusal.message,
        });
        return 'refused';
      }
      log.log('info', 'Taking over the cluster entry of the bootstrap kubeconfig', { differences });
      this.#credentials.accepted(pair.chain.leaf.fingerprint);
      await this.#credentials.writeKubeconfig(offered, this.#identity);
      return 'accepted';
    } catch (error) {
      if (!isCertletError(error)) throw error;
      const { code, message, remedy } = error;
      // It may stay so for years, and is looked at again every few minutes.
      if (!this.#credentials.said.isNews(`offer of ${offered.server}`, code)) return 'no answer';
      log.log('warn', 'Could not reach the cluster that the bootstrap kubeconfig names', {
        code,
        error: message,
        remedy,
      });
      return 'no answer';
    }
  }

  #isWanted(): boolean {
    return this.#wanted !== undefined && this.#wanted === this.#credentials.pair?.chain.leaf.fingerprint;
  }

  #rest(): void {
    this.#failures = 0;
    this.#gate = undefined;
  }

  #again(code: ErrorCode, retryAfterMs: number | undefined): Date {
    const { clock, chance, options } = this.#context;
    this.#failures += 1;
    const now = clock.now();
    const delayMs = retryDelayMs({
      error: { code: this.#credentials.choice().kind === 'node' ? code : 'ERR_ISSUED_REFUSED', retryAfterMs },
      failures: this.#failures,
      roll: chance.roll(),
      msToExpiry: leftMs(this.#credentials.pair?.chain.leaf, judgedNow(this.#context)),
      refusedBackoffMs: options.refusedBackoffMs,
    });
    this.#gate = { setAt: now, at: new Date(now.getTime() + delayMs) };
    return this.#gate.at;
  }

  /** A pair that is expired or for another node needs no proof; a refused one is shown again, slowly, in case the server comes to its senses. */
  #needed(): boolean {
    const { pair, refusals, cluster } = this.#credentials;
    if (pair === undefined) return false;
    const usable = this.#context.clock.now() <= pair.chain.leaf.notAfter;
    const offered = cluster.offered !== undefined && !sameAs(this.#refusedOffer, cluster.offered);
    return usable && (this.#isWanted() || refusals !== undefined || offered);
  }
}

const sameAs = (left: ClusterAccess | undefined, right: ClusterAccess): boolean =>
  left !== undefined && clusterDifferences(left, right).length === 0;
