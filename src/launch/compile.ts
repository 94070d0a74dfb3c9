import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { constants, Script } from 'node:vm';
import { cacheName, type CacheReading, type CacheVerdict, thisNode } from './code-cache.ts';

/** A CommonJS program as it lies on disk. */
export interface Program {
  readonly path: string;
  readonly bytes: Buffer;
  /** Of its compiled form, for this Node. */
  readonly cacheName: string;
}

/** Throws errno errors. */
export function readProgram(path: string): Program {
  const bytes = readFileSync(path);
  return { path, bytes, cacheName: cacheName(bytes, thisNode()) };
}

/** Node's wrapper of a CommonJS module: exports, require, module, file, folder. */
type Wrapped = (...parts: readonly [object, NodeJS.Require, { readonly exports: object }, string, string]) => void;

/** Runs a program as Node's own loader would, from its compiled form where that is at hand. Returns what came of that, when the program's own top level is done. */
export function runProgram(program: Program, cache: CacheReading): CacheVerdict {
  const script = scriptOf(program, 'data' in cache ? cache.data : undefined);
  runScript(script, program.path);
  if ('verdict' in cache) return cache.verdict;
  return script.cachedDataRejected === true ? 'refused' : 'used';
}

/**
 * The compiled form of a program with every function in it: what runs only during an issuance costs as much at the next start as what runs in
 * each. The flag is put back before V8 notes its flags in the result, or a start without it would refuse that.
 */
export function compileWhole(program: Program): Buffer {
  setFlagsFromString('--no-lazy');
  const script = scriptOf(program, undefined);
  setFlagsFromString('--lazy');
  return script.createCachedData();
}

/** Runs the script of the program at `path`. Throws what the program's top level throws. */
export function runScript(script: Script, path: string): void {
  const module = { exports: {} };
  const main = script.runInThisContext() as Wrapped;
  main(module.exports, createRequire(path), module, path, dirname(path));
}

/** A program that has not run yet, from `cachedData` where V8 takes it. */
export function scriptOf({ path, bytes }: Pick<Program, 'path' | 'bytes'>, cachedData: Buffer | undefined): Script {
  // esbuild writes ASCII, of which a string of one byte a character needs no decoding; the first line may name an interpreter.
  const text = bytes.toString('latin1').replace(/^#!.*/, '');
  return new Script(`(function (exports, require, module, __filename, __dirname) { ${text}\n})`, {
    filename: path,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    ...(cachedData === undefined ? {} : { cachedData }),
  });
}
