import * as real from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parsePair } from '../../../src/pki/certificate.ts';
import { Secret } from '../../../src/secret.ts';
import { Bench, newPair } from './bench.ts';

/**
 * Watches as a kubelet (apiserver's dynamic_serving_content.go) watches `tlsCertFile`: inotify on the file behind the link when the
 * watch begins, the pair read again on each event, the watch begun anew only when that file is removed or renamed.
 */
class KubeletWatch {
  readonly #link: string;
  readonly #onRead: (serial: string) => void;
  #watcher: real.FSWatcher | undefined;
  begun = 0;

  constructor(link: string, onRead: (serial: string) => void) {
    this.#link = link;
    this.#onRead = onRead;
    this.#begin();
  }

  #begin(): void {
    this.begun += 1;
    this.#watcher?.close();
    this.#watcher = real.watch(real.realpathSync(this.#link), (event) => {
      this.#onRead(parsePair(new Secret(real.readFileSync(this.#link, 'utf8'))).chain.leaf.serial);
      if (event === 'rename') this.#begin();
    });
  }

  close(): void {
    this.#watcher?.close();
  }
}

/** Resolves when the watch has read this certificate; that alone ends the wait. */
class Sightings {
  readonly #seen = new Set<string>();
  readonly #waiting = new Map<string, () => void>();

  readonly note = (serial: string): void => {
    this.#seen.add(serial);
    this.#waiting.get(serial)?.();
  };

  forget(): void {
    this.#seen.clear();
  }

  get count(): number {
    return this.#seen.size;
  }

  of(serial: string): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.set(serial, resolve);
      if (this.#seen.has(serial)) resolve();
    });
  }
}

t.test('a kubelet that watches the first file notices every later swap, and goes on after pruning', async (t) => {
  const bench = new Bench(t.testdir());
  const store = bench.store({ keepOldFiles: 1 });
  const pairs = [100, 200, 300, 400, 500].map(newPair);
  const now = new Date(2030, 0, 1);
  await store.install('serving', pairs[0]!, now);
  const sightings = new Sightings();
  const watch = new KubeletWatch(store.currentPath('serving'), sightings.note);
  t.teardown(() => watch.close());
  for (const pair of pairs.slice(1, 3)) {
    await store.install('serving', pair, now);
    await sightings.of(pair.chain.leaf.serial);
  }
  t.equal(watch.begun, 1, 'the watch is still on the first file');
  t.equal((await store.prune('serving', new Date(Date.now() + 3_600_000))).length, 1);
  for (const pair of pairs.slice(3)) {
    await store.install('serving', pair, now);
    await sightings.of(pair.chain.leaf.serial);
  }
  watch.close();
  t.pass('both swaps after the first file was pruned were noticed');
});

t.test('relink tells a watcher too, and so does a start after a kill between swap and touch', async (t) => {
  const bench = new Bench(t.testdir());
  const [one, two] = [newPair(100), newPair(200)];
  const now = new Date(2030, 0, 1);
  await bench.store().install('serving', one, now);
  await bench.store().install('serving', two, now);
  const sightings = new Sightings();
  const watch = new KubeletWatch(bench.store().currentPath('serving'), sightings.note);
  t.teardown(() => watch.close());
  const [, stored] = await bench.store().inspect('serving');
  await bench.store().relink('serving', stored!);
  await sightings.of(one.chain.leaf.serial);
  // Killed right after the rename of the link back to the other: nobody was told of it.
  real.symlinkSync('kubelet-server-2030-01-01-00-00-01.pem', bench.path('next'));
  real.renameSync(bench.path('next'), bench.store().currentPath('serving'));
  sightings.forget();
  await bench.store().inspect('serving');
  await sightings.of(two.chain.leaf.serial);
  watch.close();
});

t.test('the control: a renamed link alone gives such a watcher no event', async (t) => {
  const bench = new Bench(t.testdir({ marker: '' }));
  const [one, two] = [newPair(100), newPair(200)];
  await bench.store().install('serving', one, new Date(2030, 0, 1));
  const sightings = new Sightings();
  const watch = new KubeletWatch(bench.store().currentPath('serving'), sightings.note);
  // Node has one inotify queue: when the marker's event is here, those of the swap before it are, too.
  const marker = join(bench.certDir, '..', 'marker');
  const marked = new Promise<void>((resolve) => {
    const watcher = real.watch(marker, () => {
      watcher.close();
      resolve();
    });
  });
  t.teardown(() => watch.close());
  bench.put('kubelet-server-2031-01-01-00-00-00.pem', 'x');
  real.writeFileSync(bench.path('kubelet-server-2031-01-01-00-00-00.pem'), two.chain.pem);
  real.symlinkSync('kubelet-server-2031-01-01-00-00-00.pem', bench.path('next'));
  real.renameSync(bench.path('next'), bench.store().currentPath('serving'));
  real.writeFileSync(marker, 'x');
  await marked;
  watch.close();
  t.equal(sightings.count, 0);
});

t.test(
  'a pair that stays is not touched again by later looks at the disk: a kubelet would read it each time',
  async (t) => {
    const bench = new Bench(t.testdir());
    const store = bench.store();
    await store.install('serving', newPair(100), new Date(2030, 0, 1));
    await store.inspect('serving');
    const file = real.realpathSync(store.currentPath('serving'));
    real.utimesSync(file, 1, 1);
    await store.inspect('serving');
    t.equal(real.statSync(file).mtimeMs, 1000);
    await bench.store().inspect('serving');
    t.ok(
      real.statSync(file).mtimeMs > 1000,
      'but once by a new process: the one before may have been killed in between',
    );
  },
);
