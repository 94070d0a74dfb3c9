import { lookUpName } from '../../adapters/probe/name-lookup.ts';
import { forTerminal } from '../../adapters/log/printable.ts';
import { Cluster } from '../../approve/cluster.ts';
import { ApprovalCounts } from '../../approve/counts.ts';
import type { JudgeParts } from '../../approve/judge.ts';
import { NodeIndex } from '../../approve/nodes.ts';
import { canonicalIpAddress } from '../../pki/ip-address.ts';
import { ANSWER_VERSION, encodeAnswer, wordsFor } from '../answer.ts';
import { approveByHand } from '../approve.ts';
import { readApproverSettings, readInventory } from '../approver-settings.ts';
import { clientConfigFor, openCluster } from '../cluster-access.ts';
import type { ApproveArguments } from '../command.ts';
import type { CommandContext } from '../command-context.ts';
import { asker } from '../question.ts';

const LOOKUP_MS = 5_000;

/** `certlet approve` by hand: `approveByHand` of src/cli/approve.ts with the real cluster. */
export async function runApprove(context: CommandContext, args: ApproveArguments): Promise<number> {
  const { edge, signal } = context;
  const complain = (text: string): void => void edge.stderr.write(forTerminal(`certlet: ${text}\n`));
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
      counts: new ApprovalCounts(approve.maxPerNodeAndHour + 1),
      inventory: () => inventory,
      lookUp: addressesOf,
      now: edge.now,
    };
    return await approveByHand(
      args,
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

/** What a name resolves to, by the means of this host; undefined where nothing came. */
export async function addressesOf(name: string): Promise<readonly string[] | undefined> {
  const found = await lookUpName(name, { timeoutMs: LOOKUP_MS, ticks: () => performance.now() });
  if (found.kind === 'failed') return undefined;
  return found.addresses.map((address) => canonicalIpAddress(address) ?? address);
}
