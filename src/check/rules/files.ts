import { type Remedy, shellWord } from '../../remedy.ts';
import { allowCommand, closedFolderRemedy } from '../../adapters/file-errors.ts';
import type { FileFacts } from '../../adapters/file-system.ts';
import type { Meeting } from '../../adapters/probe/meeting-files.ts';
import type { WrittenFolder } from '../../config/written-folders.ts';
import { isSharedFolder } from '../../kubelet/shared-folders.ts';
import { type Evidence, type Finding, finding } from '../finding.ts';

/** A file or folder that check looks at. */
export interface LookedAt {
  readonly path: string;
  /** `secret`: holds a key or a token. `folder`: holds such files. */
  readonly kind: 'secret' | 'folder';
  readonly facts: FileFacts;
}

const OTHERS_READ = 0o004;
const GROUP_READ = 0o040;
const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

const octal = (mode: number): string => mode.toString(8).padStart(4, '0');

/** What is wrong with mode and owner. `trusted`: users besides root that may own them (the service's own); `service`: the one that reads them. */
export function modeFindings(item: LookedAt, trusted: readonly number[], service: number): readonly Finding[] {
  const { path, kind, facts } = item;
  const word = shellWord(path);
  const evidence = { path, mode: octal(facts.mode), owner: facts.uid };
  const findings: Finding[] = [];
  if (kind === 'folder' && facts.kind !== 'folder') {
    return [noFolderFinding(path, evidence)];
  }
  if (facts.uid !== 0 && !trusted.includes(facts.uid)) {
    const what = `${path} belongs to user ${String(facts.uid)}, who can change it`;
    findings.push(finding('problem', 'files.owner', what, { remedy: `chown root ${word}`, evidence }));
  }
  const sticky = kind === 'folder' && (facts.mode & STICKY) !== 0;
  if ((facts.mode & OTHERS_WRITE) !== 0 && !sticky) {
    const what = `${path} can be written by other users (mode ${octal(facts.mode)})`;
    findings.push(finding('problem', 'files.writable-by-others', what, { remedy: `chmod go-w ${word}`, evidence }));
  }
  return kind === 'secret' ? [...findings, ...readerFindings(item, service)] : findings;
}

/** What stands where a folder must be. */
export function noFolderFinding(path: string, evidence: Evidence = { path }): Finding {
  const word = shellWord(path);
  return finding('problem', 'files.no-folder', `${path} is no folder`, { remedy: `mv ${word} ${word}.old`, evidence });
}

/** Who else can read a secret. */
function readerFindings({ path, facts }: LookedAt, service: number): readonly Finding[] {
  const word = shellWord(path);
  const evidence = { path, mode: octal(facts.mode), owner: facts.uid };
  if ((facts.mode & OTHERS_READ) !== 0) {
    const what = `${path} holds a secret and every user can read it (mode ${octal(facts.mode)})`;
    return [finding('problem', 'files.readable-by-others', what, { remedy: closing(facts, word, service), evidence })];
  }
  if ((facts.mode & GROUP_READ) === 0) return [];
  const what = `${path} holds a secret and its group can read it (mode ${octal(facts.mode)})`;
  // Root's file for the group of a service with a user of its own is how the pages have it.
  const remedy: Remedy | undefined = service === ROOT || facts.uid === service ? `chmod 600 ${word}` : undefined;
  return [finding('note', 'files.readable-by-group', what, { remedy, evidence })];
}

const ROOT = 0;

/** Closes a secret to everybody but the service, which may read it only because everybody may. */
const closing = ({ uid }: FileFacts, word: string, service: number): Remedy =>
  service === ROOT || uid === service ? `chmod 600 ${word}` : `chown ${String(service)} ${word} && chmod 600 ${word}`;

/** What the service does with a file or folder. */
export type Use = 'read' | 'enter' | 'write';

const OWNER_BITS = { read: 0o400, enter: 0o500, write: 0o700 } as const;
const OWNER_LETTERS = { read: 'r', enter: 'rx', write: 'rwx' } as const;

/** Whether mode bits keep the owner out, and the service with it: it has no capabilities, so that they hold for root too. */
export function shutOutFindings(path: string, facts: FileFacts, use: Use, service: number): readonly Finding[] {
  // What must be moved away is told by itself.
  if (use !== 'read' && facts.kind !== 'folder') return [];
  const needed = OWNER_BITS[use];
  const mode = octal(facts.mode);
  // Somebody else's file that root needs has a finding of its own.
  if (facts.uid !== service) return service === ROOT ? [] : othersFindings({ path, facts, mode }, use, service);
  if ((facts.mode & needed) === needed) return [];
  const what = `${path} is closed to its owner (mode ${mode}) and so to the service, which has no capabilities even as root`;
  const remedy: Remedy = `chmod u+${OWNER_LETTERS[use]} ${shellWord(path)}`;
  return [finding('problem', 'files.shut-out', what, { remedy, evidence: { path, mode, owner: facts.uid } })];
}

/** Of group and others. A folder that is only entered need not be listed. */
const OTHERS_BITS = { read: 0o044, enter: 0o011, write: 0o022 } as const;

/** What belongs to somebody else: whether the service is in its group is not known, so that either will do. */
function othersFindings(
  { path, facts, mode }: { readonly path: string; readonly facts: FileFacts; readonly mode: string },
  use: Use,
  service: number,
): readonly Finding[] {
  if ((facts.mode & OTHERS_BITS[use]) !== 0) return [];
  const what = `${path} belongs to user ${String(facts.uid)} (mode ${mode}), and the service, user ${String(service)}, cannot ${use} it`;
  const remedy: Remedy = `chown ${String(service)} ${shellWord(path)}`;
  return [finding('problem', 'files.shut-out', what, { remedy, evidence: { path, mode, owner: facts.uid } })];
}

/** What must be written and has no room for it. */
export function fullFinding(path: string): Finding {
  const word = shellWord(path);
  return finding('problem', 'files.full', `${path} is on a file system that is full`, {
    remedy: `df -h ${word}; df -i ${word}   # then free space or inodes there`,
    evidence: { path },
  });
}

/** What must be written and stays closed by the unit's sandbox: root's shell may write there all the same. */
export function sandboxFinding({ path, setting }: WrittenFolder): Finding {
  const what = `${path} (${setting}) is closed to the service by the sandbox of its unit`;
  return finding('problem', 'files.sandbox', what, {
    remedy: isSharedFolder(path) ? closedFolderRemedy(path) : allowCommand(path),
    evidence: { path, setting },
  });
}

/** Two paths of the settings that lead to one file: each certificate puts its own there, for ever. */
export function meetingFinding({ file, other, remedy }: Meeting): Finding {
  const what = `${file.path} of ${file.setting} and ${other.path} of ${other.setting} are one file on this disk`;
  return finding('problem', 'files.meeting', what, {
    remedy,
    evidence: { file: file.path, setting: file.setting, otherFile: other.path, otherSetting: other.setting },
  });
}

/** What must be written and cannot be, whatever the unit's sandbox lets through. */
export function readOnlyFinding(path: string): Finding {
  const word = shellWord(path);
  return finding('problem', 'files.read-only', `${path} is on a file system that is mounted read-only`, {
    remedy: `mount -o remount,rw "$(findmnt -n -f -o TARGET -T ${word})"   # or name a folder that can be written in the settings`,
    evidence: { path },
  });
}
