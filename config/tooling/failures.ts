/** Writes `docs/failures.md` from the table of error codes. `--check` only compares. */
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type ErrorAction, ERROR_RULES } from '../../src/error-rules.ts';

const NEXT: Readonly<Record<ErrorAction, string>> = {
  retrySoon: 'tries again after seconds to 5 minutes',
  retrySlowly: 'tries again after 10 seconds to 15 minutes',
  fallBackToBootstrap:
    'tries again on fresh connections; after 5 refusals over 5 minutes asks with the bootstrap credential',
  waitForPerson: 'looks again every 10 minutes, and at once when a watched file changes',
  waitForHours:
    'asks again after an hour, then 2, 4 and 8 hours; at once after `certlet renew`, with another template or credential',
  waitForClock: 'looks again every 5 minutes; asks for nothing meanwhile',
  waitForHolder: 'the service tries again after 1 to 30 seconds; a command ends',
  stop: 'ends the command',
};

/** The page, Markdown. */
export function failuresPage(): string {
  const rows = Object.entries(ERROR_RULES).map(
    ([code, { action, meaning, person }]) => `| \`${code}\` | ${meaning} | ${NEXT[action]} | ${person} |`,
  );
  return [
    '# Failures: what certlet does and what to do',
    '',
    'Made from `src/error-rules.ts` by `node config/tooling/failures.ts`; a test keeps it true. Every failure in the journal carries `code=`.',
    'Delays have full jitter, and a `Retry-After` is honoured. None takes more than a tenth of what is left of the certificate in hand (hours: a quarter), but half a minute at least; after its end they have their ordinary length.',
    '',
    '| code | what it means | what certlet does next | what a person should do |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

const path = resolve(import.meta.dirname, '../../docs/failures.md');
if (process.argv[1] === import.meta.filename) {
  if (process.argv.includes('--check')) {
    if (readFileSync(path, 'utf8') !== failuresPage()) {
      console.error('docs/failures.md is not what src/error-rules.ts says: run node config/tooling/failures.ts');
      process.exitCode = 1;
    }
  } else {
    writeFileSync(path, failuresPage());
  }
}
