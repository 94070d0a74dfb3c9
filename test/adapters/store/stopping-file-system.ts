import {
  type ExistingFile,
  type FileFacts,
  type FileSystem,
  NodeFileSystem,
  type OpenFile,
} from '../../../src/adapters/file-system.ts';

/** What ends a run at a chosen operation. No errno error: nothing may catch it and go on, as nothing goes on after a kill. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
}

/** A kill or an error loses nothing that was written, so syncs are only written down: hundreds of runs take seconds. */
const NOTHING = async (): Promise<void> => undefined;

/** The real disk that writes down each operation and, at a chosen one, stops before it or fails it. A stopped one answers nothing any more. */
export class StoppingFileSystem implements FileSystem {
  readonly operations: string[] = [];
  readonly #disk = new NodeFileSystem();
  readonly #fault: (operation: string, index: number) => Error | undefined;
  #stopped = false;

  constructor(fault: (operation: string, index: number) => Error | undefined = () => undefined) {
    this.#fault = fault;
  }

  async #run<T>(operation: string, path: string, work: () => Promise<T>): Promise<T> {
    if (this.#stopped) throw new Stopped();
    this.operations.push(`${operation} ${path}`);
    const error = this.#fault(`${operation} ${path}`, this.operations.length - 1);
    if (error instanceof Stopped) this.#stopped = true;
    if (error !== undefined) throw error;
    return await work();
  }

  async create(path: string, mode: number): Promise<OpenFile> {
    const file = await this.#run('create', path, () => this.#disk.create(path, mode));
    return {
      write: async (bytes) => {
        // A stop in the middle of a write leaves half of it.
        await this.#run('write', path, () => file.write(bytes)).catch(async (error: unknown) => {
          await file.write(bytes.subarray(0, bytes.length / 2));
          throw error;
        });
      },
      chmod: (mode) => this.#run('fchmod', path, () => file.chmod(mode)),
      facts: () => this.#run('fstat', path, () => file.facts()),
      sync: () => this.#run('fsync', path, NOTHING),
      // The kernel closes a dead process's files.
      close: () => file.close(),
    };
  }

  async openExisting(path: string): Promise<ExistingFile> {
    return this.#run('openExisting', path, () => this.#disk.openExisting(path));
  }

  async mountPoints(): Promise<ReadonlySet<string>> {
    return new Set();
  }

  async isVolatile(): Promise<boolean> {
    return false;
  }

  read(path: string, limitBytes: number): Promise<Uint8Array> {
    return this.#run('read', path, () => this.#disk.read(path, limitBytes));
  }

  syncFolder(path: string): Promise<void> {
    return this.#run('syncFolder', path, NOTHING);
  }

  rename(from: string, to: string): Promise<void> {
    return this.#run('rename', to, () => this.#disk.rename(from, to));
  }

  symlink(target: string, path: string): Promise<void> {
    return this.#run('symlink', path, () => this.#disk.symlink(target, path));
  }

  readlink(path: string): Promise<string | undefined> {
    return this.#run('readlink', path, () => this.#disk.readlink(path));
  }

  lstat(path: string): Promise<FileFacts | undefined> {
    return this.#run('lstat', path, () => this.#disk.lstat(path));
  }

  stat(path: string): Promise<FileFacts | undefined> {
    return this.#run('stat', path, () => this.#disk.stat(path));
  }

  realpath(path: string): Promise<string> {
    return this.#run('realpath', path, () => this.#disk.realpath(path));
  }

  unlink(path: string): Promise<void> {
    return this.#run('unlink', path, () => this.#disk.unlink(path));
  }

  utimes(path: string, time: Date): Promise<void> {
    return this.#run('utimes', path, () => this.#disk.utimes(path, time));
  }

  readdir(path: string): Promise<readonly string[]> {
    return this.#run('readdir', path, () => this.#disk.readdir(path));
  }

  mkdir(path: string, mode: number): Promise<void> {
    return this.#run('mkdir', path, () => this.#disk.mkdir(path, mode));
  }

  chmod(path: string, mode: number): Promise<void> {
    return this.#run('chmod', path, () => this.#disk.chmod(path, mode));
  }
}
