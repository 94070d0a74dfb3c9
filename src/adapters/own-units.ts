import { mergeService, mergeTimer, type TimerUnit } from '../kubelet/unit-file.ts';
import { HostFiles } from './host-files.ts';
import { readWantedUnits } from './host-reloads.ts';

/** How certlet is started on this host, as the unit files say; the running system is not asked. */
export interface OwnUnits extends TimerUnit {
  /** `certlet.service` is started at boot. */
  readonly service: boolean;
  /** `certlet-once.timer` is. */
  readonly timer: boolean;
  /** The command that the timer starts; undefined where there is none. */
  readonly command: string | undefined;
}

/** Reads the units below `root`. What may not be read counts as absent. */
export async function readOwnUnits(root: string): Promise<OwnUnits> {
  const files = new HostFiles(root);
  const wanted = await readWantedUnits(files);
  const timer = mergeTimer(await files.readUnit('certlet-once.timer', []));
  const { execStart } = mergeService(await files.readUnit('certlet-once.service', []));
  return {
    ...timer,
    service: wanted.has('certlet.service'),
    timer: wanted.has('certlet-once.timer'),
    command: execStart,
  };
}
