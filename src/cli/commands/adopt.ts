import { NodeFileSystem } from '../../adapters/file-system.ts';
import { askKubeletVersion, readHostKubelet } from '../../adapters/host-kubelet.ts';
import { EXIT } from '../../errors.ts';
import { adoptKubelet } from '../adopt.ts';
import type { AdoptArguments } from '../command.ts';
import type { CommandContext } from '../context.ts';

/** `certlet adopt`: settings and kubelet changes for a node whose kubelet rotated until now. */
export async function runAdopt(context: CommandContext, args: AdoptArguments): Promise<number> {
  const { kubelet } = await context.loadSettings();
  const host = await readHostKubelet({
    root: '/',
    unit: kubelet.unit,
    askVersion: askKubeletVersion,
    ...(kubelet.version !== undefined && { version: kubelet.version }),
  });
  const ports = { fs: new NodeFileSystem(), root: '/', print: context.print };
  const adopted = await adoptKubelet({ host, settingsPath: context.settingsPath, write: args.write }, ports);
  return adopted ? EXIT.ok : EXIT.failed;
}
