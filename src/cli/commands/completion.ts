import { EXIT } from '../../errors.ts';
import type { CompletionArguments } from '../command.ts';
import { completionScript } from '../completion.ts';
import type { CommandContext } from '../command-context.ts';

/** `certlet completion`: prints the script. */
export async function runCompletion(context: CommandContext, args: CompletionArguments): Promise<number> {
  context.print(completionScript(args.shell));
  return EXIT.ok;
}
