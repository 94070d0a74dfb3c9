import { isAbsolute } from 'node:path';
import { resolveBeside } from './cluster-entry.ts';
import type { Field } from './fields.ts';
import type { ExecPlugin } from './model.ts';

const GROUP = 'client.authentication.k8s.io';
/** Key of the cluster's extension that `provideClusterInfo` hands to the plugin (client-go exec). */
const CLUSTER_EXTENSION = 'client.authentication.k8s.io/exec';

/** Checks `user.exec`. Throws `ERR_KUBECONFIG_INVALID` for what client-go refuses and for plugins that need a terminal. */
export function readExec(exec: Field, cluster: Field): ExecPlugin {
  const apiVersion = readApiVersion(exec.at('apiVersion'));
  const command = exec.at('command');
  const commandText = command.text();
  if (commandText === undefined) throw command.invalid('missing', 'Name the credential plugin to run.');
  checkInteractiveMode(exec.at('interactiveMode'), apiVersion);
  const provideClusterInfo = exec.at('provideClusterInfo').flag();
  const installHint = exec.at('installHint').text();
  const clusterConfig = provideClusterInfo ? clusterExtension(cluster) : undefined;
  return {
    apiVersion,
    command: commandText.includes('/') && !isAbsolute(commandText) ? resolveBeside(command, commandText) : commandText,
    args: exec
      .at('args')
      .items()
      .map((item) => item.text() ?? ''),
    env: exec.at('env').items().map(readVariable),
    provideClusterInfo,
    ...(installHint === undefined ? {} : { installHint }),
    ...(clusterConfig === undefined ? {} : { clusterConfig }),
  };
}

function readApiVersion(field: Field): string {
  const text = field.text();
  if (text === `${GROUP}/v1` || text === `${GROUP}/v1beta1`) return text;
  const remedy = `Use a plugin that speaks ${GROUP}/v1 or v1beta1, and write that here.`;
  if (text === undefined) throw field.invalid('missing', remedy);
  if (text === `${GROUP}/v1alpha1`) throw field.invalid('v1alpha1 was removed in Kubernetes 1.24', remedy);
  throw field.invalid('is no version of the exec plugin API that certlet knows', remedy);
}

function checkInteractiveMode(field: Field, apiVersion: string): void {
  const mode = field.text();
  if (mode === 'Never' || mode === 'IfAvailable') return;
  if (mode === undefined) {
    if (apiVersion !== `${GROUP}/v1`) return;
    throw field.invalid(`missing, and ${GROUP}/v1 demands it`, 'Add interactiveMode: Never.');
  }
  if (mode === 'Always') {
    throw field.invalid(
      'Always needs a terminal, and a service has none',
      'Use a plugin that works without questions, with interactiveMode: Never.',
    );
  }
  throw field.invalid('is none of Never, IfAvailable, Always', 'Write interactiveMode: Never.');
}

function readVariable(item: Field): { readonly name: string; readonly value: string } {
  const name = item.at('name').text();
  if (name === undefined) throw item.at('name').invalid('missing', 'Each variable of exec.env needs name and value.');
  return { name, value: item.at('value').text() ?? '' };
}

function clusterExtension(cluster: Field): unknown {
  const found = cluster
    .at('extensions')
    .items()
    .find((item) => item.at('name').text() === CLUSTER_EXTENSION);
  return found?.at('extension').value;
}
