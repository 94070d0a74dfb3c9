/**
 * Each file operation that belongs to two certificates of the settings, one of them as two files for a group, failing once and failing for ten
 * minutes, while their first issuance is due on a node whose own two are there. Whatever fails, the others go on, the disk is as it should be at every
 * look, a person is told, and once the fault is gone everything comes and no program was told of a pair that it could not read.
 */
import t from 'tap';
import { nameOf } from './fixtures/disk-cells.ts';
import { violations } from './fixtures/disk-checks.ts';
import { callsOf, FAULT_MS, problemsOfRecovery, type World, twoMoreScene } from './fixtures/disk-scenes.ts';
import type { Errno } from './fixtures/memory-disk.ts';

const MINUTE_MS = 60_000;
const scene = await twoMoreScene();
/** What no certificate of the kubelet has: a folder and files for a group, two files outside the kubelet's places, a kubeconfig besides the node's. */
const isOwn = (name: string): boolean =>
  /\/certs\/exporter(\/\.?(tls|exporter-TIME|exporter-current)|$)|kube-proxy\.kubeconfig/.test(name);
const FAILURES: readonly Errno[] = ['ENOSPC', 'EACCES'];
const MOST_LINES = 60;
/** The disk is looked at every five minutes. */
const NEXT_LOOK_MS = 6 * MINUTE_MS;

t.setTimeout(15 * MINUTE_MS);

const calls = (await callsOf(scene)).map(nameOf);
const names = [...new Set(calls)].filter(isOwn);

t.test('two more certificates: each file operation fails for ten minutes', async (t) => {
  t.setTimeout(9 * MINUTE_MS);
  const problems: string[] = [];
  for (const name of names) {
    for (const errno of FAILURES) {
      const here = scene.begin();
      here.disk.fault = (call) => (nameOf(call) === name ? errno : undefined);
      here.node.start();
      await here.clock.advance(FAULT_MS);
      const found = [
        ...whileFailing(here, name, errno),
        ...(await problemsOfRecovery(here, scene, NEXT_LOOK_MS)),
        ...untold(here),
      ];
      problems.push(...found.map((text) => `${name} ${errno}: ${text}`));
    }
  }
  for (const problem of problems.slice(0, 40)) t.fail(problem);
  t.equal(problems.length, 0, `${String(names.length)} operations`);
  console.log(
    `# figure disk cells tried, two more certificates, for ten minutes: ${String(names.length * FAILURES.length)}`,
  );
});

t.test('two more certificates: each file operation fails once', async (t) => {
  t.setTimeout(9 * MINUTE_MS);
  const problems: string[] = [];
  let cells = 0;
  for (const [index, name] of calls.entries()) {
    if (!isOwn(name)) continue;
    const errno = FAILURES[index % FAILURES.length] ?? 'EIO';
    cells += 1;
    const here = scene.begin();
    here.disk.fault = (_call, at) => (at === index ? errno : undefined);
    here.node.start();
    await here.clock.settle();
    const found = [...(await problemsOfRecovery(here, scene, NEXT_LOOK_MS)), ...untold(here)];
    problems.push(...found.map((text) => `call ${String(index)} ${name} ${errno}: ${text}`));
  }
  for (const problem of problems.slice(0, 40)) t.fail(problem);
  t.equal(problems.length, 0, `${String(cells)} calls`);
  console.log(`# figure disk cells tried, two more certificates, once: ${String(cells)}`);
});

/** What is wrong ten minutes into a fault that goes on. */
function whileFailing(here: World, name: string, errno: Errno): readonly string[] {
  const { node, disk, api, clock } = here;
  const other = name.includes('kube-proxy') ? 'exporter' : 'kube-proxy';
  const struck = name.includes('kube-proxy') ? 'kube-proxy' : 'exporter';
  const { phase, nextAttempt, command } = node.manager(struck);
  const complaints = node.log.entries.filter(({ level }) => level === 'warn' || level === 'error');
  const named = complaints.some(({ fields }) => JSON.stringify(fields).includes(errno));
  const aheadMs = (nextAttempt?.getTime() ?? Number.NaN) - clock.now().getTime();
  const waits = phase === 'waiting to retry';
  return [
    ...['client', 'serving', other].flatMap((each) =>
      node.manager(each).phase === 'valid' ? [] : [`held up ${each}: ${node.manager(each).reason}`],
    ),
    ...(waits || phase === 'valid' ? [] : [`${struck}: ${phase}`]),
    ...(waits && !(aheadMs > 0 && aheadMs <= 15 * MINUTE_MS) ? [`next attempt in ${String(aheadMs)} ms`] : []),
    ...(waits && command === undefined ? ['no command for a person'] : []),
    ...(!node.upToDate && !named ? [`nothing is said of ${errno}`] : []),
    ...(complaints.length > MOST_LINES ? [`${String(complaints.length)} lines`] : []),
    ...(api.calls.length > 50 ? [`${String(api.calls.length)} requests to the API server`] : []),
    ...violations(disk.image, ['client', 'serving'], node.specs),
    ...node.met,
  ];
}

/** Both were issued, so programs were told of both: at the next look at the disk at the latest, where two files had to wait. */
const untold = ({ node: { told } }: World): readonly string[] =>
  ['kube-proxy', 'exporter'].filter((each) => !told.includes(each)).map((each) => `nobody was told of ${each}`);
