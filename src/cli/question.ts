import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import type { OutputForm } from './command.ts';
import type { CommandContext } from './command-context.ts';

/** Asks a person; the empty text for the end of input or Ctrl-C, which is no yes. */
export type Asker = (question: string) => Promise<string>;

/** How to ask whoever sits there; undefined where nobody does. Both ends must be a terminal: a list that nobody saw is no ground for a yes. */
export function asker({ edge, signal }: CommandContext, form: OutputForm): Asker | undefined {
  const { stdin } = edge;
  const output = form === 'text' ? edge.stdout : edge.stderr;
  if (stdin.isTTY !== true || output.isTTY !== true) return undefined;
  return async (question) => {
    const terminal = createInterface({ input: stdin, output });
    // Without this the question would stay open for ever.
    const closed = once(terminal, 'close').then(() => '');
    const answered = terminal.question(question, { signal }).catch((error: unknown) => {
      if (error instanceof Error && error.name === 'AbortError') return '';
      throw error;
    });
    try {
      return await Promise.race([answered, closed]);
    } finally {
      terminal.close();
    }
  };
}
