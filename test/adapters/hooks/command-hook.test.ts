import t from 'tap';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandHook } from '../../../src/adapters/hooks/command-hook.ts';
import { runCommand } from '../../../src/adapters/hooks/command-process.ts';
import { isCertletError } from '../../../src/errors.ts';
import { hookEvent, RecordingLogger } from './hook-fakes.ts';

const never = new AbortController().signal;
const nothing = async (): Promise<void> => undefined;
const hook = (log: RecordingLogger, command: readonly string[], timeoutMs = 20_000) =>
  commandHook({ name: 'test', command, on: ['client'], timeoutMs }, log);

/** Whether a process lives; a zombie that its parent has not yet collected does not. */
function lives(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${String(pid)}/status`, 'utf8'));
  } catch {
    return false;
  }
}

t.test('the command gets its arguments as they are and nothing but the documented environment', async (t) => {
  const log = new RecordingLogger();
  const event = hookEvent();
  await hook(log, ['/bin/sh', '-c', 'printf "%s\\n" "$1"; env | sort', 'sh', 'a b; $(c) *']).run(
    event,
    1,
    nothing,
    never,
  );
  const lines = log.lines.map(({ fields }) => String(fields['line']));
  t.equal(lines[0], 'a b; $(c) *');
  t.same(
    lines.slice(1).filter((line) => /^(CERTLET_|LANG|PATH)/.test(line)),
    [
      'CERTLET_CERTIFICATE=client',
      'CERTLET_CERT_FILE=/var/lib/kubelet/pki/kubelet-client-current.pem',
      'CERTLET_KUBECONFIG=/etc/kubernetes/kubelet.conf',
      `CERTLET_PAIR_FILE=${event.pairPath}`,
      'CERTLET_PURPOSE=client',
      'LANG=C.UTF-8',
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ],
  );
  t.notOk(
    lines.some((line) => line.startsWith('HOME=')),
    'nothing of the service itself',
  );
});

t.test('output goes to the log line by line, with its stream, cut to a sane size', async (t) => {
  const log = new RecordingLogger();
  const script = 'echo out; echo err >&2; head -c 5000 /dev/zero | tr "\\0" x; echo; seq 1000';
  await hook(log, ['/bin/sh', '-c', script]).run(hookEvent(), 1, nothing, never);
  t.match(
    log.lines.find(({ fields }) => fields['stream'] === 'stderr'),
    {
      level: 'info',
      event: 'Hook output',
      fields: { hook: 'test', line: 'err' },
    },
  );
  const out = log.lines
    .filter(({ fields }) => fields['stream'] === 'stdout')
    .map(({ fields }) => String(fields['line']));
  t.equal(out[0], 'out');
  t.equal(out[1]?.length, 1000);
  t.equal(out.length, 201);
  t.equal(out.at(-1), 'more output is left out');
});

t.test('a last line without an end is told too', async (t) => {
  const log = new RecordingLogger();
  await hook(log, ['/bin/sh', '-c', 'printf "one\\ntwo"']).run(hookEvent(), 1, nothing, never);
  const told = log.lines.map(({ fields }) => fields['line']).filter((line) => line !== undefined);
  t.strictSame(told, ['one', 'two']);
});

for (const row of [
  { name: 'an exit code', command: ['/bin/sh', '-c', 'exit 3'], message: 'hook test ended with exit code 3' },
  { name: 'a signal', command: ['/bin/sh', '-c', 'kill -9 $$'], message: 'hook test was killed by SIGKILL' },
  { name: 'no such program', command: ['/nowhere/x'], message: /^hook test could not be started: .*ENOENT/ },
]) {
  t.test(`a failure is told with what happened: ${row.name}`, async (t) => {
    const failure = hook(new RecordingLogger(), row.command).run(hookEvent(), 1, nothing, never);
    await t.rejects(failure, {
      code: 'ERR_HOOK',
      message: row.message,
      remedy: /^env -i .*CERTLET_PURPOSE=client.* sh {3}# .*run the command of the hook test /,
    });
  });
}

t.test('at the time limit the whole process group is ended, also what ignores the request', async (t) => {
  const pids = join(t.testdir(), 'pids');
  const script = `trap "" TERM; sh -c 'trap "" TERM; while :; do sleep 60; done' & echo $! $$ > ${pids}; wait; while :; do sleep 60; done`;
  const command = ['/bin/sh', '-c', script];
  const request = { command, env: { PATH: '/usr/bin:/bin' }, timeoutMs: 150, graceMs: 10, onLine: () => undefined };
  t.same(await runCommand(request, never), { kind: 'timedOut' });
  const started = readFileSync(pids, 'utf8').trim().split(' ').map(Number);
  t.equal(started.length, 2);
  while (started.some((pid) => lives(pid))) await new Promise(setImmediate);
  t.pass('none is left');
});

t.test('a time limit is told', async (t) => {
  const failure = hook(new RecordingLogger(), ['/bin/sleep', '60'], 20).run(hookEvent(), 1, nothing, never);
  await t.rejects(failure, { code: 'ERR_HOOK', message: 'hook test was ended after 0.02 s, its time limit' });
});

t.test('a stop of certlet ends the command', async (t) => {
  const stop = new AbortController();
  const log = new RecordingLogger();
  const failure = hook(log, ['/bin/sh', '-c', 'echo up; exec sleep 60']).run(hookEvent(), 1, nothing, stop.signal);
  failure.catch(() => undefined);
  while (log.lines.length === 0) await new Promise(setImmediate);
  stop.abort();
  const error: unknown = await failure.catch((thrown: unknown) => thrown);
  t.ok(isCertletError(error, 'ERR_HOOK'));
  t.match(error, { message: 'hook test was ended because certlet stops' });
});

t.test('a stopped certlet starts no command', async (t) => {
  const log = new RecordingLogger();
  await t.rejects(hook(log, ['/bin/echo', 'x']).run(hookEvent(), 1, nothing, AbortSignal.abort()), {
    code: 'ERR_HOOK',
  });
  t.same(log.lines, []);
});

t.test('a command that leaves a child with its output open is done when it has ended itself', async (t) => {
  const pid = join(t.testdir(), 'pid');
  const log = new RecordingLogger();
  await hook(log, ['/bin/sh', '-c', `sleep 60 & echo $! > ${pid}; echo told`]).run(hookEvent(), 1, nothing, never);
  t.match(log.lines, [{ fields: { line: 'told' } }]);
  process.kill(Number(readFileSync(pid, 'utf8')), 'SIGKILL');
});

t.test('a command runs only after rotations of its purposes', async (t) => {
  const command = hook(new RecordingLogger(), ['/bin/true']);
  t.equal(command.reasons(hookEvent()).length, 1);
  t.same(command.reasons(hookEvent('s.pem', 'serving')), []);
});
