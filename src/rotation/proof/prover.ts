import { type ErrorCode, errorFields, isCertletError } from '../../errors.ts';
import type { CertificatePair } from '../../pki/certificate.ts';
import type { ClusterAccess } from '../../kubeconfig/client-config.ts';
import { clusterDifferences } from '../rules/clusters.ts';
import { judgedNow, type RotationContext } from '../rotation-context.ts';
import type { NodeKubeconfigs } from '../node/kubeconfigs.ts';
import type { NodeIdentity } from '../node/node-identity.ts';
import { explainTls } from './explain-tls.ts';
import { proveClientPair } from './proof.ts';
import { Backoff } from '../rules/retry.ts';
import { leftMs } from '../rules/schedule.ts';

/**
 * Proves the client pair in use: after a start with an adopted one, while it is being refused, and against another cluster entry that the
 * bootstrap kubeconfig offers (a new CA or server is taken over only after an accepted request with it).
 */
export class Prover {
  readonly #context: RotationContext;
  readonly #identity: NodeIdentity;
  readonly #kubeconfigs: NodeKubeconfigs;
  readonly #takeOver: (cluster: ClusterAccess, signal: AbortSignal) => Promise<void>;
  /** Fingerprint of the pair whose proof is wanted: one that has been issued since was proved before it became current. */
  #wanted: string | undefined;
  readonly #backoff = new Backoff();
  /** The offer that was refused last, so that it is not tried for ever. An accepted one is in the kubeconfig, so it is no offer any more. */
  #refusedOffer: ClusterAccess | undefined;
  /** The offer that nobody answered while the pair was good elsewhere. */
  #silentOffer: ClusterAccess | undefined;

  /** `takeOver` makes the node's kubeconfig name a cluster that has accepted the pair. */
  constructor(
    context: RotationContext,
    node: { readonly identity: NodeIdentity; readonly kubeconfigs: NodeKubeconfigs },
    takeOver: (cluster: ClusterAccess, signal: AbortSignal) => Promise<void>,
  ) {
    this.#context = context;
    this.#identity = node.identity;
    this.#kubeconfigs = node.kubeconfigs;
    this.#takeOver = takeOver;
  }

  /** A proof is wanted as soon as possible. */
  want(): void {
    this.#wanted = this.#identity.current?.chain.leaf.fingerprint;
    this.#backoff.recall(undefined);
    this.#refusedOffer = undefined;
    this.#silentOffer = undefined;
  }

  /** Nothing to prove now: the pair is accepted (or there is none to prove). */
  get idle(): boolean {
    const { offered } = this.#kubeconfigs.cluster;
    const onlyAnOffer = !this.#isWanted() && this.#identity.refusals === undefined;
    // An offer that nobody answers is looked at again, but nothing waits for it.
    return !this.#needed() || (onlyAnOffer && offered !== undefined && sameAs(this.#silentOffer, offered));
  }

  /** When to run next; undefined while there is nothing to prove. */
  due(): Date | undefined {
    if (!this.#needed()) return undefined;
    const now = this.#context.clock.now();
    return this.#backoff.until(now) ?? now;
  }

  /** One round. Throws only defects. */
  async run(signal: AbortSignal): Promise<void> {
    const pair = this.#identity.current;
    try {
      if (await this.#settled(pair, signal)) {
        await this.#kubeconfigs.removeProvenBootstrap();
        this.#wanted = undefined;
        // The pair is good, but an offer that nobody answered is looked at again slowly: it may stay so for years.
        this.#silentOffer = this.#kubeconfigs.cluster.offered;
        if (this.#needed()) this.#again('ERR_API_TLS', undefined);
        else this.#backoff.reset();
        this.#sayOver();
      } else {
        const meant = pair && this.#identity.refused(pair.chain.leaf.fingerprint);
        if (meant === 'current') this.#again('ERR_API_UNAUTHORIZED', undefined);
        else this.#backoff.reset();
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!isCertletError(error)) throw error;
      const { active } = this.#kubeconfigs.cluster;
      const told = active === undefined ? error : await explainTls(this.#context, active, error, signal);
      const retry = this.#again(error.code, error.retryAfterMs);
      const { clock, log, troubles } = this.#context;
      const { failures } = this.#backoff;
      const level = troubles.levelOf('proof', told, { at: clock.now(), loud: 'warn', failures, echo: true });
      log.log(level, 'Could not prove the client certificate', { ...errorFields(told), retry });
    }
  }

  #sayOver(): void {
    const { clock, log, troubles } = this.#context;
    const ended = troubles.over('proof', clock.now());
    if (ended !== undefined) log.log('info', 'The client certificate is proven', { ...ended });
  }

  /** True when the pair was accepted somewhere; false when it was refused; throws when nobody answered. */
  async #settled(pair: CertificatePair | undefined, signal: AbortSignal): Promise<boolean> {
    const { cluster } = this.#kubeconfigs;
    if (pair === undefined || cluster.active === undefined) return true;
    const offered = cluster.offered === undefined ? 'none' : await this.#proveOffered(pair, cluster.offered, signal);
    if (offered === 'accepted') return true;
    try {
      const refusal = await proveClientPair(this.#context, cluster.active, pair, signal);
      if (refusal === undefined) this.#identity.proved(pair.chain.leaf.fingerprint, cluster.active.server);
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
    const { active } = this.#kubeconfigs.cluster;
    const differences = active === undefined ? [] : clusterDifferences(active, offered);
    try {
      // Whoever is to be named in the kubeconfig has to answer itself.
      const { connections } = this.#context;
      const direct = { fresh: connections.exact.bind(connections) };
      const refusal = await proveClientPair({ connections: direct }, offered, pair, signal);
      this.#kubeconfigs.said.over(`offer of ${offered.server}`);
      if (refusal !== undefined) {
        this.#refusedOffer = offered;
        log.log('warn', 'The bootstrap kubeconfig names a cluster that refuses the client certificate', {
          differences,
          error: refusal.message,
        });
        return 'refused';
      }
      log.log('info', 'Taking over the cluster entry of the bootstrap kubeconfig', { differences });
      this.#identity.proved(pair.chain.leaf.fingerprint, offered.server);
      await this.#takeOver(offered, signal);
      return 'accepted';
    } catch (error) {
      if (!isCertletError(error)) throw error;
      // It may stay so for years, and is looked at again every few minutes.
      if (!this.#kubeconfigs.said.isNews(`offer of ${offered.server}`, error.code)) return 'no answer';
      log.log('warn', 'Could not reach the cluster that the bootstrap kubeconfig names', errorFields(error));
      return 'no answer';
    }
  }

  #isWanted(): boolean {
    return this.#wanted !== undefined && this.#wanted === this.#identity.current?.chain.leaf.fingerprint;
  }

  #again(code: ErrorCode, retryAfterMs: number | undefined): Date {
    const { clock, chance, options } = this.#context;
    const usable = this.#identity.choice().kind === 'node';
    return this.#backoff.failed(clock.now(), {
      error: { code: usable ? code : 'ERR_ISSUED_REFUSED', retryAfterMs },
      roll: chance.roll(),
      msToExpiry: leftMs(this.#identity.current?.chain.leaf, judgedNow(this.#context)),
      refusedBackoffMs: options.refusedBackoffMs,
    });
  }

  /** A pair that is expired or for another node needs no proof; a refused one is shown again, slowly, in case the server comes to its senses. */
  #needed(): boolean {
    const { current: pair, refusals } = this.#identity;
    const { cluster } = this.#kubeconfigs;
    if (pair === undefined) return false;
    const usable = this.#context.clock.now() <= pair.chain.leaf.notAfter;
    const offered = cluster.offered !== undefined && !sameAs(this.#refusedOffer, cluster.offered);
    return usable && (this.#isWanted() || refusals !== undefined || offered);
  }
}

const sameAs = (left: ClusterAccess | undefined, right: ClusterAccess): boolean =>
  left !== undefined && clusterDifferences(left, right).length === 0;
