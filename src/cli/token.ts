import { shellWord } from '../remedy.ts';
import { X509Certificate } from 'node:crypto';
import { join, resolve } from 'node:path';
import { fileError } from '../adapters/file-errors.ts';
import type { FileSystem } from '../adapters/file-system.ts';
import { ensureFolder, readIfPresent, replaceFile } from '../adapters/files.ts';
import type { ClusterApi } from '../approve/ports.ts';
import { encodeBootstrapKubeconfig } from '../discovery/bootstrap-kubeconfig.ts';
import { caPinOf } from '../discovery/ca-pin.ts';
import type { BootstrapToken } from '../discovery/bootstrap-token.ts';
import { asCertletError, CertletError, problemOf } from '../errors.ts';
import type { ClusterAccess } from '../kubeconfig/client-config.ts';
import { encodePem, pemBlocks } from '../pki/pem.ts';
import { Secret } from '../secret.ts';
import {
  letters,
  newToken,
  tokenCsvLine,
  tokenSecret,
  TOKENS_NAMESPACE,
  type TokenWish,
} from '../token/bootstrap-token-object.ts';
import { groupsFor } from '../token/groups.ts';
import type { TokenCreateArguments } from './command.ts';

/** What may lie where a bootstrap kubeconfig goes; they have a few kilobytes. */
const FILE_LIMIT_BYTES = 1024 * 1024;

/** One token that was made, for the answer; the token itself only where it was asked for. */
export interface MadeToken {
  readonly id: string;
  readonly node?: string;
  readonly expiresAt?: Date;
  readonly groups: readonly string[];
  /** What to type on the node. */
  readonly join: string;
  /** The bootstrap kubeconfig that was written. */
  readonly file?: string;
  readonly token?: string;
}

export interface TokenPorts {
  readonly random: (count: number) => Uint8Array;
  readonly now: Date;
  readonly fs: FileSystem;
}

/** Node by node; one that is bound to none where none is named. */
export function wishesOf(args: TokenCreateArguments, now: Date): readonly TokenWish[] {
  const nodes = args.nodes.length === 0 ? [undefined] : args.nodes;
  const expiresAt = args.ttlMs === 0 ? undefined : new Date(now.getTime() + args.ttlMs);
  return nodes.map((nodeName) => ({
    nodeName,
    once: args.once,
    expiresAt,
    groups: groupsFor(nodeName, args.groups),
    description: args.description ?? (nodeName === undefined ? undefined : `certlet: for the node ${nodeName}`),
  }));
}

/** The Secrets as objects, for `--print-secret`: nothing is changed anywhere. */
export function printedSecrets(args: TokenCreateArguments, { random, now }: TokenPorts): readonly object[] {
  return wishesOf(args, now).map((wish) => tokenSecret(newToken(random), wish));
}

/** Lines of a static token file, for `--print-csv`. */
export function printedLines(args: TokenCreateArguments, { random, now }: TokenPorts): readonly Secret[] {
  return wishesOf(args, now).map(({ nodeName, groups }) =>
    tokenCsvLine(
      new Secret(letters(32, random)),
      `certlet-bootstrap${nodeName === undefined ? '' : `:${nodeName}`}`,
      groups,
    ),
  );
}

/**
 * Makes the tokens in the cluster, each after its file is on the disk: a token that nobody knows helps nobody. Hands on each that was made, also
 * those before one that fails. A file whose token could not be made is taken back: what lay there before lies there again, 0600. Throws what the
 * API server and the disk answer.
 */
export async function* createTokens(
  args: TokenCreateArguments,
  { api, cluster }: { readonly api: ClusterApi; readonly cluster: ClusterAccess },
  ports: TokenPorts,
  signal: AbortSignal,
): AsyncGenerator<MadeToken, void, undefined> {
  const { caPem } = cluster;
  if (caPem === undefined) {
    throw new CertletError(
      'ERR_KUBECONFIG_INVALID',
      'the kubeconfig has no CA, which nodes need to know their cluster by',
      {
        remedy: '# Use one with certificate-authority, such as /etc/kubernetes/admin.conf.',
      },
    );
  }
  for (const wish of wishesOf(args, ports.now)) {
    const token = newToken(ports.random);
    const file = await writeFor(token, wish, { folder: args.writeFolder, server: cluster.server, caPem }, ports);
    try {
      const path = `/api/v1/namespaces/${TOKENS_NAMESPACE}/secrets`;
      await api.request('POST', path, tokenSecret(token, wish), signal);
    } catch (error) {
      throw file === undefined ? error : await withoutFile(error, file);
    }
    yield madeToken(token, wish, { args, server: cluster.server, caPem, file: file?.path });
  }
}

interface WrittenFile {
  readonly path: string;
  /** Throws `ERR_STORE_*`. */
  readonly takeBack: () => Promise<void>;
}

/** What kept a token from being made, once its file has been taken back; tells of both where that fails, too. */
async function withoutFile(error: unknown, { path, takeBack }: WrittenFile): Promise<unknown> {
  const problem = await problemOf(takeBack);
  if (problem === undefined) return error;
  const { code, message, remedy } = asCertletError(error);
  const left = `${path} holds a token that was not made and could not be taken back: ${problem.message}`;
  return new CertletError(code, `${message}; ${left}`, { cause: error, ...(remedy === undefined ? {} : { remedy }) });
}

interface Place {
  readonly folder: string | undefined;
  readonly server: string;
  readonly caPem: string;
}

async function writeFor(
  { id, secret }: BootstrapToken,
  { nodeName }: TokenWish,
  { folder, server, caPem }: Place,
  { fs }: TokenPorts,
): Promise<WrittenFile | undefined> {
  if (folder === undefined) return undefined;
  const path = join(resolve(folder), `${nodeName ?? 'bootstrap-kubelet'}.conf`);
  await ensureFolder(fs, resolve(folder), 0o700);
  const former = await readIfPresent(fs, path, FILE_LIMIT_BYTES);
  const text = encodeBootstrapKubeconfig({ server, caPem }, new Secret(`${id}.${secret.reveal()}`));
  await replaceFile(fs, path, text.reveal(), 0o600);
  const remove = (): Promise<void> =>
    fs.unlink(path).catch((error: unknown) => {
      throw fileError(error, path);
    });
  return { path, takeBack: former === undefined ? remove : () => replaceFile(fs, path, former, 0o600) };
}

function madeToken(
  { id, secret }: BootstrapToken,
  { nodeName, expiresAt, groups }: TokenWish,
  made: {
    readonly args: TokenCreateArguments;
    readonly server: string;
    readonly caPem: string;
    readonly file: string | undefined;
  },
): MadeToken {
  return {
    id,
    ...(nodeName === undefined ? {} : { node: nodeName }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    groups,
    join: joinLine(made.server, made.caPem),
    ...(made.file === undefined ? {} : { file: made.file }),
    ...(made.args.showToken ? { token: `${id}.${secret.reveal()}` } : {}),
  };
}

/** With the hash of every CA of the bundle: any of them may be the one that signed. The token is read from a file or standard input. */
function joinLine(server: string, caPem: string): string {
  const { host } = new URL(server);
  const pins = pemBlocks(caPem).flatMap(({ label, der }) =>
    label === 'CERTIFICATE' && der !== undefined ? [caPinOf(new X509Certificate(encodePem(label, der)))] : [],
  );
  const flags = [...new Set(pins)].map((pin) => `--discovery-token-ca-cert-hash ${pin}`);
  return ['certlet join', shellWord(host), '--token-file -', ...flags].join(' ');
}
