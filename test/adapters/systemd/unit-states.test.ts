import t from 'tap';
import { askUnitStates, errorsIn, lastErrors, parseUnitStates } from '../../../src/adapters/systemd/unit-states.ts';

const block = (fields: Readonly<Record<string, string>>): string =>
  Object.entries({
    Id: 'certlet.service',
    LoadState: 'loaded',
    ActiveState: 'active',
    SubState: 'running',
    UnitFileState: 'enabled',
    Result: 'success',
    ExecMainCode: '0',
    ExecMainStatus: '0',
    NeedDaemonReload: 'no',
    ...fields,
  })
    .map(([name, value]) => `${name}=${value}`)
    .join('\n');

t.test('each unit of an answer by its name, and what systemd leaves out', async (t) => {
  const text = [
    block({
      ActiveState: 'failed',
      SubState: 'failed',
      Result: 'exit-code',
      ExecMainCode: '1',
      ExecMainStatus: '78',
      InvocationID: '0a1b',
    }),
    block({ Id: 'kubelet.service', ActiveEnterTimestamp: 'Mon 2026-11-30 01:30:21 UTC', NRestarts: '3' }),
    block({ Id: 'certlet-once.timer', NextElapseUSecRealtime: 'Mon 2026-11-30 01:30:21 UTC' }),
    block({ Id: 'none.service', LoadState: 'not-found', UnitFileState: '', NextElapseUSecRealtime: '' }),
    '',
  ].join('\n\n');
  const states = parseUnitStates(text);
  t.strictSame([...states.keys()], ['certlet.service', 'kubelet.service', 'certlet-once.timer', 'none.service']);
  t.match(states.get('certlet.service'), {
    load: 'loaded',
    active: 'failed',
    result: 'exit-code',
    exitStatus: 78,
    invocation: '0a1b',
    needsReload: false,
    nextRun: undefined,
  });
  t.has(states.get('kubelet.service'), { activeSince: new Date('2026-11-30T01:30:21Z'), restarts: 3 });
  t.has(states.get('certlet-once.timer'), {
    exitStatus: undefined,
    restarts: undefined,
    nextRun: new Date('2026-11-30T01:30:21Z'),
  });
  t.match(states.get('none.service'), { load: 'not-found', enabled: '', invocation: undefined, nextRun: undefined });
});

t.test('a moment in a form or a zone that was not asked for is none', async (t) => {
  for (const given of ['', 'n/a', 'Mon 2026-11-30 01:30:21 CET', '1764466221000000']) {
    const [state] = parseUnitStates(block({ NextElapseUSecRealtime: given })).values();
    t.equal(state?.nextRun, undefined, given);
  }
  const [state] = parseUnitStates(block({ NextElapseUSecRealtime: 'Mon 2026-11-30 01:30:21.250 UTC' })).values();
  t.strictSame(state?.nextRun, new Date('2026-11-30T01:30:21Z'));
});

t.test('nobody waits for an answer that nobody wants any more', async (t) => {
  const signal = AbortSignal.abort();
  t.strictSame(await askUnitStates(['certlet.service'], signal), { kind: 'untold', reason: 'systemctl was ended' });
  t.strictSame(await lastErrors('0a1b', signal), []);
});

t.test('what is wrong stood before so much advice that the last lines of the journal were advice alone', async (t) => {
  t.strictSame(
    errorsIn([
      'Cannot go on code=ERR_STORE_IO error=full fix: df -h /',
      'certlet: settings: /etc/certlet/config.yaml:1: kubelet.unit: expected text, got 7',
      'certlet: fix: ${EDITOR:-vi} +1 /etc/certlet/config.yaml',
      'certlet: why: Mend what is listed.',
      'certlet: do: Set it in the settings.',
    ]),
    [
      'Cannot go on code=ERR_STORE_IO error=full fix: df -h /',
      'certlet: settings: /etc/certlet/config.yaml:1: kubelet.unit: expected text, got 7',
    ],
  );
});
