import type { CertletError } from '../errors.ts';
import type { CertificateSpec } from '../csr/spec.ts';
import { type CertificateTemplate, templateOf } from '../csr/template.ts';
import type { ClusterAccess } from '../kubeconfig/client-config.ts';
import type { CertificatePair } from '../pki/certificate.ts';
import type { CertificateRules } from './certificate-rules.ts';
import type { RotationContext } from './context.ts';
import type { Asker, Credentials } from './node/credentials.ts';
import type { NodeWatch } from './node/node-watch.ts';
import { proveClientPair } from './proof/proof.ts';

/** Every certificate but the node's identity: always asked for by the node itself, with the names and addresses that the node has where it wants them. */
export class AsksAsNode implements CertificateRules {
  readonly spec: CertificateSpec;
  readonly #context: RotationContext;
  readonly #credentials: Credentials;
  readonly #node: NodeWatch;

  constructor(
    spec: CertificateSpec,
    context: RotationContext,
    node: { readonly credentials: Credentials; readonly watch: NodeWatch },
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
