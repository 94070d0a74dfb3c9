import type { CertletError } from '../errors.ts';
import type { CertificatePair } from '../pki/certificate.ts';
import type { CertificateSpec } from '../csr/spec.ts';
import { type CertificateTemplate, templateOf } from '../csr/template.ts';
import type { ClusterAccess } from '../kubeconfig/client-config.ts';
import type { Asker, Credentials } from './node/credentials.ts';
import type { RotationContext } from './rotation-context.ts';
import { proveClientPair } from './proof/proof.ts';
import { removeProvenBootstrap } from './proof/proven-bootstrap.ts';
import type { NodeReader } from './node/node-reader.ts';

/** How one certificate comes by: what its spec says, done with the node's credentials. */
export interface CertificateRules {
  readonly spec: CertificateSpec;
  /** What to ask for now; `keyEncipherment` is what the signer was found to want, where it was. */
  template(keyEncipherment: boolean | undefined): CertificateTemplate;
  /** Who asks, decided at each attempt. Throws `ERR_CREDENTIAL_MISSING` and what makes a kubeconfig unusable. */
  asker(): Asker;
  /** Which credential would ask now, as far as two can be told apart; undefined when there is none or when that cannot be told. */
  askerDigest(): string | undefined;
  /** The asker's certificate was refused (401), or accepted by an answer. */
  refused(asker: Asker): void;
  accepted(asker: Asker): void;
  /**
   * What an attempt goes by, as it is now: the kubeconfigs, and for a new request the Node's addresses; a pending request has its names.
   * Never throws for want of an answer.
   */
  prepare(attempt: 'new request' | 'pending request', signal: AbortSignal): Promise<void>;
  /** Where a staged pair is proven: no credential is needed any more. Throws `ERR_CREDENTIAL_MISSING` when no kubeconfig names a server. */
  stagedCluster(): ClusterAccess;
  /** The template stands on what the cluster says, not only on what this host knows: a difference from it is a real one. */
  isTemplateFirm(): boolean;
  /** Last check of a staged pair before it becomes current: why the API server refuses it, undefined when it does not. Throws what is no answer. */
  prove(pair: CertificatePair, cluster: ClusterAccess, signal: AbortSignal): Promise<CertletError | undefined>;
  /** The link names this pair now: kubeconfig, connections. */
  installed(pair: CertificatePair, cluster: ClusterAccess): Promise<void>;
  /** True while the current client certificate is refused for good. */
  isRefused(): boolean;
  /** What speaks against a certificate that is good by its dates; undefined when nothing does. */
  doubt(): string | undefined;
  /** Why nothing may be asked yet, such as a serving request without a client certificate. */
  blocked(): string | undefined;
}

/** The node's identity: asked for by the node itself or the bootstrap credential, proven before it becomes current. */
export class IdentityRules implements CertificateRules {
  readonly spec: CertificateSpec;
  readonly #context: RotationContext;
  readonly #credentials: Credentials;

  constructor(spec: CertificateSpec, context: RotationContext, credentials: Credentials) {
    this.spec = spec;
    this.#context = context;
    this.#credentials = credentials;
  }

  template(keyEncipherment: boolean | undefined): CertificateTemplate {
    const { nodeName } = this.#context.options;
    return templateOf(this.spec, { nodeName, nodeNames: [], keyEncipherment });
  }

  asker(): Asker {
    return this.#credentials.forClient();
  }

  askerDigest(): string | undefined {
    return this.#credentials.digest('identity');
  }

  stagedCluster(): ClusterAccess {
    return this.#credentials.forStaged();
  }

  isTemplateFirm(): boolean {
    return true;
  }

  refused(asker: Asker): void {
    if (asker.identity === 'node') this.#credentials.refused(asker.fingerprint);
  }

  accepted(asker: Asker): void {
    if (asker.identity === 'node') this.#credentials.accepted(asker.fingerprint);
  }

  async prepare(): Promise<void> {
    await this.#credentials.reload();
  }

  prove(pair: CertificatePair, cluster: ClusterAccess, signal: AbortSignal): Promise<CertletError | undefined> {
    return proveClientPair(this.#context, cluster, pair, signal);
  }

  async installed(pair: CertificatePair, cluster: ClusterAccess): Promise<void> {
    const { log, connections } = this.#context;
    this.#credentials.setPair(pair);
    log.log('debug', 'certificate rotation detected, shutting down client connections to start using new credentials');
    // Not waited for: a watch of the serving request may run for minutes on the old connection.
    void connections.drop();
    await this.#credentials.writeKubeconfig(cluster, this.spec);
    await removeProvenBootstrap(this.#context, this.#credentials);
  }

  isRefused(): boolean {
    return this.#credentials.dead;
  }

  doubt(): string | undefined {
    const { refusals } = this.#credentials;
    if (refusals === undefined) return undefined;
    const times = refusals.count === 1 ? 'once' : `${String(refusals.count)} times`;
    return `the API server refuses the client certificate: ${times} since ${refusals.since.toISOString()}`;
  }

  blocked(): undefined {
    return undefined;
  }
}

/** Every certificate but the node's identity: always asked for by the node itself, with the names and addresses that the node has where it wants them. */
export class AsksAsNode implements CertificateRules {
  readonly spec: CertificateSpec;
  readonly #context: RotationContext;
  readonly #credentials: Credentials;
  readonly #node: NodeReader;

  constructor(
    spec: CertificateSpec,
    context: RotationContext,
    node: { readonly credentials: Credentials; readonly watch: NodeReader },
  ) {
    this.spec = spec;
    this.#context = context;
    this.#credentials = node.credentials;
    this.#node = node.watch;
  }

  template(keyEncipherment: boolean | undefined): CertificateTemplate {
    const { nodeName } = this.#context.options;
    return templateOf(this.spec, { nodeName, nodeNames: this.#node.names(), keyEncipherment });
  }

  asker(): Asker {
    return this.#credentials.forNode();
  }

  askerDigest(): string | undefined {
    return this.#credentials.digest('node');
  }

  stagedCluster(): ClusterAccess {
    return this.#credentials.forStaged();
  }

  isTemplateFirm(): boolean {
    return !this.spec.names.ofNode || this.#node.isInformed;
  }

  refused(asker: Asker): void {
    if (asker.identity === 'node') this.#credentials.refused(asker.fingerprint);
  }

  accepted(asker: Asker): void {
    if (asker.identity === 'node') this.#credentials.accepted(asker.fingerprint);
  }

  async prepare(attempt: 'new request' | 'pending request', signal: AbortSignal): Promise<void> {
    if (attempt === 'pending request' || !this.spec.names.ofNode) return;
    // A request that is made anyway takes the newest names: the debounce only keeps changes from causing requests.
    this.#node.restart();
    // The request that follows meets the same refusal, and it is counted there. One for the Node alone (something between that lets only
    // some paths through) keeps no certificate from coming.
    await this.#node.refresh(signal);
  }

  async prove(pair: CertificatePair, cluster: ClusterAccess, signal: AbortSignal): Promise<CertletError | undefined> {
    // The API server does not judge serving certificates before it dials the kubelet, nor those of other signers: nothing to ask.
    return this.spec.proof === 'none' ? undefined : proveClientPair(this.#context, cluster, pair, signal);
  }

  async installed(pair: CertificatePair, cluster: ClusterAccess): Promise<void> {
    const { log } = this.#context;
    const { name, kubeconfig } = this.spec;
    log.log('debug', 'Certificate in place', { purpose: name, serial: pair.chain.leaf.serial, server: cluster.server });
    if (kubeconfig !== undefined) await this.#credentials.writeKubeconfig(cluster, this.spec);
  }

  isRefused(): boolean {
    return false;
  }

  doubt(): undefined {
    return undefined;
  }

  blocked(): string | undefined {
    const choice = this.#credentials.choice();
    return choice.kind === 'node' ? undefined : `needs a client certificate: ${choice.reason}`;
  }
}
