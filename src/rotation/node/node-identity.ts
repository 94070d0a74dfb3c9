import { CertletError } from '../../errors.ts';
import type { Answers } from '../../csr/pending.ts';
import type { ClusterAccess } from '../../kubeconfig/client-config.ts';
import type { CertificatePair } from '../../pki/certificate.ts';
import type { ApiConnection } from '../../ports.ts';
import { kubeconfigPairProblem } from '../disk/pair-in-use.ts';
import { judgedNow, type RotationContext } from '../rotation-context.ts';
import {
  chooseIdentity,
  credentialDigest,
  type IdentityChoice,
  isDead,
  isGoodProof,
  noted,
  recalled,
  type Refusals,
  refusedOnceMore,
  subjectDigest,
} from '../rules/asker.ts';
import { capWait, SHARE_OF_LEFT } from '../rules/retry.ts';
import { leftMs } from '../rules/schedule.ts';
import type { NodeKubeconfigs } from './kubeconfigs.ts';

/** Who asks, and over which connection: the node itself, by a pair that `fingerprint` tells from others, or the bootstrap credential. */
export type Asker = NodeAsker | (Asking & { readonly identity: 'bootstrap' });

type NodeAsker = Asking & { readonly identity: 'node'; readonly fingerprint: string };

interface Asking {
  readonly cluster: ClusterAccess;
  readonly api: ApiConnection;
  /** Tells this credential from another: see `credentialDigest`. */
  readonly digest: string | undefined;
}

/** What the API server has refused, a pair by its fingerprint. */
type RefusedPair = Refusals & { readonly fingerprint: string };

/**
 * What the node asks with: its own client pair, how often the API server has refused it, and the connections made with it. The pair is read from
 * where it is kept; the past of one that has been replaced is none of its successor.
 */
export class NodeIdentity {
  readonly #context: RotationContext;
  readonly #kubeconfigs: NodeKubeconfigs;
  readonly #current: () => CertificatePair | undefined;
  #refused: RefusedPair | undefined;
  #proved: Answers['proved'];

  /** `current` reads the pair behind the link. */
  constructor(context: RotationContext, kubeconfigs: NodeKubeconfigs, current: () => CertificatePair | undefined) {
    this.#context = context;
    this.#kubeconfigs = kubeconfigs;
    this.#current = current;
  }

  /** The node's own pair, whatever its dates. */
  get current(): CertificatePair | undefined {
    return this.#current();
  }

  /** Of the pair in use. */
  get refusals(): Refusals | undefined {
    return this.#isCurrent(this.#refused?.fingerprint) ? this.#refused : undefined;
  }

  /** Refused often enough, for as long as the settings and what was left of the pair say. */
  get dead(): boolean {
    const { clock, options } = this.#context;
    const { refusals } = this;
    if (refusals === undefined) return false;
    const left = leftMs(this.current?.chain.leaf, { earliest: refusals.since, latest: refusals.since });
    return isDead(refusals, clock.now(), capWait(options.proofRetryMs, left, SHARE_OF_LEFT.failure));
  }

  /** What servers have said of the pair in use, for the history. A proof is kept only by runs that go by it. */
  get answers(): Answers {
    const refused = this.#refused;
    const proved = this.#proved;
    const keeps = this.#context.options.proofGoodForMs !== undefined && this.#isCurrent(proved?.fingerprint);
    return {
      ...(this.#isCurrent(refused?.fingerprint) && {
        refused: { fingerprint: refused.fingerprint, ...noted(refused) },
      }),
      ...(keeps && { proved }),
    };
  }

  /** After a start: what the history tells of the pair in use. */
  recall({ refused, proved }: Answers): void {
    if (this.#isCurrent(proved?.fingerprint)) this.#proved ??= proved;
    if (refused === undefined || !this.#isCurrent(refused.fingerprint) || this.refusals !== undefined) return;
    this.#refused = { fingerprint: refused.fingerprint, ...recalled(refused) };
  }

  /** The pair in use was accepted by the server of its kubeconfig so lately that this run takes that for its proof. */
  get provedLately(): boolean {
    const { clock, options } = this.#context;
    const server = this.#kubeconfigs.cluster.active?.server;
    const proved = this.#isCurrent(this.#proved?.fingerprint) ? this.#proved : undefined;
    return (
      this.refusals === undefined &&
      isGoodProof(proved, { server, now: clock.now(), goodForMs: options.proofGoodForMs })
    );
  }

  /** The pair with this fingerprint was accepted; nothing follows for one that has been replaced since. */
  accepted(fingerprint: string): void {
    if (this.#isCurrent(fingerprint)) this.#refused = undefined;
  }

  /** As `accepted`, by a proof at this server. */
  proved(fingerprint: string, server: string): void {
    this.accepted(fingerprint);
    this.#proved = { fingerprint, server, at: this.#context.clock.now() };
  }

  /** One 401 more for the pair with this fingerprint. Says whom it was meant for; one for a pair that has been replaced since does not count. */
  refused(fingerprint: string): 'current' | 'replaced' {
    if (!this.#isCurrent(fingerprint)) return 'replaced';
    const { clock, log, troubles } = this.#context;
    this.#refused = { fingerprint, ...refusedOnceMore(this.refusals, clock.now()) };
    this.#proved = undefined;
    const { count, since } = this.#refused;
    const serial = this.current?.chain.leaf.serial;
    const refusal = { code: 'ERR_API_UNAUTHORIZED', message: `client certificate ${fingerprint}` };
    const level = troubles.levelOf('refusals', refusal, { at: clock.now(), loud: 'warn', failures: count, echo: true });
    log.log(level, 'The API server refused the client certificate', { count, since, serial });
    // The next try goes over a fresh connection, perhaps to another API server behind the same name.
    this.dropConnections();
    return 'current';
  }

  /** Whoever still holds a connection is refused (`ERR_API_DROPPED`) and asks for one of the pair in use. Not waited for: a watch may run for minutes. */
  dropConnections(): void {
    void this.#context.connections.drop();
  }

  /** Which identity an attempt made now would use. */
  choice(): IdentityChoice {
    return chooseIdentity({
      current: this.current?.chain.leaf,
      wantedCommonName: this.#commonName,
      dead: this.dead,
      now: judgedNow(this.#context).earliest,
    });
  }

  /** Who asks for the node's own certificate. Throws `ERR_CREDENTIAL_MISSING` or what makes the bootstrap kubeconfig unusable. */
  asker(): Asker {
    const choice = this.choice();
    if (choice.kind === 'node') return this.nodeAsker();
    const config = this.#kubeconfigs.bootstrapConfig(this.#kubeconfigPairProblem() ?? choice.reason);
    const api = this.#context.connections.bootstrap(config);
    return { identity: 'bootstrap', cluster: config.cluster, api, digest: credentialDigest(config.credential) };
  }

  /** The node itself, who asks for every other certificate. Throws `ERR_CREDENTIAL_MISSING`. */
  nodeAsker(): NodeAsker {
    const pair = this.current;
    if (pair === undefined) throw new CertletError('ERR_CREDENTIAL_MISSING', 'there is no client certificate yet');
    const cluster = this.#kubeconfigs.activeCluster();
    const { leaf } = pair.chain;
    const api = this.#context.connections.node(cluster, pair);
    return { identity: 'node', cluster, api, fingerprint: leaf.fingerprint, digest: subjectDigest(leaf) };
  }

  /** Whether the node can ask for itself now. */
  get canAsk(): boolean {
    return this.choice().kind === 'node' && this.#kubeconfigs.cluster.active !== undefined;
  }

  /** Digest of the credential that the node itself asks with, or the one that would ask for the node's identity now; undefined without one. */
  digest(asker: 'node' | 'identity'): string | undefined {
    if (asker === 'node' || this.choice().kind === 'node') {
      const pair = this.current;
      return pair === undefined ? undefined : subjectDigest(pair.chain.leaf);
    }
    const { bootstrap } = this.#kubeconfigs;
    return bootstrap.kind === 'usable' ? credentialDigest(bootstrap.config.credential) : undefined;
  }

  /** The cluster for the proof of a pair that was issued before a restart: where the request went, as far as that can be told. */
  stagedCluster(): ClusterAccess {
    const { bootstrap } = this.#kubeconfigs;
    const asked = this.choice().kind === 'bootstrap' && bootstrap.kind === 'usable';
    return asked ? bootstrap.config.cluster : this.#kubeconfigs.activeCluster();
  }

  /** Why the pair that the node's kubeconfig names is not the one in hand: an admin's certificate there, say. */
  #kubeconfigPairProblem(): string | undefined {
    if (this.current !== undefined) return undefined;
    const now = judgedNow(this.#context).earliest;
    return kubeconfigPairProblem(this.#kubeconfigs.node, {
      commonName: this.#commonName,
      usages: ['client auth'],
      now,
    });
  }

  get #commonName(): string {
    return `system:node:${this.#context.options.nodeName}`;
  }

  #isCurrent(fingerprint: string | undefined): fingerprint is string {
    return fingerprint !== undefined && fingerprint === this.current?.chain.leaf.fingerprint;
  }
}
