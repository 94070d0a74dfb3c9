import { EXIT } from '../../errors.ts';
import { encodeYaml } from '../../kubeconfig/yaml.ts';
import { roleManifests } from '../../token/roles.ts';
import { encodeAnswer } from '../answer.ts';
import type { RbacArguments } from '../command.ts';
import type { CommandContext } from '../command-context.ts';

/** `certlet rbac`: the manifests, to be applied by an administrator; no cluster is asked. */
export async function runRbac({ print }: CommandContext, { topic, groups, output }: RbacArguments): Promise<number> {
  const manifests = roleManifests(groups).filter((each) => topic === undefined || each.topic === topic);
  if (output === 'json')
    print(encodeAnswer({ apiVersion: 'v1', kind: 'List', items: manifests.map(({ object }) => object) }, 'json'));
  else
    print(
      manifests
        .map(({ comment, object }) => `${comment.map((line) => `# ${line}\n`).join('')}${encodeYaml(object)}`)
        .join('---\n'),
    );
  return EXIT.ok;
}
