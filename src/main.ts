#!/usr/bin/env node
import { runProgram } from './cli/program.ts';
import { endProcess, startProcess } from './process.ts';

const edge = startProcess();
// A token on the command line leaves the process list as soon as it is read; the title overwrites all arguments.
if (edge.argv.some((word) => word === '--token' || word.startsWith('--token='))) process.title = 'certlet join';

// No top-level await: the shipped program is CommonJS.
void runProgram(edge).then(endProcess);
