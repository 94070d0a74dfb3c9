import { ANSWER_VERSION, encodeAnswer } from '../answer.ts';
import type { VersionArguments } from '../command.ts';
import type { CommandContext } from '../command-context.ts';
import { EXIT } from '../../errors.ts';
import { VERSION } from '../version.ts';

/** `certlet version`: of certlet, and of what it runs on, for reports. */
export async function runVersion({ print }: CommandContext, { output }: VersionArguments): Promise<number> {
  const { node, openssl } = process.versions;
  if (output === 'text') print(`certlet ${VERSION} (Node ${node}, OpenSSL ${openssl})\n`);
  else print(encodeAnswer({ version: ANSWER_VERSION, certlet: VERSION, node, openssl }, output));
  return EXIT.ok;
}
