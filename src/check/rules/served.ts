import { type Remedy, inSettings, shellWord } from '../../remedy.ts';
import type { Endpoint, Served } from '../../kubelet/served.ts';
import { type Finding, finding, good } from '../finding.ts';

/** What was seen of who serves one certificate. */
export interface ServedQuestion {
  /** Its name. */
  readonly purpose: string;
  readonly served: Served;
  readonly endpoint: Endpoint;
  /** The link that names the current pair, and its serial. */
  readonly link: string;
  readonly serial: string;
  /** Unit of the kubelet, where it is the kubelet that serves. */
  readonly kubeletUnit: string | undefined;
  /** The settings' `reload`, where another program does. */
  readonly reload: string | undefined;
}

/** Whether the current pair is what clients see. */
export function servedFindings(question: ServedQuestion): readonly Finding[] {
  const { purpose, served, endpoint, link, serial, kubeletUnit } = question;
  const who = kubeletUnit === undefined ? `the program on port ${String(endpoint.port)}` : 'the kubelet';
  const evidence = { port: endpoint.port, serial, ...(served.kind === 'stale' ? { served: served.serial } : {}) };
  switch (served.kind) {
    case 'current':
      return [good('served', `${who} shows the current ${purpose} certificate to every client`, evidence)];
    case 'stale': {
      const what = `${who} shows the certificate with serial ${served.serial} to ${served.to}, not the current ${purpose} certificate (${serial}) of ${link}`;
      return [finding('problem', 'served.stale', what, { remedy: staleRemedy(question), evidence })];
    }
    case 'absent':
      return [
        finding(
          'note',
          'served.absent',
          `nothing listens on port ${String(endpoint.port)}, where ${who} would show its certificate`,
        ),
      ];
    case 'unclear': {
      const what = `what ${who} shows on port ${String(endpoint.port)} is not known: ${served.error}`;
      const remedy =
        kubeletUnit === undefined
          ? undefined
          : inSettings(
              'kubelet: { port: 10250 }',
              'where the kubelet listens elsewhere; then systemctl reload certlet',
            );
      return [finding('warning', 'served.unclear', what, { remedy })];
    }
  }
}

/** A kubelet that shows an older pair after a restart has other files in its configuration, which adopting mends. */
function staleRemedy({ kubeletUnit, reload = '', purpose }: ServedQuestion): Remedy {
  return kubeletUnit === undefined
    ? `systemctl start certlet-reload@${shellWord(reload)}.service   # and see that the program reads the files of ${purpose}`
    : `systemctl restart ${shellWord(kubeletUnit)}   # if that is not enough, its tlsCertFile is another file: certlet adopt`;
}
