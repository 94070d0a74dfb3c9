#!/usr/bin/env node
import { realProcess } from './cli/command-context.ts';
import { runProgram } from './cli/program.ts';

/** What is still open a second after the end was decided does not hold the process. */
const GRACE_MS = 1000;

// Node opens its debugger on a TCP port at this signal, unless somebody listens. Until here `--disable-sigusr1` of the launcher prevents it.
process.on('SIGUSR1', () => undefined);

const edge = realProcess();
// A token on the command line leaves the process list as soon as it is read; the title overwrites all arguments.
if (edge.argv.some((word) => word === '--token' || word.startsWith('--token='))) process.title = 'certlet join';

// No top-level await: the shipped program is one CommonJS file.
void runProgram(edge).then((code) => {
  // Not process.exit at once: standard output may still hold what was printed.
  process.exitCode = code;
  setTimeout(() => process.exit(), GRACE_MS).unref();
});
