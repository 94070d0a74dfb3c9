import { asCertletError, isCertletError } from '../errors.ts';
import { plainLines } from '../adapters/log/printable.ts';
import type { ToldCertDir } from './told-cert-dir.ts';
import { adviceLines } from '../status/rows.ts';
import type { Command, ParsedLine } from './command.ts';
import { loadChosenSettings, type ProcessEdge } from './command-context.ts';

const ROOT = 0;

type CommandLine = Extract<ParsedLine, { readonly kind: 'command' }>;

/** Those that look and change nothing. What writes goes by settings and command line alone: a status file is the word of the service's user, who may not be root. */
const isLook = (command: Command): boolean =>
  command.name === 'status' ||
  command.name === 'history' ||
  command.name === 'check' ||
  (command.name === 'renew' && command.dryRun);

/**
 * The line as if the daemon's `--cert-dir` stood on it, where neither it nor the settings name a cert-dir and the daemon has another: its unit names that.
 * What this run prints to be pasted has it then, too; so it has to be the word of root or of who looks, and is left alone where it is not. Says
 * either on standard error, beside a document for programs, too.
 */
export async function withDaemonsCertDir(line: CommandLine, edge: ProcessEdge): Promise<CommandLine> {
  const { command, settings } = line;
  if (!isLook(command)) return line;
  const told = await toldCertDir(line, edge);
  if (told === undefined) return line;
  if (told.by !== 'other') {
    edge.stderr.write(plainLines(daemonsCertDirWords(told)));
    const { certDir } = told;
    return { ...line, settings: { ...settings, settingFlags: { ...settings.settingFlags, 'cert-dir': certDir } } };
  }
  // `status` meets the same document and refuses it, with the same to do; root's looks at the cert-dir where nobody answers.
  const refuses = command.name === 'status' && (told.answers || edge.userId !== ROOT);
  if (!refuses) edge.stderr.write(plainLines(await leftWords(told)));
  return line;
}

/** One line for a person. */
export const daemonsCertDirWords = ({ certDir, by }: ToldCertDir): string =>
  `certlet: ${by === 'unit' ? "certlet's unit" : 'the daemon'} has the cert-dir ${certDir}, and the settings name none: it is about that one\n`;

async function leftWords({ certDir, path }: ToldCertDir): Promise<string> {
  const { giveCertDir } = await import('../foreign-daemon.ts');
  const lines = [`certlet: ${path} tells of the cert-dir ${certDir}; what follows is about that of the settings`];
  return `${[...lines, ...adviceLines(giveCertDir(certDir)).map((line) => `  ${line}`)].join('\n')}\n`;
}

async function toldCertDir({ settings }: CommandLine, edge: ProcessEdge): Promise<ToldCertDir | undefined> {
  const { daemonsCertDir } = await import('./told-cert-dir.ts');
  try {
    return await daemonsCertDir(await loadChosenSettings(settings, edge), edge);
  } catch (error) {
    // The command tells it in its own way.
    if (isCertletError(asCertletError(error), 'ERR_INTERNAL')) throw error;
    return undefined;
  }
}
