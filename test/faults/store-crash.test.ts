import * as real from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { FileCertificateStore, FileStoreOptions } from '../../src/adapters/store/file-certificate-store.ts';
import type { CertificateSpec } from '../../src/csr/spec.ts';
import { isCertletError } from '../../src/errors.ts';
import { type CertificatePair, parsePair } from '../../src/pki/certificate.ts';
import { encodePrivateKey } from '../../src/pki/keys.ts';
import { Secret } from '../../src/secret.ts';
import { Bench, newPair, pemOf } from '../adapters/store/bench.ts';
import { Stopped, StoppingFileSystem } from '../adapters/store/stopping-file-system.ts';
import { exporterSpec, kubeletSpecs } from '../fixtures/specs.ts';

const [p0, p1, p2, p3] = [newPair(50), newPair(100), newPair(200), newPair(300)] as const;
const NOON = new Date(2030, 0, 2, 12, 0, 0);
const later = (seconds: number): Date => new Date(NOON.getTime() + seconds * 1000);
const CHANGING = /^(create|write|fchmod|fsync|syncFolder|rename|symlink|unlink|utimes|mkdir|chmod) /;
const READING = /^(read|lstat|readlink|readdir) /;
const CURRENT = 'kubelet-server-current.pem';

/** Which certificate, and where it lies. */
interface Place {
  readonly certificate: string;
  readonly current: string;
  readonly specs: (bench: Bench) => readonly CertificateSpec[];
  readonly plain: { readonly certFile: string; readonly keyFile: string };
  /** Whether the group of the folder may read the keys. */
  readonly groupReadable: boolean;
}

/** The kubelet's, with two files besides. */
const SERVING: Place = {
  certificate: 'serving',
  current: 'kubelet-server-current.pem',
  specs: (bench) =>
    kubeletSpecs({
      certDir: bench.certDir,
      plainFiles: { serving: { certFile: bench.path('plain.crt'), keyFile: bench.path('plain.key') } },
    }),
  plain: { certFile: 'plain.crt', keyFile: 'plain.key' },
  groupReadable: false,
};

/** One of the settings, as two files for the group of a folder that root has made. */
const EXPORTER: Place = {
  certificate: 'exporter',
  current: 'exporter/exporter-current.pem',
  specs: (bench) => {
    const folder = bench.path('exporter');
    const { files, ...spec } = exporterSpec(folder);
    const plain = { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') };
    return [...kubeletSpecs({ certDir: bench.certDir }), { ...spec, files: { ...files, groupReadable: true, plain } }];
  },
  plain: { certFile: 'exporter/tls.crt', keyFile: 'exporter/tls.key' },
  groupReadable: true,
};

function makeExporterFolder(bench: Bench): void {
  real.mkdirSync(bench.path('exporter'), { recursive: true });
  real.chmodSync(bench.certDir, 0o755);
  real.chmodSync(bench.path('exporter'), 0o2750);
}

interface Scenario {
  readonly name: string;
  readonly place: Place;
  /** What lies there before; a pair that is current then may never be lost. */
  readonly before: (bench: Bench) => Promise<void>;
  readonly hadCurrent: boolean;
  /** One run of the program. Running it to its end after any crash must come to `after`. */
  readonly run: (store: FileCertificateStore) => Promise<void>;
  readonly after: CertificatePair;
}

async function bringUp(store: FileCertificateStore, wanted: CertificatePair, certificate = 'serving'): Promise<void> {
  await store.inspect(certificate);
  if (wanted === p1) await store.acceptAll(certificate);
  await store.install(certificate, wanted, later(10));
  await store.prune(certificate, new Date(Date.now() + 3_600_000));
}

const scenarios: readonly Scenario[] = [
  {
    name: 'first issuance',
    place: SERVING,
    before: async () => undefined,
    hadCurrent: false,
    run: (store) => bringUp(store, p1),
    after: p1,
  },
  {
    name: 'rotation with older files, plain files and pruning',
    place: SERVING,
    before: async (bench) => {
      for (const pair of [p0, p1]) await bench.store({ fs: new StoppingFileSystem() }).install('serving', pair, NOON);
      await bench.store({ fs: new StoppingFileSystem() }).install('serving', p2, NOON);
    },
    hadCurrent: true,
    run: (store) => bringUp(store, p3),
    after: p3,
  },
  {
    name: 'adoption of a regular file',
    place: SERVING,
    before: async (bench) => void bench.put(CURRENT, pemOf(p2)),
    hadCurrent: true,
    run: async (store) => void (await store.inspect('serving')),
    after: p2,
  },
  {
    name: "the rest of a kubelet's swap",
    place: SERVING,
    before: async (bench) => {
      bench.put('kubelet-server-2029-01-01-00-00-00.pem', pemOf(p2));
      bench.link('kubelet-server-updated.pem', bench.path('kubelet-server-2029-01-01-00-00-00.pem'));
    },
    hadCurrent: false,
    run: async (store) => void (await store.inspect('serving')),
    after: p2,
  },
  {
    name: 'return to an older file',
    place: SERVING,
    before: async (bench) => {
      await bench.store({ fs: new StoppingFileSystem() }).install('serving', p2, NOON);
      await bench.store({ fs: new StoppingFileSystem() }).install('serving', p3, NOON);
    },
    hadCurrent: true,
    run: async (store) => {
      const found = (await store.inspect('serving')).find(({ pair }) => pair.chain.pem === p2.chain.pem);
      if (found !== undefined) await store.relink('serving', found);
    },
    after: p2,
  },
  {
    name: 'a corrupt older file and a legacy pair',
    place: SERVING,
    before: async (bench) => {
      bench.put('kubelet-server-2029-01-01-00-00-00.pem', 'garbage');
      bench.put('kubelet-server.crt', p2.chain.pem, 0o644);
      bench.put('kubelet-server.key', encodePrivateKey(p2.key).reveal());
    },
    hadCurrent: false,
    run: async (store) => {
      const [found] = await store.inspect('serving');
      await store.acceptAll('serving');
      if (found !== undefined) await store.relink('serving', found);
    },
    after: p2,
  },
  {
    name: "first issuance of an exporter's, as two files for a group",
    place: EXPORTER,
    before: async (bench) => makeExporterFolder(bench),
    hadCurrent: false,
    run: (store) => bringUp(store, p1, 'exporter'),
    after: p1,
  },
  {
    name: 'rotation of it, with older files and pruning',
    place: EXPORTER,
    before: async (bench) => {
      makeExporterFolder(bench);
      for (const pair of [p0, p1, p2]) await bench.store(fast(bench, EXPORTER)).install('exporter', pair, NOON);
    },
    hadCurrent: true,
    run: (store) => bringUp(store, p3, 'exporter'),
    after: p3,
  },
];

/** What must hold at any instant, as any other program sees the folder. */
function brokenPromises(
  bench: Bench,
  { place, hadCurrent }: Pick<Scenario, 'place' | 'hadCurrent'>,
): readonly string[] {
  const problems: string[] = [];
  if (!real.existsSync(bench.certDir)) return hadCurrent ? ['the folder is gone'] : [];
  const path = bench.path(place.current);
  if (real.lstatSync(path, { throwIfNoEntry: false }) === undefined) {
    if (hadCurrent) problems.push('the link is gone');
  } else {
    try {
      parsePair(new Secret(real.readFileSync(path, 'utf8')));
    } catch (error) {
      problems.push(`current is not whole: ${String(error)}`);
    }
  }
  for (const name of real.readdirSync(bench.certDir, { recursive: true, encoding: 'utf8' })) {
    const facts = real.lstatSync(bench.path(name));
    const others = place.groupReadable && name.startsWith('exporter/') ? 0o037 : 0o077;
    if (!facts.isFile() || (facts.mode & others) === 0) continue;
    if (real.readFileSync(bench.path(name), 'utf8').includes('PRIVATE KEY')) problems.push(`others can read ${name}`);
  }
  return problems;
}

/** What is left to mend after a run to the end. */
async function unfinished(bench: Bench, scenario: Scenario): Promise<readonly string[]> {
  const { place } = scenario;
  const store = bench.store(fast(bench, place));
  await scenario.run(store);
  const current = await store.current(place.certificate);
  const foreign = await store.foreign(place.certificate);
  const leftovers = real
    .readdirSync(bench.certDir, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.includes('certlet-tmp'));
  const two = [place.plain.certFile, place.plain.keyFile].map((name) => real.readFileSync(bench.path(name), 'utf8'));
  return [
    ...(current?.chain.pem === scenario.after.chain.pem ? [] : ['another pair is current']),
    ...foreign.map((path) => `seems foreign: ${path}`),
    ...leftovers.map((name) => `left over: ${name}`),
    ...(two.join('') === pemOf(scenario.after) ? [] : ['plain files are behind']),
    ...brokenPromises(bench, { place, hadCurrent: true }),
  ];
}

/** Without waiting for the disk. */
function fast(bench: Bench, place: Place): Pick<FileStoreOptions, 'specs' | 'fs'> {
  return { specs: place.specs(bench), fs: new StoppingFileSystem() };
}

/** Runs the scenario anew for each operation that `chosen` picks, with `fault` at that one; returns how many there were. */
async function atEachOperation(
  root: string,
  scenario: Scenario,
  options: {
    readonly chosen: RegExp;
    readonly fault: () => Error;
    readonly check: (bench: Bench, at: string) => Promise<void>;
  },
): Promise<number> {
  for (let at = 0; ; at += 1) {
    const folder = join(root, String(at));
    real.mkdirSync(folder, { mode: 0o755 });
    const bench = new Bench(folder);
    await scenario.before(bench);
    let count = 0;
    let hit: string | undefined;
    const fs = new StoppingFileSystem((line) => {
      if (!options.chosen.test(line)) return undefined;
      count += 1;
      if (count - 1 !== at) return undefined;
      hit = line;
      return options.fault();
    });
    await scenario.run(bench.store({ specs: scenario.place.specs(bench), fs })).catch((error: unknown) => {
      if (!(error instanceof Stopped) && !isCertletError(error)) throw error;
    });
    if (hit === undefined) return at;
    await options.check(bench, hit);
    real.rmSync(folder, { recursive: true });
  }
}

for (const scenario of scenarios) {
  t.test(`killed at any operation of ${scenario.name}: the pair is whole and the next start finishes`, async (t) => {
    const problems: string[] = [];
    const tried = await atEachOperation(t.testdir(), scenario, {
      chosen: CHANGING,
      fault: () => new Stopped(),
      check: async (bench, at) => {
        problems.push(...brokenPromises(bench, scenario).map((problem) => `${at}: ${problem}`));
        const { place } = scenario;
        const movedBefore = bench.movedAside.length;
        await bench.store(fast(bench, place)).inspect(place.certificate);
        const moved = bench.movedAside.slice(movedBefore).map(({ path = '' }) => path);
        problems.push(...moved.filter((path) => !path.includes('2029')).map((path) => `${at}: moved ${path}`));
        const foreign = await bench.store(fast(bench, place)).foreign(place.certificate);
        problems.push(...foreign.map((path) => `${at}: seems foreign ${path}`));
        problems.push(...(await unfinished(bench, scenario)).map((problem) => `${at}: then ${problem}`));
      },
    });
    t.strictSame(problems, []);
    t.ok(tried >= 6, `${String(tried)} operations`);
  });

  t.test(`any failing operation of ${scenario.name}: the pair is whole, and a retry finishes`, async (t) => {
    const problems: string[] = [];
    for (const code of ['EIO', 'ENOSPC']) {
      const root = join(t.testdir({ [code]: {} }), code);
      await atEachOperation(root, scenario, {
        chosen: code === 'EIO' ? READING : CHANGING,
        fault: () => Object.assign(new Error(`${code}: it failed, write`), { code }),
        check: async (bench, at) => {
          problems.push(...brokenPromises(bench, scenario).map((problem) => `${code} ${at}: ${problem}`));
          problems.push(...(await unfinished(bench, scenario)).map((problem) => `${code} ${at}: then ${problem}`));
        },
      });
    }
    t.strictSame(problems, []);
  });
}
