import type { Command } from './command.ts';
import type { CommandContext } from './command-context.ts';

/** As `dispatch`, for the two commands that `quickCommandLine` reads. */
export async function runOnly(command: Command, context: CommandContext): Promise<number> {
  switch (command.name) {
    case 'run':
      return (await import('./commands/run.ts')).runRun(context, command);
    case 'once':
      return (await import('./commands/once.ts')).runOnce(context, command);
    default:
      throw new RangeError(`${command.name} is for the whole program`);
  }
}
