import { CertletError } from '../../errors.ts';
import type { JoinCommandArguments } from '../command.ts';
import type { CommandContext } from '../context.ts';

/** `certlet join`: `joinCluster` of src/cli/join.ts with the real network and disk. */
export async function runJoin(_context: CommandContext, _args: JoinCommandArguments): Promise<number> {
  throw new CertletError('ERR_INTERNAL', 'certlet join is not in this build');
}
