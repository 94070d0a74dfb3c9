import { CertletError } from '../../errors.ts';
import type { RunArguments } from '../command.ts';
import type { CommandContext } from '../context.ts';

/** `certlet run`: loads settings, opens the log and keeps the daemon of src/daemon.ts until the signal aborts. */
export async function runRun(_context: CommandContext, _args: RunArguments): Promise<number> {
  throw new CertletError('ERR_INTERNAL', 'certlet run is not in this build');
}
