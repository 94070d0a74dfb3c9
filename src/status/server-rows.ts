import { adviceRows, optional, type Row } from './rows.ts';
import type { ServerStatus } from './servers.ts';
import { relativeText } from './times.ts';

/** For a person: the one that is asked, and each that does not answer or is not trusted. */
export function serverRows(
  {
    node: { server, servers = [] },
  }: {
    readonly node: { readonly server?: string; readonly servers?: readonly ServerStatus[] };
  },
  now: Date,
): readonly Row[] {
  const inUse = servers.find((each) => each.inUse)?.server ?? server;
  const instead = inUse === server ? '' : `, in place of ${server ?? ''}, which the kubeconfig names`;
  return [
    ...optional('API server', inUse && `${inUse}${instead}`),
    ...servers.flatMap(({ server: other, state, since, error = '', remedy }): readonly Row[] => {
      if (state !== 'down' && state !== 'untrusted') return [];
      const what = state === 'down' ? 'no answer' : 'not trusted';
      return [
        [state, `${other}: ${what} since ${relativeText(new Date(since), now)}: ${error}`],
        ...adviceRows(remedy),
      ];
    }),
  ];
}
