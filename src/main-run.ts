/**
 * The program of the daemon and of its timer: `run` and `once`, without what other commands need. It is kept in memory for years, and started
 * by every boot; a line that is not plainly one of these two goes to the whole program, which finds the words.
 */
import { runOnly } from './cli/dispatch-run.ts';
import { quickCommandLine } from './cli/quick-line.ts';
import { runLine } from './cli/session.ts';
import { endProcess, startProcess } from './process.ts';

const edge = startProcess();
const line = quickCommandLine(edge.argv);
void (line === undefined ? import('./main.ts') : runLine(edge, () => line, runOnly).then(endProcess));
