import type { ParsedLine } from './command.ts';
import { columnsOf, type ProcessEdge } from './command-context.ts';
import { withDaemonsCertDir } from './daemons-cert-dir.ts';
import { dispatch as dispatchCommand } from './dispatch.ts';
import { quickCommandLine } from './quick-line.ts';
import { type Dispatch, runLine } from './session.ts';

/** The whole program: command line in, exit code out. Never throws; every failure is told on standard error. */
export function runProgram(edge: ProcessEdge, dispatch: Dispatch = dispatchCommand): Promise<number> {
  return runLine(edge, () => commandLine(edge), dispatch);
}

async function commandLine(edge: ProcessEdge): Promise<ParsedLine> {
  const line = quickCommandLine(edge.argv) ?? (await fullCommandLine(edge));
  return line.kind === 'command' ? withDaemonsCertDir(line, edge) : line;
}

async function fullCommandLine(edge: ProcessEdge): Promise<ParsedLine> {
  const { parseCommandLine } = await import('./command-line.ts');
  return parseCommandLine(edge.argv, { columns: columnsOf(edge.stdout) ?? 80 });
}
