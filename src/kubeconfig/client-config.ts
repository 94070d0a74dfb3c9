import type { Secret } from '../secret.ts';

/** Where the API server is and how to trust it. */
export interface ClusterAccess {
  /** URL as in the file, without trailing slash. */
  readonly server: string;
  /** CA certificates, PEM; undefined means the system's roots (client-go's rule). */
  readonly caPem?: string;
  /** Absolute path when the file named a path, so that the kubeconfig that certlet writes names it too (F4.7). */
  readonly caPath?: string;
  readonly insecureSkipTlsVerify: boolean;
  readonly tlsServerName?: string;
  /** May hold a password. */
  readonly proxyUrl?: Secret;
}

/** `exec` of a user entry (client.authentication.k8s.io v1 and v1beta1). */
export interface ExecPlugin {
  readonly apiVersion: string;
  /** As resolved: absolute, or a bare name for PATH. */
  readonly command: string;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly provideClusterInfo: boolean;
  readonly installHint?: string;
}

export type Credential =
  | { readonly kind: 'token'; readonly token: Secret }
  /** Re-read for each new connection and at least every minute (client-go). */
  | { readonly kind: 'tokenFile'; readonly path: string }
  | { readonly kind: 'certificate'; readonly chainPem: string; readonly keyPem: Secret }
  | { readonly kind: 'exec'; readonly plugin: ExecPlugin }
  | { readonly kind: 'none' };

/** A kubeconfig's current context, resolved. */
export interface ClientConfig {
  /** Path of the kubeconfig, for messages. */
  readonly source: string;
  readonly cluster: ClusterAccess;
  readonly credential: Credential;
  /** Files that the kubeconfig names (CA, token, certificate, key, exec command): watch them too. */
  readonly files: readonly string[];
  /** Things to say once at each start, such as insecure-skip-tls-verify. */
  readonly warnings: readonly string[];
}

/** The kubeconfig that the kubelet reads (shape of F4.7 plus tls-server-name and proxy-url), YAML text, both paths the same combined PEM. */
export declare function encodeNodeKubeconfig(cluster: ClusterAccess, pairPath: string): Secret;
