import type { CertificateSpec } from '../csr/spec.ts';
import { type CertificateTemplate, templateOf } from '../csr/template.ts';
import type { CertletError } from '../errors.ts';
import type { CertificateRules } from './certificate-rules.ts';
import type { ClusterAccess } from '../kubeconfig/client-config.ts';
import type { CertificatePair } from '../pki/certificate.ts';
import type { RotationContext } from './context.ts';
import type { Asker, Credentials } from './node/credentials.ts';
import { proveClientPair } from './proof/proof.ts';
import { removeProvenBootstrap } from './proof/proven-bootstrap.ts';

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
