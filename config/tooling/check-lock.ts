/** `npm run check:lock`: every package of the lockfile is pinned by a strong hash, and none by an address of somebody's registry. */
import { readFileSync } from 'node:fs';
import { type LockedPackage, lockedPackages } from './lockfile.ts';

/**
 * What is wrong with the lockfile, one line each. Folders of this repository have no hash: what is in them is what is checked out. Nor need
 * the tools' binaries for other platforms, which a registry that serves Linux alone cannot give: they are listed so that `npm ci` is content.
 */
export function lockProblems(packages: readonly LockedPackage[]): readonly string[] {
  return packages.flatMap(({ place, link, integrity, resolved, otherPlatform, dev }) => {
    const own = link || !place.includes('node_modules/') || (otherPlatform && dev);
    return [
      ...(own || integrity?.startsWith('sha512-') === true ? [] : [`${place}: no sha512 integrity`]),
      ...(resolved?.includes('://') === true ? [`${place}: an address: ${resolved}`] : []),
    ];
  });
}

if (import.meta.main) {
  const problems = [
    ...lockProblems(lockedPackages()),
    ...(/^omit-lockfile-registry-resolved=true$/m.test(readFileSync('.npmrc', 'utf8'))
      ? []
      : ['.npmrc: omit-lockfile-registry-resolved=true is missing']),
  ];
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
  else
    console.log(
      `package-lock.json: ${String(lockedPackages().length)} packages, each that is installed on Linux with its hash`,
    );
}
