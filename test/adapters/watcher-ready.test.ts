import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { watchFiles } from '../../src/adapters/watcher.ts';

t.test(
  'a file that appears while the watch is being set up is not missed: readiness asks for another look',
  async (t) => {
    const path = join(t.testdir({}), 'bootstrap-kubelet.conf');
    const noticed = Promise.withResolvers<void>();
    let times = 0;
    const watcher = watchFiles(
      { log: (_level, event) => t.fail(event) },
      () => undefined,
      () => {
        times += 1;
        noticed.resolve();
      },
    );
    t.teardown(() => watcher.close());
    watcher.update([path]);
    writeFileSync(path, '');
    await noticed.promise;
    watcher.update([path]);
    t.equal(times, 1, 'once');
  },
);

t.test('a file that appears once the watch is set up is told by its path', async (t) => {
  const path = join(t.testdir({}), 'bootstrap-kubelet.conf');
  const told = Promise.withResolvers<readonly string[]>();
  const watcher = watchFiles(
    { log: (_level, event) => t.fail(event) },
    (paths) => told.resolve(paths),
    () => writeFileSync(path, ''),
  );
  t.teardown(() => watcher.close());
  watcher.update([path]);
  t.strictSame(await told.promise, [path]);
});

t.test('a folder that is of no interest any more does not silence the folders below it', async (t) => {
  const folder = t.testdir({ pki: {} });
  const path = join(folder, 'pki', 'ca.crt');
  const ready = Promise.withResolvers<void>();
  const told = Promise.withResolvers<readonly string[]>();
  const watcher = watchFiles(
    { log: (_level, event) => t.fail(event) },
    (paths) => told.resolve(paths),
    () => ready.resolve(),
  );
  t.teardown(() => watcher.close());
  watcher.update([join(folder, 'kubelet.conf'), path, '']);
  await ready.promise;
  watcher.update([path]);
  writeFileSync(path, '');
  t.strictSame(await told.promise, [path]);
});

/** A watcher of these files that is ready; `told` makes a change and waits for the paths that are told next. */
async function watching(t: Test, files: readonly string[]) {
  let next = Promise.withResolvers<readonly string[]>();
  const ready = Promise.withResolvers<void>();
  const watcher = watchFiles(
    { log: (_level, event) => t.fail(event) },
    (paths) => next.resolve(paths),
    () => ready.resolve(),
  );
  t.teardown(() => watcher.close());
  watcher.update(files);
  await ready.promise;
  const told = async (change: () => void): Promise<readonly string[]> => {
    next = Promise.withResolvers();
    change();
    return await next.promise;
  };
  return { watcher, told };
}

t.test('a file in a folder that was made later, or made anew, was never told', async (t) => {
  const folder = t.testdir({ etc: {} });
  const path = join(folder, 'certs', 'proxy-current.pem');
  let swaps = 0;
  const swap = (): void => {
    symlinkSync(`${String(++swaps)}.pem`, `${path}.new`);
    renameSync(`${path}.new`, path);
  };
  const files = [join(folder, 'etc', 'config.yaml'), path];
  const { watcher, told } = await watching(t, files);
  for (const what of ['later', 'anew']) {
    mkdirSync(join(folder, 'certs'));
    swap();
    t.strictSame(await told(() => watcher.update(files)), [path], `${what}: what came in before it was watched`);
    t.strictSame(await told(swap), [path], `${what}: and since`);
    await told(() => rmSync(join(folder, 'certs'), { recursive: true }));
  }
});

t.test('a link of a certificate in a folder that is a link itself was looked at by the minute alone', async (t) => {
  const folder = t.testdir({ one: {}, two: {}, pki: t.fixture('symlink', 'one') });
  const path = join(folder, 'pki', 'kubelet-client-current.pem');
  const same = join(folder, 'one', 'kubelet-client-current.pem');
  const { watcher, told } = await watching(t, [path]);
  t.strictSame(await told(() => symlinkSync('1.pem', path)), [path], 'by the name that was given');
  const both = await told(() => {
    watcher.update([path, same]);
    rmSync(path);
  });
  t.strictSame([...both].sort(), [same, path].sort(), 'by both names');
  rmSync(join(folder, 'pki'));
  symlinkSync('two', join(folder, 'pki'));
  t.strictSame(await told(() => watcher.update([path])), [path], 'the folder is another');
  t.strictSame(await told(() => symlinkSync('2.pem', path)), [path], 'and is watched since');
});

t.test('a folder that is of no interest any more and is made anew does not silence the folders below it', async (t) => {
  const folder = t.testdir({ etc: { pki: {} } });
  const path = join(folder, 'etc', 'pki', 'ca.crt');
  const { watcher, told } = await watching(t, [join(folder, 'etc', 'kubelet.conf'), path, join(folder, 'config.yaml')]);
  writeFileSync(path, '');
  watcher.update([path]);
  for (const time of ['first', 'second']) {
    await told(() => rmSync(join(folder, 'etc'), { recursive: true }));
    mkdirSync(join(folder, 'etc', 'pki'), { recursive: true });
    t.strictSame(await told(() => watcher.update([path])), [path], `${time}: made anew`);
    t.strictSame(await told(() => writeFileSync(path, '')), [path], `${time}: and since`);
  }
});
