import { plainLines } from '../../adapters/log/printable.ts';
import { Cluster } from '../../approve/cluster.ts';
import { ApprovalCounts } from '../../approve/counts.ts';
import type { JudgeParts } from '../../approve/judge.ts';
import { NodeIndex } from '../../approve/nodes.ts';
import { APPROVER, type ApproverSubject, rbacObjects } from '../../approve/rbac.ts';
import { ReservedNames } from '../../approve/reserved.ts';
import { EXIT } from '../../errors.ts';
import { withCarried } from '../../remedy.ts';
import { encodeYaml } from '../../kubeconfig/yaml.ts';
import { ANSWER_VERSION, encodeAnswer, wordsFor } from '../answer.ts';
import { approveByHand } from '../approve.ts';
import { readApproverSettings, readInventory } from '../approver-settings.ts';
import { clientConfigFor, openCluster } from '../cluster-access.ts';
import type { ApproveArguments } from '../command.ts';
import type { CommandContext } from '../command-context.ts';
import { addressesOf } from '../name-addresses.ts';
import { typedLine } from '../carried.ts';
import { asker } from '../question.ts';

/** `certlet approve`: by hand, as a service, or the roles for it. */
export async function runApprove(context: CommandContext, args: ApproveArguments): Promise<number> {
  if (args.printRbac) return printRbac(context, args);
  // Late: by hand nothing of a service is needed.
  if (args.watch) return (await import('./approve-watch.ts')).runApproveWatch(context, args);
  return runByHand(context, args);
}

/** What these settings need, to be applied by an administrator; nothing is asked of any cluster. */
async function printRbac({ edge, print }: CommandContext, args: ApproveArguments): Promise<number> {
  const { approve } = await readApproverSettings(args.settingsPath, edge);
  const subject: ApproverSubject =
    args.serviceAccount === undefined
      ? { kind: 'User', name: APPROVER }
      : { kind: 'ServiceAccount', ...args.serviceAccount };
  const objects = rbacObjects(approve, subject);
  if (args.output === 'json') print(encodeAnswer({ apiVersion: 'v1', kind: 'List', items: objects }, 'json'));
  else print(objects.map((object) => encodeYaml(object)).join('---\n'));
  return EXIT.ok;
}

/** `approveByHand` of src/cli/approve.ts with the real cluster. */
async function runByHand(context: CommandContext, args: ApproveArguments): Promise<number> {
  const { edge, signal } = context;
  const complain = (text: string): void =>
    void edge.stderr.write(plainLines(`certlet: ${withCarried(text, context.carried)}\n`));
  const { approve } = await readApproverSettings(args.settingsPath, edge);
  const inventory = await readInventory(approve.inventory, edge);
  const config = await clientConfigFor(args.access, edge);
  for (const warning of config.warnings) complain(warning);
  const api = openCluster(config, edge, complain);
  const { output } = args;
  const ask = asker(context, output);
  const needsWords = output === 'text' || (ask !== undefined && !args.yes);
  try {
    const parts: JudgeParts = {
      cluster: new Cluster(api, await api.discover(signal)),
      // A person who looks at a list denies by kubectl, one by one.
      settings: { ...approve, deny: false },
      nodes: new NodeIndex(),
      reserved: new ReservedNames(),
      counts: new ApprovalCounts(approve.maxPerNodeAndHour + 1),
      inventory: () => inventory,
      lookUp: addressesOf,
      now: edge.now,
    };
    return await approveByHand(
      { ...args, again: typedLine(edge.argv, '--yes') },
      parts,
      {
        print: needsWords ? wordsFor(context, output) : () => undefined,
        complain,
        answer: (requests) => {
          if (output !== 'text') context.print(encodeAnswer({ version: ANSWER_VERSION, requests }, output));
        },
        ask,
      },
      signal,
    );
  } finally {
    await api.close();
  }
}
