import t from 'tap';
import { dropIn, messages, noLab, reset, run, show, start, until, untilFed, untilSaid } from './fixtures/lab.ts';

t.test('a daemon that hangs is killed and comes back', { skip: noLab }, async (t) => {
  await reset();
  dropIn('certlet.service', 'fast', '[Service]\nWatchdogSec=4s\nRestartSec=100ms\n');
  start('certlet');
  const pid = show('certlet', 'MainPID');
  await untilFed('certlet', 4000);
  t.equal(show('certlet', 'MainPID'), pid, 'a daemon that lives is left alone');
  t.equal(show('certlet', 'NRestarts'), '0');
  run('systemctl', 'kill', '--signal=STOP', '--kill-who=main', 'certlet');
  await until('a restart', () => show('certlet', 'NRestarts') === '1');
  await until('to be ready again', () => show('certlet', 'ActiveState') === 'active');
  t.not(show('certlet', 'MainPID'), pid);
  await untilSaid('certlet', 'Watchdog timeout');
  t.notOk(
    messages('certlet').some((line) => line.includes('dumped core')),
    'no core dump, it would hold keys',
  );
});

t.test('the limits of the unit are real', { skip: noLab }, async (t) => {
  await reset();
  start('certlet');
  t.equal(show('certlet', 'WatchdogUSec'), '3min');
  t.equal(show('certlet', 'MemoryMax'), String(256 * 1024 * 1024));
  t.equal(show('certlet', 'LimitCORE'), '0');
  const used = show('certlet', 'MemoryCurrent');
  t.ok(used === '[not set]' || Number(used) < 128 * 1024 * 1024, `memory in use: ${used}`);
});
