import { parseArgs } from 'node:util';
import { buildCommand } from './build-command.ts';
import type { ParsedLine } from './command.ts';
import { flagsOf } from './command-spec.ts';
import { longFlags, plainBooleans } from './line-values.ts';
import type { RawValues } from './line-values.ts';
import { ONCE, RUN } from './service-commands.ts';

/**
 * The command line of a service, read without the command line library: a daemon on a small host should not hold it for years.
 * Undefined for every other command and for whatever is not plainly right; `parseCommandLine` then decides and finds
 * the words.
 */
export function quickCommandLine(argv: readonly string[]): ParsedLine | undefined {
  const command = [RUN, ONCE].find(({ name }) => name === argv[0]);
  if (command === undefined) return undefined;
  const flags = flagsOf(command);
  const problems: string[] = [];
  try {
    const { values } = parseArgs({
      args: plainBooleans(longFlags(argv.slice(1), flags), flags, problems).slice(),
      options: Object.fromEntries(
        flags.map((flag) => [
          flag.name,
          { type: flag.kind === 'boolean' ? ('boolean' as const) : ('string' as const), multiple: true },
        ]),
      ),
      allowNegative: true,
      strict: true,
    });
    const raw: RawValues = values;
    const unusual = raw['help'] !== undefined || raw['version'] !== undefined;
    return unusual ? undefined : buildCommand(command, { raw, positional: undefined, words: [], problems });
  } catch {
    // Not plainly right: the other parser explains it.
    return undefined;
  }
}
