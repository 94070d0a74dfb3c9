import { NodeFileSystem } from './adapters/file-system.ts';
import { type StoreView, viewStore } from './adapters/probe/store-view.ts';
import type { Settings } from './config.ts';
import type { CertificateSpec } from './csr/spec.ts';
import { isCertletError } from './errors.ts';
import type { DiskCertificate } from './status/disk.ts';

/** The cert-dir to look at only, as the service sees it also where root asks and the service has a user of its own. */
export const storeOnDisk = (settings: Settings, userId: number): StoreView =>
  viewStore(settings, new NodeFileSystem(), userId);

/** What lies behind the link of one certificate. Throws what the system refuses: a pair that may not be read is not a missing one. */
export async function certificateOnDisk(view: StoreView, spec: CertificateSpec): Promise<DiskCertificate> {
  const { link, reading } = await view.pair(spec.name);
  if (reading.kind === 'unreadable' && reading.error !== undefined) throw reading.error;
  const history = await view.history(spec.name);
  return {
    spec,
    currentPath: link,
    facts: reading.kind === 'whole' ? reading.pair.chain.leaf : undefined,
    history: history.kind === 'read' ? history.value : {},
  };
}

/** All of them, for a daemon that cannot use its cert-dir: what cannot be read is told as not there, since the trouble is told beside it. */
export async function certificatesOnDisk(
  settings: Settings,
  userId: number,
  linkOf: (name: string) => string,
): Promise<readonly DiskCertificate[]> {
  const view = storeOnDisk(settings, userId);
  return Promise.all(
    settings.specs.map(async (spec) => {
      try {
        return await certificateOnDisk(view, spec);
      } catch (error) {
        if (!isCertletError(error)) throw error;
        return { spec, currentPath: linkOf(spec.name), facts: undefined, history: {} };
      }
    }),
  );
}
