/**
 * Runs test files one after the other in this process, each as a subtest of tap's root, so that node, tap and certlet's own modules are loaded
 * once and not once a file. The parent (`run-tests.ts`) sends a file, reads the TAP from standard output up to the end mark, and sends the next.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { registerHooks } from 'node:module';
// Node 26.10 breaks node:tls where X509Certificate.toLegacyObject() is called before that is loaded, as by the test file before.
import 'node:tls';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Test } from 'tap';
import { compileCache } from './test-process.ts';
import { broken, endMark, type FileOutcome, type WorkerOrder } from './test-outcome.ts';

const FOLDER_MODE = 0o755;
/** For connections that are being closed. */
const PATIENCE_MS = 10_000;
const UMASK = 0o022;
/** Files below it are where they seem to be: no links. */
const OURS = `${pathToFileURL(join(import.meta.dirname, '../..')).href}/`;
const OUR_FILE = /^\.\.?\/.*\.ts$/;
const DOMAIN = pathToFileURL(join(import.meta.dirname, 'test-domain.ts')).href;

/** The subtest that a file gets as its `t`, by the file's URL. */
const tests = new Map<string, Test>();
(globalThis as Record<symbol, unknown>)[Symbol.for('certlet.tests')] = tests;

/** A module whose default export is the test of the file that imports it. */
const tapOf = (file: string): string =>
  `data:text/javascript,${encodeURIComponent(`export default globalThis[Symbol.for('certlet.tests')].get(${JSON.stringify(file)})`)}`;

// A test file imports `t` from tap. With several files in a process that has to be the file's own test and not tap's root.
registerHooks({
  resolve: (specifier, context, next) => {
    const { parentURL } = context;
    if (parentURL === undefined) return next(specifier, context);
    if (specifier === 'tap' && tests.has(parentURL))
      return { url: tapOf(parentURL), format: 'module', shortCircuit: true };
    // What node would find by looking at each folder on the way, for each import of each file.
    if (OUR_FILE.test(specifier) && parentURL.startsWith(OURS))
      return { url: new URL(specifier, parentURL).href, format: 'module-typescript', shortCircuit: true };
    return next(specifier === 'async-hook-domain' ? DOMAIN : specifier, context);
  },
});
joinOutput();
const { t: root } = await import('tap');

/**
 * What is printed in one go is written at once: tap writes each line by itself, which is a call of the system each, and one more in the parent
 * that reads it. Only what kills this process from outside finds something unwritten.
 */
function joinOutput(): void {
  const { stdout } = process;
  const write = stdout.write.bind(stdout);
  let waiting = '';
  const flush = (): void => {
    const text = waiting;
    waiting = '';
    if (text !== '') write(text);
  };
  const joined = (chunk: string | Uint8Array, ...more: readonly unknown[]): boolean => {
    if (typeof chunk !== 'string' || more.length > 0) {
      flush();
      return Reflect.apply(write, stdout, [chunk, ...more]);
    }
    if (waiting === '') setImmediate(flush);
    waiting += chunk;
    return true;
  };
  stdout.write = joined;
  process.once('exit', () => {
    flush();
    // What is printed by those that are told of the end after this.
    stdout.write = write;
  });
}

async function runFile({ name, file, folder, timeoutMs }: WorkerOrder): Promise<FileOutcome> {
  const url = pathToFileURL(file).href;
  const began = performance.now();
  mkdirSync(folder, { mode: FOLDER_MODE });
  let own: Test | undefined;
  await root.test(name, { timeout: timeoutMs, testdir: join(folder, 't') }, async (t) => {
    own = t;
    tests.set(url, t);
    await import(url);
  });
  rmSync(folder, { recursive: true, force: true });
  const failures = own?.lists.fail ?? [];
  const skips = [...(own?.lists.skip ?? []), ...(own?.lists.todo ?? [])];
  // Such a file would be green for ever, whatever became of what it is about.
  if (own?.counts.total === 0) return broken(name, 'it asserted nothing, and told no reason to skip');
  return {
    file: name,
    reasons: [...new Set(skips.flatMap(({ skip, todo }) => [skip, todo]).filter((why) => typeof why === 'string'))],
    passed: own?.counts.pass ?? 0,
    failed: own?.counts.fail ?? 1,
    skipped: (own?.counts.skip ?? 0) + (own?.counts.todo ?? 0),
    milliseconds: performance.now() - began,
    timedOut: performance.now() - began >= timeoutMs,
    // Each name begins with the file's.
    failures: failures.map((failure) => ({
      name: failure.fullname.replace(`${name} > `, ''),
      detail: failure.diag ?? {},
    })),
  };
}

/** Ends as a program does that cleaned up behind itself; what holds it is a fault of a test. */
function leave(): void {
  process.disconnect?.();
  setTimeout(() => {
    console.log(`tests left behind what keeps the process alive: ${process.getActiveResourcesInfo().join(', ')}`);
    process.exit(1);
  }, PATIENCE_MS).unref();
}

// Coverage is of this process; a child that a test starts as another user could not write it.
delete process.env['NODE_V8_COVERAGE'];
// Of code from the cache coverage is not exact, so it is for children only where that is measured.
process.env['NODE_COMPILE_CACHE'] ??= compileCache(process.cwd());
process.umask(UMASK);
// tap does not take the channel to its parent for a reason to stay.
const stay = setInterval(() => {}, 2 ** 30);
process.once('disconnect', () => clearInterval(stay));
process.on('message', (order: WorkerOrder | 'end') => {
  if (order === 'end') leave();
  else void runFile(order).then((outcome) => process.stdout.write(`\n${endMark(outcome)}\n`));
});
