import { type Remedy, shellWord } from '../remedy.ts';
import { basename, dirname, resolve } from 'node:path';
import { CertletError, isCertletError } from '../errors.ts';
import { clientConfig, encodeNodeKubeconfig, filesNeeded } from '../kubeconfig/client-config.ts';
import type { ClientConfig, ClusterAccess, FileContent } from '../kubeconfig/client-config.ts';
import { parseKubeconfig } from '../kubeconfig/codec.ts';
import type { Kubeconfig } from '../kubeconfig/model.ts';
import { decodeKubeconfig } from '../kubeconfig/text.ts';
import type { KubeconfigFiles, KubeconfigReading } from '../ports.ts';
import { Secret } from '../secret.ts';
import { errnoOf, fileError, hiddenRemedy } from './file-errors.ts';
import type { FileSystem } from './file-system.ts';
import { ensureFolder, readIfPresent, replaceFile, sweepTemporaries } from './files.ts';
import { KubeconfigPlacement } from './kubeconfig-placement.ts';
import { checkFileSafety, isLax, judgedCommand } from './kubeconfig-safety.ts';
import type { Trusted } from './kubeconfig-safety.ts';

export interface KubeconfigFilesOptions extends Trusted {
  readonly fs: FileSystem;
  /** Undefined: there is no bootstrap kubeconfig. */
  readonly bootstrapPath: string | undefined;
  readonly nodePath: string;
  /** For whoever may write: where a write in place is noted until it is whole. */
  readonly recordPath?: string;
  /** A CA file that is certlet's to write: no other that a kubeconfig names is. */
  readonly ownCaPath?: string;
  /** Throws for the path of a kubeconfig that is another file of the settings; asked before one is written that is not the node's. */
  readonly refuseMeeting?: (path: string) => Promise<void>;
  readonly onWarning?: (event: string, fields: { readonly file: string; readonly remedy: Remedy }) => void;
}

/** Kubeconfigs, tokens, certificates and CA bundles are some kilobytes. */
const MAX_BYTES = 1024 * 1024;
/** No write takes so long. */
const ABANDONED_MS = 3_600_000;

function unlessDefect(error: unknown): void {
  if (errnoOf(error) === undefined) throw error;
}

const READABLE_BY_ALL = 0o004;

/** The kubeconfigs of a node on disk. Reading never throws: what is wrong with a file is in the reading. */
export function createKubeconfigFiles(options: KubeconfigFilesOptions): KubeconfigFiles {
  const { fs } = options;
  const bootstrapPath = options.bootstrapPath === undefined ? undefined : resolve(options.bootstrapPath);
  const nodePath = resolve(options.nodePath);
  const placement = new KubeconfigPlacement(options, nodePath);
  return {
    readBootstrap: () =>
      bootstrapPath === undefined
        ? Promise.resolve({ kind: 'absent', path: '' })
        : readKubeconfig(bootstrapPath, options),
    readNode: () => readKubeconfig(nodePath, options),
    async writeNode(cluster: ClusterAccess, pairPath: string) {
      const text = encodeNodeKubeconfig(cluster, pairPath).reveal();
      const newCa = await writeOwnCa(cluster, options);
      try {
        // Ours with a wider mode goes back to 0600: others could have written it at any moment since.
        if ((await readIfPresent(fs, nodePath, MAX_BYTES)) === text && !(await isLax(fs, nodePath, options)))
          return newCa;
        await ensureFolder(fs, dirname(nodePath), 0o755);
        await sweepTemporaries(fs, dirname(nodePath), basename(nodePath));
        await placement.write(text, cluster.proxyUrl !== undefined);
      } catch (error) {
        throw fileError(error, nodePath);
      }
      return true;
    },
    finishWrite: () => placement.finish(),
    async sweep(now: Date) {
      for (const path of [bootstrapPath, nodePath]) {
        if (path === undefined) continue;
        // A folder that cannot be written here (the sandbox) is swept by the next `join`, and offered by `reset`.
        await sweepTemporaries(fs, dirname(path), basename(path), new Date(now.getTime() - ABANDONED_MS)).catch(
          unlessDefect,
        );
      }
    },
    write: (path, cluster, pairPath) => writeKubeconfig(resolve(path), cluster, pairPath, options),
    async removeBootstrap() {
      if (bootstrapPath === undefined) return;
      try {
        await fs.unlink(bootstrapPath);
        await fs.syncFolder(dirname(bootstrapPath));
      } catch (error) {
        throw fileError(error, bootstrapPath);
      }
    },
  };
}

/** Before the kubeconfig that names it. Readers find the old bundle or the new one, whole; `false` where it holds these CAs already. */
async function writeOwnCa(
  { caPath, caPem }: ClusterAccess,
  { fs, ownCaPath }: KubeconfigFilesOptions,
): Promise<boolean> {
  if (caPath === undefined || caPath !== ownCaPath || caPem === undefined) return false;
  try {
    if ((await readIfPresent(fs, caPath, MAX_BYTES)) === caPem) return false;
    await ensureFolder(fs, dirname(caPath), 0o755);
    await replaceFile(fs, caPath, caPem, 0o644);
    return true;
  } catch (error) {
    throw fileError(error, caPath);
  }
}

async function writeKubeconfig(
  path: string,
  cluster: ClusterAccess,
  pairPath: string,
  options: KubeconfigFilesOptions,
): Promise<boolean> {
  const { fs } = options;
  const text = encodeNodeKubeconfig(cluster, pairPath).reveal();
  try {
    // Ours with a wider mode goes back to 0600: others could have written it at any moment since.
    if ((await readIfPresent(fs, path, MAX_BYTES)) === text && !(await isLax(fs, path, options))) return false;
    await options.refuseMeeting?.(path);
    await ensureFolder(fs, dirname(path), 0o755);
    await sweepTemporaries(fs, dirname(path), basename(path));
    await replaceFile(fs, path, text, 0o600);
  } catch (error) {
    throw fileError(error, path);
  }
  return true;
}

/** Reads any kubeconfig as the daemon does, files that it names included; its current context unless told. `path` must be absolute. */
export async function readKubeconfig(
  path: string,
  options: Trusted & { readonly fs: FileSystem; readonly context?: string },
): Promise<KubeconfigReading> {
  let files: readonly string[] = [];
  try {
    const text = await textOf(options.fs, path);
    if (text === undefined) {
      const isLink = (await options.fs.lstat(path))?.kind === 'link';
      const linksTo = isLink ? await options.fs.readlink(path) : undefined;
      return { kind: 'absent', path, ...(linksTo === undefined ? {} : { linksTo: resolve(dirname(path), linksTo) }) };
    }
    await checkFileSafety(options.fs, path, options);
    const kubeconfig = await judged(parseKubeconfig(text, path, options.context), options);
    files = [...filesNeeded(kubeconfig)];
    const config = clientConfig(kubeconfig, await contentsOf(options.fs, kubeconfig));
    const lax = await laxMode(options.fs, path, config);
    if (lax === undefined) return { kind: 'usable', path, config };
    return { kind: 'usable', path, config: { ...config, ...lax, warnings: [...config.warnings, lax.modeWarning] } };
  } catch (error) {
    const told = fileError(error, path);
    if (!isCertletError(told)) throw error;
    return { kind: 'unusable', path, error: told, files };
  }
}

/** Throws `ERR_KUBECONFIG_UNSAFE` for a CA or a plugin that others could change; the plugin is named by the path that was judged. */
async function judged(kubeconfig: Kubeconfig, options: Trusted & { readonly fs: FileSystem }): Promise<Kubeconfig> {
  const { cluster, user } = kubeconfig;
  // One that is not there is told when it is read.
  if (cluster.ca?.kind === 'file' && (await options.fs.stat(cluster.ca.path)) !== undefined)
    await checkFileSafety(options.fs, cluster.ca.path, options);
  if (user.kind !== 'exec') return kubeconfig;
  const command = await judgedCommand(options.fs, user.plugin.command, options);
  return command === undefined ? kubeconfig : { ...kubeconfig, user: { ...user, plugin: { ...user.plugin, command } } };
}

async function textOf(fs: FileSystem, path: string): Promise<string | undefined> {
  try {
    return decodeKubeconfig(await fs.read(path, MAX_BYTES), path);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT') return undefined;
    if (errno === undefined) throw error;
    throw new CertletError('ERR_KUBECONFIG_INVALID', `${path}: cannot be read (${(error as Error).message})`, {
      remedy: hiddenRemedy(errno, path) ?? `namei -l ${shellWord(path)}   # it and the folders above`,
      cause: error,
    });
  }
}

async function contentsOf(fs: FileSystem, kubeconfig: Kubeconfig): Promise<ReadonlyMap<string, FileContent>> {
  const contents = new Map<string, FileContent>();
  for (const path of filesNeeded(kubeconfig)) {
    try {
      contents.set(path, new Secret(Buffer.from(await fs.read(path, MAX_BYTES)).toString('utf8')));
    } catch (error) {
      if (!(error instanceof Error) || errnoOf(error) === undefined) throw error;
      contents.set(path, error);
    }
  }
  return contents;
}

/** A token or key that every user of the host can read can ask for any node's certificate. */
async function laxMode(
  fs: FileSystem,
  path: string,
  config: ClientConfig,
): Promise<{ readonly modeWarning: string; readonly modeRemedy: Remedy } | undefined> {
  const { credential } = config;
  const secretFile = credential.kind === 'tokenFile' ? credential.path : path;
  if (credential.kind !== 'token' && credential.kind !== 'tokenFile') return undefined;
  const facts = await fs.stat(secretFile);
  if (facts === undefined || (facts.mode & READABLE_BY_ALL) === 0) return undefined;
  const mode = (facts.mode & 0o777).toString(8);
  return {
    modeWarning: `${secretFile} holds a token and every user can read it (mode ${mode})`,
    modeRemedy: `chmod 600 ${shellWord(secretFile)}`,
  };
}
