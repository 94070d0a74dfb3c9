import { NodeFileSystem } from '../../adapters/file-system.ts';
import { statusFilePath } from '../../adapters/status-file.ts';
import { withCarried } from '../../remedy.ts';
import { ANSWER_VERSION, encodeAnswer, wordsFor } from '../answer.ts';
import type { ResetArguments } from '../command.ts';
import type { CommandContext } from '../command-context.ts';
import { typedLine } from '../carried.ts';
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
  const words = wordsFor(context, output);
  const print =
    output === 'text' || (ask !== undefined && !args.yes)
      ? (text: string): void => words(withCarried(text, context.carried))
      : (): void => {};
  const answer = (told: ResetAnswer): void => {
    if (output !== 'text') context.print(encodeAnswer({ version: ANSWER_VERSION, ...told }, output));
  };
  return resetNode(
    { files, runtimeDir, yes: args.yes, again: typedLine(context.edge.argv, '--yes') },
    { print, answer, ask },
  );
}
