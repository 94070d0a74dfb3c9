import { adviceLines } from '../status/rows.ts';
import { filledIn, FIX, shellWord } from '../remedy.ts';
import { basename, dirname } from 'node:path';
import type { FileSystem } from '../adapters/file-system.ts';
import { ensureFolder, readIfPresent, replaceFile, sweepTemporaries } from '../adapters/files.ts';
import { encodeBootstrapKubeconfig } from '../discovery/bootstrap-kubeconfig.ts';
import { type BootstrapToken, bearerToken, parseBootstrapToken } from '../discovery/bootstrap-token.ts';
import { caPinOf } from '../discovery/ca-pin.ts';
import {
  clusterFromKubeconfig,
  type DiscoveredCluster,
  sameCluster,
  tokenFromKubeconfig,
} from '../discovery/cluster-info.ts';
import { CertletError } from '../errors.ts';
import { parseYaml } from '../kubeconfig/yaml.ts';
import { parseChain } from '../pki/certificate.ts';
import { type SealedPlaces, writeSealed } from './sealed-bootstrap.ts';
import type { Sealer } from '../adapters/systemd/sealer.ts';
import type { KubeconfigFiles, KubeconfigReading } from '../ports.ts';
import type { Secret } from '../secret.ts';
import { type JoinArguments, joinPlan, type TokenSource } from './join-plan.ts';
import { clusterOfBootstrap, leftToRoot, type RootKubeconfig, writeRootKubeconfig } from './root-kubeconfig.ts';
import { type DiscoveryPorts, discoverByToken } from './token-discovery.ts';

/** Where the bootstrap kubeconfig goes and what stands there and beside it now. */
export interface JoinFiles {
  readonly bootstrapPath: string;
  readonly kubeconfigs: Pick<KubeconfigFiles, 'readBootstrap' | 'readNode' | 'writeNode'>;
  readonly node: RootKubeconfig;
  /** The service's user where it is not root: it must read what root writes. */
  readonly service?: ServiceReader | undefined;
  /** For `--seal`. */
  readonly sealed: Omit<SealedPlaces, 'bootstrapPath'>;
}

/** A user of its own that the unit of the service names. */
export interface ServiceReader {
  readonly user: string;
  /** Its group; undefined where this host does not have that user yet. */
  readonly gid: number | undefined;
}

export interface JoinPorts extends DiscoveryPorts {
  readonly fs: FileSystem;
  readonly sealer: Sealer;
  /** Lets a group read a file of root's, and nobody else besides. */
  readonly letGroupRead: (path: string, gid: number) => Promise<void>;
  readonly readStdin: () => Promise<string>;
  /** One line of warning, on standard error. */
  readonly warn: (line: string) => void;
}

/** What `joinCluster` has done. */
export interface Joined {
  readonly server: string;
  /** Pins of the cluster's CA certificates, as `--discovery-token-ca-cert-hash` takes them. */
  readonly caPins: readonly string[];
  /** The bootstrap kubeconfig; that of the node where only this one was written. */
  readonly written: string;
  /** The node's kubeconfig, where it was written besides. */
  readonly kubeconfig?: string;
  /** What to run now. */
  readonly next: readonly string[];
}

interface Found {
  readonly cluster: DiscoveredCluster;
  readonly token: Secret;
}

/** A kubeconfig with its CA is some kilobytes, a token a line. */
const FILE_LIMIT_BYTES = 1024 * 1024;
const GROUP_AND_OTHERS = 0o077;

/**
 * Finds the cluster, checks it and writes the bootstrap kubeconfig (0600, atomically). Nothing is written unless everything
 * held. Throws `ERR_USAGE`, `ERR_DISCOVERY`, `ERR_TIMEOUT`, the codes of the fetch and `ERR_STORE_*`.
 */
export async function joinCluster(
  args: JoinArguments,
  files: JoinFiles,
  ports: JoinPorts,
  signal: AbortSignal,
): Promise<Joined> {
  const plan = joinPlan(args);
  if (plan.kind === 'present') return await renewKubeconfig(files, ports);
  if (args.seal) await ports.sealer.check();
  const found =
    plan.kind === 'file' ? await fromFile(plan, ports, signal) : await fromCluster(plan, args.timeoutMs, ports, signal);
  await refuseOtherCluster(found.cluster, args.force, files, ports);
  await ensureFolder(ports.fs, dirname(files.bootstrapPath), 0o755);
  // A join that was killed left its token there.
  await sweepTemporaries(ports.fs, dirname(files.bootstrapPath), basename(files.bootstrapPath));
  const written = await writeBootstrap(encodeBootstrapKubeconfig(found.cluster, found.token), args, files, ports);
  const joined = {
    server: found.cluster.server,
    caPins: parseChain(found.cluster.caPem).certificates.map(caPinOf),
    written,
  };
  const start = [...(args.seal ? ['systemctl start certlet-unseal'] : []), 'systemctl enable --now certlet'];
  if (!args.writeKubeconfig) {
    await warnAboutNodeKubeconfig(found.cluster, files, ports);
    return { ...joined, next: start };
  }
  const { kubeconfigs, node } = files;
  const access = { ...found.cluster, insecureSkipTlsVerify: false };
  await writeRootKubeconfig(access, node, { fs: ports.fs, kubeconfigs });
  return {
    ...joined,
    kubeconfig: node.path,
    next: [...(await nextForRoot(node, ports)), ...start],
  };
}

/** The bootstrap kubeconfig, plain or sealed; gives the path of the file that holds it now. */
async function writeBootstrap(
  content: Secret,
  { seal }: JoinArguments,
  { bootstrapPath, sealed, service }: JoinFiles,
  ports: JoinPorts,
): Promise<string> {
  const { fs, sealer } = ports;
  if (seal) {
    await writeSealed(fs, sealer, content, { ...sealed, bootstrapPath });
    return sealed.sealed;
  }
  await replaceFile(fs, bootstrapPath, content.reveal(), 0o600);
  if (service !== undefined) await letServiceRead(bootstrapPath, service, ports);
  // An older token, which nothing names any more.
  for (const path of [sealed.sealed, sealed.opened]) await fs.unlink(path);
  return bootstrapPath;
}

async function letServiceRead(path: string, { user, gid }: ServiceReader, ports: JoinPorts): Promise<void> {
  if (gid !== undefined) return ports.letGroupRead(path, gid);
  const word = shellWord(user);
  const file = shellWord(path);
  ports.warn(
    `warning: the service runs as ${user}, whom this host does not have yet, and could not read ${path}\n  ${FIX} systemd-sysusers && chgrp ${word} ${file} && chmod 640 ${file}`,
  );
}

/** The node's kubeconfig anew from the bootstrap kubeconfig, which has the cluster's new CA or server. */
async function renewKubeconfig(files: JoinFiles, ports: JoinPorts): Promise<Joined> {
  const { kubeconfigs, node } = files;
  const cluster = clusterOfBootstrap(await kubeconfigs.readBootstrap(), node);
  await writeRootKubeconfig(cluster, node, { fs: ports.fs, kubeconfigs });
  const caPins = cluster.caPem === undefined ? [] : parseChain(cluster.caPem).certificates.map(caPinOf);
  return { server: cluster.server, caPins, written: node.path, next: await nextForRoot(node, ports) };
}

async function nextForRoot(node: RootKubeconfig, { fs, warn }: JoinPorts): Promise<readonly string[]> {
  const settings = await readIfPresent(fs, node.settingsPath, FILE_LIMIT_BYTES);
  const { next, warnings } = leftToRoot(node, settings ?? '');
  for (const warning of warnings) warn(`warning: ${warning}`);
  return next;
}

/** For a person; ends in a newline. */
export function joinedText({ server, caPins, written, kubeconfig, next }: Joined): string {
  return [
    `cluster: ${server}`,
    `cluster CA: ${caPins.join(', ')}`,
    `written: ${written}${kubeconfig === undefined ? '' : `, ${kubeconfig}`}`,
    `next: ${next.join('; ')}   (without systemd: certlet once)`,
    '',
  ].join('\n');
}

type PlanOf<Kind> = Extract<ReturnType<typeof joinPlan>, { readonly kind: Kind }>;

async function fromCluster(
  plan: PlanOf<'token'>,
  timeoutMs: number,
  ports: JoinPorts,
  signal: AbortSignal,
): Promise<Found> {
  const token = await readToken(plan.token, ports);
  if (plan.pins.length === 0)
    ports.warn('warning: the CA is not pinned; whoever knows the token can pose as this cluster');
  const asked = { endpoint: plan.endpoint, token, pins: plan.pins, timeoutMs };
  const { leftOut, ...cluster } = await discoverByToken(asked, ports, signal);
  if (leftOut.length > 0)
    ports.warn(`warning: CAs of the document that are not pinned are left out: ${leftOut.join(', ')}`);
  return { cluster, token: bearerToken(token) };
}

async function fromFile(plan: PlanOf<'file'>, ports: JoinPorts, signal: AbortSignal): Promise<Found> {
  const document = parseYaml(await readDiscoveryFile(plan.file, ports, signal), plan.file, 'ERR_DISCOVERY').value;
  const cluster = clusterFromKubeconfig(document, plan.file);
  const token =
    plan.token === undefined ? tokenFromKubeconfig(document) : bearerToken(await readToken(plan.token, ports));
  if (token === undefined) {
    throw new CertletError('ERR_USAGE', `${plan.file} has no token in its only user: --token-file is missing`, {
      remedy: filledIn('certlet join --discovery-file FILE --token-file FILE'),
    });
  }
  return { cluster, token };
}

async function readDiscoveryFile(file: string, ports: JoinPorts, signal: AbortSignal): Promise<string> {
  if (!file.includes('://')) {
    const text = await readIfPresent(ports.fs, file, FILE_LIMIT_BYTES);
    if (text === undefined) throw new CertletError('ERR_DISCOVERY', `--discovery-file ${file}: there is no such file`);
    return text;
  }
  if (!file.startsWith('https://'))
    throw new CertletError('ERR_USAGE', '--discovery-file: only paths and https URLs are read');
  const answer = await ports.fetch(file, { kind: 'system' }, signal);
  if (answer.status !== 200) {
    throw new CertletError('ERR_DISCOVERY', `--discovery-file ${file}: status ${String(answer.status)}`, {
      status: answer.status,
      remedy: `curl -is ${shellWord(file)}   # must answer 200 with a kubeconfig, without a redirect; or save it and give its path`,
    });
  }
  return answer.body;
}

async function readToken(source: TokenSource, ports: JoinPorts): Promise<BootstrapToken> {
  if (source.kind === 'stdin') return parseBootstrapToken(await ports.readStdin(), 'standard input');
  if (source.kind === 'file') return readTokenFile(source.path, ports);
  ports.warn('warning: a token given with --token shows in the process list and the shell history; use --token-file');
  return parseBootstrapToken(source.text, '--token');
}

async function readTokenFile(path: string, ports: JoinPorts): Promise<BootstrapToken> {
  const text = await readIfPresent(ports.fs, path, FILE_LIMIT_BYTES);
  if (text === undefined) throw new CertletError('ERR_USAGE', `--token-file ${path}: there is no such file`);
  const mode = (await ports.fs.stat(path))?.mode ?? 0;
  if ((mode & GROUP_AND_OTHERS) !== 0) {
    ports.warn(
      `warning: ${path} can be read by other users (mode ${mode.toString(8)})\n  ${FIX} chmod 600 ${shellWord(path)}`,
    );
  }
  return parseBootstrapToken(text, path);
}

/** A node that belongs to another cluster is not moved by mistake: overwriting the file is what would move it. */
async function refuseOtherCluster(
  cluster: DiscoveredCluster,
  force: boolean,
  files: JoinFiles,
  ports: JoinPorts,
): Promise<void> {
  const difference = differenceOf(await files.kubeconfigs.readBootstrap(), cluster);
  if (difference === undefined) return;
  if (force) {
    ports.warn(`warning: replacing ${difference}`);
    return;
  }
  throw new CertletError('ERR_DISCOVERY', `not overwritten: ${difference}`, {
    remedy: 'certlet reset   # if this node is to change clusters; else give the same command with --force',
  });
}

async function warnAboutNodeKubeconfig(cluster: DiscoveredCluster, files: JoinFiles, ports: JoinPorts): Promise<void> {
  const reading = await files.kubeconfigs.readNode();
  const difference = differenceOf(reading, cluster);
  if (difference === undefined) return;
  const here = reading.kind === 'usable' && reading.config.cluster.server === cluster.server;
  const advice = here
    ? ['once the cluster accepts its certificate, certlet takes the new CA over and keeps identity and key']
    : adviceLines('certlet reset   # joins this cluster anew');
  ports.warn([`warning: ${difference}`, ...advice.map((line) => `  ${line}`)].join('\n'));
}

function differenceOf(reading: KubeconfigReading, cluster: DiscoveredCluster): string | undefined {
  if (reading.kind === 'absent') return undefined;
  if (reading.kind === 'unusable')
    return `${reading.path}, which cannot be read as a kubeconfig (${reading.error.message})`;
  const { server, caPem } = reading.config.cluster;
  if (sameCluster(cluster, { server, caPem: caPem ?? '' })) return undefined;
  return server === cluster.server
    ? `${reading.path}, which is for ${server} with another CA`
    : `${reading.path}, which is for ${server}`;
}
