import { setFlagsFromString } from 'node:v8';
import type { Launch } from './places.ts';

/** What the daemon's program uses of Node, and what is loaded for it. */
const DAEMON_MODULES: readonly string[] = [
  'child_process',
  'cluster',
  'crypto',
  'dgram',
  'fs/promises',
  'http',
  'perf_hooks',
  'process',
  'sqlite',
  'stream/promises',
  'timers/promises',
  'tls',
  'util',
];

/**
 * Makes V8 ready, once in a process. The flags are not on Node's command line: V8 takes the compiled form of Node's own modules only under the flags that
 * they were compiled with, so those that the program needs are loaded before.
 */
export function prepareEngine({ flags }: Launch): void {
  if (flags.length === 0) return;
  for (const name of DAEMON_MODULES) process.getBuiltinModule(`node:${name}`);
  for (const flag of flags) setFlagsFromString(flag);
}
