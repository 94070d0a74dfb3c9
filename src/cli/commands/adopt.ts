import { NodeFileSystem } from '../../adapters/file-system.ts';
import { readHostKubeProxy } from '../../adapters/host-kube-proxy.ts';
import { askKubeletVersion, readHostKubelet } from '../../adapters/host-kubelet.ts';
import { EXIT } from '../../errors.ts';
import { adoptKubelet } from '../adopt.ts';
import { ANSWER_VERSION, encodeAnswer } from '../answer.ts';
import type { AdoptArguments } from '../command.ts';
import type { CommandContext } from '../command-context.ts';

/** `certlet adopt`: settings and kubelet changes for a node whose kubelet rotated until now. */
export async function runAdopt(context: CommandContext, args: AdoptArguments): Promise<number> {
  const { hostRoot: root } = context.edge;
  const { kubelet } = await context.loadSettings();
  const host = await readHostKubelet({
    root,
    unit: kubelet.unit,
    askVersion: askKubeletVersion,
    ...(kubelet.version !== undefined && { version: kubelet.version }),
  });
  const kubeProxy = args.kubeProxy ? await readHostKubeProxy(root) : undefined;
  const { output, write, writeKubeconfig } = args;
  const print = output === 'text' ? context.print : (): void => {};
  const ports = { fs: new NodeFileSystem(), root, print };
  const { found, answer } = await adoptKubelet(
    { host, settingsPath: context.settingsPath, write, writeKubeconfig, kubeProxy },
    ports,
  );
  if (output !== 'text') context.print(encodeAnswer({ version: ANSWER_VERSION, ...answer }, output));
  return found ? EXIT.ok : EXIT.failed;
}
