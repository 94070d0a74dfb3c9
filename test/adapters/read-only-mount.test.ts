import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { isReadOnlyMount } from '../../src/adapters/probe/read-only-mount.ts';

const [program, ...flags] = ['unshare', '-m', '--propagation', 'private'];
const mayMount = process.geteuid?.() === 0 && spawnSync(program, [...flags, 'true']).status === 0;

t.test('a folder that can be written, and one that is not there', async (t) => {
  const folder = t.testdir({});
  t.equal(await isReadOnlyMount(folder), false);
  t.equal(await isReadOnlyMount(join(folder, 'none')), false);
});

t.test('a read-only bind mount', { skip: !mayMount && 'needs root and unshare(1)' }, async (t) => {
  const folder = t.testdir({ pki: {} });
  const source = pathToFileURL(join(import.meta.dirname, '../../src/adapters/probe/read-only-mount.ts')).href;
  const script = `console.log(await (await import(${JSON.stringify(source)})).isReadOnlyMount(process.argv[1]))`;
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script];
  const mounted = [
    'sh',
    '-ec',
    'mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"; exec "$@" "$0"',
    join(folder, 'pki'),
  ];
  const { stdout, stderr } = spawnSync(program, [...flags, ...mounted, ...node], { encoding: 'utf8' });
  t.equal(stdout, 'true\n', stderr);
});
