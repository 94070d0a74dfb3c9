/** Makes `docs/log-lines.md`: `npm exec node test/noise/page.ts > docs/log-lines.md`. Tests play each row and hold the page to them. */
import { TROUBLES } from './troubles.ts';

/** The page as it should be. */
export function logLinesPage(): string {
  const rows = TROUBLES.map(
    ({ name, first, after, what = '' }) => `| ${name} | ${cell(first)} | ${cell(after)} | ${what} |`,
  );
  return `${[INTRODUCTION, HEADING, ...rows].join('\n')}\n${END}`;
}

const cell = (lines: number): string => (lines === 0 ? 'none' : String(lines));

const INTRODUCTION = `# How much the journal says

Made by \`test/noise/page.ts\`; a test plays each trouble for hours on a clock of its own and counts.

A failure is told at once. What goes on failing is told again after 1, 5, 15 and 35 minutes and half-hourly from then on, with the try's own
time, \`retry=\` and remedy; a failure of another kind (code or message, apart from numbers and names of requests) is told at once, up to twelve kinds in a row of failures, and all further ones at the pace of one. Each
certificate tells a trouble once, and all share the reminders. The tries in between go on as ever and are told at level \`debug\`
([how to see it](troubleshoot.md)). \`certlet status\` counts every one: \`failing for 23 minutes, 9 tries\`. When it works again, one line says so, with
\`after=\` and \`tries=\`; after a single failed try the line of what worked is enough.

Lines at the default level, for a node with the kubelet's two certificates of which both are due, beside \`Rotating certificates\`, which a
renewal without any trouble says too:
`;
const HEADING = '| trouble | in the first hour | in each hour after | |\n|---|---|---|---|';
const END = `
A certificate more in the same trouble adds one line, and so does each change of the trouble.
`;

if (import.meta.main) process.stdout.write(logLinesPage());
