import { hookRetryMs } from '../../../src/host-hooks.ts';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { NodeFileSystem } from '../../../src/adapters/file-system.ts';
import { HookRecord } from '../../../src/adapters/hooks/hook-record.ts';
import { RotationHooks } from '../../../src/adapters/hooks/rotation-hooks.ts';
import { CertletError } from '../../../src/errors.ts';
import { entryEvent } from '../../../src/rotation/node/entry-change.ts';
import { hookEvent, ManualClock, RecordingLogger, ScriptedHook } from './hook-fakes.ts';

const MINUTE = 60_000;
const ENTRY = entryEvent('/etc/kubernetes/kubelet.conf');

interface Host {
  readonly stateDir: string;
  readonly clock: ManualClock;
  readonly log: RecordingLogger;
  readonly stop: AbortController;
  /** A process of certlet: the same disk, nothing else kept. */
  start(...hooks: ScriptedHook[]): RotationHooks;
  /** What tells the kubeconfig of the certificate from another. */
  kubeconfig: string | undefined;
  owed(): unknown;
}

function host(t: Test): Host {
  const stateDir = t.testdir();
  const clock = new ManualClock();
  const log = new RecordingLogger();
  const stop = new AbortController();
  t.teardown(() => stop.abort());
  const machine: Host = {
    stateDir,
    clock,
    log,
    stop,
    kubeconfig: undefined,
    start: (...hooks) =>
      new RotationHooks({
        hooks,
        clock,
        log,
        retryAfterMs: hookRetryMs,
        kubeconfigId: async () => machine.kubeconfig,
        record: new HookRecord(new NodeFileSystem(), stateDir),
        announced: ENTRY,
      }),
    owed: () => JSON.parse(readFileSync(join(stateDir, 'hooks.json'), 'utf8')),
  };
  return machine;
}

t.test('a rotation runs the hooks that are wanted, once, and remembers that nothing is owed', async (t) => {
  const { start, stop, owed, log } = host(t);
  const [reload, copy, other] = [new ScriptedHook('reload'), new ScriptedHook('copy'), new ScriptedHook('other')];
  other.wanted = false;
  const hooks = start(reload, copy, other);
  const event = hookEvent();
  await hooks.rotated(event, stop.signal);
  await hooks.settled();
  t.same(
    [reload, copy, other].map((hook) => hook.attempts),
    [[event], [event], []],
  );
  t.same(owed(), { client: { pairPath: event.pairPath, pending: [] } });
  t.same(hooks.problems(), []);
  t.same(log.events(), ['Hook wanted', 'Hook wanted', 'Hook done', 'Hook done']);
});

t.test('a process that died once the kubeconfig was written had nobody restart the kubelet', async (t) => {
  const { start, stop, owed } = host(t);
  const event = { ...ENTRY, pairPath: 'https://b.test:6443 0a1b' };
  const before = new ScriptedHook('restart');
  await start(before).announce(event);
  t.strictSame(before.attempts, [], 'the kubeconfig is not written yet');
  t.same(owed(), { [ENTRY.purpose]: { pairPath: event.pairPath, pending: ['restart'] } });
  for (const wanted of [[event], []]) {
    const restart = new ScriptedHook('restart');
    const hooks = start(restart);
    await hooks.begin([], stop.signal);
    await hooks.settled();
    t.same(restart.attempts, wanted, 'made up for at the next start, and not again');
  }
});

t.test('a slow hook holds neither the rotation nor the flags up, but the other commands', async (t) => {
  const { start, stop } = host(t);
  const [slow, next, flag] = [new ScriptedHook('slow'), new ScriptedHook('next'), new ScriptedHook('flag', false)];
  slow.hold();
  const hooks = start(slow, next, flag);
  await hooks.rotated(hookEvent(), stop.signal);
  await new Promise(setImmediate);
  t.equal(flag.attempts.length, 1);
  t.equal(next.attempts.length, 0, 'one command at a time');
  slow.release();
  await hooks.settled();
  t.equal(next.attempts.length, 1);
});

t.test(
  'a failed hook is tried again for an hour, more and more slowly, and then left for the next rotation',
  async (t) => {
    const { start, stop, clock, owed, log } = host(t);
    const hook = new ScriptedHook('reload');
    hook.failures = 20;
    const hooks = start(hook);
    const began = clock.now();
    await hooks.rotated(hookEvent(), stop.signal);
    await hooks.settled();
    t.has(hooks.problems(), [
      {
        hook: 'reload',
        purpose: 'client',
        message: 'reload failed',
        remedy: '# Mend it.',
        since: began,
        attempts: 1,
        nextAttempt: new Date(began.getTime() + MINUTE / 2),
      },
    ]);
    const pauses: number[] = [];
    for (let i = 0; i < 8; i += 1) pauses.push(await clock.passSleep());
    await hooks.stopped();
    t.same(
      pauses.map((ms) => ms / MINUTE),
      [0.5, 1, 2, 4, 8, 15, 15, 15],
    );
    t.equal(hook.attempts.length, 9);
    t.match(hooks.problems(), [{ attempts: 9, nextAttempt: undefined, since: began }]);
    t.match(owed(), { client: { pending: ['reload'] } }, 'the next start tries again');
    const failed = log.lines.filter(({ event }) => event === 'Hook failed');
    t.ok(
      failed.every(({ fields }) => fields['code'] === 'ERR_HOOK'),
      'a failed hook had no code to look for',
    );
    const told = failed.map(({ level }) => level);
    t.equal(told.length, 9, 'every failure, for who looks closely');
    t.equal(told.filter((level) => level === 'warn').length, 4, 'at 0, 1.5, 7.5 and 30.5 minutes, for everybody');
  },
);

t.test('a hook that succeeds at last is no problem any more', async (t) => {
  const { start, stop, clock, owed } = host(t);
  const hook = new ScriptedHook('reload');
  hook.failures = 1;
  const hooks = start(hook);
  await hooks.rotated(hookEvent(), stop.signal);
  await hooks.settled();
  t.equal(hooks.problems().length, 1);
  await clock.passSleep();
  await hooks.stopped();
  t.same(hooks.problems(), []);
  t.match(owed(), { client: { pending: [] } });
});

t.test('a newer pair ends the wait for the older one', async (t) => {
  const { start, stop, clock, owed } = host(t);
  const hook = new ScriptedHook('reload');
  hook.failures = 1;
  const hooks = start(hook);
  await hooks.rotated(hookEvent('old.pem'), stop.signal);
  await hooks.settled();
  await clock.nextSleep();
  await hooks.rotated(hookEvent('new.pem'), stop.signal);
  await hooks.stopped();
  t.same(
    hook.attempts.map(({ pairPath }) => pairPath.split('/').at(-1)),
    ['old.pem', 'new.pem'],
  );
  t.match(owed(), { client: { pairPath: /new\.pem$/, pending: [] } });
  t.same(hooks.problems(), []);
});

t.test('a newer pair that wants nothing ends the wait for the older one, too, and says so', async (t) => {
  const { start, stop, clock, owed, log } = host(t);
  const hook = new ScriptedHook('restart');
  hook.failures = 1;
  const hooks = start(hook);
  await hooks.rotated(hookEvent('old.pem'), stop.signal);
  await hooks.settled();
  await clock.nextSleep();
  hook.wanted = false;
  await hooks.rotated({ ...hookEvent('new.pem'), cause: 'kubeconfig' }, stop.signal);
  t.equal(hooks.problems().length, 1, 'of its kubeconfig alone nothing is taken back');
  await hooks.rotated(hookEvent('new.pem'), stop.signal);
  await hooks.stopped();
  t.equal(hook.attempts.length, 1);
  t.match(owed(), { client: { pairPath: /new\.pem$/, pending: [] } });
  t.same(hooks.problems(), []);
  t.match(log.lines.at(-1), { event: 'Hook not wanted any more', fields: { hook: 'restart', purpose: 'client' } });
});

t.test('client and serving hooks do not replace each other', async (t) => {
  const { start, stop, owed } = host(t);
  const hook = new ScriptedHook('reload');
  const hooks = start(hook);
  await hooks.rotated(hookEvent('c.pem', 'client'), stop.signal);
  await hooks.rotated(hookEvent('s.pem', 'serving'), stop.signal);
  await hooks.settled();
  t.same(
    hook.attempts.map(({ purpose }) => purpose),
    ['client', 'serving'],
  );
  t.match(owed(), { client: { pairPath: /c\.pem$/ }, serving: { pairPath: /s\.pem$/ } });
});

t.test('certlet on a node that has pairs already runs no hook for them', async (t) => {
  const { start, stop } = host(t);
  const hook = new ScriptedHook('reload');
  const hooks = start(hook);
  await hooks.begin([hookEvent(), { ...hookEvent('', 'serving'), pairPath: undefined }], stop.signal);
  await hooks.settled();
  t.equal(hook.attempts.length, 0);
});

t.test('a crash between the swap and its hooks: the next start runs them', async (t) => {
  const { start, stop } = host(t);
  await start().begin([hookEvent('old.pem')], stop.signal);
  const hook = new ScriptedHook('reload');
  const hooks = start(hook);
  await hooks.begin([hookEvent('new.pem')], stop.signal);
  await hooks.settled();
  t.match(hook.attempts, [{ pairPath: /new\.pem$/ }]);
});

t.test('a crash between the first issuance and its hooks: the next start runs them', async (t) => {
  const { start, stop } = host(t);
  await start().begin([{ ...hookEvent(), pairPath: undefined }], stop.signal);
  const hook = new ScriptedHook('reload');
  const hooks = start(hook);
  await hooks.begin([hookEvent()], stop.signal);
  await hooks.settled();
  t.equal(hook.attempts.length, 1);
});

t.test('a stop in the middle of a hook: the next start runs it again, and only that one', async (t) => {
  const { start, stop, clock } = host(t);
  const [done, slow] = [new ScriptedHook('done'), new ScriptedHook('slow')];
  slow.hold();
  const first = start(done, slow);
  await first.rotated(hookEvent(), stop.signal);
  while (slow.attempts.length === 0) await new Promise(setImmediate);
  stop.abort();
  await first.stopped();
  t.same(first.problems(), [], 'stopping is no failure');
  const [doneAgain, slowAgain, added] = [new ScriptedHook('done'), new ScriptedHook('slow'), new ScriptedHook('added')];
  const second = start(doneAgain, slowAgain, added);
  await second.begin([hookEvent()], new AbortController().signal);
  await second.settled();
  t.same(
    [doneAgain, slowAgain, added].map((hook) => hook.attempts.length),
    [0, 1, 0],
  );
  t.ok(clock.now());
});

t.test('a hook that was struck from the settings is owed no more', async (t) => {
  const { start, stop, owed, stateDir } = host(t);
  const { pairPath } = hookEvent();
  writeFileSync(join(stateDir, 'hooks.json'), JSON.stringify({ client: { pairPath, pending: ['gone'] } }));
  const hook = new ScriptedHook('reload');
  const hooks = start(hook);
  await hooks.begin([hookEvent()], stop.signal);
  await hooks.settled();
  t.equal(hook.attempts.length, 0);
  t.ok(owed());
});

for (const row of [
  { name: 'cut short', text: '{"client":{"pairPa' },
  { name: 'no object', text: '7' },
  { name: 'fields of other types', text: '{"client":{"pairPath":7,"pending":"x"},"serving":[]}' },
]) {
  t.test(`a damaged record counts as none: ${row.name}`, async (t) => {
    const { start, stop, stateDir, owed } = host(t);
    writeFileSync(join(stateDir, 'hooks.json'), row.text);
    const hook = new ScriptedHook('reload');
    const hooks = start(hook);
    await hooks.begin([hookEvent()], stop.signal);
    await hooks.settled();
    t.equal(hook.attempts.length, 0);
    t.match(owed(), { client: { pairPath: hookEvent().pairPath } });
  });
}

t.test('a record that cannot be read or written is told, and the hooks run all the same', async (t) => {
  const { stop, clock, log } = host(t);
  const hook = new ScriptedHook('reload');
  const nowhere = new HookRecord(new NodeFileSystem(), join(t.testdir({ file: '' }), 'file'));
  const hooks = new RotationHooks({ hooks: [hook], clock, log, retryAfterMs: hookRetryMs, record: nowhere });
  await hooks.begin([hookEvent('old.pem')], stop.signal);
  await hooks.rotated(hookEvent('new.pem'), stop.signal);
  await hooks.settled();
  t.equal(hook.attempts.length, 1);
  t.ok(log.events().includes('hook record cannot be written'));
});

t.test('hook records were written into a cert-dir whose lock was lost', async (t) => {
  const stateDir = t.testdir({});
  const lost = new CertletError('ERR_STORE_DETACHED', 'the folder was moved');
  const faults: Error[] = [];
  const record = new HookRecord(new NodeFileSystem(), stateDir, async () => {
    for (const fault of faults) throw fault;
  });
  await record.set('client', { pairPath: '/a', pending: ['x'] });
  const before = readFileSync(join(stateDir, 'hooks.json'), 'utf8');
  faults.push(lost);
  await t.rejects(record.set('client', { pairPath: '/b', pending: [] }), lost);
  await t.rejects(
    record.strike('client', '/b', 'y').then(() => record.set('serving', { pairPath: '/c', pending: [] })),
    lost,
  );
  t.equal(readFileSync(join(stateDir, 'hooks.json'), 'utf8'), before);
});

t.test(
  'killed between a swap and the end of its hooks: the next start runs those that were not struck off',
  async (t) => {
    const { start, stop, owed } = host(t);
    const [first, second] = [new ScriptedHook('first'), new ScriptedHook('second')];
    second.failures = 9;
    const hooks = start(first, second);
    await hooks.begin([hookEvent('old.pem')], stop.signal);
    first.failures = 9;
    await hooks.rotated(hookEvent('new.pem'), stop.signal);
    await hooks.settled();
    t.match(
      owed(),
      { client: { pairPath: /old\.pem$/ } },
      'nothing is written for what the next start finds by itself',
    );
    first.failures = 0;
    const again = start(first, second);
    await again.begin([hookEvent('new.pem')], stop.signal);
    await again.settled();
    t.match(owed(), { client: { pairPath: /new\.pem$/, pending: ['second'] } });
    second.failures = 0;
    const third = start(first, second);
    await third.begin([hookEvent('new.pem')], stop.signal);
    await third.settled();
    t.match(owed(), { client: { pending: [] } });
    t.equal(first.attempts.length, 2, 'once in vain, once with success, and not a third time');
  },
);

t.test(
  'a kubeconfig that changed for a pair that stayed: its program is told, and what was owed stays owed',
  async (t) => {
    const machine = host(t);
    const [reload, failing] = [new ScriptedHook('reload'), new ScriptedHook('failing')];
    failing.failures = 1;
    machine.kubeconfig = 'k1';
    const hooks = machine.start(reload, failing);
    const event = hookEvent();
    await hooks.rotated(event, machine.stop.signal);
    await hooks.settled();
    failing.wanted = false;
    machine.kubeconfig = 'k2';
    await hooks.rotated({ ...event, cause: 'kubeconfig' }, machine.stop.signal);
    await hooks.settled();
    t.equal(reload.attempts.length, 2);
    t.same(machine.owed(), { client: { pairPath: event.pairPath, pending: ['failing'], kubeconfig: 'k2' } });
    reload.wanted = false;
    machine.kubeconfig = 'k3';
    await hooks.rotated({ ...event, cause: 'kubeconfig' }, machine.stop.signal);
    t.match(machine.owed(), { client: { kubeconfig: 'k2' } }, 'of what nobody wants to know nothing is noted');
  },
);

t.test('a crash between the write of a kubeconfig and the word of it: the next start tells, once', async (t) => {
  const machine = host(t);
  const event = hookEvent();
  const first = machine.start(new ScriptedHook('reload'));
  await first.rotated(event, machine.stop.signal);
  await first.settled();
  const started = async (): Promise<number> => {
    const reload = new ScriptedHook('reload');
    const hooks = machine.start(reload);
    await hooks.begin([event], machine.stop.signal);
    await hooks.settled();
    return reload.attempts.length;
  };
  machine.kubeconfig = 'k1';
  t.equal(await started(), 0, 'an earlier version noted nothing: that is no change');
  t.equal(await started(), 0);
  machine.kubeconfig = 'k2';
  t.equal(await started(), 1);
  t.equal(await started(), 0);
  machine.kubeconfig = undefined;
  t.equal(await started(), 0, 'what cannot be read is no change');
});
