import { dirname } from 'node:path';
import { onErrno } from '../../adapters/file-errors.ts';
import type { FileFacts } from '../../adapters/file-system.ts';
import { readKubeconfig } from '../../adapters/kubeconfig-files.ts';
import { meetingFiles } from '../../adapters/probe/meeting-files.ts';
import { handsGroupOn, noSetgid } from '../../adapters/store/key-mode.ts';
import { type FilesOf, readManaged, stillThere } from '../../adapters/store/left-files.ts';
import type { StoreView } from '../../adapters/probe/store-view.ts';
import type { Settings } from '../../config.ts';
import { filesOnDisk } from '../../config/named-files.ts';
import { writtenFolders } from '../../config/written-folders.ts';
import type { RequestHistory } from '../../csr/pending.ts';
import { asCertletError, unlessDefect } from '../../errors.ts';
import { mayWrite } from '../../kubelet/sandbox-drop-in.ts';
import type { CertificatePair } from '../../pki/certificate.ts';
import type { CheckContext, CheckPorts, Facts, Step, StepOutcome } from '../facts.ts';
import { type Finding, finding, good } from '../finding.ts';
import {
  fullFinding,
  meetingFinding,
  noFolderFinding,
  type LookedAt,
  modeFindings,
  readOnlyFinding,
  sandboxFinding,
  shutOutFindings,
  type Use,
} from '../rules/files.ts';
import { isDenied, kubeconfigFindings, type Looker, unreadable } from '../rules/kubeconfigs.ts';
import { leftFindings } from '../rules/left.ts';
import { oncePerMount, type Placed } from '../rules/mounts.ts';
import { pairFindings } from '../rules/pairs.ts';
import { userOfService } from '../service-user.ts';
import { targetsOf } from '../targets.ts';
import { fromError } from '../walk.ts';

/** Why steps that need the settings are not taken without them. */
export const NO_SETTINGS = 'the settings cannot be used';

/** Settings: file, flags and node name. */
export const settingsStep: Step = {
  id: 'settings',
  title: 'Settings',
  async run({ ports }): Promise<StepOutcome> {
    try {
      const settings = await ports.loadSettings();
      const { source, nodeName, certDir, kubeconfig, bootstrapKubeconfig } = settings;
      const what = `${source ?? 'no settings file, defaults'}: node ${nodeName}, cert-dir ${certDir}`;
      const evidence = { node: nodeName, certDir, kubeconfig, bootstrapKubeconfig };
      return { findings: [good('settings', what, evidence)], facts: { settings } };
    } catch (thrown) {
      const error = asCertletError(thrown);
      if (error.code === 'ERR_INTERNAL') throw error;
      const { settingsPath: path, uid } = ports;
      const looker = { uid, seesAll: uid === 0 };
      return {
        findings: [
          isDenied(error) ? unreadable('settings.unreadable', path, looker) : fromError('settings.invalid', error),
        ],
      };
    }
  },
};

/** The two kubeconfigs and the pairs: what this node has to show. */
export const credentialsStep: Step = {
  id: 'credentials',
  title: 'Kubeconfigs and certificates on this host',
  async run(context): Promise<StepOutcome | string> {
    const { ports, facts } = context;
    const { settings } = facts;
    if (settings === undefined) return NO_SETTINGS;
    const uid = await userOfService(ports, settings);
    const trusted = { fs: ports.fs, uid, searchPath: ports.searchPath };
    const bootstrap = await readKubeconfig(settings.bootstrapKubeconfig, trusted);
    const node = await readKubeconfig(settings.kubeconfig, trusted);
    const store = ports.openStore(settings);
    const pairs = await Promise.all(
      settings.specs.map(async (spec) => {
        const view = await store.pair(spec.name);
        const foreign = (await store.foreign(spec.name)).some((file) => file === view.file);
        return { spec, view, history: await historyOf(store, spec.name), foreign };
      }),
    );
    const now = ports.now();
    const looker = await lookerOf(ports, settings.certDir);
    const { nodeName } = settings;
    const own = pairs.find(({ spec }) => spec.isIdentity)?.view.reading;
    const clientPair = own?.kind === 'whole' ? own.pair : undefined;
    const followed = settings.followClusterCA !== 'off';
    const targets = targetsOf({ nodeName, node, bootstrap, clientPair, now });
    return {
      findings: [
        ...kubeconfigFindings({ bootstrap, node, followed }, looker, isValid(clientPair, now)),
        ...pairs.flatMap((pair) => pairFindings({ ...pair, nodeName, now, looker })),
        ...leftFindings(await stillThere(ports.fs, await leftOf(ports, settings.stateDir))),
      ],
      facts: { bootstrap, node, pairs, targets },
    };
  },
};

/** What cannot be read is told by the step about files. */
async function leftOf({ fs }: CheckPorts, stateDir: string): Promise<readonly FilesOf[]> {
  return (await readManaged(fs, stateDir).catch(unlessDefect({ left: [] }))).left;
}

async function historyOf(store: StoreView, purpose: string): Promise<RequestHistory> {
  const record = await store.history(purpose);
  return record.kind === 'read' ? record.value : {};
}

const isValid = (pair: CertificatePair | undefined, now: Date): boolean =>
  pair !== undefined && now <= pair.chain.leaf.notAfter;

/** Root sees everything; whoever owns the cert-dir is the user of the service. */
async function lookerOf(ports: CheckPorts, certDir: string): Promise<Looker> {
  const owner = await statOf(ports, certDir);
  return { uid: ports.uid, seesAll: ports.uid === 0 || owner === ports.uid };
}

const statOf = async (ports: CheckPorts, path: string): Promise<number | undefined> =>
  (await factsOf(ports, path))?.uid;

async function factsOf(ports: CheckPorts, path: string): Promise<FileFacts | undefined> {
  try {
    return await ports.fs.stat(path);
  } catch (error) {
    if (isDenied(error)) return undefined;
    throw error;
  }
}

/** Modes and owners of what holds keys and tokens. */
export const filesStep: Step = {
  id: 'files',
  title: 'File modes and owners',
  async run(context): Promise<StepOutcome | string> {
    const { settings, pairs } = context.facts;
    if (settings === undefined) return NO_SETTINGS;
    const { certDir, stateDir, bootstrapKubeconfig, kubeconfig, specs } = settings;
    const named = [bootstrapKubeconfig, ...namedSecrets(context.facts)].map((path) => ({
      path,
      kind: 'secret' as const,
    }));
    const pairFiles = (pairs ?? [])
      // What the group of its folder may read is judged where the folder is.
      .filter(({ spec }) => !spec.files.groupReadable)
      .flatMap(({ view }) => view.file ?? [])
      .map((path) => ({ path, kind: 'secret' as const }));
    const ofKubeconfigs = [bootstrapKubeconfig, kubeconfig].map((path) => dirname(path));
    const ofKeys = [...specs.map(({ files }) => files.folder), ...groupFolders(settings)];
    const folders = [...new Set([certDir, stateDir, ...ofKubeconfigs, ...ofKeys])].map((path) => ({
      path,
      kind: 'folder' as const,
    }));
    const owner = await statOf(context.ports, certDir);
    const service = await userOfService(context.ports, settings);
    // Root knows whom the service runs as; to others it is whoever has its folder.
    const trusted = [service, ...(context.ports.uid === 0 || owner === undefined ? [] : [owner])];
    const findings = await Promise.all(
      [...named, ...pairFiles, ...folders].map((item) => lookAt(context, item, { trusted, service })),
    );
    const written = writtenFolders(settings).map(({ path }) => path);
    const used = new Map<string, Use>([
      ...[...named, ...pairFiles, { path: kubeconfig }].map(({ path }) => [path, 'read'] as const),
      ...folders.map(({ path }) => [path, written.includes(path) ? 'write' : 'enter'] as const),
    ]);
    const found = [
      ...findings.flat(),
      ...(await groupFindings(context.ports, settings)),
      ...(await closedFindings(context.ports, used, { service, owner })),
      ...news(await writtenFindings(context.ports, written, service), findings.flat()),
      ...(await sandboxFindings(context.ports, settings)),
      ...(await meetingFiles(context.ports.fs, filesOnDisk(settings))).map(meetingFinding),
    ];
    return {
      findings: found.length > 0 ? found : [good('files', 'keys, tokens and their folders are closed to others')],
    };
  },
};

/** Those that say something which the others do not. */
const news = (found: readonly Finding[], others: readonly Finding[]): readonly Finding[] =>
  found.filter(({ what }) => !others.some((other) => other.what === what));

/** Folders whose group is to read the keys in them. */
const groupFolders = ({ specs }: Settings): readonly string[] =>
  specs
    .filter(({ files }) => files.groupReadable)
    .flatMap(({ files: { folder, plain } }) => [folder, ...(plain === undefined ? [] : [dirname(plain.keyFile)])]);

/** Those that do not hand their group on: a certificate is asked for and approved, and then its key cannot be written. */
async function groupFindings({ fs }: CheckPorts, settings: Settings): Promise<readonly Finding[]> {
  const judged = [...new Set(groupFolders(settings))].map(async (path) => {
    try {
      const facts = await fs.stat(path);
      return handsGroupOn(facts) ? [] : [fromError('files.no-setgid', noSetgid(path, facts))];
    } catch (error) {
      // Told with the other folders.
      if (isDenied(error)) return [];
      throw error;
    }
  });
  return (await Promise.all(judged)).flat();
}

/** What root sees and the service may not use. */
async function closedFindings(
  ports: CheckPorts,
  used: ReadonlyMap<string, Use>,
  { service, owner }: { readonly service: number; readonly owner: number | undefined },
): Promise<readonly Finding[]> {
  // Somebody else than root and the service looks: what belongs to others is not the service's affair then.
  const known = ports.uid === 0 || ports.uid === owner;
  const judged = [...used].map(async ([path, use]) => {
    const facts = await factsOf(ports, path);
    if (facts === undefined || (!known && facts.uid !== service)) return [];
    return shutOutFindings(path, facts, use, service);
  });
  return (await Promise.all(judged)).flat();
}

/** Folders of the settings that the unit's sandbox does not open. */
async function sandboxFindings(ports: CheckPorts, settings: Settings): Promise<readonly Finding[]> {
  const { sandbox } = await ports.ownUnits();
  if (sandbox === undefined) return [];
  return writtenFolders(settings)
    .filter(({ path }) => !mayWrite(sandbox, path))
    .map(sandboxFinding);
}

/** Folders that are on a file system which takes nothing, for being read-only or full. */
async function writtenFindings(
  ports: CheckPorts,
  folders: readonly string[],
  uid: number,
): Promise<readonly Finding[]> {
  const judged = [...new Set(folders)].map(async (folder) => {
    const { path, kind } = await nearest(ports, folder);
    // What stands in the place of the folder itself is told with its mode and owner.
    if (kind !== 'folder') return path === folder ? [] : [noFolderFinding(path)];
    if (await ports.isReadOnlyMount(path)) return [readOnlyFinding(path)];
    return (await ports.isFull(path, uid)) ? [fullFinding(path)] : [];
  });
  const found = (await Promise.all(judged)).flat();
  return found.length < 2 ? found : oncePerMount(await placed(ports, found), await ports.fs.mountPoints());
}

async function placed({ fs }: CheckPorts, found: readonly Finding[]): Promise<readonly Placed[]> {
  return Promise.all(
    found.map(async (each) => {
      const path = String(each.evidence?.['path']);
      return { found: each, path: await fs.realpath(path).catch(onErrno(path)) };
    }),
  );
}

/** The folder, or what is there of the way to it: certlet makes the rest. */
async function nearest(ports: CheckPorts, folder: string): Promise<{ readonly path: string; readonly kind: string }> {
  for (let path = folder; path !== dirname(path); path = dirname(path)) {
    const facts = await factsOf(ports, path);
    if (facts !== undefined) return { path, kind: facts.kind };
  }
  return { path: '/', kind: 'folder' };
}

/** A token file named by the bootstrap kubeconfig, and a kubeconfig of the node that embeds its key. */
function namedSecrets({ bootstrap, node }: Facts): readonly string[] {
  const tokens =
    bootstrap?.kind === 'usable' && bootstrap.config.credential.kind === 'tokenFile'
      ? [bootstrap.config.credential.path]
      : [];
  const embeds = node?.kind === 'usable' && node.config.files.length === 0 && node.config.credential.kind !== 'none';
  return [...tokens, ...(embeds ? [node.path] : [])];
}

async function lookAt(
  { ports }: CheckContext,
  item: Omit<LookedAt, 'facts'>,
  { trusted, service }: { readonly trusted: readonly number[]; readonly service: number },
): Promise<readonly Finding[]> {
  try {
    const facts = await ports.fs.stat(item.path);
    return facts === undefined ? [] : modeFindings({ ...item, facts }, trusted, service);
  } catch (error) {
    if (!isDenied(error)) throw error;
    return [
      finding('skipped', 'files.unreadable', `${item.path} cannot be looked at by user ${String(ports.uid)}`, {
        denied: true,
        remedy: 'sudo certlet check',
      }),
    ];
  }
}
