import { resolve } from 'node:path';
import { DEFAULT_SETTINGS_PATH, type Settings } from './config.ts';
import { type Remedy, filledIn, rejoinWords, shellWord } from './remedy.ts';

type Host = Pick<Settings, 'source' | 'kubelet'>;

/** Root comes by the CAs as it did at first: by a token, and by the pins of those that the cluster publishes. Without pins a word stands for one. */
export const rootJoinCommand = (settings: Host, pins: readonly string[]): Remedy =>
  filledIn(`${rejoinWords({ pins, byRoot: true })}${restartWords(settings)}`);

/** From the bootstrap kubeconfig, which the service cannot write, by the settings in force here. A running kubelet does not read it again. */
export const kubeconfigCommand = (settings: Host): Remedy => `certlet join --write-kubeconfig${restartWords(settings)}`;

function restartWords({ source = DEFAULT_SETTINGS_PATH, kubelet }: Host): string {
  const config = source === DEFAULT_SETTINGS_PATH ? '' : ` --config ${shellWord(resolve(source))}`;
  return `${config} && systemctl restart ${shellWord(kubelet.unit)}`;
}
