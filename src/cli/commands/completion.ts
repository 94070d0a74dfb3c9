import { readSettingsFile } from '../../adapters/settings-file.ts';
import { EXIT, isCertletError } from '../../errors.ts';
import type { CompletionArguments } from '../command.ts';
import type { CommandContext } from '../command-context.ts';
import { completionScript } from '../completion.ts';

/** `certlet completion`: prints a script, or the names that it asks for. */
export async function runCompletion(context: CommandContext, args: CompletionArguments): Promise<number> {
  const { wanted } = args;
  if (wanted !== 'certificates') context.print(completionScript(wanted));
  else for (const name of await certificateNames(context, args.settingsPath)) context.print(`${name}\n`);
  return EXIT.ok;
}

/**
 * Names of the entries of `certificates`; none where the settings cannot be read, since somebody is typing. Names that settings would refuse are
 * left out: a shell takes these words apart once more (`compgen -W` expands them).
 */
async function certificateNames({ edge }: CommandContext, path: string | undefined): Promise<readonly string[]> {
  if (path === undefined) return [];
  try {
    const text = await readSettingsFile({ path, mustExist: false, userId: edge.userId });
    if (text === undefined) return [];
    // Late: a script needs no YAML.
    const { parseYaml } = await import('../../kubeconfig/yaml.ts');
    return namesIn(parseYaml(text, path).value);
  } catch (error) {
    if (!isCertletError(error)) throw error;
    return [];
  }
}

const LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;

function namesIn(settings: unknown): readonly string[] {
  const entries: unknown = fieldOf(settings, 'certificates');
  return (Array.isArray(entries) ? entries : []).flatMap((entry: unknown) => {
    const name = fieldOf(entry, 'name');
    return typeof name === 'string' && name.length < 64 && LABEL.test(name) ? [name] : [];
  });
}

const fieldOf = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null ? (Reflect.get(value, key) as unknown) : undefined;
