/**
 * Crash consistency. The real agent, store and kubeconfig files run on a disk in memory that keeps its journal. Every prefix of the journal of a
 * bootstrap and of a rotation is replayed, and under each the states that a power cut can leave. `CERTLET_SEED=N` repeats the random ones.
 */
import t, { type Test } from 'tap';
import { FakeApi } from '../fixtures/fakes/api.ts';
import { seededChance } from '../fixtures/fakes/chance.ts';
import { FakeClock } from '../fixtures/fakes/clock.ts';
import type { RotationOptions } from '../../src/rotation/options.ts';
import { cutStates } from './fixtures/crash-states.ts';
import { exposedSecrets, linkState, violations } from './fixtures/disk-checks.ts';
import { type Change, cloneImage, type Image, listing, replay } from './fixtures/disk-image.ts';
import { BOOTSTRAP_KUBECONFIG, bootstrapText, DiskNode, LINKS } from './fixtures/disk-node.ts';
import { MemoryDisk } from './fixtures/memory-disk.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const SEED = Number(process.env['CERTLET_SEED'] ?? Math.floor(Date.now() / 1000) % 100_000);
const PURPOSES = ['client', 'serving'] as const;

type Requests = FakeApi['requests'];
const figures = { prefixes: 0, states: 0, restarts: 0 };

/** What the API server had at a moment, and when that was. */
interface Moment {
  readonly requests: Requests;
  readonly now: Date;
}

/** A run of the agent that was written down: the disk at its start, each change, and the API server before and after each. */
interface Recording {
  readonly start: Image;
  readonly changes: readonly Change[];
  readonly before: readonly Moment[];
  readonly after: readonly Moment[];
  readonly first: Moment;
  readonly last: Moment;
  readonly authority: FakeApi['authority'];
  readonly options: Partial<RotationOptions>;
  /** Requests of each purpose when all is done. */
  readonly wanted: number;
}

class Machine {
  readonly clock: FakeClock;
  readonly api: FakeApi;
  readonly disk: MemoryDisk;
  readonly options: Partial<RotationOptions>;
  node: DiskNode | undefined;

  constructor(options: Partial<RotationOptions>, image?: Image, now?: Date) {
    this.options = options;
    this.clock = new FakeClock(now?.toISOString());
    this.api = new FakeApi(this.clock);
    this.disk = new MemoryDisk(image);
    if (image === undefined) this.disk.put(BOOTSTRAP_KUBECONFIG, bootstrapText());
  }

  moment(): Moment {
    const requests: Requests = new Map(
      [...this.api.requests].map(([name, { csr }]) => [name, { csr, watchers: new Set() }]),
    );
    return { requests, now: this.clock.now() };
  }

  start(): DiskNode {
    const { disk, clock, api, options } = this;
    this.node = new DiskNode({ disk, clock, api, options, plainFiles: true }).start();
    return this.node;
  }

  async untilUpToDate(): Promise<void> {
    await this.clock.advanceUntil(() => this.node?.upToDate === true, 30 * MINUTE_MS);
  }

  requestsOf(purpose: (typeof PURPOSES)[number]): number {
    const serving = purpose === 'serving';
    return [...this.api.requests.values()].filter(({ csr }) => csr.signerName?.endsWith('serving') === serving).length;
  }

  /** Writes down what the disk and the API server go through while `work` runs. */
  async record(wanted: number, work: () => Promise<void>): Promise<Recording> {
    const [before, after]: [Moment[], Moment[]] = [[], []];
    const start = cloneImage(this.disk.image);
    const from = this.disk.journal.length;
    const first = this.moment();
    this.disk.onChange = (when) => (when === 'before' ? before : after).push(this.moment());
    await work();
    this.disk.onChange = () => undefined;
    const changes = this.disk.journal.slice(from);
    const { api, options } = this;
    return { start, changes, before, after, first, last: this.moment(), authority: api.authority, options, wanted };
  }
}

async function recordBootstrap(options: Partial<RotationOptions>): Promise<Recording> {
  const machine = new Machine(options);
  const recording = await machine.record(1, async () => {
    machine.start();
    await machine.untilUpToDate();
  });
  await machine.node?.stop();
  return recording;
}

/** Both certificates come due while a process runs. Some were rotated before, so old files are deleted in the end. */
async function recordRotation(): Promise<Recording> {
  const machine = new Machine({});
  machine.api.lifetimeMs = DAY_MS;
  machine.start();
  await machine.untilUpToDate();
  const rotate = async (): Promise<void> => {
    await machine.clock.step(0.93 * DAY_MS);
    await machine.clock.advance(2 * MINUTE_MS);
    await machine.untilUpToDate();
  };
  for (let count = 0; count < 3; count += 1) await rotate();
  const recording = await machine.record(5, async () => {
    await rotate();
    await machine.clock.advance(70 * MINUTE_MS);
  });
  await machine.node?.stop();
  return recording;
}

const sameRequests = (left: Moment, right: Moment): boolean =>
  left.requests.size === right.requests.size &&
  [...left.requests].every(([name, { csr }]) => right.requests.get(name)?.csr === csr);

/** What the API server may have had when the power went after so many changes: nothing that came later than the next change. */
function momentsAt(recording: Recording, count: number): readonly Moment[] {
  const early = count === 0 ? recording.first : recording.after[count - 1]!;
  const late = recording.before[count] ?? recording.last;
  return sameRequests(early, late) ? [late] : [early, late];
}

/** Links that no power cut may take away any more: made, and their folder synced since. */
function durableLinks(recording: Recording, count: number): readonly (typeof PURPOSES)[number][] {
  const done = recording.changes.slice(0, count);
  return PURPOSES.filter((purpose) => {
    if (linkState(listing(recording.start), LINKS[purpose]) === 'whole') return true;
    const name = LINKS[purpose].slice(LINKS[purpose].lastIndexOf('/') + 1);
    const made = done.findIndex((change) => change.kind === 'rename' && change.to.name === name);
    const change = done[made];
    if (change?.kind !== 'rename') return false;
    return done.slice(made).some((later) => later.kind === 'syncFolder' && later.inode === change.to.folder);
  });
}

/** The same node and cluster a second later, nothing started yet. */
function restarted(recording: Recording, image: Image, moment: Moment): Machine {
  const machine = new Machine(recording.options, cloneImage(image), new Date(moment.now.getTime() + 1000));
  machine.api.authority = recording.authority;
  machine.api.lifetimeMs = recording.wanted === 1 ? 365 * DAY_MS : DAY_MS;
  for (const [name, { csr }] of moment.requests) machine.api.requests.set(name, { csr, watchers: new Set() });
  return machine;
}

/** Starts the agent on what a crash left, and tells what is wrong with how that ends. */
async function problemsOfRestart(recording: Recording, image: Image, moment: Moment): Promise<readonly string[]> {
  const machine = restarted(recording, image, moment);
  const posted = new Set(machine.api.requests.keys());
  const problems: string[] = [];
  machine.disk.onChange = (when) => {
    if (when === 'after') problems.push(...exposedSecrets(machine.disk.image));
  };
  const node = machine.start();
  try {
    await machine.clock.settle();
    // Posted in the moment of the crash and approved while the node was off.
    for (const name of machine.api.pendingNames) if (posted.has(name)) machine.api.approveRequest(name);
    await machine.untilUpToDate();
    if (recording.wanted > 1) await machine.clock.advance(MINUTE_MS);
  } catch (error) {
    const told = node.log.entries.slice(-3).map(({ event, fields }) => `${event} ${JSON.stringify(fields)}`);
    problems.push(
      `not up to date: ${String(error)}; ${told.join('; ')}; ${node.thrown instanceof Error ? node.thrown.message : ''}`,
    );
  }
  for (const purpose of PURPOSES) {
    const count = machine.requestsOf(purpose);
    if (count !== recording.wanted)
      problems.push(`${String(count)} ${purpose} requests instead of ${String(recording.wanted)}`);
  }
  const live = [...machine.api.requests.values()].filter(({ csr }) => csr.certificatePem === undefined);
  if (live.length > 0) problems.push(`${String(live.length)} requests are left over`);
  const kept = [...listing(machine.disk.image).keys()];
  const left = kept.filter(
    (path) => path.endsWith('.certlet-tmp') || path.includes('/quarantine/') || path.endsWith('-pending.json'),
  );
  if (left.length > 0) problems.push(`left behind: ${left.join(', ')}`);
  problems.push(...violations(machine.disk.image, PURPOSES));
  await node.stop();
  return problems;
}

/**
 * A kill loses nothing, but what was not synced then is not synced now. Killed after so many changes, started again and done: a power cut
 * after that takes neither a link nor a certificate away.
 */
async function problemsOfKillThenCut(recording: Recording, count: number): Promise<readonly string[]> {
  const before = recording.changes.slice(0, count);
  const second = restarted(recording, replay(recording.start, before), momentsAt(recording, count)[0]!);
  for (const name of second.api.pendingNames) second.api.approveRequest(name);
  second.start();
  await second.untilUpToDate();
  const issued = [...second.api.requests.keys()];
  await second.node?.stop();
  const [, lost = cutStates(recording.start, [...before, ...second.disk.journal], NO_CHANCE)[0]!] = cutStates(
    recording.start,
    [...before, ...second.disk.journal],
    NO_CHANCE,
  );
  const third = restarted(recording, lost.image, second.moment());
  const problems = [...violations(lost.image, PURPOSES)];
  third.start();
  await third.untilUpToDate();
  await third.node?.stop();
  const again = [...third.api.requests.keys()].filter((name) => !issued.includes(name));
  if (again.length > 0) problems.push(`asked again: ${again.join(', ')}`);
  return problems;
}

const NO_CHANCE = { roll: () => 0.9 };

/** Replays every prefix; gives what went wrong where. */
async function problemsOf(recording: Recording): Promise<readonly string[]> {
  const chance = seededChance(SEED);
  const problems: string[] = [];
  const seen = new Set<string>();
  for (let count = 0; count <= recording.changes.length; count += 1) {
    figures.prefixes += 1;
    const durable = durableLinks(recording, count);
    const last = recording.changes[count - 1];
    const where = `after change ${String(count)} (${last === undefined ? 'none' : JSON.stringify(last, shortened)})`;
    for (const { how, image, digest } of cutStates(recording.start, recording.changes.slice(0, count), chance)) {
      figures.states += 1;
      const told = (problem: string): string => `${where}, ${how}: ${problem}`;
      problems.push(...violations(image, durable).map(told));
      for (const moment of momentsAt(recording, count)) {
        const key = `${digest}\n${[...moment.requests.values()].map(({ csr }) => `${csr.name} ${csr.resourceVersion}`).join()}`;
        if (seen.has(key)) continue;
        seen.add(key);
        figures.restarts += 1;
        problems.push(...(await problemsOfRestart(recording, image, moment)).map(told));
      }
    }
    if (problems.length > 10) break;
  }
  return problems;
}

const shortened = (key: string, value: unknown): unknown => (key === 'bytes' ? '…' : value);

function noProblems(t: Test, problems: readonly string[]): void {
  for (const problem of problems) t.fail(problem);
  t.equal(problems.length, 0, 'every state is safe and every start from it finishes');
}

t.setTimeout(8 * MINUTE_MS);

t.test('a power cut at any moment of a bootstrap', async (t) => {
  t.setTimeout(4 * MINUTE_MS);
  const recording = await recordBootstrap({});
  t.ok(recording.changes.length > 100, `${String(recording.changes.length)} changes`);
  noProblems(t, await problemsOf(recording));
});

t.test(
  'killed at any moment of a bootstrap, started again, and then a power cut: what was issued is still there',
  async (t) => {
    t.setTimeout(4 * MINUTE_MS);
    const recording = await recordBootstrap({});
    const problems: string[] = [];
    for (let count = 0; count <= recording.changes.length; count += 1) {
      figures.prefixes += 1;
      figures.restarts += 2;
      const told = (problem: string): string => `killed after change ${String(count)}: ${problem}`;
      problems.push(...(await problemsOfKillThenCut(recording, count)).map(told));
    }
    noProblems(t, problems.slice(0, 10));
  },
);

t.test('… of a bootstrap that deletes the bootstrap kubeconfig in the end', async (t) => {
  t.setTimeout(4 * MINUTE_MS);
  const whole = await recordBootstrap({ deleteBootstrapKubeconfig: true });
  t.notOk(listing(replayed(whole)).has(BOOTSTRAP_KUBECONFIG));
  noProblems(t, await problemsOf(whole));
});

t.test('… of a rotation of both certificates', async (t) => {
  t.setTimeout(4 * MINUTE_MS);
  const recording = await recordRotation();
  t.ok(recording.changes.length > 60, `${String(recording.changes.length)} changes`);
  noProblems(t, await problemsOf(recording));
});

t.test(
  'a replacement of kubeconfig or plain key file that a crash cut short does not stay for ever as a hidden file',
  async (t) => {
    const machine = new Machine({});
    const left = ['/etc/kubernetes/.kubelet.conf', '/etc/edge/.client.key', '/etc/edge/.serving.key'].map(
      (path) => `${path}.0123456789abcdef.certlet-tmp`,
    );
    const another = '/etc/kubernetes/.scheduler.conf.0123456789abcdef.certlet-tmp';
    for (const path of [...left, another]) machine.disk.put(path, 'half of a');
    const node = machine.start();
    await machine.untilUpToDate();
    await node.stop();
    const kept = [...listing(machine.disk.image).keys()].filter((path) => path.endsWith('.certlet-tmp'));
    t.strictSame(kept, [another], 'what belongs to another file is left alone');
  },
);

t.test('a store that syncs nothing, or puts data down after the name, does not pass', async (t) => {
  const recording = await recordBootstrap({});
  const unsynced = recording.changes.filter(({ kind }) => kind !== 'fsync' && kind !== 'syncFolder');
  const chance = seededChance(SEED);
  const found = unsynced.flatMap((_change, count) =>
    cutStates(recording.start, unsynced.slice(0, count + 1).slice(-40), chance).flatMap(({ image }) =>
      violations(image, []),
    ),
  );
  t.match(found.join('\n'), /which is not there/);
  const noData = recording.changes.filter(({ kind }) => kind !== 'fsync');
  const broken = noData.flatMap((_change, count) =>
    cutStates(recording.start, noData.slice(0, count + 1), chance).flatMap(({ image }) => violations(image, [])),
  );
  t.match(broken.join('\n'), /names a broken pair/);
  t.match(broken.join('\n'), /kubeconfig is not whole|has a user of kind/);
});

function replayed(recording: Recording): Image {
  return cutStates(recording.start, recording.changes, seededChance(SEED))[0]!.image;
}

t.teardown(() => {
  console.log(`# figure prefixes replayed: ${String(figures.prefixes)}`);
  console.log(`# figure power-cut states checked: ${String(figures.states)} (seed ${String(SEED)})`);
  console.log(`# figure restarts after a crash: ${String(figures.restarts)}`);
});
