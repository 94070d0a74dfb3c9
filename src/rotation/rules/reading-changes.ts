import type { ClientConfig } from '../../kubeconfig/client-config.ts';
import type { KubeconfigReading } from '../../ports.ts';
import { clusterDifferences } from './clusters.ts';
import { credentialKey } from '../node/connections.ts';

/**
 * What a kubeconfig and the files that it names say otherwise than before, as words for a log line; empty means the same. No secret is in them.
 * Of a CA in a file of its own the words name that file.
 */
export function readingChanges(before: KubeconfigReading, after: KubeconfigReading): readonly string[] {
  if (before.kind === 'usable' && after.kind === 'usable') return configChanges(before.config, after.config);
  if (before.kind !== after.kind) return [APPEARANCE[after.kind]];
  const same = before.kind !== 'unusable' || after.kind !== 'unusable' || before.error.message === after.error.message;
  return same ? [] : ['it cannot be used, for another reason'];
}

const APPEARANCE: Readonly<Record<KubeconfigReading['kind'], string>> = {
  absent: 'it is gone',
  unusable: 'it cannot be used',
  usable: 'it is there and can be used',
};

function configChanges(before: ClientConfig, after: ClientConfig): readonly string[] {
  const { caPath } = after.cluster;
  const inFile = caPath !== undefined && caPath === before.cluster.caPath;
  return [
    ...clusterDifferences(before.cluster, after.cluster).map((words) =>
      inFile && words.startsWith('certificate-authority ') ? `certificate-authority ${caPath} changed` : words,
    ),
    ...(credentialKey(before.credential) === credentialKey(after.credential) ? [] : ['credential changed']),
  ];
}
