import { CertletError } from '../../errors.ts';
import type { StatusArguments } from '../command.ts';
import type { CommandContext } from '../context.ts';

/** `certlet status`: the status document as text, JSON or YAML. */
export async function runStatus(_context: CommandContext, _args: StatusArguments): Promise<number> {
  throw new CertletError('ERR_INTERNAL', 'certlet status is not in this build');
}
