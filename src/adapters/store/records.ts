import { join } from 'node:path';
import {
  decodeHistory,
  decodePending,
  encodeHistory,
  encodePending,
  type PendingRequest,
  type RequestHistory,
} from '../../csr/pending.ts';
import { isCertletError } from '../../errors.ts';
import { errnoOf } from '../file-errors.ts';
import { readIfPresent, replaceFile } from '../files.ts';
import { FILE_LIMIT_BYTES, mapped, type StoreContext } from './store-context.ts';
import { moveAside } from './quarantine.ts';

/** What is known of a request between its POST and its pair, and of those before: `<state>/<name>-{pending,history}.json`, 0600. */
export async function readPendingRecord(context: StoreContext): Promise<PendingRequest | undefined> {
  return await readRecord(context, recordPath(context, 'pending'), (text) => {
    const record = decodePending(text);
    return record.purpose === context.name ? record : undefined;
  });
}

export async function writePendingRecord(context: StoreContext, record: PendingRequest): Promise<void> {
  await replaceFile(context.fs, recordPath(context, 'pending'), encodePending(record).reveal(), 0o600);
}

/** Durable before it resolves, so that a finished request does not come back with the power. */
export async function removePendingRecord(context: StoreContext): Promise<void> {
  const path = recordPath(context, 'pending');
  await mapped(path, async () => {
    if ((await context.fs.lstat(path)) === undefined) return;
    await context.fs.unlink(path);
    await context.fs.syncFolder(context.stateDir);
  });
}

export async function readHistoryRecord(context: StoreContext): Promise<RequestHistory> {
  return (await readRecord(context, recordPath(context, 'history'), decodeHistory)) ?? {};
}

export async function writeHistoryRecord(context: StoreContext, history: RequestHistory): Promise<void> {
  await replaceFile(context.fs, recordPath(context, 'history'), encodeHistory(history), 0o600);
}

/** Errors of the disk pass; a record whose content is at fault is moved aside and counts as none. */
async function readRecord<T>(
  context: StoreContext,
  path: string,
  decode: (text: string) => T | undefined,
): Promise<T | undefined> {
  const text = await readText(context, path);
  if (text === undefined) return undefined;
  try {
    const record = decode(text);
    if (record === undefined) await moveAside(context, path, 'it is the record of another certificate');
    return record;
  } catch (error) {
    if (!isCertletError(error)) throw error;
    await moveAside(context, path, error.message);
    return undefined;
  }
}

async function readText(context: StoreContext, path: string): Promise<string | undefined> {
  try {
    return await readIfPresent(context.fs, path, FILE_LIMIT_BYTES);
  } catch (error) {
    if (!['EFBIG', 'EINVAL', 'EISDIR', 'ELOOP'].includes(errnoOf(error) ?? '') || !isCertletError(error)) throw error;
    await moveAside(context, path, error.message);
    return undefined;
  }
}

/** Where the record of this kind lies. */
export function recordPath(context: StoreContext, kind: 'pending' | 'history'): string {
  return join(context.stateDir, `${context.name}-${kind}.json`);
}
