import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import { NodeFileSystem } from '../../adapters/file-system.ts';
import type { ResetArguments } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { type ResetPorts, resetNode } from '../reset.ts';

/** `certlet reset`: shows and removes what certlet made. */
export async function runReset(context: CommandContext, args: ResetArguments): Promise<number> {
  const { certDir, stateDir, kubeconfig, bootstrapKubeconfig, plainFiles } = await context.loadSettings();
  const files = {
    fs: new NodeFileSystem(),
    certDir,
    stateDir,
    kubeconfig,
    bootstrapKubeconfig: args.withBootstrapKubeconfig ? bootstrapKubeconfig : undefined,
    plainFiles,
    uid: context.edge.userId,
  };
  return resetNode({ files, yes: args.yes }, { print: context.print, ask: asker(context) });
}

/** Both ends must be a terminal: a list that nobody saw is no ground for a yes. */
function asker({ edge, signal }: CommandContext): ResetPorts['ask'] {
  const { stdin, stdout } = edge;
  if (stdin.isTTY !== true || stdout.isTTY !== true) return undefined;
  return async (question) => {
    const terminal = createInterface({ input: stdin, output: stdout });
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
