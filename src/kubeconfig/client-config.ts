import { type Remedy, shellWord } from '../remedy.ts';
import { CertletError } from '../errors.ts';
import { Secret } from '../secret.ts';
import { readCaBundle } from './ca-bundle.ts';
import { readClientPair } from './client-pair.ts';
import type { PemSource } from './client-pair.ts';
import type { ExecPlugin, Kubeconfig, Material } from './model.ts';
import type { ProxyUrl } from './proxy-url.ts';
import { encodeYaml } from './yaml.ts';

/** Where the API server is and how to trust it. */
export interface ClusterAccess {
  /** URL as in the file, without trailing slash. */
  readonly server: string;
  /** CA certificates, PEM; undefined means the system's roots (client-go's rule). */
  readonly caPem?: string;
  /** Absolute path when the file named a path, so that the kubeconfig that certlet writes names it too. */
  readonly caPath?: string;
  readonly insecureSkipTlsVerify: boolean;
  readonly tlsServerName?: string;
  /** May hold a password. */
  readonly proxyUrl?: ProxyUrl;
}

export type Credential =
  | { readonly kind: 'token'; readonly token: Secret }
  /** Re-read for each new connection and at least every minute (client-go). `token`: what it held when the kubeconfig was read, to tell a fresh one by. */
  | { readonly kind: 'tokenFile'; readonly path: string; readonly token?: Secret }
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
  /** The one of them that tells of a file with a secret that every user can read. */
  readonly modeWarning?: string;
  /** The command that ends it. */
  readonly modeRemedy?: Remedy;
}

/** What the disk said about a file that the kubeconfig names: its text, or why it cannot be read. */
export type FileContent = Secret | Error;

/** Absolute paths of the files whose text `clientConfig` needs. */
export function filesNeeded(kubeconfig: Kubeconfig): readonly string[] {
  const { cluster, user } = kubeconfig;
  const materials = [
    cluster.ca,
    ...(user.kind === 'certificate' ? [user.certificate, user.key] : []),
    ...(user.kind === 'tokenFile' ? [user.file] : []),
  ];
  return [...new Set(materials.flatMap((material) => (material?.kind === 'file' ? [material.path] : [])))];
}

/**
 * The client configuration of a kubeconfig, with `contents` for each of `filesNeeded`. Throws `ERR_KUBECONFIG_INVALID` for
 * the CA and `ERR_CREDENTIAL_INVALID` for token, certificate and key; the message names the field and its file.
 */
export function clientConfig(kubeconfig: Kubeconfig, contents: ReadonlyMap<string, FileContent>): ClientConfig {
  const { cluster: entry, user } = kubeconfig;
  const ca = entry.ca === undefined ? undefined : readCa(entry.ca, contents);
  const cluster: ClusterAccess = {
    server: entry.server,
    insecureSkipTlsVerify: entry.insecureSkipTlsVerify,
    ...(ca === undefined ? {} : { caPem: ca.pem }),
    ...(entry.ca?.kind === 'file' ? { caPath: entry.ca.path } : {}),
    ...(entry.tlsServerName === undefined ? {} : { tlsServerName: entry.tlsServerName }),
    ...(entry.proxyUrl === undefined ? {} : { proxyUrl: entry.proxyUrl }),
  };
  const command = user.kind === 'exec' && user.plugin.command.includes('/') ? [user.plugin.command] : [];
  return {
    source: kubeconfig.path,
    cluster,
    credential: readCredential(user, contents),
    files: [...filesNeeded(kubeconfig), ...command],
    warnings: [...kubeconfig.warnings, ...entry.warnings, ...(ca?.warnings ?? []), ...user.warnings],
  };
}

function readCa(material: Material, contents: ReadonlyMap<string, FileContent>): ReturnType<typeof readCaBundle> {
  const { text, origin } = load(material, contents, 'ERR_KUBECONFIG_INVALID');
  return readCaBundle(text.reveal(), origin);
}

type UserOf<Kind> = Kubeconfig['user'] & { readonly kind: Kind };

function readCredential(user: Kubeconfig['user'], contents: ReadonlyMap<string, FileContent>): Credential {
  switch (user.kind) {
    case 'none':
      return { kind: 'none' };
    case 'token':
      return { kind: 'token', token: user.token };
    case 'exec':
      return { kind: 'exec', plugin: user.plugin };
    case 'tokenFile':
      return tokenFile(user, contents);
    case 'certificate':
      return certificateOf(user, contents);
  }
}

function certificateOf(user: UserOf<'certificate'>, contents: ReadonlyMap<string, FileContent>): Credential {
  const certificate = load(user.certificate, contents, 'ERR_CREDENTIAL_INVALID');
  return { kind: 'certificate', ...readClientPair(certificate, load(user.key, contents, 'ERR_CREDENTIAL_INVALID')) };
}

function tokenFile(user: UserOf<'tokenFile'>, contents: ReadonlyMap<string, FileContent>): Credential {
  const content = contents.get(user.file.path);
  const usable = content instanceof Secret && content.reveal().trim() !== '';
  if (!usable && user.token !== undefined) return { kind: 'token', token: user.token };
  const { text, origin } = load(user.file, contents, 'ERR_CREDENTIAL_INVALID');
  if (text.reveal().trim() === '') {
    throw new CertletError('ERR_CREDENTIAL_INVALID', `${origin.place}: ${origin.field}: ${user.file.path} is empty`, {
      remedy: `cat > ${shellWord(user.file.path)}   # paste the token, then Enter and Ctrl-D`,
    });
  }
  return { kind: 'tokenFile', path: user.file.path, token: new Secret(text.reveal().trim()) };
}

function load(
  material: Material,
  contents: ReadonlyMap<string, FileContent>,
  code: 'ERR_KUBECONFIG_INVALID' | 'ERR_CREDENTIAL_INVALID',
): PemSource {
  const { origin } = material;
  if (material.kind === 'data') return { text: material.text, origin };
  const content = contents.get(material.path);
  const named = { place: origin.place, field: `${origin.field} (${material.path})` };
  if (content instanceof Secret) return { text: content, origin: named };
  throw new CertletError(code, `${named.place}: ${named.field}: ${content?.message ?? 'not read'}`, {
    remedy: `ls -l ${shellWord(material.path)}   # put the file there, or mend its path in the kubeconfig`,
    cause: content,
  });
}

/**
 * The kubeconfig that the kubelet reads: the shape that the kubelet itself writes at bootstrap, plus `tls-server-name` and `proxy-url`,
 * which it would lose. Certificate and key name the same combined PEM file. A CA that came from a path stays a path.
 */
export function encodeNodeKubeconfig(cluster: ClusterAccess, pairPath: string): Secret {
  const caData = cluster.caPem === undefined ? undefined : Buffer.from(cluster.caPem, 'utf8').toString('base64');
  const access = {
    ...(cluster.caPath === undefined
      ? { 'certificate-authority-data': caData }
      : { 'certificate-authority': cluster.caPath }),
    ...(cluster.insecureSkipTlsVerify ? { 'insecure-skip-tls-verify': true } : {}),
    server: cluster.server,
    'tls-server-name': cluster.tlsServerName,
    'proxy-url': cluster.proxyUrl?.reveal(),
  };
  return new Secret(
    encodeYaml({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'default-cluster', cluster: access }],
      users: [{ name: 'default-auth', user: { 'client-certificate': pairPath, 'client-key': pairPath } }],
      contexts: [
        {
          name: 'default-context',
          context: { cluster: 'default-cluster', namespace: 'default', user: 'default-auth' },
        },
      ],
      'current-context': 'default-context',
    }),
  );
}
