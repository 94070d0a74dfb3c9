import { shellWord } from '../../remedy.ts';
import { randomBytes } from 'node:crypto';
import { basename } from 'node:path';
import { plainLines } from '../../adapters/log/printable.ts';
import { NodeFileSystem } from '../../adapters/file-system.ts';
import type { ClusterApi } from '../../approve/ports.ts';
import { EXIT } from '../../errors.ts';
import type { ClientConfig } from '../../kubeconfig/client-config.ts';
import { encodeYaml } from '../../kubeconfig/yaml.ts';
import { ANSWER_VERSION, encodeAnswer } from '../answer.ts';
import { clientConfigFor, openCluster } from '../cluster-access.ts';
import type { OutputForm, TokenArguments, TokenCreateArguments } from '../command.ts';
import type { CommandContext } from '../command-context.ts';
import { createTokens, type MadeToken, printedLines, printedSecrets, type TokenPorts } from '../token.ts';
import { deleteToken, listTokens, tokenTable } from '../token-list.ts';

/** `certlet token create`, `list`, `delete`. */
export async function runToken(context: CommandContext, args: TokenArguments): Promise<number> {
  switch (args.action) {
    case 'create':
      return create(context, args);
    case 'list':
      return withCluster(context, args, async ({ api }) => {
        const tokens = await listTokens(api, context.signal);
        if (args.output !== 'text') context.print(encodeAnswer({ version: ANSWER_VERSION, tokens }, args.output));
        else context.print(tokenTable(tokens, context.edge.now()));
      });
    case 'delete':
      return withCluster(context, args, async ({ api }) => {
        const deleted: string[] = [];
        try {
          for (const text of args.ids) {
            const [id = ''] = text.split('.', 1);
            if (!deleted.includes(id)) deleted.push(await deleteToken(api, text, context.signal));
          }
        } finally {
          // Those before one that failed are gone all the same.
          if (args.output === 'text') for (const id of deleted) context.print(`deleted: ${id}\n`);
          else if (deleted.length > 0) context.print(encodeAnswer({ version: ANSWER_VERSION, deleted }, args.output));
        }
      });
  }
}

async function create(context: CommandContext, args: TokenCreateArguments): Promise<number> {
  const { edge, signal, print } = context;
  const ports: TokenPorts = { random: (count) => randomBytes(count), now: edge.now(), fs: new NodeFileSystem() };
  // What holds a token goes to standard output alone, past everything that could keep it.
  const reveal = (text: string): void => void edge.stdout.write(text);
  if (args.printSecret) {
    reveal(
      printedSecrets(args, ports)
        .map((object) => encodeYaml(object))
        .join('---\n'),
    );
    return EXIT.ok;
  }
  if (args.printCsv) {
    for (const line of printedLines(args, ports)) reveal(`${line.reveal()}\n`);
    edge.stderr.write(
      'certlet: append this to the file of --token-auth-file on every API server, 0600, and restart them\n',
    );
    return EXIT.ok;
  }
  return withCluster(context, args, async ({ api, config }) => {
    const made: MadeToken[] = [];
    const tell = args.output === 'text' && !args.showToken ? print : reveal;
    try {
      for await (const token of createTokens(args, { api, cluster: config.cluster }, ports, signal)) made.push(token);
    } finally {
      // Those before one that failed are in the cluster all the same.
      if (made.length > 0) tell(madeAnswer(made, args.output));
    }
  });
}

function madeAnswer(made: readonly MadeToken[], form: OutputForm): string {
  if (form === 'text') return made.map(madeText).join('\n');
  return encodeAnswer({ version: ANSWER_VERSION, tokens: made }, form);
}

function madeText({ id, node, expiresAt, join, file, token }: MadeToken): string {
  const end = expiresAt === undefined ? 'does not end' : `until ${expiresAt.toISOString()}`;
  return [
    `token ${id}${node === undefined ? ', for any node' : ` for the node ${node}`}, ${end}`,
    ...(file === undefined ? [] : withFile(file)),
    ...(token === undefined
      ? []
      : [`  token: ${token}`, `  ${join}   # on the node, with the token on standard input`]),
    '',
  ].join('\n');
}

/** The file brings server, CA and token, so the line needs none of them; it may come to the node under its name alone. */
function withFile(file: string): readonly string[] {
  const name = shellWord(basename(file));
  return [
    `  bootstrap kubeconfig: ${file}   # holds the token: copy it to the node, 0600`,
    `  certlet join --discovery-file ${name} && rm ${name}   # on the node, as root, where the file lies`,
  ];
}

interface Opened {
  readonly api: ClusterApi;
  readonly config: ClientConfig;
}

async function withCluster(
  context: CommandContext,
  { access }: Pick<TokenArguments, 'access'>,
  work: (opened: Opened) => Promise<void>,
): Promise<number> {
  const { edge } = context;
  const complain = (text: string): void => void edge.stderr.write(plainLines(`certlet: ${text}\n`));
  const config = await clientConfigFor(access, edge);
  for (const warning of config.warnings) complain(warning);
  const api = openCluster(config, edge, complain);
  try {
    await work({ api, config });
    return EXIT.ok;
  } finally {
    await api.close();
  }
}
