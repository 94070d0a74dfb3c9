/** The JSON Schema for editors and the parser of the program judge alike. */
import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import t from 'tap';
import { settingsSchema } from '../../config/tooling/schema.ts';
import { loadSettings } from '../../src/config.ts';
import { DESCRIPTIONS } from '../../src/config/descriptions.ts';
import { settingLeaves } from '../../src/config/flags.ts';

const root = new URL('../../', import.meta.url);
const schema = settingsSchema();
const fits = new Ajv2020({ strict: true, allErrors: true }).compile(schema);

function accepted(settings: unknown): boolean {
  try {
    loadSettings({ flags: {}, fileText: JSON.stringify(settings), filePath: '/c.yaml', osHostname: 'n' });
    return true;
  } catch {
    return false;
  }
}

t.test('the file in config/ is the schema (node config/tooling/schema.ts && npm run format)', async (t) => {
  const text = readFileSync(new URL('config/config.schema.json', root), 'utf8');
  t.strictSame(JSON.parse(text), JSON.parse(JSON.stringify(schema)));
});

t.test('every setting is described, and nothing else is', async (t) => {
  const described = new Set(Object.keys(DESCRIPTIONS));
  const paths = new Set(
    settingLeaves().flatMap(({ path, codec }) => {
      const dotted = path.join('.');
      const groups = path.slice(1).map((_, index) => path.slice(0, index + 1).join('.'));
      return [...groups, dotted, ...Object.keys(codec.items?.fields ?? {}).map((name) => `${dotted}.${name}`)];
    }),
  );
  t.strictSame(
    [...described].filter((path) => !paths.has(path)),
    [],
  );
  t.strictSame(
    [...paths].filter((path) => !described.has(path)),
    [],
  );
});

const good: readonly unknown[] = [
  null,
  {},
  { certDir: '/pki', stateDir: '/s', nodeIP: ['192.0.2.1', '2001:db8::1'], hostnameOverride: '' },
  { rotation: {}, kubelet: {}, log: {}, metrics: {}, plainFiles: {} },
  { rotation: { minimumSpacing: '1h30m', keepOldFiles: 0 }, expirationSeconds: 600 },
  { plainFiles: { client: {}, serving: { certFile: '/a', keyFile: '/b' } } },
  { hooks: [{ name: 'a', command: ['/bin/a', ''], on: ['client'], timeout: '5s' }], privilegedHooks: ['x.y-z_1'] },
  { kubelet: { unit: 'snap.microk8s.daemon-kubelet.service', version: '1.9', restart: 'always' } },
  { kubelet: { unit: 'k@a.service', version: 'v1.36.2+k3s1' }, metrics: { address: '[::1]:0' } },
  { servingNames: ['a.example', 'A.EXAMPLE', '192.0.2.1', '::1'], keyAlgorithm: 'ECDSA-P384', events: false },
];
for (const settings of good) {
  t.test(`both take ${JSON.stringify(settings)}`, async (t) => {
    t.ok(fits(settings), JSON.stringify(fits.errors));
    t.ok(accepted(settings));
  });
}

const bad: readonly unknown[] = [
  [],
  'text',
  5,
  { certdir: '/x' },
  { certDir: null },
  { certDir: 'relative' },
  { certDir: '/' },
  { certDir: '/a/./b' },
  { certDir: '/a/..' },
  { certDir: `/${'x'.repeat(5000)}` },
  { nodeIP: '192.0.2.1' },
  { nodeIP: ['host'] },
  { nodeIP: [5] },
  { hostnameOverride: 'a_b' },
  { hostnameOverride: '-a' },
  { servingNames: ['a b'] },
  { servingNames: [''] },
  { rotateServerCertificates: 'true' },
  { keyAlgorithm: 'rsa' },
  { expirationSeconds: '600' },
  { expirationSeconds: 599 },
  { expirationSeconds: 2 ** 31 },
  { plainFiles: { server: {} } },
  { plainFiles: { client: { cert: '/a' } } },
  { rotation: { minimumSpacing: 30 } },
  { rotation: { minimumSpacing: '30' } },
  { rotation: { minimumSpacing: '' } },
  { rotation: { keepOldFiles: -1 } },
  { rotation: null },
  { kubelet: { unit: 'kubelet' } },
  { kubelet: { unit: '../x.service' } },
  { kubelet: { version: 'latest' } },
  { kubelet: { restart: true } },
  { hooks: [{ name: 'a' }] },
  { hooks: [{ command: ['/a'] }] },
  { hooks: [{ name: 'a/b', command: ['/a'] }] },
  { hooks: [{ name: 'a', command: [] }] },
  { hooks: [{ name: 'a', command: '/a' }] },
  { hooks: [{ name: 'a', command: ['/a'], on: [] }] },
  { hooks: [{ name: 'a', command: ['/a'], shell: true }] },
  { privilegedHooks: ['.hidden'] },
  { log: { level: 'trace' } },
  { log: { format: 'xml' } },
  { metrics: { address: '0.0.0.0:1' } },
  { metrics: { address: '127.0.0.1' } },
  { events: 'no' },
];
for (const settings of bad) {
  t.test(`both refuse ${JSON.stringify(settings).slice(0, 70)}`, async (t) => {
    t.notOk(fits(settings));
    t.notOk(accepted(settings));
  });
}

/** What needs more than one value at once, or more than a pattern. The schema must not be the stricter one. */
const onlyParser: readonly unknown[] = [
  { nodeIP: ['192.0.2.300'] },
  { servingNames: ['192.0.2.300'] },
  { rotation: { minimumSpacing: '1ms' } },
  { hooks: [{ name: 'a', command: ['a'] }] },
  { metrics: { address: '127.0.0.1:99999' } },
  { kubeconfig: '/a', bootstrapKubeconfig: '/a' },
];
for (const settings of onlyParser) {
  t.test(`the parser alone refuses ${JSON.stringify(settings)}`, async (t) => {
    t.ok(fits(settings));
    t.notOk(accepted(settings));
  });
}
