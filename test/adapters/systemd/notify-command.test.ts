import t from 'tap';
import { NotifyCommand } from '../../../src/adapters/systemd/notify-command.ts';

/** Records what would be spawned; each call ends when the test says so. */
class RecordingSpawner {
  readonly calls: (readonly string[])[] = [];
  readonly #ends: (() => void)[] = [];

  readonly spawn = (lines: readonly string[], done: () => void): void => {
    this.calls.push(lines);
    this.#ends.push(done);
  };

  /** The oldest child that has not ended yet ends, and says so this often. */
  end(times = 1): void {
    const done = this.#ends.shift();
    for (let i = 0; i < times; i += 1) done?.();
  }
}

t.test('one process at a time, and what waits goes out together in order', async (t) => {
  const spawner = new RecordingSpawner();
  const command = new NotifyCommand(spawner.spawn);
  command.send(['READY=1', 'STATUS=a']);
  command.send(['STATUS=b']);
  command.send(['WATCHDOG=1']);
  t.same(spawner.calls, [['READY=1', 'STATUS=a']]);
  spawner.end();
  t.same(spawner.calls[1], ['STATUS=b', 'WATCHDOG=1']);
  spawner.end();
  t.equal(spawner.calls.length, 2, 'nothing waits, nothing is spawned');
});

t.test('a queue does not grow while a process hangs: the last value of each name counts', async (t) => {
  const spawner = new RecordingSpawner();
  const command = new NotifyCommand(spawner.spawn);
  command.send(['READY=1']);
  for (let i = 0; i < 100; i += 1) command.send([`STATUS=${String(i)}`]);
  command.send(['WATCHDOG=1']);
  command.send(['WATCHDOG=1']);
  spawner.end();
  t.same(spawner.calls[1], ['STATUS=99', 'WATCHDOG=1']);
});

t.test('a reload that is over before its start was told is not told: the unit would stay reloading', async (t) => {
  const spawner = new RecordingSpawner();
  const command = new NotifyCommand(spawner.spawn);
  command.send(['STATUS=busy']);
  command.send(['RELOADING=1', 'MONOTONIC_USEC=5']);
  command.send(['READY=1', 'STATUS=done']);
  spawner.end();
  t.same(spawner.calls[1], ['READY=1', 'STATUS=done']);
});

t.test(
  'a child that reports its end twice, as one that cannot be started may, starts the next message once',
  async (t) => {
    const spawner = new RecordingSpawner();
    const command = new NotifyCommand(spawner.spawn);
    command.send(['READY=1']);
    command.send(['STATUS=b']);
    spawner.end(2);
    t.same(spawner.calls, [['READY=1'], ['STATUS=b']]);
    command.send(['WATCHDOG=1']);
    t.equal(spawner.calls.length, 2, 'the second is still on its way');
  },
);

t.test('the last message of a process does not wait', async (t) => {
  const spawner = new RecordingSpawner();
  const command = new NotifyCommand(spawner.spawn);
  command.send(['READY=1']);
  command.send(['STATUS=b']);
  command.sendNow(['STOPPING=1']);
  t.same(spawner.calls[1], ['STATUS=b', 'STOPPING=1']);
});
