import t from 'tap';
import { earlyReloads } from '../../src/cli/early-reloads.ts';

function signals() {
  const listeners = new Set<() => void>();
  const onReload = (listener: () => void): (() => void) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  };
  return { listeners, onReload, send: () => listeners.forEach((listener) => listener()) };
}

t.test('a SIGHUP between the first line and the daemon ended the service', async (t) => {
  const { listeners, onReload, send } = signals();
  const early = earlyReloads(onReload);
  t.equal(listeners.size, 1, 'without a listener the signal ends the process');
  send();
  let reloads = 0;
  const undo = early(() => void (reloads += 1));
  t.equal(reloads, 1, 'what came before is not lost');
  send();
  t.equal(reloads, 2);
  t.equal(listeners.size, 1);
  undo();
  t.equal(listeners.size, 0);
});

t.test('none came, none is given', async (t) => {
  const { onReload } = signals();
  earlyReloads(onReload)(() => t.fail('nobody asked'));
});
