#!/usr/bin/env node
import { realProcess } from './cli/context.ts';
import { runProgram } from './cli/program.ts';

/** What is still open a second after the end was decided does not hold the process. */
const GRACE_MS = 1000;

// No top-level await: the shipped program is one CommonJS file.
void runProgram(realProcess()).then((code) => {
  // Not process.exit at once: standard output may still hold what was printed.
  process.exitCode = code;
  setTimeout(() => process.exit(), GRACE_MS).unref();
});
