/** What lies behind the links, to look at: whole, broken, refused. */
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { certificateOnDisk, certificatesOnDisk, storeOnDisk } from '../src/disk-pairs.ts';
import type { Settings } from '../src/config.ts';
import { kubeletSpecs } from './fixtures/specs.ts';
import { newPair, pemOf } from './adapters/store/bench.ts';

const SELF = process.geteuid?.() ?? 0;
const pair = newPair();
const CLIENT = 'kubelet-client-current.pem';

function nodeWith(t: Test, make: (certDir: string) => void): Settings {
  const certDir = join(t.testdir({ pki: { '.certlet': {} } }), 'pki');
  chmodSync(certDir, 0o755);
  chmodSync(join(certDir, '.certlet'), 0o700);
  make(certDir);
  return { certDir, stateDir: join(certDir, '.certlet'), specs: kubeletSpecs({ certDir }) } as unknown as Settings;
}
const put = (certDir: string, text: string, mode = 0o600): void => {
  const path = join(certDir, 'kubelet-client-2030-01-01-00-00-00.pem');
  writeFileSync(path, text);
  chmodSync(path, mode);
  symlinkSync(path, join(certDir, CLIENT));
};
const history = (certDir: string, text: string): void =>
  writeFileSync(join(certDir, '.certlet/client-history.json'), text);

const rows: readonly {
  readonly name: string;
  readonly make: (certDir: string) => void;
  readonly serial?: string;
  readonly history?: object;
}[] = [
  { name: 'nothing', make: () => undefined },
  { name: 'a whole pair', make: (dir) => put(dir, pemOf(pair)), serial: pair.chain.leaf.serial },
  { name: 'a pair that others can write', make: (dir) => put(dir, pemOf(pair), 0o666) },
  { name: 'a broken pair', make: (dir) => put(dir, 'garbage') },
  { name: 'a folder in place of the link', make: (dir) => mkdirSync(join(dir, CLIENT)) },
  { name: 'a link that goes round', make: (dir) => symlinkSync(CLIENT, join(dir, CLIENT)) },
  {
    name: 'a history',
    make: (dir) => history(dir, '{"version": 1, "keyEncipherment": false}'),
    history: { keyEncipherment: false },
  },
  { name: 'a broken history', make: (dir) => history(dir, '{') },
];
for (const row of rows) {
  t.test(`the client certificate on the disk: ${row.name}`, async (t) => {
    const settings = nodeWith(t, row.make);
    const found = await certificatesOnDisk(settings, SELF, (name) => `/links/${name}`);
    t.strictSame(
      found.map(({ spec, currentPath, facts }) => [spec.name, currentPath, facts?.serial]),
      [
        ['client', join(settings.certDir, CLIENT), row.serial],
        ['serving', join(settings.certDir, 'kubelet-server-current.pem'), undefined],
      ],
    );
    t.strictSame(found[0]?.history, row.history ?? {});
  });
}

t.test(
  'a cert-dir that the system will not look into: refused alone, told as not there beside the trouble',
  async (t) => {
    const settings = nodeWith(t, () => undefined);
    // Longer than any path may be: refused to root as well.
    const certDir = `/${'x/'.repeat(2_500)}pki`;
    const lost: Settings = { ...settings, certDir, specs: kubeletSpecs({ certDir }) };
    const [client] = lost.specs;
    t.ok(client);
    if (client !== undefined)
      await t.rejects(certificateOnDisk(storeOnDisk(lost, SELF), client), {
        code: 'ERR_STORE_IO',
        message: /ENAMETOOLONG/,
      });
    const found = await certificatesOnDisk(lost, SELF, (name) => `/links/${name}`);
    t.strictSame(
      found.map(({ currentPath, facts, history }) => ({ currentPath, facts, history })),
      ['client', 'serving'].map((name) => ({ currentPath: `/links/${name}`, facts: undefined, history: {} })),
    );
  },
);

t.test('what is no fault of the disk is not told as a missing certificate', async (t) => {
  const settings = nodeWith(t, () => undefined);
  const broken = Object.assign([...settings.specs], { find: () => undefined });
  await t.rejects(certificatesOnDisk({ ...settings, specs: broken }, SELF, String), RangeError);
});
