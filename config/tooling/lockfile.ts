/** package-lock.json as far as the build reads it. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export interface LockedPackage {
  /** `node_modules/yargs`, or a folder of this repository. */
  readonly place: string;
  readonly name: string;
  readonly version: string;
  readonly integrity: string | undefined;
  readonly resolved: string | undefined;
  readonly license: string | undefined;
  /** A link to a folder of this repository. */
  readonly link: boolean;
  readonly dev: boolean;
  /** An optional binary for a platform that certlet is not built on: never installed there. */
  readonly otherPlatform: boolean;
}

interface Entry {
  readonly name?: string;
  readonly version?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly license?: string;
  readonly link?: boolean;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
}

const path = join(resolve(import.meta.dirname, '../..'), 'package-lock.json');

/** Every package of the lockfile but this one, in its order. */
export function lockedPackages(text: string = readFileSync(path, 'utf8')): readonly LockedPackage[] {
  const { packages } = JSON.parse(text) as { readonly packages: Readonly<Record<string, Entry>> };
  return Object.entries(packages).flatMap(([place, entry]) => {
    if (place === '') return [];
    const { integrity, resolved, license } = entry;
    const name = entry.name ?? place.split('node_modules/').at(-1) ?? place;
    const flags = { link: entry.link ?? false, dev: entry.dev ?? false, otherPlatform: isForElsewhere(entry) };
    return [{ place, name, version: entry.version ?? '', integrity, resolved, license, ...flags }];
  });
}

/** certlet is built and tested on Linux with glibc, x64 and arm64. */
function isForElsewhere({ optional = false, os, cpu, libc }: Entry): boolean {
  const here = (os?.includes('linux') ?? true) && (libc?.includes('glibc') ?? true);
  return optional && !(here && (cpu?.some((name) => name === 'x64' || name === 'arm64') ?? true));
}
