import { NodeFileSystem } from '../adapters/file-system.ts';
import { serviceUser } from '../adapters/probe/store-view.ts';
import type { Settings } from '../config.ts';
import { type HowItRuns, remedyFor } from '../remedy.ts';
import type { StatusDocument } from '../status/document.ts';
import type { FoundStatus } from './status-source.ts';

/** Who reads a status may be anybody: the user of the service is told by the owner of its folders, as root would see it. */
const ROOT = 0;

/** How certlet runs on this host, as far as remedies go. */
export async function howItRuns(
  settings: Pick<Settings, 'certDir' | 'stateDir'>,
  { byTimer }: Pick<FoundStatus, 'byTimer'>,
): Promise<HowItRuns> {
  return { byTimer, uid: await serviceUser(new NodeFileSystem(), settings, ROOT) };
}

/** The document with every remedy as it works on this host. */
export function toldFor(document: StatusDocument, host: HowItRuns): StatusDocument {
  const remedy = <T extends { readonly remedy?: string }>(about: T): T =>
    about.remedy === undefined ? about : { ...about, remedy: remedyFor(about.remedy, host) };
  const command = <T extends { readonly command?: string }>(about: T): T =>
    about.command === undefined ? about : { ...about, command: remedyFor(about.command, host) };
  const { trouble, certificates, hooks, kubeconfig } = document;
  return {
    ...document,
    ...(trouble && { trouble: remedy(trouble) }),
    certificates: certificates.map((status) => ({
      ...command(status),
      ...(status.lastError && { lastError: remedy(status.lastError) }),
    })),
    hooks: hooks.map(remedy),
    ...(kubeconfig && { kubeconfig: command(kubeconfig) }),
  };
}
