import { NodeFileSystem } from '../adapters/file-system.ts';
import { serviceUser } from '../adapters/probe/store-view.ts';
import { CertletError } from '../errors.ts';
import { typedLine } from './carried.ts';
import type { ProcessEdge } from './command-context.ts';

/**
 * Root must not take over what belongs to a service with a user of its own, who could not write it any more and may lead root elsewhere by
 * links. Throws `ERR_STORE_UNSAFE`, exit code 77, with the command line as it was typed, as that user: its flags name the settings and folders.
 */
export async function refuseForeignState(
  folders: { readonly certDir: string; readonly stateDir: string },
  { argv, userId }: Pick<ProcessEdge, 'argv' | 'userId'>,
): Promise<void> {
  const { stateDir } = folders;
  const owner = await serviceUser(new NodeFileSystem(), folders, userId);
  if (owner === userId) return;
  // As a refusal of the system: exit code 77.
  const cause = Object.assign(new Error('EPERM'), { code: 'EPERM' });
  throw new CertletError('ERR_STORE_UNSAFE', `${stateDir} belongs to user ${String(owner)}, who runs the service`, {
    cause,
    remedy: `runuser -u "$(id -nu ${String(owner)})" -- ${typedLine(argv)}`,
  });
}
