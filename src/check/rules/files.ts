import { allowCommand, closedFolderRemedy, shellWord } from '../../adapters/file-errors.ts';
import type { FileFacts } from '../../adapters/file-system.ts';
import type { WrittenFolder } from '../../config/written-folders.ts';
import { isSharedFolder } from '../../kubelet/shared-folders.ts';
import { type Finding, finding } from '../finding.ts';

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

/** What is wrong with mode and owner. `trusted`: users besides root that may own them (the service's own). */
export function modeFindings(item: LookedAt, trusted: readonly number[]): readonly Finding[] {
  const { path, kind, facts } = item;
  const word = shellWord(path);
  const evidence = { path, mode: octal(facts.mode), owner: facts.uid };
  const findings: Finding[] = [];
  if (kind === 'folder' && facts.kind !== 'folder') {
    return [
      finding('problem', 'files.no-folder', `${path} is no folder`, { remedy: `mv ${word} ${word}.old`, evidence }),
    ];
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
  if (kind === 'secret' && (facts.mode & OTHERS_READ) !== 0) {
    const what = `${path} holds a secret and every user can read it (mode ${octal(facts.mode)})`;
    findings.push(finding('problem', 'files.readable-by-others', what, { remedy: `chmod 600 ${word}`, evidence }));
  } else if (kind === 'secret' && (facts.mode & GROUP_READ) !== 0) {
    const what = `${path} holds a secret and its group can read it (mode ${octal(facts.mode)})`;
    findings.push(finding('note', 'files.readable-by-group', what, { remedy: `chmod 600 ${word}`, evidence }));
  }
  return findings;
}

/** What the service does with a file or folder that it owns. */
export type Use = 'read' | 'enter' | 'write';

const OWNER_BITS = { read: 0o400, enter: 0o500, write: 0o700 } as const;
const OWNER_LETTERS = { read: 'r', enter: 'rx', write: 'rwx' } as const;

/** Whether mode bits keep the owner out, and the service with it: it has no capabilities, so that they hold for root too. */
export function shutOutFindings(path: string, facts: FileFacts, use: Use, service: number): readonly Finding[] {
  const needed = OWNER_BITS[use];
  if (facts.uid !== service || (facts.mode & needed) === needed) return [];
  const mode = octal(facts.mode);
  const what = `${path} is closed to its owner (mode ${mode}) and so to the service, which has no capabilities even as root`;
  const remedy = `chmod u+${OWNER_LETTERS[use]} ${shellWord(path)}`;
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

/** What must be written and cannot be, whatever the unit's sandbox lets through. */
export function readOnlyFinding(path: string): Finding {
  const word = shellWord(path);
  return finding('problem', 'files.read-only', `${path} is on a file system that is mounted read-only`, {
    remedy: `mount -o remount,rw "$(findmnt -n -o TARGET -T ${word})"   # or name a folder that can be written in the settings`,
    evidence: { path },
  });
}
