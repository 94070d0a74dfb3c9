import { CertletError } from '../../errors.ts';
import type { CheckArguments } from '../command.ts';
import type { CommandContext } from '../context.ts';

/** `certlet check`: looks for what keeps the certificates from working. */
export async function runCheck(_context: CommandContext, _args: CheckArguments): Promise<number> {
  throw new CertletError('ERR_INTERNAL', 'certlet check is not in this build');
}
