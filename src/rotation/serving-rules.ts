import { servingTemplate, type CertificateTemplate } from '../csr/template.ts';
import type { ClusterAccess } from '../kubeconfig/client-config.ts';
import type { CertificatePair } from '../pki/certificate.ts';
import type { RotationContext } from './context.ts';
import type { Asker, Credentials } from './credentials.ts';
import type { NodeWatch } from './node-watch.ts';
import type { PurposeRules } from './purpose-rules.ts';

/** The serving certificate: always asked for by the node itself, with the names and addresses that the node has. */
export class ServingRules implements PurposeRules {
  readonly purpose = 'serving';
  readonly #context: RotationContext;
  readonly #credentials: Credentials;
  readonly #node: NodeWatch;

  constructor(context: RotationContext, credentials: Credentials, node: NodeWatch) {
    this.#context = context;
    this.#credentials = credentials;
    this.#node = node;
  }

  template(keyEncipherment: boolean): CertificateTemplate {
    const { nodeName, expirationSeconds } = this.#context.options;
    const options = { nodeName, keyEncipherment, ...(expirationSeconds === undefined ? {} : { expirationSeconds }) };
    return servingTemplate(options, this.#node.names());
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
    return this.#node.isInformed;
  }

  refused(asker: Asker): void {
    if (asker.identity === 'node') this.#credentials.refused(asker.fingerprint);
  }

  accepted(asker: Asker): void {
    if (asker.identity === 'node') this.#credentials.accepted(asker.fingerprint);
  }

  async prepare(attempt: 'new request' | 'pending request', signal: AbortSignal): Promise<void> {
    if (attempt === 'pending request') return;
    // A request that is made anyway takes the newest names: the debounce only keeps changes from causing requests.
    this.#node.restart();
    // The request that follows meets the same refusal, and it is counted there. One for the Node alone (something between that lets only
    // some paths through) keeps no certificate from coming.
    await this.#node.refresh(signal);
  }

  async prove(): Promise<undefined> {
    // The API server does not judge serving certificates before it dials the kubelet: nothing to ask.
    return undefined;
  }

  async installed(pair: CertificatePair, cluster: ClusterAccess): Promise<void> {
    this.#context.log.log('debug', 'Serving certificate in place', {
      serial: pair.chain.leaf.serial,
      server: cluster.server,
    });
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
