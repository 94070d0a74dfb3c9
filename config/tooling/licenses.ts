/**
 * THIRD-PARTY-LICENSES: the licence of each package that is shipped, and Node's own, from the list that the bill of materials has.
 * The same lockfile gives the same bytes.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { LockedPackage } from './lockfile.ts';
import { shippedPackages } from './sbom.ts';

const root = resolve(import.meta.dirname, '../..');
const RULE = '='.repeat(80);
/** Files that hold what must go along with a copy. */
const NOTICE = /^(?:licen[cs]e|copying|notice)(?:[.-]|$)/i;

/** The document for this machine's architecture. Throws where an installed package has no licence text to go along. Ends in a newline. */
export function thirdPartyLicenses(packages: readonly LockedPackage[] = shippedPackages()): string {
  const head = 'certlet is shipped as one file together with the packages below, and with the Node that runs it.\n';
  return [head, ...packages.map(chapter)].join('\n');
}

function chapter({ place, name, version, license = 'no licence is named' }: LockedPackage): string {
  const folder = resolve(root, place);
  const files = readdirSync(folder)
    .filter((file) => NOTICE.test(file))
    .sort();
  if (files.length === 0) throw new Error(`${place} has no licence text, and what it holds may not be shipped without`);
  const texts = files.map((file) => readFileSync(join(folder, file), 'utf8').replaceAll('\r\n', '\n').trim());
  return [RULE, `${name} ${version} (${license})`, RULE, '', ...texts.flatMap((text) => [text, ''])].join('\n');
}
