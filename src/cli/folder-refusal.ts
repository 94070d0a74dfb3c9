import { type Remedy, shellWord } from '../remedy.ts';
import { isBelow, isHiddenFolder, isSharedFolder } from '../kubelet/shared-folders.ts';

/** A file or folder of the host as far as it matters who can change it. */
export interface OwnedPath {
  readonly path: string;
  readonly kind: 'file' | 'folder' | 'link' | 'other';
  readonly uid: number;
  /** Permission bits, sticky bit included. */
  readonly mode: number;
}

/** A file or folder that root, the kubelet or kube-proxy believes, with what it is. */
export interface BelievedPath {
  readonly path: string;
  readonly what: string;
}

/** A folder that somebody asks to open to the service. */
export interface FolderQuestion {
  readonly folder: string;
  /** The same with every link resolved, as far as it exists. */
  readonly real: string;
  /** From `/` down to the folder, as far as it exists. */
  readonly way: readonly OwnedPath[];
  /** The user of the service; 0 for root. */
  readonly serviceUid: number;
  readonly believed: readonly BelievedPath[];
  /** Paths that the units close again, whatever a drop-in opens. */
  readonly closed: readonly string[];
}

/** Why a folder stays closed, and the way out where there is one. */
export interface FolderRefusal {
  readonly why: string;
  readonly remedy: Remedy | undefined;
}

const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;
const OWN_FOLDER = '# Take a folder of its own, such as /srv/certlet or one below /var/lib/certlet/certs.';

/**
 * Why this folder must not be opened to the service; undefined where nothing speaks against it. Whoever can write a folder that root, the
 * kubelet or another user's program believes is root on the node, or that user.
 */
export function folderRefusal(question: FolderQuestion): FolderRefusal | undefined {
  return placeRefusal(question) ?? ownerRefusal(question) ?? believedRefusal(question);
}

function placeRefusal({ folder, real, closed }: FolderQuestion): FolderRefusal | undefined {
  if (real !== folder) {
    return {
      why: `a link leads from it to ${real}, and a link can be turned`,
      remedy: `certlet allow ${shellWord(real)}`,
    };
  }
  if (isHiddenFolder(folder))
    return { why: 'the service does not see the /home, /root, /run and /tmp of the host', remedy: OWN_FOLDER };
  const shut = closed.find((path) => isBelow(folder, path));
  if (shut !== undefined) return { why: `the units keep ${shut} closed, whatever else they open`, remedy: OWN_FOLDER };
  if (isSharedFolder(folder))
    return { why: "it is not certlet's alone: a service that can write it is root on this node", remedy: OWN_FOLDER };
  return undefined;
}

function ownerRefusal({ folder, way, serviceUid }: FolderQuestion): FolderRefusal | undefined {
  for (const { path, kind, uid, mode } of way) {
    const word = shellWord(path);
    const own = path === folder;
    if (kind !== 'folder') return { why: `${own ? 'it' : path} is no folder`, remedy: undefined };
    if (uid !== 0 && !(own && uid === serviceUid)) {
      const who = `${own ? 'it' : `${path} above it`} belongs to user ${String(uid)}`;
      return { why: `${who}, who could put something else in its place`, remedy: `chown root ${word}` };
    }
    if ((mode & OTHERS_WRITE) !== 0 && (own || (mode & STICKY) === 0)) {
      const who = own ? 'it' : `${path} above it`;
      return {
        why: `${who} can be written by others (mode ${mode.toString(8).padStart(4, '0')})`,
        remedy: `chmod go-w ${word}`,
      };
    }
  }
  return undefined;
}

function believedRefusal({ folder, believed }: FolderQuestion): FolderRefusal | undefined {
  const found = believed.find(({ path }) => isBelow(path, folder) || isBelow(folder, path));
  return found === undefined
    ? undefined
    : { why: `${found.path} is ${found.what}: who can change that is root on this node`, remedy: OWN_FOLDER };
}
