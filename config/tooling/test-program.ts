/** The sources as the program that tests start, made once for a run. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { stop } from 'esbuild';
import { bundle, bundleProgram } from './bundle.ts';

const warmUp = resolve(import.meta.dirname, '../../test/fixtures/warm-up.ts');
/** It takes two seconds; a program that hangs is for the tests to tell of. */
const WARM_UP_LIMIT_MS = 60_000;
const FOLDER_MODE = 0o755;
/** Tests start it as other users too. */
const FILE_MODE = 0o644;

/**
 * One file and what it loads beside it, in a new folder `program` below `folder`; gives its path. For `many` test files it has run once before them and
 * starts from what that compiled: a fifth less of the processor time of a start, where the warm-up costs that of ten starts.
 */
export async function programBelow(folder: string, environment: NodeJS.ProcessEnv, many: boolean): Promise<string> {
  const below = join(folder, 'program');
  const [started, whole] = [join(below, 'certlet.cjs'), join(below, 'certlet-whole.cjs')];
  await bundleProgram(whole);
  if (many) await bundle('config/tooling/warmed-start.ts', started);
  // Its service is a process that would wait beside the tests.
  await stop();
  chmodSync(below, FOLDER_MODE);
  const path = many ? started : whole;
  if (many) await warm({ ...environment, CERTLET_BUNDLE: path });
  for (const name of readdirSync(below)) chmodSync(join(below, name), FILE_MODE);
  return path;
}

/** Whatever comes of it, the program starts: without what this compiled, where it failed. */
async function warm(environment: NodeJS.ProcessEnv): Promise<void> {
  // What it runs no test has seen.
  const env = { ...environment, NODE_V8_COVERAGE: '' };
  const child = spawn(process.execPath, [warmUp], { env, stdio: 'ignore', timeout: WARM_UP_LIMIT_MS });
  await once(child, 'close');
}
