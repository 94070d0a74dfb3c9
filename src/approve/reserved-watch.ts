import type { CertletError } from '../errors.ts';
import { complaintFields, ROLES_REMEDY } from './complaint.ts';
import { SaidOnce } from '../said-once.ts';
import { again } from './again.ts';
import { type Finding, findReserved, type ReservedNames, SERVICE_RANGE_REMEDY } from './reserved.ts';
import type { ApproveSettings } from './settings.ts';
import { RELIST_MS, sayFollowed, sayUnfollowed, type WatchParts } from './watching.ts';

/** What looking for it again and again takes. */
export interface ReservedWatch extends WatchParts {
  readonly settings: ApproveSettings;
  readonly reserved: ReservedNames;
  /** Called after each look. */
  readonly found: () => void;
}

const WHAT = 'what is its own';

/** Looks for what is the cluster's own, at once and every five minutes, until `signal` aborts. Tells what it lacks once. Throws `ERR_INTERNAL` alone. */
export async function lookForReserved(parts: ReservedWatch, signal: AbortSignal): Promise<void> {
  const { api, settings, reserved, times, chance, failed, found } = parts;
  const said = new SaidOnce();
  const tell = (error: CertletError): boolean => {
    failed(error.code);
    sayUnfollowed(parts, WHAT, error);
    return true;
  };
  const round = async (began: () => void): Promise<'once more'> => {
    const finding = await findReserved(api, settings, signal);
    reserved.found(finding);
    tellLacks(finding, parts, said);
    found();
    began();
    sayFollowed(parts, WHAT, times.now());
    await times.pause(RELIST_MS, signal);
    return 'once more';
  };
  await again({ times, chance, failed: tell }, round, signal);
}

/** What was not found out lets requests pass that it would have stopped. */
function tellLacks(
  { forbidden, broken, unknownRange }: Finding,
  { log }: Pick<ReservedWatch, 'log'>,
  said: SaidOnce,
): void {
  for (const { what, error } of forbidden)
    if (said.isNews(what, error.message))
      log.log('warn', 'Not allowed to find out what no node may have', {
        what,
        ...complaintFields(error),
        remedy: `${ROLES_REMEDY}; or approve.findReserved: false`,
      });
  for (const error of broken)
    if (said.isNews(error.message, error.message))
      log.log('warn', 'What no node may have cannot be read', complaintFields(error));
  if (unknownRange === undefined) said.over('range');
  else if (said.isNews('range', unknownRange))
    log.log('warn', 'Addresses of Services may pass for those of nodes', {
      reason: unknownRange,
      remedy: SERVICE_RANGE_REMEDY,
    });
}
