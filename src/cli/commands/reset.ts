import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import { NodeFileSystem } from '../../adapters/file-system.ts';
import { statusFilePath } from '../../adapters/status-file.ts';
import { ANSWER_VERSION, encodeAnswer, wordsFor } from '../answer.ts';
import type { OutputForm, ResetArguments } from '../command.ts';
import type { CommandContext } from '../command-context.ts';
import { refuseForeignState } from '../foreign-state.ts';
import { type ResetAnswer, type ResetPorts, resetNode } from '../reset.ts';

/** `certlet reset`: shows and removes what certlet made. */
export async function runReset(context: CommandContext, args: ResetArguments): Promise<number> {
  const { certDir, stateDir, bootstrapKubeconfig, specs, runtimeDir, metrics } = await context.loadSettings();
  await refuseForeignState({ certDir, stateDir }, 'reset', context.edge.userId);
  const files = {
    fs: new NodeFileSystem(),
    certDir,
    stateDir,
    specs,
    bootstrapKubeconfig: args.withBootstrapKubeconfig ? bootstrapKubeconfig : undefined,
    leftovers: [bootstrapKubeconfig],
    published: [statusFilePath(runtimeDir), ...(metrics.textfile === undefined ? [] : [metrics.textfile])],
    uid: context.edge.userId,
  };
  const { output } = args;
  const ask = asker(context, output);
  const print = output === 'text' || (ask !== undefined && !args.yes) ? wordsFor(context, output) : (): void => {};
  const answer = (told: ResetAnswer): void => {
    if (output !== 'text') context.print(encodeAnswer({ version: ANSWER_VERSION, ...told }, output));
  };
  return resetNode({ files, yes: args.yes }, { print, answer, ask });
}

/** Both ends must be a terminal: a list that nobody saw is no ground for a yes. */
function asker({ edge, signal }: CommandContext, form: OutputForm): ResetPorts['ask'] {
  const { stdin } = edge;
  const output = form === 'text' ? edge.stdout : edge.stderr;
  if (stdin.isTTY !== true || output.isTTY !== true) return undefined;
  return async (question) => {
    const terminal = createInterface({ input: stdin, output });
    // End of input or Ctrl-C is no yes; without this the question would stay open for ever.
    const closed = once(terminal, 'close').then(() => '');
    const answered = terminal.question(question, { signal }).catch((error: unknown) => {
      if (error instanceof Error && error.name === 'AbortError') return '';
      throw error;
    });
    try {
      return await Promise.race([answered, closed]);
    } finally {
      terminal.close();
    }
  };
}
