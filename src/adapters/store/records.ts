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
import { readIfPresent, replaceFile, replaceUnhurried } from '../files.ts';
import { FILE_LIMIT_BYTES, mapped, type StoreContext } from './store-context.ts';
import { moveAside } from './quarantine.ts';

/** What is known of a request between its POST and its pair, and of those before: `<state>/<name>-{pending,history}.json`, 0600. */
export async function readPendingRecord(context: StoreContext): Promise<PendingRequest | undefined> {
  return await readRecord(context, recordPath(context, 'pending'), (text) => {
    const record = decodePending(text);
    return record.purpose === context.name ? record : undefined;
  });
}

/** Durable before it resolves, but for what the API server tells again: to a repeated POST it answers 409, and the object is compared. */
export async function writePendingRecord(context: StoreContext, record: PendingRequest): Promise<void> {
  const told = record.uid !== undefined && record.issuedPem === undefined && record.refusedAt === undefined;
  const replace = told ? replaceUnhurried : replaceFile;
  await replace(context.fs, recordPath(context, 'pending'), encodePending(record).reveal(), 0o600);
}

/** A finished request may come back with the power: its every step may be done twice, and the next record beside it makes this durable. */
export async function removePendingRecord(context: StoreContext): Promise<void> {
  const path = recordPath(context, 'pending');
  await mapped(path, () => context.fs.unlink(path));
}

export async function readHistoryRecord(context: StoreContext): Promise<RequestHistory> {
  return (await readRecord(context, recordPath(context, 'history'), decodeHistory)) ?? {};
}

/** Durable before it resolves where it holds a request back or asks for one. When the last one was is in the pending record or in the pair, too. */
export async function writeHistoryRecord(context: StoreContext, history: RequestHistory): Promise<void> {
  const {
    lastRequestAt: _asked,
    lastIssuedAt: _issued,
    lastIssuedByServer: _byServer,
    lastSerial: _serial,
    past: _past,
    proved: _proved,
    ...binding
  } = history;
  const replace = Object.values(binding).every((value) => value === undefined) ? replaceUnhurried : replaceFile;
  await replace(context.fs, recordPath(context, 'history'), encodeHistory(history), 0o600);
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
