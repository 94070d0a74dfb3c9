import { CertletError } from '../../errors.ts';
import type { OnceArguments } from '../command.ts';
import type { CommandContext } from '../context.ts';

/** `certlet once`: one pass of the daemon of src/daemon.ts, with the timeout. */
export async function runOnce(_context: CommandContext, _args: OnceArguments): Promise<number> {
  throw new CertletError('ERR_INTERNAL', 'certlet once is not in this build');
}
