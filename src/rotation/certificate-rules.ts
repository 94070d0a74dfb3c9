import type { CertletError } from '../errors.ts';
import type { CertificatePair } from '../pki/certificate.ts';
import type { CertificateSpec } from '../csr/spec.ts';
import type { CertificateTemplate } from '../csr/template.ts';
import type { ClusterAccess } from '../kubeconfig/client-config.ts';
import type { Asker } from './node/credentials.ts';

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
