/**
 * The software bill of materials: CycloneDX 1.6 JSON (https://cyclonedx.org/docs/1.6/json/) of what is shipped, made from package-lock.json
 * alone. The same lockfile gives the same bytes.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type LockedPackage, lockedPackages } from './lockfile.ts';

const root = resolve(import.meta.dirname, '../..');

/** A library of the distribution that goes along where the host may lack it. */
export interface SystemLibrary {
  /** Debian's package of it, and the package's version. */
  readonly name: string;
  readonly version: string;
}

/** The document for one architecture (`x64`, `arm64`): the packages of the bundle, the Node that runs it, and libraries that go along. Ends in a newline. */
export function sbom(architecture: string = process.arch, libraries: readonly SystemLibrary[] = []): string {
  const { name, version, license } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Readonly<
    Record<'name' | 'version' | 'license', string>
  >;
  const components = [...shippedPackages(architecture).map(componentOf), ...libraries.map(libraryComponent)];
  const subject = {
    type: 'application',
    'bom-ref': `pkg:npm/${name}@${version}`,
    name,
    version,
    licenses: licensesOf(license),
  };
  const document = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidOf(JSON.stringify([subject, components]))}`,
    version: 1,
    metadata: { component: subject },
    components,
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

/** What is shipped to one architecture, each package and version once: those that the program may load, and its Node. */
export function shippedPackages(architecture: string = process.arch): readonly LockedPackage[] {
  const node = `node-linux-${architecture}`;
  const shipped = lockedPackages().filter((entry) => entry.name === node || (!entry.dev && !isOwn(entry)));
  return [...new Map(shipped.map((entry) => [reference(entry), entry])).values()];
}

/** Folders of this repository, and the other Nodes that the toolchain names. */
function isOwn({ link, place, name }: LockedPackage): boolean {
  return link || !place.includes('node_modules/') || name.startsWith('node-linux-');
}

/** https://github.com/package-url/purl-spec: the `@` of a scope is escaped. */
function reference({ name, version }: LockedPackage): string {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`;
}

function libraryComponent({ name, version }: SystemLibrary): object {
  const purl = `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}`;
  return { type: 'library', 'bom-ref': purl, name, version, purl };
}

function componentOf(entry: LockedPackage): object {
  const purl = reference(entry);
  const { name, version, license, integrity } = entry;
  const hashes = (integrity ?? '').split(' ').filter((hash) => hash.startsWith('sha512-'));
  return {
    type: name.startsWith('node-linux-') ? 'platform' : 'library',
    'bom-ref': purl,
    name,
    version,
    purl,
    licenses: licensesOf(license),
    hashes: hashes.map((hash) => ({ alg: 'SHA-512', content: Buffer.from(hash.slice(7), 'base64').toString('hex') })),
  };
}

function licensesOf(license: string | undefined): readonly object[] {
  if (license === undefined) return [];
  return [/^[\w.+-]+$/.test(license) ? { license: { id: license } } : { expression: license }];
}

/** A UUID of the content (RFC 9562 version 8), so that the same content has the same. */
function uuidOf(content: string): string {
  const hex = createHash('sha256').update(content).digest('hex');
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 3) | 8).toString(16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    variant + hex.slice(17, 20),
    hex.slice(20, 32),
  ].join('-');
}

if (import.meta.main) process.stdout.write(sbom());
