import { filledIn } from '../remedy.ts';
import { delimiter, join, resolve } from 'node:path';
import { createClusterConnector } from '../adapters/api/connector.ts';
import { NodeFileSystem } from '../adapters/file-system.ts';
import type { FileSystem } from '../adapters/file-system.ts';
import { readKubeconfig } from '../adapters/kubeconfig-files.ts';
import type { ClusterApi } from '../approve/ports.ts';
import { CertletError } from '../errors.ts';
import type { ClientConfig } from '../kubeconfig/client-config.ts';
import type { AccessChoice } from './command.ts';
import type { ProcessEdge } from './command-context.ts';
import { VERSION } from './version.ts';

type Edge = Pick<ProcessEdge, 'environment' | 'userId' | 'hostRoot'>;

/** Where a pod finds its service account (client-go rest.InClusterConfig). */
const SERVICE_ACCOUNT = 'var/run/secrets/kubernetes.io/serviceaccount';
const MAX_CA_BYTES = 1024 * 1024;

/**
 * The cluster that a command of the cluster's side talks to, in kubectl's order: `--kubeconfig`, `KUBECONFIG`, `~/.kube/config`, the service
 * account of the pod. Of several files in `KUBECONFIG` the first that holds the whole context is taken; one that is spread over files is
 * refused. Throws `ERR_CREDENTIAL_MISSING` where there is none, and what is wrong with the one that there is.
 */
export async function clientConfigFor(
  choice: AccessChoice,
  edge: Edge,
  fs: FileSystem = new NodeFileSystem(),
): Promise<ClientConfig> {
  const trusted = { fs, uid: edge.userId, searchPath: edge.environment['PATH'] ?? '' };
  const options = { ...trusted, ...(choice.context === undefined ? {} : { context: choice.context }) };
  const problems: Error[] = [];
  for (const path of candidates(choice, edge)) {
    const reading = await readKubeconfig(resolve(path), options);
    if (reading.kind === 'usable') return reading.config;
    if (reading.kind === 'unusable') problems.push(reading.error);
  }
  const [first] = problems;
  if (first !== undefined) throw problems.length === 1 ? first : spread(first, problems.length);
  if (choice.kubeconfig !== undefined) throw absent(`there is no kubeconfig at ${choice.kubeconfig}`);
  return (await inCluster(edge, fs)) ?? absentAnywhere();
}

function candidates({ kubeconfig }: AccessChoice, { environment }: Edge): readonly string[] {
  if (kubeconfig !== undefined) return [kubeconfig];
  const listed = (environment['KUBECONFIG'] ?? '').split(delimiter).filter((path) => path !== '');
  if (listed.length > 0) return listed;
  const home = environment['HOME'] ?? '';
  return home === '' ? [] : [join(home, '.kube/config')];
}

function spread(first: Error, files: number): CertletError {
  return new CertletError(
    'ERR_KUBECONFIG_INVALID',
    `none of the ${String(files)} files in KUBECONFIG has the whole context: ${first.message}`,
    {
      remedy: filledIn('kubectl config view --flatten --minify > FILE && chmod 600 FILE', 'and then --kubeconfig FILE'),
      cause: first,
    },
  );
}

function absent(message: string): CertletError {
  return new CertletError('ERR_CREDENTIAL_MISSING', message, {
    remedy: '# Name one with --kubeconfig FILE, such as /etc/kubernetes/admin.conf on a control plane node.',
  });
}

function absentAnywhere(): never {
  throw absent('no kubeconfig: neither --kubeconfig, nor KUBECONFIG, nor ~/.kube/config, and this is no pod');
}

/** Undefined outside of a pod. */
async function inCluster({ environment, hostRoot }: Edge, fs: FileSystem): Promise<ClientConfig | undefined> {
  const host = environment['KUBERNETES_SERVICE_HOST'] ?? '';
  const port = environment['KUBERNETES_SERVICE_PORT'] ?? '';
  const [token, ca] = ['token', 'ca.crt'].map((name) => join(hostRoot, SERVICE_ACCOUNT, name));
  if (host === '' || port === '' || token === undefined || ca === undefined) return undefined;
  if ((await fs.stat(token)) === undefined) return undefined;
  const caPem = Buffer.from(await fs.read(ca, MAX_CA_BYTES)).toString('utf8');
  const name = host.includes(':') ? `[${host}]` : host;
  return {
    source: token,
    cluster: { server: `https://${name}:${port}`, caPem, insecureSkipTlsVerify: false },
    credential: { kind: 'tokenFile', path: token },
    files: [token, ca],
    warnings: [],
  };
}

/** A connection to it, as a person at a terminal wants it: an answer that takes longer than these is none. */
export function openCluster(
  config: ClientConfig,
  { environment, now }: Pick<ProcessEdge, 'environment' | 'now'>,
  warn: (text: string) => void,
): ClusterApi {
  const connect = createClusterConnector({ version: VERSION, environment, now, onWarning: warn });
  return connect(config.cluster, config.credential);
}
