import { JsonFields } from '../csr/json-fields.ts';
import type { CertletError } from '../errors.ts';
import { complaintFields } from './complaint.ts';
import type { Chance, Logger } from '../ports.ts';
import { again } from './again.ts';
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
  const { times, chance, log, failed } = parts;
  const tell = (error: CertletError): boolean => {
    failed(error.code);
    log.log('warn', 'Cannot follow what happens in the cluster', { what: watching.what, ...complaintFields(error) });
    return true;
  };
  const round = async (began: () => void): Promise<'once more'> => {
    const from = await watching.list(signal);
    began();
    await watchFrom(watching, from, parts, signal);
    return 'once more';
  };
  await again({ times, chance, failed: tell }, round, signal);
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
