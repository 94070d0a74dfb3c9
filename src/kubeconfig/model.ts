import type { Secret } from '../secret.ts';
import type { ProxyUrl } from './proxy-url.ts';

/** `exec` of a user entry (client.authentication.k8s.io v1 and v1beta1). */
export interface ExecPlugin {
  readonly apiVersion: string;
  /** The path that was judged; a bare name where PATH has no such program, and that is never run. */
  readonly command: string;
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly provideClusterInfo: boolean;
  readonly installHint?: string;
  /** The cluster's `client.authentication.k8s.io/exec` extension, given to the plugin with `provideClusterInfo`. */
  readonly clusterConfig?: unknown;
}

/** Where a value came from, for messages. */
export interface Origin {
  /** `file:line:column`. */
  readonly place: string;
  /** Field path, such as `users[0].user.client-key`. */
  readonly field: string;
}

/** PEM text or a token that the kubeconfig embeds or keeps in a file; `path` is absolute. */
export type Material =
  | { readonly kind: 'data'; readonly text: Secret; readonly origin: Origin }
  | { readonly kind: 'file'; readonly path: string; readonly origin: Origin };

/** The cluster entry of the current context, checked, files not read yet. */
export interface ClusterEntry {
  /** With scheme, without trailing slash. */
  readonly server: string;
  readonly ca: Material | undefined;
  readonly insecureSkipTlsVerify: boolean;
  readonly tlsServerName: string | undefined;
  readonly proxyUrl: ProxyUrl | undefined;
  readonly warnings: readonly string[];
}

/** The credentials that a user entry names, in the order in which certlet takes them. */
export type UserEntry =
  | {
      readonly kind: 'certificate';
      readonly certificate: Material;
      readonly key: Material;
      readonly warnings: readonly string[];
    }
  | { readonly kind: 'token'; readonly token: Secret; readonly warnings: readonly string[] }
  /** The file wins; `token` stands in while the file is empty or cannot be read (client-go). */
  | {
      readonly kind: 'tokenFile';
      readonly file: Material & { kind: 'file' };
      readonly token: Secret | undefined;
      readonly warnings: readonly string[];
    }
  | { readonly kind: 'exec'; readonly plugin: ExecPlugin; readonly warnings: readonly string[] }
  | { readonly kind: 'none'; readonly warnings: readonly string[] };

/** The current context of one kubeconfig file. */
export interface Kubeconfig {
  /** Absolute path of the file. */
  readonly path: string;
  readonly context: string;
  readonly cluster: ClusterEntry;
  readonly user: UserEntry;
  /** About the file as a whole. */
  readonly warnings: readonly string[];
}
