/** Where Node for another architecture comes from: the npm package that the lockfile pins, held against its hash. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { lockedPackages } from '../lockfile.ts';
import { runProgram } from './run-program.ts';

const root = resolve(import.meta.dirname, '../../..');

/**
 * The folder of the package `node-linux-ARCHITECTURE`: npm's own where `npm ci` installed it, else fetched once and kept in the user's cache.
 * Throws where what the registry gives is not what package-lock.json names.
 */
export async function nodePackage(architecture: string): Promise<string> {
  const name = `node-linux-${architecture}`;
  const installed = join(root, 'node_modules', name);
  if (existsSync(join(installed, 'bin/node'))) return installed;
  const locked = lockedPackages().find((entry) => entry.name === name);
  if (locked?.integrity === undefined) throw new Error(`package-lock.json has no ${name} with a hash`);
  const caches = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'certlet-node');
  // The hash is in the name: another one in the lockfile is another folder.
  const kept = join(caches, `${name}-${locked.version}-${digestName(locked.integrity)}`);
  if (existsSync(kept)) return kept;
  mkdirSync(caches, { recursive: true });
  const work = mkdtempSync(join(caches, 'fetch-'));
  try {
    // With all that the caller has set for npm: registry, proxy, CAs. What comes is held against its hash below.
    await runProgram('npm', ['pack', `${name}@${locked.version}`, '--pack-destination', work], {
      env: callersEnvironment(),
    });
    const archive = join(work, `${name}-${locked.version}.tgz`);
    const found = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
    if (found !== locked.integrity)
      throw new Error(`${name} ${locked.version}: the registry's file has the hash ${found}, not ${locked.integrity}`);
    await runProgram('tar', ['-x', '-z', '--no-same-owner', '-f', archive, '-C', work]);
    renameSync(join(work, 'package'), kept);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return kept;
}

const callersEnvironment = (): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined));

const digestName = (integrity: string): string => createHash('sha256').update(integrity).digest('hex').slice(0, 12);
