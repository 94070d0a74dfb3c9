import t from 'tap';
import { startWatchdog } from '../../../src/adapters/systemd/watchdog.ts';
import type { ServiceNotifier } from '../../../src/ports.ts';

function notifier(fed: () => void): ServiceNotifier {
  const ignore = (): void => undefined;
  return { ready: ignore, reloading: ignore, stopping: ignore, status: ignore, watchdog: fed };
}

t.test('fed while the loop lives, not while it hangs, and not after the end', async (t) => {
  let alive = true;
  let fed = 0;
  const first = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const stop = startWatchdog(
    notifier(() => {
      fed += 1;
      alive = false;
      first.resolve();
    }),
    1,
    () => {
      if (!alive) asked.resolve();
      return alive;
    },
  );
  // The timer alone keeps no process up.
  const hold = setInterval(() => undefined, 1_000);
  await first.promise;
  await asked.promise;
  stop();
  clearInterval(hold);
  t.equal(fed, 1, 'a loop that hangs starves it');
});

t.test('a unit without WatchdogSec is fed nothing', async (t) => {
  const stop = startWatchdog(
    notifier(() => t.fail('fed')),
    undefined,
    () => {
      throw new Error('nobody asks');
    },
  );
  stop();
  t.pass();
});
