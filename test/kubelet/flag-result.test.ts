/** What a flag's service writes of its run, and what that comes to. */
import t from 'tap';
import { type FlagKind, judgeFlagResult, parseFlagResult } from '../../src/kubelet/flag-result.ts';

const taker = (kind: FlagKind) => ({ kind, service: `certlet-${kind}@x` });
const text = (fields: Readonly<Record<string, string>>): string =>
  Object.entries({ Phase: 'ended', Run: '0123abc', Service: 'success', At: '2030-01-01T02:03:04Z', ...fields })
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');
const active = { LoadState: 'loaded', ActiveState: 'active', SubState: 'running' };
const dead = { ActiveState: 'inactive', SubState: 'dead' };

for (const row of [
  { name: 'a unit that runs', kind: 'restart', fields: { Unit: 'kubelet.service', ...active }, done: true },
  {
    name: 'a unit that is stopped and stays so',
    kind: 'restart',
    fields: { Unit: 'kubelet.service', LoadState: 'loaded', ...dead },
    done: true,
  },
  {
    name: 'a unit that does not exist, though systemctl succeeded',
    kind: 'restart',
    fields: { Unit: 'kubelet.service', LoadState: 'not-found', ...dead },
    why: /^kubelet\.service could not be restarted at 2030-01-01T02:03:04Z: there is no such unit \(not-found\)$/,
    remedy:
      /^systemctl list-unit-files --type=service {3}# .*KUBELET_UNIT=NAME in \/etc\/certlet\/kubelet-unit\.env, .*kubelet: \{ unit: NAME \} in the settings$/,
  },
  {
    name: 'a unit to reload that does not exist',
    kind: 'reload',
    fields: { Unit: 'nginx.service', LoadState: 'not-found', Service: 'exit-code', ...dead },
    why: /^nginx\.service could not be reloaded .*not-found/,
    remedy: /UNIT= in its file in \/etc\/certlet\/reload$/,
  },
  {
    name: 'a masked unit, though systemctl succeeded',
    kind: 'restart',
    fields: { Unit: 'kubelet.service', LoadState: 'masked', ...dead },
    why: /it is masked$/,
    remedy: /^systemctl unmask kubelet\.service$/,
  },
  {
    name: 'a unit whose files are wrong',
    kind: 'restart',
    fields: { Unit: 'kubelet.service', LoadState: 'bad-setting', ...dead },
    why: /systemd cannot load it \(bad-setting\)$/,
    remedy: /^systemd-analyze verify kubelet\.service/,
  },
  {
    name: 'a unit that has failed',
    kind: 'restart',
    fields: { Unit: 'kubelet.service', LoadState: 'loaded', ActiveState: 'failed', SubState: 'failed' },
    why: /^kubelet\.service was to be restarted at .* and has failed \(failed, failed\)$/,
    remedy: /^systemctl status kubelet\.service/,
  },
  {
    name: 'a unit that ends again and again',
    kind: 'restart',
    fields: { Unit: 'kubelet.service', LoadState: 'loaded', ActiveState: 'activating', SubState: 'auto-restart' },
    why: /has failed \(activating, auto-restart\)$/,
    remedy: /^systemctl status kubelet\.service/,
  },
  {
    name: 'a reload that the unit does not know',
    kind: 'reload',
    fields: { Unit: 'nginx.service', Service: 'exit-code', ...active },
    why: /^nginx\.service could not be reloaded at .*: result exit-code; systemd says: loaded, active, running$/,
    remedy: /^journalctl -u certlet-reload@x\.service -e$/,
  },
  {
    name: 'a restart that hangs',
    kind: 'restart',
    fields: { Unit: 'kubelet.service', Service: 'timeout', ...active },
    why: /not in time \(timeout\)/,
    remedy: /^journalctl -u/,
  },
  {
    name: 'a manager that does not answer',
    kind: 'restart',
    fields: { Unit: '', Service: 'exit-code' },
    why: /^the unit could not be restarted at .*: result exit-code$/,
    remedy: /^journalctl -u/,
  },
  { name: 'a program that ran', kind: 'hook', fields: { Unit: 'certlet-hook@x.service' }, done: true },
  {
    name: 'a program that failed',
    kind: 'hook',
    fields: { Unit: 'certlet-hook@x.service', Service: 'exit-code' },
    why: /^certlet-hook@x\.service could not be run to its end at .*: result exit-code$/,
    remedy: /^journalctl -u certlet-hook@x\.service -e$/,
  },
] as const) {
  t.test(`a restart or reload was reported as done: ${row.name}`, async (t) => {
    const result = parseFlagResult(text(row.fields));
    if (result === undefined) throw new Error('it can be read');
    const end = judgeFlagResult(result, taker(row.kind));
    if ('done' in row) t.same(end, { kind: 'done' });
    else t.match(end, { kind: 'failed', why: row.why, remedy: row.remedy });
  });
}

t.test('a run under way tells of a unit that is not there, and else nothing yet', async (t) => {
  const judged = (fields: Readonly<Record<string, string>>) => {
    const result = parseFlagResult(text({ Phase: 'running', Service: '', Unit: 'kubelet.service', ...fields }));
    return result === undefined ? undefined : judgeFlagResult(result, taker('restart')).kind;
  };
  t.equal(judged(active), 'running');
  t.equal(judged({ LoadState: 'loaded', ActiveState: 'failed', SubState: 'failed' }), 'running');
  t.equal(judged({ LoadState: 'masked', ...dead }), 'failed');
  t.equal(judged({ LoadState: 'not-found', ...dead }), 'failed');
});

t.test('anything else than a result is none', async (t) => {
  for (const other of ['', 'x', 'Phase=ended\n', 'Run=1\nPhase=later\n', '=\n=', 'Phase=ended\nRun=\n'])
    t.equal(parseFlagResult(other), undefined, other);
});
