import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startProxy } from '../../fixtures/http/connect-proxy.ts';
import { listen, startSocks } from './listener.ts';
import type { Listener, Seen } from './listener.ts';
import type { Materials } from './materials.ts';
import type { Reader } from './readers.ts';
import { titleOf } from './row.ts';
import type { Files, Reading, Row, Scene } from './row.ts';

/** A row as both have read it. */
export interface Compared {
  readonly row: Row;
  readonly kubectl: Reading;
  readonly certlet: Reading;
}

export interface Bench {
  readonly folder: string;
  readonly materials: Materials;
  readonly kubectl: Reader;
  readonly certlet: Reader;
  /** How many rows are read at the same time. */
  readonly atOnce: number;
}

/** Has both read every row, each against a server of its own. The order is that of `rows`. */
export async function compareAll(rows: readonly Row[], bench: Bench): Promise<readonly Compared[]> {
  const results: Compared[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < rows.length; index = next++) {
      const row = rows[index];
      if (row !== undefined) results[index] = await compare(row, index, bench);
    }
  };
  await Promise.all(Array.from({ length: bench.atOnce }, work));
  return results;
}

async function compare(row: Row, index: number, bench: Bench): Promise<Compared> {
  const { materials } = bench;
  const listener = await listen(row.served?.(materials) ?? materials.served, row.front, row.addresses ?? ['127.0.0.1']);
  const front = await startFront(row, materials);
  try {
    const folder = join(bench.folder, String(index));
    const scene = (name: string): Scene => ({
      folder: join(folder, name),
      port: listener.port,
      server: `https://127.0.0.1:${String(listener.port)}`,
      frontPort: front.port,
      materials,
    });
    const read = async (name: Seen['agent'], reader: Reader, files: Row['files']): Promise<Reading> => {
      const place = scene(name);
      write(place.folder, files(place));
      const words = await reader(join(place.folder, 'config'));
      return readingOf(listener, name, words);
    };
    return {
      row,
      kubectl: await read('kubectl', bench.kubectl, row.files),
      certlet: await read('certlet', bench.certlet, row.plantedFiles ?? row.files),
    };
  } finally {
    await listener.close();
    await front.close();
  }
}

function readingOf(listener: Listener, agent: Seen['agent'], words: string): Reading {
  const seen = listener.seen.filter((one) => one.agent === agent).map(({ what }) => what);
  return { accepted: seen.length > 0, seen: seen[0] ?? '', words };
}

async function startFront(row: Row, { served }: Materials): Promise<{ readonly port: number; close(): Promise<void> }> {
  if (row.front === 'socks proxy') return startSocks();
  if (row.front !== 'http proxy' && row.front !== 'https proxy') return { port: 0, close: async () => undefined };
  const leaf = { certPem: served.chain, chainPem: served.chain, keyPem: served.key };
  const proxy = await startProxy(row.front === 'https proxy' ? { leaf } : {});
  return { port: Number(new URL(`http://${proxy.host}`).port), close: () => proxy.close() };
}

function write(folder: string, files: Files): void {
  // Whatever the umask says: certlet believes no kubeconfig in a folder that a group may write.
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(folder, name), content, { mode: 0o600 });
    if (name.endsWith('.sh')) chmodSync(join(folder, name), 0o700);
  }
}

/** The rows that the two read differently: one refuses what the other takes, or they come as somebody else. */
export function disagreements(compared: readonly Compared[]): readonly Compared[] {
  return compared.filter(
    ({ kubectl, certlet }) => kubectl.accepted !== certlet.accepted || kubectl.seen !== certlet.seen,
  );
}

/** A disagreement for people. */
export function describe({ row, kubectl, certlet }: Compared): string {
  const side = (name: string, { accepted, seen, words }: Reading): string =>
    `  ${name} ${accepted ? `accepts (${seen})` : 'refuses'}: ${words.replaceAll(/\s+/g, ' ').slice(0, 300)}`;
  return [titleOf(row), side('kubectl', kubectl), side('certlet', certlet)].join('\n');
}
