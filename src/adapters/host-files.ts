import { basename, dirname, join } from 'node:path';
import { errnoOf, onErrno } from './file-errors.ts';
import { type FileFacts, NodeFileSystem } from './file-system.ts';
import { readIfPresent } from './files.ts';

/** Unit files, kubelet configurations and certificates are small; this only keeps a wrong path from filling the memory. */
const FILE_LIMIT_BYTES = 1024 * 1024;
/** Where systemd looks for units, the strongest first (systemd.unit(5), "System Unit Search Path"). */
export const UNIT_FOLDERS: readonly string[] = [
  '/etc/systemd/system',
  '/run/systemd/system',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
];

/** Where programs put units at run time (systemd.unit(5)). */
const MADE_UNIT_FOLDERS: readonly string[] = [
  '/run/systemd/transient',
  '/run/systemd/generator.early',
  '/run/systemd/generator',
  '/run/systemd/generator.late',
];

const templateOf = (name: string): string => name.replace(/@[^@]*(\.\w+)$/u, '@$1');

/** A file of a unit, with its path on the host. */
export interface HostUnitFile {
  readonly path: string;
  readonly text: string;
}

/** Reads files of a host below a root folder, `/` in earnest. What may not be read counts as absent and is remembered. */
export class HostFiles {
  readonly #fs = new NodeFileSystem();
  readonly #root: string;
  readonly #refused = new Set<string>();

  constructor(root: string) {
    this.#root = root;
  }

  /** Paths that exist but could not be read for want of permission. */
  get refused(): readonly string[] {
    return [...this.#refused];
  }

  /** Text of a file, undefined when there is none or it may not be read. Throws `ERR_STORE_IO` for anything else. */
  async read(path: string): Promise<string | undefined> {
    try {
      return await readIfPresent(this.#fs, join(this.#root, path), FILE_LIMIT_BYTES);
    } catch (error) {
      const errno = errnoOf(error) ?? '';
      if (errno === 'EACCES' || errno === 'EPERM') this.#refused.add(path);
      else if (!['ENOTDIR', 'ESRCH', 'EINVAL'].includes(errno)) throw error;
      return undefined;
    }
  }

  /** Names in a folder, sorted; empty when it does not exist or may not be read. */
  async list(path: string): Promise<readonly string[]> {
    return await this.#fs.readdir(join(this.#root, path)).catch(onErrno([]));
  }

  async exists(path: string): Promise<boolean> {
    return (await this.#fs.lstat(join(this.#root, path))) !== undefined;
  }

  /** What a path is, no link followed; undefined where there is nothing or it may not be looked at. */
  async facts(path: string): Promise<FileFacts | undefined> {
    return await this.#fs.lstat(join(this.#root, path)).catch(onErrno(undefined));
  }

  /** The path with every link resolved, as far as it exists. A dangling link counts as itself. */
  async real(path: string): Promise<string> {
    const root = await this.#fs.realpath(this.#root);
    let missing = '';
    for (let at = path; at !== dirname(at); at = dirname(at)) {
      const found = await this.#fs.realpath(join(this.#root, at)).catch(onErrno(undefined));
      if (found !== undefined) return join('/', found.slice(root === '/' ? 0 : root.length), missing);
      missing = join(basename(at), missing);
    }
    return join('/', missing);
  }

  /** A unit and its drop-ins in the order in which they count; empty when it does not exist or is masked. `ignored`: drop-in names to pass over. */
  async readUnit(name: string, ignored: readonly string[]): Promise<readonly HostUnitFile[]> {
    // An instance has the file of its own name, else that of its template (systemd.unit(5)).
    const names = [...new Set([name, templateOf(name)])];
    const main = await this.#firstOf(names.flatMap((each) => UNIT_FOLDERS.map((folder) => join(folder, each))));
    if (main === undefined || main.text.trim() === '') return [];
    const dropIns = new Map<string, HostUnitFile>();
    // Strongest last, so that it stays; a drop-in for every service is weaker than one for this unit (systemd.unit(5)).
    for (const folder of UNIT_FOLDERS.toReversed().flatMap((folder) => join(folder, 'service.d')))
      await this.#collect(folder, dropIns);
    for (const each of names.toReversed()) {
      for (const folder of UNIT_FOLDERS.toReversed().map((folder) => join(folder, `${each}.d`)))
        await this.#collect(folder, dropIns);
    }
    const kept = [...dropIns.keys()].filter((dropIn) => !ignored.includes(dropIn)).sort();
    return [main, ...kept.flatMap((dropIn) => dropIns.get(dropIn) ?? [])];
  }

  /** Whether systemd has a unit of that name: a file or its template, also one that a generator has made. */
  async hasUnit(name: string): Promise<boolean> {
    for (const folder of [...UNIT_FOLDERS, ...MADE_UNIT_FOLDERS]) {
      for (const each of new Set([name, templateOf(name)])) if (await this.exists(join(folder, each))) return true;
    }
    return false;
  }

  async #collect(folder: string, into: Map<string, HostUnitFile>): Promise<void> {
    for (const name of (await this.list(folder)).filter((file) => file.endsWith('.conf'))) {
      // A link to /dev/null masks the weaker file of its name: it is no regular file, so it reads as empty.
      into.set(name, { path: join(folder, name), text: (await this.read(join(folder, name))) ?? '' });
    }
  }

  /** A masked unit is a link to /dev/null: it exists and reads as nothing. */
  async #firstOf(paths: readonly string[]): Promise<HostUnitFile | undefined> {
    for (const path of paths) {
      if (await this.exists(path)) return { path, text: (await this.read(path)) ?? '' };
    }
    return undefined;
  }
}
