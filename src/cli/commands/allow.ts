import { NodeFileSystem } from '../../adapters/file-system.ts';
import { HostFiles } from '../../adapters/host-files.ts';
import { readHostKubeProxy } from '../../adapters/host-kube-proxy.ts';
import { askKubeletVersion, readHostKubelet } from '../../adapters/host-kubelet.ts';
import type { Settings } from '../../config.ts';
import { EXIT } from '../../errors.ts';
import { changeAllowances, listAllowances } from '../allow.ts';
import { allowanceAnswer, allowanceText, allowedText } from '../allow-report.ts';
import { ANSWER_VERSION, encodeAnswer } from '../answer.ts';
import type { AllowArguments } from '../command.ts';
import type { CommandContext } from '../command-context.ts';
import type { BelievedPath } from '../folder-refusal.ts';

/** `certlet allow`: what root lets the service write and reload, listed or changed. */
export async function runAllow(context: CommandContext, args: AllowArguments): Promise<number> {
  const { output, folder, reloads, removedReloads, remove } = args;
  const root = context.edge.hostRoot;
  const files = new HostFiles(root);
  const answer = (document: object, text: string): void =>
    context.print(output === 'text' ? text : encodeAnswer({ version: ANSWER_VERSION, ...document }, output));
  if (folder === undefined && reloads.length + removedReloads.length === 0) {
    const list = await listAllowances(files);
    answer(allowanceAnswer(list), allowanceText(list));
    return EXIT.ok;
  }
  const settings = await context.loadSettings();
  const allowed = await changeAllowances(
    { folder, reloads, removedReloads, remove },
    { fs: new NodeFileSystem(), files, root, believed: () => believedPaths(context, settings) },
  );
  const names = settings.specs.flatMap(({ after }) => after.reload ?? []);
  const unused = reloads.filter(({ name }) => !names.includes(name));
  const warnings = unused.map(({ name }) => `no certificate of the settings has reload: ${name} yet`);
  const told = { ...allowed, warnings: [...allowed.warnings, ...warnings] };
  answer(told, allowedText(told));
  return EXIT.ok;
}

/** What the kubelet and root believe on this host. Throws `ERR_CONFIG_INVALID` for a kubelet's configuration that cannot be read. */
async function believedPaths(context: CommandContext, settings: Settings): Promise<readonly BelievedPath[]> {
  const { kubelet, manageKubeconfig, kubeconfig } = settings;
  const host = await readHostKubelet({
    root: context.edge.hostRoot,
    unit: kubelet.unit,
    askVersion: askKubeletVersion,
    dropIns: 'all',
    ...(kubelet.version !== undefined && { version: kubelet.version }),
  });
  const proxy = await readHostKubeProxy(context.edge.hostRoot);
  const { staticPodPath, clientCAFile } = host.facts ?? {};
  const named = (what: string, ...paths: readonly (string | undefined)[]): readonly BelievedPath[] =>
    paths.flatMap((path) => (path === undefined ? [] : [{ path, what }]));
  return [
    ...named("the kubelet's folder of static pods", staticPodPath),
    ...named('the CA of those who may give the kubelet orders', clientCAFile),
    ...named("part of the kubelet's unit or configuration", ...host.sources),
    ...named("part of kube-proxy's unit or configuration", ...(proxy?.sources ?? [])),
    ...named("certlet's own settings", context.settingsPath),
    ...(manageKubeconfig
      ? []
      : named(
          "the kubelet's kubeconfig, which is root's (manageKubeconfig: false)",
          kubeconfig,
          host.facts?.kubeconfig,
        )),
  ];
}
