import type { Command } from './command.ts';
import type { CommandName } from './command-spec.ts';
import type { CommandContext } from './command-context.ts';

/** Each command by its own code, loaded when it is run. */
const RUNNERS: {
  readonly [Name in CommandName]: (
    context: CommandContext,
    command: Extract<Command, { readonly name: Name }>,
  ) => Promise<number>;
} = {
  run: async (context, command) => (await import('./commands/run.ts')).runRun(context, command),
  once: async (context, command) => (await import('./commands/once.ts')).runOnce(context, command),
  status: async (context, command) => (await import('./commands/status.ts')).runStatus(context, command),
  history: async (context, command) => (await import('./commands/history.ts')).runHistory(context, command),
  renew: async (context, command) => (await import('./commands/renew.ts')).runRenew(context, command),
  check: async (context, command) => (await import('./commands/check.ts')).runCheck(context, command),
  adopt: async (context, command) => (await import('./commands/adopt.ts')).runAdopt(context, command),
  allow: async (context, command) => (await import('./commands/allow.ts')).runAllow(context, command),
  join: async (context, command) => (await import('./commands/join.ts')).runJoin(context, command),
  reset: async (context, command) => (await import('./commands/reset.ts')).runReset(context, command),
  approve: async (context, command) => (await import('./commands/approve.ts')).runApprove(context, command),
  token: async (context, command) => (await import('./commands/token.ts')).runToken(context, command),
  rbac: async (context, command) => (await import('./commands/rbac.ts')).runRbac(context, command),
  version: async (context, command) => (await import('./commands/version.ts')).runVersion(context, command),
  completion: async (context, command) => (await import('./commands/completion.ts')).runCompletion(context, command),
};

/** Runs one command and resolves to the exit code. Only that command's code is loaded. */
export async function dispatch(command: Command, context: CommandContext): Promise<number> {
  const run = RUNNERS[command.name] as (context: CommandContext, command: Command) => Promise<number>;
  return run(context, command);
}
