import { createDiscoveryFetch } from '../../adapters/discovery-fetch.ts';
import { NodeFileSystem } from '../../adapters/file-system.ts';
import { letGroupRead } from '../../adapters/group-file.ts';
import { HostFiles } from '../../adapters/host-files.ts';
import { readUser } from '../../adapters/host-users.ts';
import { createKubeconfigFiles } from '../../adapters/kubeconfig-files.ts';
import { readOwnUnits } from '../../adapters/own-units.ts';
import { serviceUser } from '../../adapters/probe/store-view.ts';
import { SystemChance, SystemClock } from '../../adapters/system-clock.ts';
import { createSealer } from '../../adapters/systemd/sealer.ts';
import { EXIT } from '../../errors.ts';
import { withCarried } from '../../remedy.ts';
import { ANSWER_VERSION, encodeAnswer } from '../answer.ts';
import type { JoinCommandArguments } from '../command.ts';
import type { CommandContext } from '../command-context.ts';
import { joinCluster, joinedText, type ServiceReader } from '../join.ts';
import { refuseUnopened, sealedPlaces } from '../sealed-bootstrap.ts';
import { readAllInput } from '../standard-input.ts';

const ROOT = 0;

/** Undefined where the service runs as root, or has no unit. */
async function serviceReader(root: string): Promise<ServiceReader | undefined> {
  const { user } = (await readOwnUnits(root)).sandbox ?? {};
  return user === undefined ? undefined : { user, gid: (await readUser(new HostFiles(root), user))?.gid };
}

/** `certlet join`: `joinCluster` of src/cli/join.ts with the real network and disk. */
export async function runJoin(context: CommandContext, args: JoinCommandArguments): Promise<number> {
  const { edge } = context;
  const settings = await context.loadSettings();
  const { bootstrapKubeconfig: bootstrapPath, kubeconfig: nodePath, certDir, stateDir, kubelet } = settings;
  const node = {
    path: nodePath,
    certDir,
    stateDir,
    managed: settings.manageKubeconfig,
    settingsPath: context.settingsPath,
    kubeletUnit: kubelet.unit,
  };
  const fs = new NodeFileSystem();
  // What root writes for the kubelet is taken from nobody else's files.
  const uid = args.join.writeKubeconfig ? edge.userId : await serviceUser(fs, settings, edge.userId);
  const trusted = { uid, searchPath: edge.environment['PATH'] ?? '' };
  const kubeconfigs = createKubeconfigFiles({ fs, bootstrapPath, nodePath, ...trusted });
  const complain = (line: string): void => {
    edge.stderr.write(`${withCarried(line, context.carried)}\n`);
  };
  const ports = {
    fetch: createDiscoveryFetch(edge.environment),
    fs,
    sealer: createSealer(trusted.searchPath),
    clock: new SystemClock(),
    chance: new SystemChance(),
    letGroupRead,
    readStdin: () => readAllInput(edge.stdin),
    warn: complain,
    progress: complain,
  };
  const service = edge.userId === ROOT ? await serviceReader(edge.hostRoot) : undefined;
  const sealed = sealedPlaces(context.settingsPath, settings.runtimeDir);
  if (args.join.seal) refuseUnopened(sealed, uid);
  const done = await joinCluster(
    args.join,
    { bootstrapPath, kubeconfigs, node, service, sealed },
    ports,
    context.signal,
  );
  const { output } = args;
  const tell = (text: string): string => withCarried(text, context.carried);
  const joined = { ...done, next: done.next.map(tell) };
  context.print(
    output === 'text' ? tell(joinedText(joined)) : encodeAnswer({ version: ANSWER_VERSION, ...joined }, output),
  );
  return EXIT.ok;
}
