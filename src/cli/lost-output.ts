import { getSystemErrorMessage } from 'node:util';

/** What is told where standard output did not take everything; undefined where its reader has seen enough (`certlet status | head`). The launcher has it, too: it imports nothing. */
export function lostOutput({ code = '', errno, message }: NodeJS.ErrnoException): string | undefined {
  if (code === 'EPIPE') return undefined;
  return `standard output: ${errno === undefined ? message : `${getSystemErrorMessage(errno)} (${code})`}`;
}
