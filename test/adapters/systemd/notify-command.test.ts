import t from 'tap';
import { NotifyCommand } from '../../../src/adapters/systemd/notify-command.ts';

/** Records what would be spawned; each call ends when the test says so. */
class RecordingSpawner {
  readonly calls: (readonly string[])[] = [];
  readonly #ends: ((succeeded: boolean) => void)[] = [];

  readonly spawn = (args: readonly string[], done: (succeeded: boolean) => void): void => {
    this.calls.push(args);
    this.#ends.push(done);
  };

  end(succeeded: boolean): void {
    this.#ends.shift()?.(succeeded);
  }
}

t.test('one process at a time, and what waits goes out together in order', async (t) => {
  const spawner = new RecordingSpawner();
  const command = new NotifyCommand(spawner.spawn);
  command.send(['READY=1', 'STATUS=a']);
  command.send(['STATUS=b']);
  command.send(['WATCHDOG=1']);
  t.same(spawner.calls, [['--no-block', 'READY=1', 'STATUS=a']]);
  spawner.end(true);
  t.same(spawner.calls[1], ['--no-block', 'STATUS=b', 'WATCHDOG=1']);
  spawner.end(true);
  t.equal(spawner.calls.length, 2, 'nothing waits, nothing is spawned');
});

t.test('a queue does not grow while a process hangs: the last value of each name counts', async (t) => {
  const spawner = new RecordingSpawner();
  const command = new NotifyCommand(spawner.spawn);
  command.send(['READY=1']);
  for (let i = 0; i < 100; i += 1) command.send([`STATUS=${String(i)}`]);
  command.send(['WATCHDOG=1']);
  command.send(['WATCHDOG=1']);
  spawner.end(true);
  t.same(spawner.calls[1], ['--no-block', 'STATUS=99', 'WATCHDOG=1']);
});

t.test('a reload that is over before its start was told is not told: the unit would stay reloading', async (t) => {
  const spawner = new RecordingSpawner();
  const command = new NotifyCommand(spawner.spawn);
  command.send(['STATUS=busy']);
  command.send(['RELOADING=1', 'MONOTONIC_USEC=5']);
  command.send(['READY=1', 'STATUS=done']);
  spawner.end(true);
  t.same(spawner.calls[1], ['--no-block', 'READY=1', 'STATUS=done']);
});

t.test('an old systemd-notify without --no-block gets the message again without it', async (t) => {
  const spawner = new RecordingSpawner();
  const command = new NotifyCommand(spawner.spawn);
  command.send(['READY=1', 'STATUS=a']);
  command.send(['STATUS=b']);
  spawner.end(false);
  t.same(spawner.calls[1], ['READY=1', 'STATUS=b'], 'the newer status won');
  spawner.end(false);
  t.equal(spawner.calls.length, 2, 'no endless repetition');
  command.send(['WATCHDOG=1']);
  t.same(spawner.calls[2], ['WATCHDOG=1']);
});

t.test('the last message of a process does not wait', async (t) => {
  const spawner = new RecordingSpawner();
  const command = new NotifyCommand(spawner.spawn);
  command.send(['READY=1']);
  command.send(['STATUS=b']);
  command.sendNow(['STOPPING=1']);
  t.same(spawner.calls[1], ['--no-block', 'STATUS=b', 'STOPPING=1']);
});
