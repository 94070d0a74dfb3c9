import { createHash, hash } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import type { Stats } from 'node:fs';
import { dirname, join } from 'node:path';

/** What V8 compiles a program to differs with each of these. */
export interface CompiledBy {
  /** Version, architecture and the like of this Node, and the file that it is. */
  readonly node: readonly string[];
  /** Flags before the program's name. */
  readonly flags: readonly string[];
}

/** Why a program is compiled anew; `used` where it is not. `refused` is V8's own verdict. */
export type CacheVerdict = 'used' | 'absent' | 'open to others' | 'damaged' | 'refused';

/** What was found for a program. */
export type CacheReading = { readonly data: Buffer } | { readonly verdict: Exclude<CacheVerdict, 'used' | 'refused'> };

/** Several times what the whole program comes to. */
const LIMIT_BYTES = 32 * 1024 * 1024;
const DIGEST_BYTES = 32;
const SUFFIX = '.v8-cache';

/** The Node of this process and its flags. */
export function thisNode(): CompiledBy {
  const { version, versions, arch, execPath, execArgv } = process;
  const { size, mtimeMs } = statSync(execPath);
  return { node: [version, versions.v8, arch, String(size), String(mtimeMs)], flags: execArgv };
}

/** SHA-256 over program, Node and flags: V8 itself compares no more of a program than its length. */
export function cacheName(program: Uint8Array, by: CompiledBy): string {
  const digest = createHash('sha256').update(JSON.stringify(by)).update('\0').update(program).digest('hex');
  return `${digest}${SUFFIX}`;
}

/**
 * The compiled program of that name in `folder`. What it holds is run as this process, so it is used only where no user but `owner` and root can
 * write it, its folder or one above, and only whole: V8 would run what a flipped bit made of it. Throws nothing.
 */
export function readCache(folder: string, name: string, owner: number): CacheReading {
  try {
    const real = realpathSync(folder);
    const file = openSync(join(real, name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const facts = fstatSync(file);
      if (!facts.isFile() || !isClosed(facts, owner) || !isClosedWay(real, owner)) return { verdict: 'open to others' };
      if (facts.size > LIMIT_BYTES) return { verdict: 'damaged' };
      const bytes = readFileSync(file);
      const data = bytes.subarray(DIGEST_BYTES);
      const whole = hash('sha256', data, 'buffer').equals(bytes.subarray(0, DIGEST_BYTES));
      return whole ? { data } : { verdict: 'damaged' };
    } finally {
      closeSync(file);
    }
  } catch {
    // Whatever keeps it from being read, the program runs without it.
    return { verdict: 'absent' };
  }
}

/** Puts a compiled program into `folder`, which exists: readers find all of it or nothing, and what fails leaves nothing. Throws errno errors. */
export function writeCache(folder: string, name: string, data: Uint8Array): void {
  const path = join(folder, name);
  const staged = join(folder, `.${name}.${String(process.pid)}`);
  // A crash may have left it: process ids come again, in a container at every start.
  remove(staged);
  try {
    writeFileSync(staged, Buffer.concat([hash('sha256', data, 'buffer'), data]), { flag: 'wx', mode: 0o644 });
    // Of all that may have this name only a folder cannot be replaced.
    if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true) remove(path);
    renameSync(staged, path);
  } catch (error) {
    remove(staged);
    throw error;
  }
}

/** Removes what other versions left, what a crash cut short, and whatever else has such a name. Throws errno errors. */
export function removeOtherCaches(folder: string, kept: readonly string[]): void {
  for (const name of readdirSync(folder)) if (name.includes(SUFFIX) && !kept.includes(name)) remove(join(folder, name));
}

/** Whatever it is; a link and not what it leads to. */
function remove(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

function isClosed({ uid, mode }: Stats, owner: number): boolean {
  return (uid === 0 || uid === owner) && (mode & 0o022) === 0;
}

/** Above the folder itself a sticky one will do: nobody else can rename what is in it. */
function isClosedWay(real: string, owner: number): boolean {
  if (!isClosed(statSync(real), owner)) return false;
  for (let above = dirname(real); above !== dirname(above); above = dirname(above)) {
    const facts = statSync(above);
    if (!isClosed(facts, owner) && !(facts.uid === 0 && (facts.mode & 0o1000) !== 0)) return false;
  }
  return true;
}
