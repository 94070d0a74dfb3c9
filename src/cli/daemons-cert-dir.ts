import { asCertletError, isCertletError } from '../errors.ts';
import { plainLines } from '../adapters/log/printable.ts';
import type { Command, ParsedLine } from './command.ts';
import { loadChosenSettings, type ProcessEdge } from './command-context.ts';

type CommandLine = Extract<ParsedLine, { readonly kind: 'command' }>;

/** Those that look and change nothing. What writes goes by settings and command line alone: a status file is the word of the service's user, who may not be root. */
const isLook = (command: Command): boolean =>
  command.name === 'status' ||
  command.name === 'history' ||
  command.name === 'check' ||
  (command.name === 'renew' && command.dryRun);

/**
 * The line as if the daemon's `--cert-dir` stood on it, where neither it nor the settings name a cert-dir and the daemon has another: its unit names that.
 * What this run prints to be pasted has it then, too. Says so on standard error, except beside a document for programs.
 */
export async function withDaemonsCertDir(line: CommandLine, edge: ProcessEdge): Promise<CommandLine> {
  const { command, settings } = line;
  if (!isLook(command)) return line;
  const certDir = await told(line, edge);
  if (certDir === undefined) return line;
  if ('output' in command && command.output === 'text') edge.stderr.write(plainLines(daemonsCertDirWords(certDir)));
  return { ...line, settings: { ...settings, settingFlags: { ...settings.settingFlags, 'cert-dir': certDir } } };
}

/** One line for a person. */
export const daemonsCertDirWords = (certDir: string): string =>
  `certlet: the daemon has the cert-dir ${certDir}, and the settings name none: it is about that one\n`;

async function told({ settings }: CommandLine, edge: ProcessEdge): Promise<string | undefined> {
  const { daemonsCertDir } = await import('../foreign-daemon.ts');
  try {
    return await daemonsCertDir(await loadChosenSettings(settings, edge));
  } catch (error) {
    // The command tells it in its own way.
    if (isCertletError(asCertletError(error), 'ERR_INTERNAL')) throw error;
    return undefined;
  }
}
