import { join } from 'node:path';
import type { ServerMove, ServersFile, ServersRecord } from '../../ports.ts';
import type { FileSystem } from '../file-system.ts';
import { readIfPresent, replaceFile } from '../files.ts';

const FILE = 'servers.json';
const LIMIT_BYTES = 64 * 1024;
const NOTHING: ServersRecord = { found: [] };

/** `<state>/servers.json`, 0600: no secret, and not worth a start, so what cannot be understood counts as none. `confirmLock` is asked before each write. */
export function createServersFile(
  fs: FileSystem,
  stateDir: string,
  confirmLock: () => Promise<void> = async () => undefined,
): ServersFile {
  const path = join(stateDir, FILE);
  return {
    async read() {
      const text = await readIfPresent(fs, path, LIMIT_BYTES);
      return text === undefined ? NOTHING : decoded(text);
    },
    async write(record) {
      await confirmLock();
      await replaceFile(fs, path, `${JSON.stringify(record)}\n`, 0o600);
    },
  };
}

function decoded(text: string): ServersRecord {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return NOTHING;
  }
  const found = field(value, 'found');
  return { found: Array.isArray(found) ? found.filter(isServer) : [], move: moveOf(field(value, 'move')) };
}

function moveOf(value: unknown): ServerMove | undefined {
  const [at, from, to] = [new Date(String(field(value, 'at'))), field(value, 'from'), field(value, 'to')];
  if (Number.isNaN(at.getTime()) || !isServer(from) || !isServer(to)) return undefined;
  const home = field(value, 'home');
  return { at, from, to, home: isServer(home) ? home : undefined, owed: field(value, 'owed') === true };
}

const isServer = (value: unknown): value is string =>
  typeof value === 'string' && value.startsWith('https://') && URL.canParse(value);

const field = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
