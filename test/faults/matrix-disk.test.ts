/**
 * Each file operation of a bootstrap and of a rotation, failing once and failing for ever, over the real agent and store on a disk in memory.
 * What must follow is in the tables of `fixtures/disk-cells.ts`.
 */
import t, { type Test } from 'tap';
import { ERROR_RULES } from '../../src/error-rules.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { FakeApi } from '../fixtures/fakes/api.ts';
import { FakeClock } from '../fixtures/fakes/clock.ts';
import { BOOTSTRAP_ROWS, type Fate, nameOf, ROTATION_ROWS, type Row } from './fixtures/disk-cells.ts';
import { violations } from './fixtures/disk-checks.ts';
import { cloneImage } from './fixtures/disk-image.ts';
import { BOOTSTRAP_KUBECONFIG, bootstrapText, DiskNode } from './fixtures/disk-node.ts';
import { type Errno, MemoryDisk } from './fixtures/memory-disk.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** How long a fault lasts. */
const FAULT_MS = 10 * MINUTE_MS;
/** `CERTLET_CELLS=all` tries every errno everywhere; else each operation gets some of the six in turn. */
const ALL = process.env['CERTLET_CELLS'] === 'all';
const ERRNOS: readonly Errno[] = ['ENOSPC', 'EIO', 'EROFS', 'EDQUOT', 'EACCES', 'ENOENT'];
const CODES: Readonly<Record<Errno, ErrorCode>> = {
  ENOSPC: 'ERR_STORE_FULL',
  EDQUOT: 'ERR_STORE_FULL',
  EIO: 'ERR_STORE_IO',
  EACCES: 'ERR_STORE_IO',
  ENOENT: 'ERR_STORE_IO',
  EROFS: 'ERR_STORE_READ_ONLY',
};
/** The longest that the next attempt may be away ten minutes into a fault, and how many lines a fault may cost. */
const LIMITS: Readonly<Record<string, { readonly waitMs: number; readonly lines: number }>> = {
  retrySoon: { waitMs: 5 * MINUTE_MS, lines: 40 },
  retrySlowly: { waitMs: 15 * MINUTE_MS, lines: 24 },
  waitForPerson: { waitMs: 10 * MINUTE_MS, lines: 24 },
};
const figures = { once: 0, forEver: 0 };

interface World {
  readonly disk: MemoryDisk;
  readonly clock: FakeClock;
  readonly api: FakeApi;
  readonly node: DiskNode;
}

interface Scene {
  readonly name: string;
  readonly rows: readonly Row[];
  /** Certificates of each purpose in the end. */
  readonly requests: number;
  readonly begin: () => World;
}

function world(disk: MemoryDisk, clock: FakeClock, api: FakeApi): World {
  return { disk, clock, api, node: new DiskNode({ disk, clock, api }) };
}

function emptyHost(): World {
  const disk = new MemoryDisk();
  disk.put(BOOTSTRAP_KUBECONFIG, bootstrapText());
  const clock = new FakeClock();
  return world(disk, clock, new FakeApi(clock));
}

async function untilUpToDate({ node, clock }: World): Promise<void> {
  await clock.advanceUntil(() => node.upToDate, 30 * MINUTE_MS);
}

async function bootstrapped(): Promise<World> {
  const host = emptyHost();
  host.node.start();
  await untilUpToDate(host);
  await host.clock.advance(6 * MINUTE_MS);
  await host.node.stop();
  return host;
}

/** The same host most of a year later, just switched on. */
function laterOn(host: World): World {
  const clock = new FakeClock(new Date(host.clock.now().getTime() + 340 * DAY_MS).toISOString());
  const api = new FakeApi(clock);
  api.authority = host.api.authority;
  for (const [name, { csr }] of host.api.requests) api.requests.set(name, { csr, watchers: new Set() });
  return world(new MemoryDisk(cloneImage(host.disk.image)), clock, api);
}

async function scenes(): Promise<readonly Scene[]> {
  const host = await bootstrapped();
  return [
    { name: 'bootstrap', rows: BOOTSTRAP_ROWS, requests: 1, begin: emptyHost },
    { name: 'rotation', rows: ROTATION_ROWS, requests: 2, begin: () => laterOn(host) },
  ];
}

/** Every call of an undisturbed run, upkeep of some minutes included. */
async function callsOf(scene: Scene): Promise<readonly string[]> {
  const here = scene.begin();
  here.node.start();
  await untilUpToDate(here);
  await here.clock.advance(6 * MINUTE_MS);
  await here.node.stop();
  return here.disk.calls.map(nameOf);
}

/** The fault is gone: everything comes, nothing was asked for twice, and the disk is as it should be. */
async function problemsOfRecovery(here: World, scene: Scene): Promise<readonly string[]> {
  here.disk.fault = () => undefined;
  const problems: string[] = [];
  try {
    await untilUpToDate(here);
  } catch {
    problems.push(`not up to date half an hour after the fault: ${here.node.manager('client').reason}`);
  }
  if (here.node.thrown !== undefined) problems.push('the loop ended');
  for (const serving of [false, true]) {
    const count = [...here.api.requests.values()].filter(({ csr }) => csr.signerName?.endsWith('serving') === serving);
    if (count.length > scene.requests) problems.push(`${String(count.length)} requests (serving: ${String(serving)})`);
  }
  problems.push(...violations(here.disk.image, ['client', 'serving']));
  await here.node.stop();
  return problems;
}

const isComplaint = ({ level }: { readonly level: string }): boolean => level === 'warn' || level === 'error';

/** What differs from the row ten minutes into a fault that goes on. */
function deviations(here: World, row: Row, errno: Errno): readonly string[] {
  const { node, clock, api, disk } = here;
  const code = row.code ?? CODES[errno];
  const complaints = node.log.entries.filter(isComplaint);
  const limit = LIMITS[ERROR_RULES[code as ErrorCode].action] ?? { waitMs: 0, lines: 0 };
  const problems: string[] = [];
  const fate = fateOf(node);
  if (fate !== row.fate) problems.push(`${fate} instead of ${row.fate}`);
  const said = complaints.filter(({ event }) => row.says.includes(event));
  if (row.says.length > 0 && said.length === 0)
    problems.push(`says ${complaints.map(({ event }) => event).join('; ')}`);
  const codes = new Set(complaints.flatMap(({ fields }) => (fields['code'] === undefined ? [] : [fields['code']])));
  if ([...codes].some((each) => each !== code)) problems.push(`codes ${[...codes].join(', ')} instead of ${code}`);
  if (complaints.length > limit.lines) problems.push(`${String(complaints.length)} lines in ten minutes`);
  for (const purpose of ['client', 'serving'] as const) {
    const { phase, nextAttempt, command } = node.manager(purpose);
    if (phase !== 'waiting to retry') continue;
    const aheadMs = (nextAttempt?.getTime() ?? Number.NaN) - clock.now().getTime();
    if (!(aheadMs > 0 && aheadMs <= limit.waitMs)) problems.push(`${purpose}: next attempt in ${String(aheadMs)} ms`);
    if (command === undefined) problems.push(`${purpose}: no command for a person`);
  }
  if (api.calls.length > 50) problems.push(`${String(api.calls.length)} requests to the API server`);
  return [...problems, ...violations(disk.image, [])];
}

function fateOf(node: DiskNode): Fate {
  const waits = (purpose: 'client' | 'serving'): boolean => node.manager(purpose).phase !== 'valid';
  if (waits('client') && waits('serving'))
    return node.manager('serving').phase === 'waiting to retry' ? 'both wait' : 'client waits';
  if (waits('client')) return 'client waits';
  if (waits('serving')) return 'serving waits';
  return node.upToDate ? 'harmless' : 'not all in order';
}

const inTurn = (errnos: readonly Errno[], index: number, count: number): readonly Errno[] =>
  Array.from({ length: count }, (_each, next) => errnos[(index + 3 * next) % errnos.length]!);

function tell(t: Test, problems: readonly string[], name: string): void {
  for (const problem of problems.slice(0, 20)) t.fail(problem);
  t.equal(problems.length, 0, name);
}

t.setTimeout(10 * MINUTE_MS);
const all = await scenes();

for (const scene of all) {
  t.test(`${scene.name}: each file operation fails for ten minutes`, async (t) => {
    t.setTimeout(4 * MINUTE_MS);
    const names = [...new Set(await callsOf(scene))];
    const problems: string[] = [];
    for (const [index, name] of names.entries()) {
      const row = scene.rows.find(({ calls }) => calls.test(name));
      if (row === undefined) problems.push(`no row for ${name}`);
      const errnos = ALL ? ERRNOS : inTurn(ERRNOS.slice(0, 5), index, 2);
      for (const errno of row === undefined ? [] : errnos) {
        figures.forEver += 1;
        const here = scene.begin();
        here.disk.fault = (call) => (nameOf(call) === name ? errno : undefined);
        here.node.start();
        await here.clock.advance(FAULT_MS);
        const found = row === undefined ? [] : deviations(here, row, errno);
        problems.push(
          ...[...found, ...(await problemsOfRecovery(here, scene))].map((text) => `${name} ${errno}: ${text}`),
        );
      }
    }
    tell(t, problems, `${String(names.length)} operations`);
  });

  t.test(`${scene.name}: each file operation fails once`, async (t) => {
    t.setTimeout(4 * MINUTE_MS);
    const calls = await callsOf(scene);
    const problems: string[] = [];
    for (const [index, name] of calls.entries()) {
      // Each kind of call with several errnos, and each fourth call with another.
      const count = calls.indexOf(name) === index ? 2 : index % 4 === 0 ? 1 : 0;
      const errnos = ALL ? ERRNOS : inTurn(ERRNOS, index, count);
      for (const errno of errnos) {
        figures.once += 1;
        const here = scene.begin();
        here.disk.fault = (_call, at) => (at === index ? errno : undefined);
        here.node.start();
        await here.clock.settle();
        problems.push(
          ...(await problemsOfRecovery(here, scene)).map((text) => `call ${String(index)} ${name} ${errno}: ${text}`),
        );
      }
    }
    tell(t, problems, `${String(calls.length)} calls`);
  });
}

t.teardown(() => {
  console.log(`# figure disk cells tried: ${String(figures.once)} once, ${String(figures.forEver)} for ten minutes`);
});
