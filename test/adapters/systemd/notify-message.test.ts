import t from 'tap';
import {
  readyLines,
  reloadingLines,
  statusLine,
  watchdogIntervalMs,
} from '../../../src/adapters/systemd/notify-message.ts';

for (const row of [
  { name: 'plain text stays as it is', text: 'client until 2027-01-03', line: 'STATUS=client until 2027-01-03' },
  { name: 'a line break cannot start another assignment', text: 'a\nREADY=1', line: 'STATUS=a; READY=1' },
  { name: 'Windows and old Mac line breaks count too', text: 'a\r\nb\rc', line: 'STATUS=a; b c' },
  { name: 'other control characters become blanks', text: 'a\u0000b\u001bc', line: 'STATUS=a b c' },
  { name: 'a text without end is cut', text: 'x'.repeat(5000), line: `STATUS=${'x'.repeat(1000)}` },
]) {
  t.test(`statusLine: ${row.name}`, async (t) => {
    t.equal(statusLine(row.text), row.line);
  });
}

t.test('readyLines: READY and the status travel together', async (t) => {
  t.same(readyLines('up'), ['READY=1', 'STATUS=up']);
});

t.test('reloadingLines: the monotonic time is in microseconds', async (t) => {
  t.same(reloadingLines(123456789n), ['RELOADING=1', 'MONOTONIC_USEC=123456789']);
});

for (const row of [
  { name: 'no watchdog in the unit', env: {}, ms: undefined },
  { name: 'half of three minutes', env: { WATCHDOG_USEC: '180000000' }, ms: 90_000 },
  { name: 'meant for this process', env: { WATCHDOG_USEC: '2000000', WATCHDOG_PID: '42' }, ms: 1000 },
  { name: 'meant for another process', env: { WATCHDOG_USEC: '2000000', WATCHDOG_PID: '43' }, ms: undefined },
  { name: 'an empty WATCHDOG_PID means anybody', env: { WATCHDOG_USEC: '2000000', WATCHDOG_PID: '' }, ms: 1000 },
  { name: 'no number', env: { WATCHDOG_USEC: 'soon' }, ms: undefined },
  { name: 'zero switches it off', env: { WATCHDOG_USEC: '0' }, ms: undefined },
  { name: 'a tiny limit never means a busy loop', env: { WATCHDOG_USEC: '1' }, ms: 1 },
]) {
  t.test(`watchdogIntervalMs: ${row.name}`, async (t) => {
    t.equal(watchdogIntervalMs(row.env, 42), row.ms);
  });
}
