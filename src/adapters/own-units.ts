import { mergeService, mergeTimer, type TimerUnit } from '../kubelet/unit-file.ts';
import { HostFiles } from './host-files.ts';

/** How certlet is started on this host, as the unit files say; the running system is not asked. */
export interface OwnUnits extends TimerUnit {
  /** `certlet.service` is started at boot. */
  readonly service: boolean;
  /** `certlet-once.timer` is. */
  readonly timer: boolean;
  /** The command that the timer starts; undefined where there is none. */
  readonly command: string | undefined;
}

const ENABLED_IN = '/etc/systemd/system';

/** Reads the units below `root`. What may not be read counts as absent. */
export async function readOwnUnits(root: string): Promise<OwnUnits> {
  const files = new HostFiles(root);
  const folders = (await files.list(ENABLED_IN)).filter((name) => /\.(wants|requires|upholds)$/.test(name));
  const wanted = new Set((await Promise.all(folders.map((name) => files.list(`${ENABLED_IN}/${name}`)))).flat());
  const timer = mergeTimer(await files.readUnit('certlet-once.timer', []));
  const { execStart } = mergeService(await files.readUnit('certlet-once.service', []));
  return {
    ...timer,
    service: wanted.has('certlet.service'),
    timer: wanted.has('certlet-once.timer'),
    command: execStart,
  };
}
