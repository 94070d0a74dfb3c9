import type { Remedy } from '../remedy.ts';
import { environmentValue, parseEnvironmentFile } from './environment-file.ts';
import type { PlannedFile } from './sandbox-drop-in.ts';

/** Root's word on which unit `certlet-kubelet-restart.service` restarts; without it that is `kubelet.service`. */
export const RESTART_UNIT_FILE = '/etc/certlet/kubelet-unit.env';

/** A unit's name as systemctl(1) completes it. */
export const serviceName = (unit: string): string => (unit.endsWith('.service') ? unit : `${unit}.service`);

/** The unit that is restarted after a rotation, with its `.service`. `text` is that of the file, undefined where there is none. */
export function restartedUnit(text: string | undefined): string {
  return serviceName(parseEnvironmentFile(text ?? '').get('KUBELET_UNIT') ?? 'kubelet.service');
}

/** The file for a kubelet whose unit has another name than `kubelet.service`. */
export function restartUnitFile(unitName: string): PlannedFile {
  return {
    path: RESTART_UNIT_FILE,
    text: `# Written by "certlet adopt".\nKUBELET_UNIT=${environmentValue(unitName)}\n`,
  };
}

/** For a unit that is not there. The settings need the name as well: by theirs certlet sees when the kubelet was started, and prints commands. */
export const NAME_THE_UNIT: Remedy = `systemctl list-unit-files --type=service   # then the name of the kubelet's unit in both: KUBELET_UNIT=NAME in ${RESTART_UNIT_FILE}, and kubelet: { unit: NAME } in the settings`;
