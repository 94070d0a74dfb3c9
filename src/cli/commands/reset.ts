import { NodeFileSystem } from '../../adapters/file-system.ts';
import { statusFilePath } from '../../adapters/status-file.ts';
import { ANSWER_VERSION, encodeAnswer, wordsFor } from '../answer.ts';
import type { ResetArguments } from '../command.ts';
import type { CommandContext } from '../command-context.ts';
import { refuseForeignState } from '../foreign-state.ts';
import { asker } from '../question.ts';
import { type ResetAnswer, resetNode } from '../reset.ts';
import { sealedPlaces } from '../sealed-bootstrap.ts';

/** `certlet reset`: shows and removes what certlet made. */
export async function runReset(context: CommandContext, args: ResetArguments): Promise<number> {
  const { certDir, stateDir, bootstrapKubeconfig, specs, runtimeDir, metrics } = await context.loadSettings();
  await refuseForeignState({ certDir, stateDir }, context.edge);
  const sealed = sealedPlaces(context.settingsPath, runtimeDir);
  const files = {
    fs: new NodeFileSystem(),
    certDir,
    stateDir,
    specs,
    bootstrapKubeconfig: args.withBootstrapKubeconfig ? bootstrapKubeconfig : undefined,
    sealedBootstrap: args.withBootstrapKubeconfig ? [sealed.opened, sealed.sealed] : [],
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
  return resetNode({ files, runtimeDir, yes: args.yes }, { print, answer, ask });
}
