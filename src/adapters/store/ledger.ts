import { join } from 'node:path';
import { readIfPresent, replaceFile } from '../files.ts';
import { FILE_LIMIT_BYTES, type StoreContext } from './store-context.ts';
import { currentPath, isPairName, linkedName, listPairFiles } from './pair-files.ts';
import { moveAside } from './quarantine.ts';

/** So many names of files that are not there stay in the ledger, the latest by name. */
const REMEMBERED = 32;

/**
 * Names of the pair files that are certlet's own or were there when it took the folder over: what else turns up under the prefix
 * was written by a kubelet that rotates too. A name is durable here before the file gets it, so that a crash between the two
 * leaves a name without a file, never a file that looks foreign.
 */
export async function readLedger(context: StoreContext): Promise<ReadonlySet<string> | undefined> {
  const path = ledgerPath(context);
  const text = await readIfPresent(context.fs, path, FILE_LIMIT_BYTES);
  if (text === undefined) return context.taken.empty ? new Set() : undefined;
  const names = decode(text);
  // Without a ledger the folder counts as not taken over yet: a lost record must not make our own files look foreign.
  if (names === undefined) await moveAside(context, path, 'it is no ledger of pair files');
  return names === undefined ? undefined : new Set(names);
}

/** Adds a name before its file exists. The first entry takes the folder over: everything present is noted with it. */
export async function announce(context: StoreContext, name: string): Promise<void> {
  const present = await presentNames(context);
  const known = await readLedger(context);
  const kept = known === undefined ? present : present.filter((each) => known.has(each));
  await write(context, [...kept, name, ...absentNames(known, present)]);
}

/** Notes everything present as certlet's to manage. Nothing is written where that says nothing new, or nothing at all. */
export async function acceptPresent(context: StoreContext): Promise<void> {
  const present = await presentNames(context);
  const known = await readLedger(context);
  const names = new Set([...present, ...absentNames(known, present)]);
  if (known === undefined && names.size === 0) context.taken.empty = true;
  else if (known?.size !== names.size || ![...names].every((name) => known.has(name))) await write(context, [...names]);
}

/**
 * What is not seen now may be back: a folder that is not mounted yet, or a look that failed for a moment, must not make our own files look
 * foreign later.
 */
function absentNames(known: ReadonlySet<string> | undefined, present: readonly string[]): readonly string[] {
  const absent = [...(known ?? [])].filter((name) => !present.includes(name));
  return absent.sort().slice(-REMEMBERED);
}

/** Names present under the prefix that the ledger lacks; none before the folder was taken over. */
export async function unknownNames(context: StoreContext): Promise<readonly string[]> {
  const known = await readLedger(context);
  if (known === undefined) return [];
  return (await presentNames(context)).filter((name) => !known.has(name));
}

/** Timestamped files, and the file behind the link if that lies elsewhere. A link into nowhere is nobody's: it is made anew. */
async function presentNames(context: StoreContext): Promise<readonly string[]> {
  const names = [...(await listPairFiles(context))];
  const name = await linkedName(context, names, currentPath(context));
  return name === undefined || names.includes(name) || isPairName(context, name) ? names : [...names, name];
}

async function write(context: StoreContext, names: readonly string[]): Promise<void> {
  const text = `${JSON.stringify({ version: 1, files: [...new Set(names)].sort() }, undefined, 2)}\n`;
  await replaceFile(context.fs, ledgerPath(context), text, 0o600);
  // Whoever removes it from now on takes away a record, and our own files must not look foreign for that.
  context.taken.empty = false;
}

function ledgerPath(context: StoreContext): string {
  return join(context.stateDir, `${context.name}-ledger.json`);
}

function decode(text: string): readonly string[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('files' in value) || !Array.isArray(value.files))
      return undefined;
    const files: readonly unknown[] = value.files;
    return files.every((file) => typeof file === 'string') ? files : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
