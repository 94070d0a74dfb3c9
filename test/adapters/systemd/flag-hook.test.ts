import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { NodeFileSystem } from '../../../src/adapters/file-system.ts';
import { createRotationHooks } from '../../../src/adapters/hooks/create-rotation-hooks.ts';
import { privilegedHook, reloadHook, restartFlag } from '../../../src/adapters/systemd/flag-hook.ts';
import { hookEvent, ManualClock, proofOf, RecordingLogger } from '../hooks/hook-fakes.ts';

const never = new AbortController().signal;

function flags(t: Test) {
  const runtimeDir = t.testdir();
  const clock = new ManualClock();
  const host = { fs: new NodeFileSystem(), clock, runtimeDir };
  return {
    clock,
    host,
    runtimeDir,
    flagFile: join(runtimeDir, 'restart-kubelet'),
    flag: restartFlag(host),
  };
}

t.test('the restart flag is raised with the name of the certificate, and waited for until it is taken', async (t) => {
  const { clock, flag, flagFile } = flags(t);
  await flag.raise('client');
  t.equal(readFileSync(flagFile, 'utf8'), 'client\n');
  const taken = flag.taken(never);
  await clock.nextSleep();
  rmSync(flagFile);
  await clock.passSleep();
  await taken;
});

t.test('a flag that nobody takes within a minute is a failure that names the path unit', async (t) => {
  const { clock, flag, flagFile } = flags(t);
  await flag.raise('client');
  const run = flag.taken(never);
  run.catch(() => undefined);
  let waitedMs = 0;
  while (waitedMs < 60_000) waitedMs += await clock.passSleep();
  await t.rejects(run, {
    code: 'ERR_HOOK',
    message: `the flag ${flagFile} was not taken within 60 s: certlet-kubelet-restart.path does not run`,
    remedy: /reset-failed certlet-kubelet-restart\.path/,
  });
  t.ok(existsSync(flagFile), 'it goes on standing');
});

t.test('a command that ends is less patient', async (t) => {
  const { clock, host } = flags(t);
  const flag = restartFlag({ ...host, patienceMs: 1_000 });
  await flag.raise('client');
  const run = flag.taken(never);
  run.catch(() => undefined);
  t.equal((await clock.passSleep()) + (await clock.passSleep()), 1_000);
  await t.rejects(run, { code: 'ERR_HOOK', message: /within 1 s/ });
});

for (const row of [
  {
    name: 'not installed',
    tree: {},
    waitedMs: 2_000,
    message: /within 2 s: certlet-kubelet-restart\.path is not enabled/,
  },
  {
    name: 'installed and not enabled',
    tree: { 'certlet-kubelet-restart.path': '', 'multi-user.target.wants': { 'certlet.service': '' } },
    waitedMs: 2_000,
    message: /is not enabled/,
  },
  {
    name: 'enabled',
    tree: { 'multi-user.target.wants': { 'certlet-kubelet-restart.path': '' } },
    waitedMs: 10_000,
    message: /within 10 s: certlet-kubelet-restart\.path does not run/,
  },
  {
    name: 'enabled for a unit that requires it',
    tree: { 'kubelet.service.requires': { 'certlet-kubelet-restart.path': '' } },
    waitedMs: 10_000,
    message: /does not run/,
  },
]) {
  t.test(`once waits ${String(row.waitedMs)} ms for the flag where the path unit is ${row.name}`, async (t) => {
    const { clock, host, runtimeDir } = flags(t);
    const units = t.testdir({ etc: row.tree });
    mkdirSync(runtimeDir, { recursive: true });
    const unitFolders = [join(units, 'missing'), join(units, 'etc')];
    const flag = restartFlag({ ...host, patienceMs: 10_000, unitFolders });
    await flag.raise('client');
    const run = flag.taken(never);
    run.catch(() => undefined);
    let waitedMs = 0;
    while (waitedMs < row.waitedMs) waitedMs += await clock.passSleep();
    t.equal(waitedMs, row.waitedMs);
    await t.rejects(run, { code: 'ERR_HOOK', message: row.message });
  });
}

t.test('a flag that is taken at once counts, whether or not the unit is enabled', async (t) => {
  const { clock, host, flagFile } = flags(t);
  const flag = restartFlag({ ...host, patienceMs: 10_000, unitFolders: [] });
  await flag.raise('client');
  const run = flag.taken(never);
  await clock.nextSleep();
  rmSync(flagFile);
  await clock.passSleep();
  await run;
});

t.test('a privileged hook is done only when its flag was taken', async (t) => {
  const { clock, host, runtimeDir } = flags(t);
  const hook = privilegedHook(host, 'reload-nginx');
  t.equal(hook.reasons(hookEvent()).length, 1);
  let done = false;
  const run = hook.run(hookEvent(), 1, async () => void (done = true), never);
  await clock.passSleep();
  await clock.nextSleep();
  t.notOk(done);
  rmSync(join(runtimeDir, 'hooks/reload-nginx'));
  await clock.passSleep();
  await run;
});

t.test('a runtime folder that cannot be written is a failure with a remedy', async (t) => {
  const { clock, host } = flags(t);
  const nowhere = { ...host, runtimeDir: '/proc/nowhere', clock };
  const failure = { code: /^ERR_/, remedy: /./ };
  await t.rejects(restartFlag(nowhere).raise('client'), failure);
  await t.rejects(
    privilegedHook(nowhere, 'x').run(hookEvent(), 1, async () => undefined, never),
    failure,
  );
});

t.test(
  'the flag of an entry that the settings do not name any more reloaded its unit the day that somebody enabled it',
  async (t) => {
    const { host, runtimeDir, flagFile } = flags(t);
    const log = new RecordingLogger();
    const stateDir = join(runtimeDir, 'state');
    const of = (reloads: readonly string[], privileged: readonly string[]) =>
      createRotationHooks({
        ...host,
        log,
        stateDir,
        retryAfterMs: () => undefined,
        kubelet: { unit: 'kubelet.service', plan: () => ({ kind: 'none' }) },
        proof: proofOf(host.clock, log),
        commands: [],
        privileged,
        reloads,
      });
    await of(['kube-proxy'], []).begin([], never);
    t.strictSame(log.events(), [], 'a host without flags');
    for (const kind of ['reload', 'hooks']) {
      mkdirSync(join(runtimeDir, kind));
      for (const name of ['kept', 'dropped']) writeFileSync(join(runtimeDir, kind, name), 'client\n');
    }
    writeFileSync(flagFile, 'client\n');
    await of(['kept'], ['kept']).begin([], never);
    for (const kind of ['reload', 'hooks']) t.strictSame(readdirSync(join(runtimeDir, kind)), ['kept'], kind);
    t.ok(existsSync(flagFile), 'that of the kubelet is of no entry');
    t.equal(
      log.events().filter((event) => event === 'Removed a flag that the settings do not name any more').length,
      2,
    );
  },
);

t.test('a flag that cannot be removed is told, and the hooks go on', async (t) => {
  const { host, runtimeDir } = flags(t);
  const log = new RecordingLogger();
  mkdirSync(join(runtimeDir, 'reload/a-folder'), { recursive: true });
  const hooks = createRotationHooks({
    ...host,
    log,
    stateDir: join(runtimeDir, 'state'),
    retryAfterMs: () => undefined,
    kubelet: { unit: 'kubelet.service', plan: () => ({ kind: 'none' }) },
    proof: proofOf(host.clock, log),
    commands: [],
    privileged: [],
    reloads: [],
  });
  await hooks.begin([], never);
  t.strictSame(log.events(), ['A flag of the settings before cannot be removed']);
});

t.test('createRotationHooks: flags and commands of a host together', async (t) => {
  const { clock, host, runtimeDir, flagFile } = flags(t);
  const stateDir = join(runtimeDir, 'state');
  mkdirSync(stateDir);
  const log = new RecordingLogger();
  const hooks = createRotationHooks({
    ...host,
    log,
    stateDir,
    retryAfterMs: () => undefined,
    kubelet: {
      unit: 'kubelet.service',
      plan: ({ purpose }) =>
        purpose === 'client' ? { kind: 'restart', reason: 'old kubelet', prove: false } : { kind: 'none' },
    },
    proof: proofOf(clock, log),
    commands: [{ name: 'tell', command: ['/bin/echo', 'hello'], on: ['client', 'serving'], timeoutMs: 10_000 }],
    privileged: ['copy'],
    reloads: [],
  });
  const stop = new AbortController();
  await hooks.rotated(hookEvent(), stop.signal);
  await clock.sleeping(2);
  while (!log.events().includes('Hook output') || !existsSync(join(runtimeDir, 'hooks/copy')))
    await new Promise(setImmediate);
  t.ok(existsSync(flagFile));
  rmSync(flagFile);
  rmSync(join(runtimeDir, 'hooks/copy'));
  clock.advance(300);
  await hooks.settled();
  await hooks.stopped();
  t.same(hooks.problems(), []);
  t.match(JSON.parse(readFileSync(join(stateDir, 'hooks.json'), 'utf8')), { client: { pending: [] } });
});

/** What the service of a flag writes; `run` is another one each time. */
function writeResult(runtimeDir: string, name: string, fields: Readonly<Record<string, string>>): void {
  mkdirSync(join(runtimeDir, 'results'), { recursive: true });
  const all = { Phase: 'ended', Run: '1', Service: 'success', Unit: 'kubelet.service', LoadState: 'loaded', ...fields };
  const lines = Object.entries(all).map(([key, value]) => `${key}=${value}\n`);
  writeFileSync(join(runtimeDir, 'results', name), lines.join(''));
}

/** Lets so much time pass while `run` waits. */
async function pass(clock: ManualClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; ) passed += await clock.passSleep();
}

t.test('a restart of a unit that does not exist was reported as done once its flag was gone', async (t) => {
  const { clock, flag, flagFile, runtimeDir } = flags(t);
  await flag.raise('client');
  const run = flag.taken(never);
  run.catch(() => undefined);
  await clock.nextSleep();
  writeResult(runtimeDir, 'restart-kubelet', { Phase: 'running', LoadState: 'loaded' });
  rmSync(flagFile);
  await clock.passSleep();
  await clock.nextSleep();
  writeResult(runtimeDir, 'restart-kubelet', { Service: 'exit-code', LoadState: 'not-found' });
  await clock.passSleep();
  await t.rejects(run, { code: 'ERR_HOOK', reason: 'in vain', message: /^kubelet\.service .*not-found/, remedy: /./ });
});

t.test('a restart counts as done with its result, and not while it is under way', async (t) => {
  const { clock, flag, flagFile, runtimeDir } = flags(t);
  await flag.raise('client');
  let done = false;
  const run = flag.taken(never).then(() => (done = true));
  await clock.nextSleep();
  writeResult(runtimeDir, 'restart-kubelet', { Phase: 'running' });
  rmSync(flagFile);
  await pass(clock, 20_000);
  await clock.nextSleep();
  t.notOk(done);
  writeResult(runtimeDir, 'restart-kubelet', {});
  await clock.passSleep();
  await run;
});

t.test('a result of an earlier flag says nothing of this one, whose service writes none', async (t) => {
  const { clock, flag, flagFile, runtimeDir } = flags(t);
  writeResult(runtimeDir, 'restart-kubelet', { LoadState: 'masked' });
  await flag.raise('client');
  const run = flag.taken(never);
  await clock.nextSleep();
  rmSync(flagFile);
  await clock.passSleep();
  await run;
});

t.test('a restart that comes to no end is told as that', async (t) => {
  const { clock, flag, flagFile, runtimeDir } = flags(t);
  await flag.raise('client');
  const run = flag.taken(never);
  run.catch(() => undefined);
  await clock.nextSleep();
  writeResult(runtimeDir, 'restart-kubelet', { Phase: 'running' });
  rmSync(flagFile);
  await pass(clock, 150_300);
  await t.rejects(run, { message: 'certlet-kubelet-restart.service has not come to an end within 150 s' });
});

t.test('the pause of the service was told as a path unit that does not run', async (t) => {
  const { clock, host, runtimeDir, flagFile } = flags(t);
  const flag = restartFlag({ ...host, patienceMs: 10_000 });
  writeResult(runtimeDir, 'restart-kubelet', { Service: 'exit-code' });
  await flag.raise('client');
  const run = flag.taken(never);
  await pass(clock, 20_000);
  await clock.nextSleep();
  writeResult(runtimeDir, 'restart-kubelet', { Run: '2' });
  rmSync(flagFile);
  await clock.passSleep();
  await run;
});

for (const row of [
  {
    name: 'cannot be removed',
    first: { Run: '2', Service: 'exit-code' },
    message: /restart\.service failed \(exit-code\)$/,
  },
  {
    name: 'waits for a restart that hangs',
    first: { Phase: 'running' },
    message: /restart\.service has not come to an end$/,
  },
  { name: 'nobody takes after an earlier success', first: {}, message: /restart\.path does not run$/ },
]) {
  t.test(`a flag that ${row.name} names its unit's own fault`, async (t) => {
    const { clock, flag, runtimeDir } = flags(t);
    await flag.raise('client');
    writeResult(runtimeDir, 'restart-kubelet', row.first);
    const ended = new AbortController();
    const run = flag.taken(never).finally(() => ended.abort());
    run.catch(() => undefined);
    for (; !ended.signal.aborted; await new Promise(setImmediate)) clock.advance(clock.untilNextMs ?? 0);
    await t.rejects(run, { code: 'ERR_HOOK', message: row.message, remedy: /^systemctl / });
  });
}

t.test('a reload and a privileged hook that came to nothing are asked for again', async (t) => {
  const { clock, host, runtimeDir } = flags(t);
  for (const [hook, file, name] of [
    [privilegedHook(host, 'x'), 'hooks/x', 'hook-x'],
    [reloadHook(host, 'x'), 'reload/x', 'reload-x'],
  ] as const) {
    const event = hookEvent();
    for (const [run, service] of [
      ['1', 'exit-code'],
      ['2', 'success'],
    ] as const) {
      const attempt = hook.run(event, 1, async () => undefined, never);
      attempt.catch(() => undefined);
      await clock.nextSleep();
      t.ok(existsSync(join(runtimeDir, file)), 'the flag is raised');
      writeResult(runtimeDir, name, { Run: run, Service: service, Unit: 'x.service' });
      rmSync(join(runtimeDir, file));
      await clock.passSleep();
      if (service === 'success') await attempt;
      else await t.rejects(attempt, { code: 'ERR_HOOK', message: /x\.service could not be .*exit-code/ });
    }
  }
});
