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

/** Some packages say `"cpu": "x64"` without a list. */
type OneOrMore = string | readonly string[];

interface Entry {
  readonly name?: string;
  readonly version?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly license?: string;
  readonly link?: boolean;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly os?: OneOrMore;
  readonly cpu?: OneOrMore;
  readonly libc?: OneOrMore;
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
  const allows = (listed: OneOrMore | undefined, ...wanted: readonly string[]): boolean =>
    listed === undefined || [listed].flat().some((name) => wanted.includes(name));
  return optional && !(allows(os, 'linux') && allows(libc, 'glibc') && allows(cpu, 'x64', 'arm64'));
}
