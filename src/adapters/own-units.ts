import { isAbsolute } from 'node:path';
import {
  flagOf,
  mergeSandbox,
  mergeService,
  mergeTimer,
  type ServiceSandbox,
  type TimerUnit,
} from '../kubelet/unit-file.ts';
import { readUser } from './host-users.ts';
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
  /** What the service that is started may write: the timer's where it alone is enabled, else the daemon's. Undefined where there is no such unit. */
  readonly sandbox: ServiceSandbox | undefined;
  /** Number of the user that its `User=` names; undefined for root, and for one that this host does not have. */
  readonly uid: number | undefined;
}

/** Reads the units below `root`. What may not be read counts as absent. */
export async function readOwnUnits(root: string): Promise<OwnUnits> {
  const files = new HostFiles(root);
  const wanted = await readWantedUnits(files);
  const timer = mergeTimer(await files.readUnit('certlet-once.timer', []));
  const once = await files.readUnit('certlet-once.service', []);
  const service = wanted.has('certlet.service');
  const byTimer = wanted.has('certlet-once.timer');
  const writing = byTimer && !service ? once : await files.readUnit('certlet.service', []);
  const sandbox = writing.length === 0 ? undefined : mergeSandbox(writing);
  return {
    ...timer,
    service,
    timer: byTimer,
    command: mergeService(once).execStart,
    sandbox,
    uid: sandbox?.user === undefined ? undefined : (await readUser(files, sandbox.user))?.uid,
  };
}

/** The cert-dirs on the command lines of certlet's units and their drop-ins: root's own words, whoever the service runs as. */
export async function readUnitCertDirs(root: string): Promise<readonly string[]> {
  const files = new HostFiles(root);
  const units = ['certlet.service', 'certlet-once.service'];
  const given = await Promise.all(
    units.map(async (unit) => flagOf(mergeService(await files.readUnit(unit, [])), '--cert-dir')),
  );
  return given.filter((certDir) => certDir !== undefined).filter((certDir) => isAbsolute(certDir));
}
