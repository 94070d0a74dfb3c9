import { NodeFileSystem } from '../adapters/file-system.ts';
import { serviceUser } from '../adapters/probe/store-view.ts';
import type { Settings } from '../config.ts';
import { type Carried, type HowItRuns, remedyFor } from '../remedy.ts';
import type { StatusDocument } from '../status/document.ts';
import { withRemedies } from '../status/told.ts';
import type { FoundStatus } from './status-source.ts';

/** Who reads a status may be anybody: the user of the service is told by the owner of its folders, as root would see it. */
const ROOT = 0;

/** How certlet runs on this host, as far as remedies go. */
export async function howItRuns(
  settings: Pick<Settings, 'certDir' | 'stateDir'>,
  { byTimer }: Pick<FoundStatus, 'byTimer'>,
  carried: readonly Carried[],
): Promise<HowItRuns> {
  return { byTimer, uid: await serviceUser(new NodeFileSystem(), settings, ROOT), carried };
}

/** The document with every remedy as it works on this host. */
export const toldFor = (document: StatusDocument, host: HowItRuns): StatusDocument =>
  withRemedies(document, (remedy) => remedyFor(remedy, host));
