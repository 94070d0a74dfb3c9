import * as real from 'node:fs';
import { dirname } from 'node:path';
import t, { type Test } from 'tap';
import type { FileCertificateStore } from '../../../src/adapters/store/file-certificate-store.ts';
import { exporterSpec } from '../../fixtures/specs.ts';
import { Bench, newPair, pemOf } from './bench.ts';

const NOON = new Date(2030, 0, 2, 12, 0, 0);

function place(t: Test) {
  const bench = new Bench(t.testdir());
  const spec = exporterSpec(bench.path('exporter'));
  const store = (groupReadable: boolean): FileCertificateStore =>
    bench.store({ specs: [{ ...spec, files: { ...spec.files, groupReadable } }] });
  return { bench, store };
}

const modeOf = (path: string): string => (real.statSync(path).mode & 0o777).toString(8);

t.test(
  'a pair that was there before groupReadable was set could not be read by the group until its renewal',
  async (t) => {
    const { store } = place(t);
    const pair = newPair();
    const path = await store(false).install('exporter', pair, NOON);
    t.equal(modeOf(path), '600');
    real.chmodSync(dirname(path), 0o2750);
    const [found] = await store(true).inspect('exporter');
    t.equal(found?.origin, 'current');
    t.equal(modeOf(path), '640');
    t.equal(real.statSync(path).gid, real.statSync(dirname(path)).gid);
    t.equal(real.readFileSync(path, 'utf8'), pemOf(pair), 'the same pair in the same file');
    const { ino } = real.statSync(path);
    await store(true).inspect('exporter');
    t.equal(real.statSync(path).ino, ino, 'what is right is not written again');
    await store(false).inspect('exporter');
    t.equal(modeOf(path), '640', 'nothing is taken from a group behind its back');
  },
);

t.test('a pair is given to no group by a folder that hands none on: told, and left', async (t) => {
  const { bench, store } = place(t);
  const path = await store(false).install('exporter', newPair(), NOON);
  const sharing = store(true);
  await sharing.inspect('exporter');
  await sharing.inspect('exporter');
  t.equal(modeOf(path), '600');
  t.match(
    bench.warnings.filter(({ event }) => event === 'Cannot repair a file'),
    [{ fields: { code: 'ERR_STORE_UNSAFE', error: /has no setgid bit/ } }],
    'once',
  );
});
