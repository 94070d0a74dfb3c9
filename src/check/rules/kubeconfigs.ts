import { joinRemedy, onControlPlane, type Remedy } from '../../remedy.ts';
import type { KubeconfigReading } from '../../ports.ts';
import { asCertletError } from '../../errors.ts';
import { errnoOf } from '../../adapters/file-errors.ts';
import { clusterDifferences } from '../../rotation/rules/clusters.ts';
import { type Finding, finding, good } from '../finding.ts';
import { fromError } from '../walk.ts';

/** Who looks: root and the owner of the cert-dir see what the service sees, others do not. */
export interface Looker {
  readonly uid: number;
  readonly seesAll: boolean;
}

const FRESH: Remedy = joinRemedy('or put a bootstrap kubeconfig there');

/** What could not be read for want of permission: no fault of the node where an ordinary user looks. */
export function unreadable(id: string, path: string, looker: Looker): Finding {
  return looker.seesAll
    ? finding('problem', id, `${path} may not be read by user ${String(looker.uid)}`, { remedy: `namei -l ${path}` })
    : finding('skipped', id, `${path} may not be read by user ${String(looker.uid)}`, {
        denied: true,
        remedy: 'sudo certlet check',
      });
}

/** Whether the system refused for want of permission. */
export const isDenied = (error: unknown): boolean => ['EACCES', 'EPERM'].includes(errnoOf(error) ?? '');

/** Both kubeconfigs of a node. `hasClientPair`: a valid client pair lies in the cert-dir; `followed`: the node's kubeconfig follows the cluster's CA. */
export function kubeconfigFindings(
  readings: { readonly bootstrap: KubeconfigReading; readonly node: KubeconfigReading; readonly followed?: boolean },
  looker: Looker,
  hasClientPair: boolean,
): readonly Finding[] {
  const { bootstrap, node } = readings;
  return [
    ...bootstrapFindings(bootstrap, looker, hasClientPair && node.kind === 'usable'),
    ...nodeFindings(node, looker, hasClientPair),
    ...differenceFindings(bootstrap, node, readings.followed ?? false),
  ];
}

function bootstrapFindings(reading: KubeconfigReading, looker: Looker, hasOther: boolean): readonly Finding[] {
  const id = 'kubeconfig.bootstrap';
  const { path } = reading;
  if (reading.kind === 'absent') {
    const what = `there is no bootstrap kubeconfig at ${path}`;
    return hasOther
      ? [finding('note', `${id}-absent`, `${what}; none is needed while the client certificate is valid`)]
      : [finding('problem', `${id}-absent`, what, { remedy: FRESH })];
  }
  if (reading.kind === 'unusable') {
    if (isDenied(reading.error)) return [unreadable(`${id}-unreadable`, path, looker)];
    return [fromError(`${id}-unusable`, asCertletError(reading.error), hasOther ? 'warning' : 'problem')];
  }
  if (reading.config.credential.kind === 'none') {
    const what = `${path} names no credential`;
    return [
      finding(hasOther ? 'warning' : 'problem', `${id}-empty`, what, {
        remedy: onControlPlane('kubeadm token create', 'then put the token into that file'),
      }),
    ];
  }
  return [good(id, `${path} can be used`, evidenceOf(reading)), ...warningFindings(id, reading)];
}

function nodeFindings(reading: KubeconfigReading, looker: Looker, hasClientPair: boolean): readonly Finding[] {
  const id = 'kubeconfig.node';
  const { path } = reading;
  if (reading.kind === 'absent') {
    return [
      finding(
        'note',
        `${id}-absent`,
        hasClientPair
          ? `there is no ${path}; certlet writes it for the client certificate that it has`
          : `there is no ${path} yet; certlet writes it with the first client certificate`,
      ),
    ];
  }
  if (reading.kind === 'unusable') {
    if (isDenied(reading.error)) return [unreadable(`${id}-unreadable`, path, looker)];
    return [fromError(`${id}-unusable`, asCertletError(reading.error), 'warning')];
  }
  return [good(id, `${path} can be used`, evidenceOf(reading)), ...warningFindings(id, reading)];
}

type Usable = KubeconfigReading & { readonly kind: 'usable' };

const evidenceOf = ({ config }: Usable): { readonly server: string; readonly credential: string } => ({
  server: config.cluster.server,
  credential: config.credential.kind,
});

/** What the daemon says at its start, too: plain http, no verification, unusual CAs. Lax modes are told with the files. */
function warningFindings(id: string, { config }: Usable): readonly Finding[] {
  return config.warnings
    .filter((text) => text !== config.modeWarning)
    .map((text) => finding('warning', `${id}-warning`, text));
}

/** Two kubeconfigs that name different clusters: one of them is a leftover. */
function differenceFindings(
  bootstrap: KubeconfigReading,
  node: KubeconfigReading,
  followed: boolean,
): readonly Finding[] {
  if (bootstrap.kind !== 'usable' || node.kind !== 'usable') return [];
  const differences = clusterDifferences(node.config.cluster, bootstrap.config.cluster);
  if (differences.length === 0) return [];
  const { caPem } = node.config.cluster;
  const otherwise = { ...bootstrap.config.cluster, ...(caPem === undefined ? {} : { caPem }) };
  if (followed && clusterDifferences(node.config.cluster, otherwise).length === 0) {
    const what = `${bootstrap.path} has the CA of the day on which this node joined, and ${node.path} follows the cluster's since`;
    return [finding('note', 'kubeconfig.differ', what)];
  }
  return [
    finding(
      'warning',
      'kubeconfig.differ',
      `${node.path} and ${bootstrap.path} name different clusters: ${differences.join('; ')}`,
      {
        evidence: { node: node.config.cluster.server, bootstrap: bootstrap.config.cluster.server },
        causes: [
          {
            what: `the cluster has moved or changed its CA; certlet takes ${bootstrap.path} over once a request with it was accepted`,
            sure: 'possible',
          },
          {
            what: 'one of the two is left from another cluster',
            sure: 'possible',
            remedy: 'certlet reset   # removes what is left of the old cluster, then certlet join',
          },
        ],
      },
    ),
  ];
}
