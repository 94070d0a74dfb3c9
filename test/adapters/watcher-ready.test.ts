import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
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

t.test('a file in a folder that was made later, or made anew, was never told', async (t) => {
  const folder = t.testdir({ etc: {} });
  const path = join(folder, 'certs', 'proxy-current.pem');
  let next = Promise.withResolvers<readonly string[]>();
  const ready = Promise.withResolvers<void>();
  const watcher = watchFiles(
    { log: (_level, event) => t.fail(event) },
    (paths) => next.resolve(paths),
    () => ready.resolve(),
  );
  t.teardown(() => watcher.close());
  const told = async (change: () => void): Promise<readonly string[]> => {
    next = Promise.withResolvers();
    change();
    return await next.promise;
  };
  let swaps = 0;
  const swap = (): void => {
    symlinkSync(`${String(++swaps)}.pem`, `${path}.new`);
    renameSync(`${path}.new`, path);
  };
  const files = [join(folder, 'etc', 'config.yaml'), path];
  watcher.update(files);
  await ready.promise;
  for (const what of ['later', 'anew']) {
    mkdirSync(join(folder, 'certs'));
    swap();
    t.strictSame(await told(() => watcher.update(files)), [path], `${what}: what came in before it was watched`);
    t.strictSame(await told(swap), [path], `${what}: and since`);
    await told(() => rmSync(join(folder, 'certs'), { recursive: true }));
  }
});
