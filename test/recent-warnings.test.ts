import t from 'tap';
import type { LevelledLogger } from '../src/adapters/log/logger.ts';
import { RecentWarnings } from '../src/recent-warnings.ts';

const silent: LevelledLogger = { log: () => undefined, level: () => 'info', setLevel: () => undefined };

t.test('the last three warnings, the same one once with how often it came', async (t) => {
  let now = 0;
  const log = new RecentWarnings(silent, () => new Date(now++ * 1000));
  log.log('warn', 'A', { purpose: 'client', code: 'ERR_TIMEOUT' });
  log.log('info', 'not a warning');
  log.log('error', 'B');
  log.log('warn', 'A', { purpose: 'serving', code: 'ERR_TIMEOUT' });
  log.log('warn', 'A', { purpose: 'client', code: 'ERR_TIMEOUT' });
  log.log('warn', 'C');
  t.strictSame(log.last, [
    { at: '1970-01-01T00:00:02Z', level: 'warn', event: 'A', purpose: 'serving', code: 'ERR_TIMEOUT', times: 1 },
    { at: '1970-01-01T00:00:03Z', level: 'warn', event: 'A', purpose: 'client', code: 'ERR_TIMEOUT', times: 2 },
    { at: '1970-01-01T00:00:04Z', level: 'warn', event: 'C', times: 1 },
  ]);
});

t.test('a trouble that goes on at debug looked old, and as if it had come once', async (t) => {
  let now = 0;
  const log = new RecentWarnings(silent, () => new Date(now++ * 1000));
  log.log('error', 'A', { code: 'ERR_TIMEOUT' });
  log.log('debug', 'A', { code: 'ERR_TIMEOUT' });
  log.log('debug', 'never a warning', { code: 'ERR_TIMEOUT' });
  t.strictSame(log.last, [{ at: '1970-01-01T00:00:01Z', level: 'error', event: 'A', code: 'ERR_TIMEOUT', times: 2 }]);
});

t.test('nothing that a plugin or a server said gets into the status, which everybody may read', async (t) => {
  const log = new RecentWarnings(silent, () => new Date(0));
  log.log('warn', 'Exec plugin failed, and said', {
    plugin: '/bin/x --key hunter2',
    text: 'hunter2',
    error: 'hunter2',
  });
  t.notMatch(JSON.stringify(log.last), /hunter2/);
});
