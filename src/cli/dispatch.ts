import type { Command } from './command.ts';
import type { CommandContext } from './command-context.ts';

/** Runs one command and resolves to the exit code. Only that command's code is loaded. */
export async function dispatch(command: Command, context: CommandContext): Promise<number> {
  switch (command.name) {
    case 'run':
      return (await import('./commands/run.ts')).runRun(context, command);
    case 'once':
      return (await import('./commands/once.ts')).runOnce(context, command);
    case 'status':
      return (await import('./commands/status.ts')).runStatus(context, command);
    case 'renew':
      return (await import('./commands/renew.ts')).runRenew(context, command);
    case 'check':
      return (await import('./commands/check.ts')).runCheck(context, command);
    case 'adopt':
      return (await import('./commands/adopt.ts')).runAdopt(context, command);
    case 'allow':
      return (await import('./commands/allow.ts')).runAllow(context, command);
    case 'join':
      return (await import('./commands/join.ts')).runJoin(context, command);
    case 'reset':
      return (await import('./commands/reset.ts')).runReset(context, command);
    case 'approve':
      return (await import('./commands/approve.ts')).runApprove(context, command);
    case 'version':
      return (await import('./commands/version.ts')).runVersion(context, command);
    case 'completion':
      return (await import('./commands/completion.ts')).runCompletion(context, command);
  }
}
