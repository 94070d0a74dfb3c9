import { NodeFileSystem } from '../adapters/file-system.ts';
import { type StoreView, viewStore } from '../adapters/probe/store-view.ts';
import type { Settings } from '../config.ts';
import type { Purpose } from '../csr/template.ts';
import type { DiskCertificate } from '../status/disk.ts';

/** The cert-dir to look at only, as the service sees it also where root asks and the service has a user of its own. */
export const storeOnDisk = ({ certDir, stateDir }: Settings, userId: number): StoreView =>
  viewStore({ certDir, stateDir }, new NodeFileSystem(), userId);

/** What lies behind the link of one purpose. Throws what the system refuses: a pair that may not be read is not a missing one. */
export async function certificateOnDisk(view: StoreView, purpose: Purpose): Promise<DiskCertificate> {
  const { link, reading } = await view.pair(purpose);
  if (reading.kind === 'unreadable' && reading.error !== undefined) throw reading.error;
  const history = await view.history(purpose);
  return {
    purpose,
    currentPath: link,
    facts: reading.kind === 'whole' ? reading.pair.chain.leaf : undefined,
    history: history.kind === 'read' ? history.value : {},
  };
}
