import { explained } from '../remedy.ts';
import { asCertletError, CertletError } from '../errors.ts';
import type { WrongLine } from './command.ts';
import { usageError } from './line-values.ts';

/**
 * Everything that is wrong with a command line, with what is wrong with its settings below it: who mends one thing should not learn of the
 * next only then. `ERR_USAGE` where flags alone are wrong, else the code of the settings' own error.
 */
export async function wrongLineError(line: WrongLine, loadSettings: () => Promise<unknown>): Promise<CertletError> {
  const settings = line.readsSettings ? await failureOf(loadSettings) : undefined;
  const problems = [...line.problems, ...(settings === undefined ? [] : linesOf(settings))];
  const [only = ''] = problems;
  const words = problems.length === 1 ? only : [`${String(problems.length)} problems:`, ...problems].join('\n');
  const usage = usageError(words, { name: line.command });
  if (settings === undefined || settings.code === 'ERR_USAGE') return usage;
  const mend = settings.remedy ?? '# Mend what is listed.';
  const remedy = usage.remedy === undefined ? mend : explained(mend, `the command line: ${usage.remedy}`);
  return new CertletError(settings.code, usage.message, { remedy, cause: settings.cause });
}

async function failureOf(work: () => Promise<unknown>): Promise<CertletError | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    const known = asCertletError(error);
    if (known.code === 'ERR_INTERNAL') throw error;
    return known;
  }
}

/** The problems without the line that counts them. */
function linesOf({ message }: CertletError): readonly string[] {
  const [first = '', ...more] = message.split('\n');
  return more.length > 0 ? more : [first.replace(/^settings: /, '')];
}
