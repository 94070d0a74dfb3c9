import { CertletError } from '../../errors.ts';
import type { AdoptArguments } from '../command.ts';
import type { CommandContext } from '../context.ts';

/** `certlet adopt`: settings and kubelet changes for a node whose kubelet rotated until now. */
export async function runAdopt(_context: CommandContext, _args: AdoptArguments): Promise<number> {
  throw new CertletError('ERR_INTERNAL', 'certlet adopt is not in this build');
}
