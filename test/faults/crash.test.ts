/**
 * Crash consistency. The real agent, store and kubeconfig files run on a disk in memory that keeps its journal. Every prefix of the journal of a
 * bootstrap and of a rotation is replayed, and under each the states that a power cut can leave. `CERTLET_SEED=N` repeats the random ones.
 */
import t, { type Test } from 'tap';
import { seededChance } from '../fixtures/fakes/chance.ts';
import { Machine, type Recording, recordBootstrap, recordRotation, recordTwoMore } from './fixtures/crash-machine.ts';
import { figures, problemsOf, problemsOfKillThenCut, SEED } from './fixtures/crash-replay.ts';
import { cutStates } from './fixtures/crash-states.ts';
import { violations } from './fixtures/disk-checks.ts';
import { type Image, listing } from './fixtures/disk-image.ts';
import { BOOTSTRAP_KUBECONFIG, FOUR } from './fixtures/disk-node.ts';

const MINUTE_MS = 60_000;

function noProblems(t: Test, problems: readonly string[]): void {
  for (const problem of problems) t.fail(problem);
  t.equal(problems.length, 0, 'every state is safe and every start from it finishes');
}

t.setTimeout(15 * MINUTE_MS);

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

/** Changes among files that belong to the certificates of the settings, and the records of those. */
function ofTheTwoMore({ start, changes }: Recording): (index: number) => boolean {
  const image = cutStates(start, changes, seededChance(SEED))[0]!.image;
  const inodes = new Set<number>();
  for (const [path, inode] of listing(image)) {
    if (!/\/certs\/|kube-proxy|exporter/.test(path)) continue;
    for (const [number, each] of image) if (each === inode) inodes.add(number);
  }
  return (index) => {
    const change = changes[index]!;
    const name = 'at' in change ? change.at.name : 'to' in change ? change.to.name : '';
    return ('inode' in change && inodes.has(change.inode)) || /kube-proxy|exporter|^\.?tls\./.test(name);
  };
}

t.test('… of the first issuance of two more certificates, one as two files for a group', async (t) => {
  t.setTimeout(4 * MINUTE_MS);
  const recording = await recordTwoMore();
  t.ok(recording.changes.length > 60, `${String(recording.changes.length)} changes`);
  const problems = await problemsOf(recording, ofTheTwoMore(recording));
  noProblems(t, problems);
});

t.test('… of a rotation of all four', async (t) => {
  t.setTimeout(4 * MINUTE_MS);
  const recording = await recordRotation(FOUR);
  t.ok(recording.changes.length > 120, `${String(recording.changes.length)} changes`);
  noProblems(t, await problemsOf(recording, ofTheTwoMore(recording)));
});

t.test(
  'a replacement of kubeconfig or plain key file that a crash cut short does not stay for ever as a hidden file',
  async (t) => {
    const machine = new Machine({});
    const left = ['/etc/kubernetes/.kubelet.conf', '/etc/edge/.client.key', '/etc/edge/.serving.key'].map(
      (path) => `${path}.fedcba9876543210.certlet-tmp`,
    );
    const another = '/etc/kubernetes/.scheduler.conf.fedcba9876543210.certlet-tmp';
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
