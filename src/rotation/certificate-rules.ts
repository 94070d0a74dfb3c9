import { timestamp } from '../timestamp.ts';
import type { CertletError } from '../errors.ts';
import type { Gain } from '../csr/pending.ts';
import type { CertificateSpec } from '../csr/spec.ts';
import { type CertificateTemplate, templateOf } from '../csr/template.ts';
import type { ClusterAccess } from '../kubeconfig/client-config.ts';
import type { CertificatePair } from '../pki/certificate.ts';
import type { NodeKubeconfigs } from './node/kubeconfigs.ts';
import type { Asker, NodeIdentity } from './node/node-identity.ts';
import type { NodeReader } from './node/node-reader.ts';
import { gainedNames, heldBack, type HeldBack } from './rules/gains.ts';
import { nameLimit } from './rules/name-limits.ts';
import type { RotationContext } from './rotation-context.ts';

/** What the node has and asks with, whatever the certificate. */
export interface NodeParts {
  readonly identity: NodeIdentity;
  readonly kubeconfigs: NodeKubeconfigs;
  readonly reader: NodeReader;
}

type NamesOf = Pick<CertificateTemplate, 'dnsNames' | 'ipAddresses'>;

/** How one certificate comes by: what its spec says, done with what the node has. */
export abstract class CertificateRules {
  readonly spec: CertificateSpec;
  protected readonly context: RotationContext;
  protected readonly node: NodeParts;
  /** The last ones made, by `keyEncipherment`: they are asked for in every round, and the node's names seldom change. */
  readonly #templates = new Map<
    boolean | undefined,
    { readonly names: string; readonly template: CertificateTemplate }
  >();

  constructor(spec: CertificateSpec, context: RotationContext, node: NodeParts) {
    this.spec = spec;
    this.context = context;
    this.node = node;
  }

  /** What to ask for now; `keyEncipherment` is what the signer was found to want, where it was. */
  template(keyEncipherment: boolean | undefined): CertificateTemplate {
    const { nodeName } = this.context.options;
    const nodeNames = this.spec.names.ofNode ? this.node.reader.names() : [];
    const names = nodeNames.join('\n');
    const made = this.#templates.get(keyEncipherment);
    if (made?.names === names) return made.template;
    const template = templateOf(this.spec, { nodeName, nodeNames, keyEncipherment });
    this.#templates.set(keyEncipherment, { names, template });
    return template;
  }

  /** The template stands on what the cluster says, not only on what this host knows: a difference from it is a real one. */
  isTemplateFirm(): boolean {
    return !this.spec.names.ofNode || this.node.reader.isInformed;
  }

  /** Why nothing new may be asked for with the names that the node has; undefined when it may. */
  nameLimit(): CertletError | undefined {
    if (!this.spec.names.ofNode) return undefined;
    const { maxNames } = this.context.options;
    return nameLimit(this.template(undefined), { maxNames, allIgnored: this.node.reader.allIgnored() });
  }

  /** What the first request should wait for, where it takes the Node's addresses; undefined when they are there. */
  awaitedCloud(): string | undefined {
    return this.spec.names.ofNode ? this.node.reader.awaitedCloud() : undefined;
  }

  /** Its addresses are looked for often until then. */
  awaitCloud(until: Date): void {
    this.node.reader.awaitUntil(until);
  }

  /** Names of the node that `before` lacks and the settings do not name. */
  gained(before: NamesOf | undefined): readonly string[] {
    if (!this.spec.names.ofNode) return [];
    return gainedNames(before, this.template(undefined), this.node.reader.given());
  }

  /** Those of them that have come back within a day of the last request for them. */
  heldBack(before: NamesOf | undefined, gains: readonly Gain[] | undefined): HeldBack | undefined {
    return gains === undefined ? undefined : heldBack(gains, this.gained(before), this.context.clock.now());
  }

  /** Of the kubelet on this node, as far as that is known. */
  get kubeletVersion(): string | undefined {
    return this.node.reader.kubeletVersion;
  }

  /** Where a staged pair is proven: no credential is needed any more. Throws `ERR_CREDENTIAL_MISSING` when no kubeconfig names a server. */
  stagedCluster(): ClusterAccess {
    return this.node.identity.stagedCluster();
  }

  /** The asker's certificate was refused (401), or accepted by an answer. */
  refused(asker: Asker): void {
    if (asker.identity === 'node') this.node.identity.refused(asker.fingerprint);
  }

  accepted(asker: Asker): void {
    if (asker.identity === 'node') this.node.identity.accepted(asker.fingerprint);
  }

  /** Who asks, decided at each attempt. Throws `ERR_CREDENTIAL_MISSING` and what makes a kubeconfig unusable. */
  abstract asker(): Asker;

  /** Which credential would ask now, as far as two can be told apart; undefined when there is none or when that cannot be told. */
  abstract askerDigest(): string | undefined;

  /**
   * What an attempt goes by, as it is now: the kubeconfigs, and for a new request the Node's addresses; a pending request has its names.
   * Never throws for want of an answer.
   */
  abstract prepare(attempt: 'new request' | 'pending request', signal: AbortSignal): Promise<void>;

  /** The link names this pair now: kubeconfig, connections. */
  abstract installed(pair: CertificatePair, cluster: ClusterAccess, signal: AbortSignal): Promise<void>;

  /** True while the current certificate is refused for good. */
  abstract isRefused(): boolean;

  /** What speaks against a certificate that is good by its dates; undefined when nothing does. */
  abstract doubt(): string | undefined;

  /** Why nothing may be asked yet, such as a serving request without a client certificate. */
  abstract blocked(): string | undefined;
}

/** The node's identity: asked for by the node itself or the bootstrap credential, proven before it becomes current. */
export class IdentityRules extends CertificateRules {
  asker(): Asker {
    return this.node.identity.asker();
  }

  askerDigest(): string | undefined {
    return this.node.identity.digest('identity');
  }

  async prepare(): Promise<void> {
    await this.node.kubeconfigs.reload();
  }

  async installed(_pair: CertificatePair, cluster: ClusterAccess, signal: AbortSignal): Promise<void> {
    const { identity, kubeconfigs } = this.node;
    this.context.log.log(
      'debug',
      'certificate rotation detected, shutting down client connections to start using new credentials',
    );
    identity.dropConnections();
    await kubeconfigs.write(cluster, this.spec, signal);
    await kubeconfigs.removeProvenBootstrap();
  }

  isRefused(): boolean {
    return this.node.identity.dead;
  }

  doubt(): string | undefined {
    const { refusals } = this.node.identity;
    if (refusals === undefined) return undefined;
    const times = refusals.count === 1 ? 'once' : `${String(refusals.count)} times`;
    return `the API server refuses the client certificate: ${times} since ${timestamp(refusals.since)}`;
  }

  blocked(): undefined {
    return undefined;
  }
}

/** Every other certificate: always asked for by the node itself, with the names and addresses that the node has where it wants them. */
export class AsksAsNode extends CertificateRules {
  asker(): Asker {
    return this.node.identity.nodeAsker();
  }

  askerDigest(): string | undefined {
    return this.node.identity.digest('node');
  }

  async prepare(attempt: 'new request' | 'pending request', signal: AbortSignal): Promise<void> {
    if (attempt === 'pending request' || !this.spec.names.ofNode) return;
    // The debounce only keeps changes from causing requests.
    this.node.reader.takeNewest();
    // The request that follows meets the same refusal, and it is counted there. One for the Node alone (something between that lets only
    // some paths through) keeps no certificate from coming.
    await this.node.reader.refresh(signal);
  }

  async installed(pair: CertificatePair, cluster: ClusterAccess, signal: AbortSignal): Promise<void> {
    const { name, kubeconfig } = this.spec;
    const { serial } = pair.chain.leaf;
    this.context.log.log('debug', 'Certificate in place', { purpose: name, serial, server: cluster.server });
    if (kubeconfig !== undefined) await this.node.kubeconfigs.write(cluster, this.spec, signal);
  }

  isRefused(): boolean {
    return false;
  }

  doubt(): undefined {
    return undefined;
  }

  blocked(): string | undefined {
    const choice = this.node.identity.choice();
    return choice.kind === 'node' ? undefined : `needs a client certificate: ${choice.reason}`;
  }
}
