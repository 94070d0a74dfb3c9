import { CertletError } from '../../errors.ts';
import type { RenewArguments } from '../command.ts';
import type { CommandContext } from '../context.ts';

/** `certlet renew`: asks the running daemon over its control socket, or does one pass itself. */
export async function runRenew(_context: CommandContext, _args: RenewArguments): Promise<number> {
  throw new CertletError('ERR_INTERNAL', 'certlet renew is not in this build');
}
