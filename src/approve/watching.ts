import { JsonFields } from '../csr/json-fields.ts';
import type { CertletError } from '../errors.ts';
import { complaintFields } from './complaint.ts';
import type { Chance, Logger } from '../ports.ts';
import { again } from './again.ts';
import type { Troubles } from '../trouble.ts';
import type { ClusterApi } from './ports.ts';
import type { Times } from './time.ts';

/** What watching one collection takes. */
export interface Watching {
  /** For messages: `Nodes`. */
  readonly what: string;
  readonly path: string;
  /** Asked after the list, with which a server shows what it can select by. */
  readonly query: () => Readonly<Record<string, string>>;
  /** Reads the whole collection; gives the resourceVersion to watch from. */
  readonly list: (signal: AbortSignal) => Promise<string>;
  readonly changed: (type: 'ADDED' | 'MODIFIED' | 'DELETED', object: unknown) => void;
}

export interface WatchParts {
  readonly api: ClusterApi;
  readonly times: Times;
  readonly chance: Chance;
  readonly log: Logger;
  /** Of everything that is followed. */
  readonly troubles: Troubles;
  readonly failed: (code: string) => void;
}

/** Changes that a watch has missed for any reason show at the latest after this time. */
export const RELIST_MS = 300_000;
/** A server that ends watches at once must not be asked without a pause. */
const BETWEEN_WATCHES_MS = 100;

/**
 * Lists a collection and follows it, until `signal` aborts: a watch that ends goes on from where it was, one that is gone (410) or broken begins
 * with a list, and so does everything every five minutes. Failures are told and tried again, each time after a longer while.
 */
export async function follow(watching: Watching, parts: WatchParts, signal: AbortSignal): Promise<void> {
  const { times, chance, failed } = parts;
  const tell = (error: CertletError): boolean => {
    failed(error.code);
    sayUnfollowed(parts, watching.what, error);
    return true;
  };
  const round = async (began: () => void): Promise<'once more'> => {
    const from = await watching.list(signal);
    began();
    const at = times.now();
    await watchFrom(watching, from, parts, signal);
    // A list alone does not show that it can be followed.
    sayFollowed(parts, watching.what, at);
    return 'once more';
  };
  await again({ times, chance, failed: tell }, round, signal);
}

/** What cannot be followed, once and at the pace of `Troubles`. */
export function sayUnfollowed({ times, log, troubles }: WatchParts, what: string, error: CertletError): void {
  const level = troubles.levelOf(what, error, { at: times.now(), loud: 'warn' });
  log.log(level, 'Cannot follow what happens in the cluster', { what, ...complaintFields(error) });
}

/** It has been followed since `at`. */
export function sayFollowed({ log, troubles }: WatchParts, what: string, at: Date): void {
  const ended = troubles.over(what, at);
  if (ended !== undefined) log.log('info', 'Following what happens in the cluster again', { what, ...ended });
}

/** Resolves when a new list is due. */
async function watchFrom(watching: Watching, from: string, parts: WatchParts, signal: AbortSignal): Promise<void> {
  const { api, times } = parts;
  const due = new AbortController();
  const untilDue = AbortSignal.any([signal, due.signal]);
  void times.pause(RELIST_MS, untilDue).then(() => due.abort());
  let version = from;
  try {
    while (!untilDue.aborted) {
      const query = { ...watching.query(), resourceVersion: version };
      for await (const json of api.watch(watching.path, query, untilDue)) {
        const event = readEvent(json);
        if (event.type === 'ERROR') return;
        version = event.resourceVersion;
        if (event.type !== 'BOOKMARK') watching.changed(event.type, event.object);
      }
      await times.pause(BETWEEN_WATCHES_MS, untilDue);
    }
  } catch (error) {
    if (due.signal.aborted && !signal.aborted) return;
    throw error;
  } finally {
    due.abort();
  }
}

type Event =
  | {
      readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
      readonly resourceVersion: string;
      readonly object: unknown;
    }
  | { readonly type: 'ERROR' };

function readEvent(json: unknown): Event {
  const event = new JsonFields(json, 'watch event', 'ERR_API_PROTOCOL');
  const type = event.oneOf('type', ['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']);
  if (type === 'ERROR') return { type };
  const resourceVersion = event.object('object').object('metadata').filledText('resourceVersion');
  return { type, resourceVersion, object: event.plain('object') };
}
