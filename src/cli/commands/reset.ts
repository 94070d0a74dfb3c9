import { CertletError } from '../../errors.ts';
import type { ResetArguments } from '../command.ts';
import type { CommandContext } from '../context.ts';

/** `certlet reset`: shows and removes what certlet made. */
export async function runReset(_context: CommandContext, _args: ResetArguments): Promise<number> {
  throw new CertletError('ERR_INTERNAL', 'certlet reset is not in this build');
}
