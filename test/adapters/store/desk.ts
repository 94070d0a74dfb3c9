import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { type FileFacts, NodeFileSystem } from '../../../src/adapters/file-system.ts';
import { type StoreContext, storeContext } from '../../../src/adapters/store/store-context.ts';
import { SaidOnce } from '../../../src/said-once.ts';
import { exporterSpec } from '../../fixtures/specs.ts';
import type { Warning } from './bench.ts';

const SELF = process.geteuid?.() ?? 0;

/** A system's refusal. */
export const errno = (code: string, more: object = {}): Error =>
  Object.assign(new Error(`${code}: said so`), { code, ...more });

/** The real disk, with what `stat` and `read` say of single paths replaced. */
export class OddFileSystem extends NodeFileSystem {
  odd: Readonly<Record<string, Partial<FileFacts> | Error>> = {};
  unread: Readonly<Record<string, Error | 'gone'>> = {};
  readonly synced: string[] = [];

  override async stat(path: string): Promise<FileFacts | undefined> {
    const odd = this.odd[path];
    if (odd instanceof Error) throw odd;
    const facts = await super.stat(path);
    return facts && { ...facts, ...odd };
  }

  override async read(path: string, limitBytes: number): Promise<Uint8Array> {
    const unread = this.unread[path];
    if (unread === 'gone') throw errno('ENOENT', { path, syscall: 'open' });
    if (unread !== undefined) throw unread;
    return super.read(path, limitBytes);
  }

  override async syncFolder(path: string): Promise<void> {
    this.synced.push(path);
    await super.syncFolder(path);
  }
}

export interface Desk {
  readonly context: StoreContext;
  readonly fs: OddFileSystem;
  readonly warnings: Warning[];
}

/** One certificate's folders on such a disk; the settings may let the group of its folder read the key. */
export function desk(t: Test, groupReadable = false): Desk {
  const folder = join(t.testdir({ certs: {}, state: {} }), 'certs');
  chmodSync(folder, 0o755);
  chmodSync(join(folder, '../state'), 0o700);
  const fs = new OddFileSystem();
  const warnings: Warning[] = [];
  const { name, files } = exporterSpec(folder);
  const context = storeContext(
    { name, files: { ...files, groupReadable } },
    {
      fs,
      stateDir: join(folder, '../state'),
      uid: SELF,
      warn: (event, fields) => warnings.push({ event, fields }),
      said: new SaidOnce(),
    },
  );
  return { context, fs, warnings };
}
