import { type Remedy, reworded } from '../remedy.ts';
import type { ServersSnapshot } from '../rotation/snapshot.ts';
import { timestamp } from '../timestamp.ts';

/** What is known of one API server. */
export interface ServerStatus {
  readonly server: string;
  /** `unknown`: not asked yet; `down`: no answer, or 5xx; `untrusted`: its TLS is refused. */
  readonly state: 'unknown' | 'up' | 'down' | 'untrusted';
  /** Requests go there first. */
  readonly inUse: boolean;
  readonly since: string;
  readonly error?: string;
  readonly remedy?: Remedy;
}

/** `clean` takes what is of foreign origin. */
export const serverStatuses = (
  { inUse, servers }: ServersSnapshot,
  clean: (text: string) => string,
): readonly ServerStatus[] =>
  servers.map(({ server, state, since, error }) => ({
    server: clean(server),
    state,
    inUse: server === inUse,
    since: timestamp(since),
    ...(error === undefined ? {} : { error: clean(error.message) }),
    ...(error?.remedy === undefined ? {} : { remedy: reworded(error.remedy, clean) }),
  }));
