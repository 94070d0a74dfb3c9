import t from 'tap';
import {
  attempt,
  dropIn,
  exists,
  installDropIn,
  installKubelet,
  messages,
  noLab,
  put,
  read,
  reset,
  run,
  shell,
  show,
  start,
  stop,
  until,
  untilSaid,
} from './fixtures/lab.ts';
import { type FlagKind, judgeFlagResult, parseFlagResult } from '../../src/kubelet/flag-result.ts';
import { LabCluster } from './fixtures/lab-cluster.ts';
import { findingsOf } from './fixtures/paste.ts';

const FLAG = '/run/certlet/restart-kubelet';
const UNIT = 'certlet-kubelet-restart';
const raise = (): void => void shell(`mkdir -p /run/certlet; touch ${FLAG}`);
const pidOf = (unit: string): string => show(unit, 'MainPID');
const idle = (): boolean => !exists(FLAG) && show(`${UNIT}.service`, 'ActiveState') === 'inactive';
const runs = (): number => messages(`${UNIT}.service`).filter((line) => line.startsWith('Finished')).length;

/** Runs that the journal tells of by the time the pair is at rest; its lines may come a moment after the state that they tell of. */
async function runsAtRest(): Promise<number> {
  await until('the flag to be taken', idle);
  await until('a line about it', () => runs() > 0);
  return runs();
}

t.test('a flag restarts the kubelet once', { skip: noLab }, async (t) => {
  await reset();
  installKubelet();
  start('kubelet');
  start(`${UNIT}.path`);
  const pid = pidOf('kubelet');
  raise();
  await until('the flag to be taken', idle);
  await until('another kubelet', () => pidOf('kubelet') !== pid && pidOf('kubelet') !== '0');
  t.equal(await runsAtRest(), 1);
  t.equal(show(`${UNIT}.path`, 'ActiveState'), 'active', 'it waits for the next one');
});

t.test('a flag that stood before the path unit started is taken', { skip: noLab }, async (t) => {
  await reset();
  installKubelet();
  start('kubelet');
  const pid = pidOf('kubelet');
  raise();
  start(`${UNIT}.path`);
  await until('another kubelet', () => pidOf('kubelet') !== pid && pidOf('kubelet') !== '0');
  await until('the flag to be taken', idle);
  t.equal(await runsAtRest(), 1);
});

t.test('a flag raised while the last one is served is not lost', { skip: noLab }, async (t) => {
  await reset();
  installKubelet();
  start('kubelet');
  dropIn(`${UNIT}.service`, 'slow', '[Service]\nExecStart=sleep 0.3\n');
  start(`${UNIT}.path`);
  raise();
  await until('the first to be taken', () => !exists(FLAG));
  t.not(show(`${UNIT}.service`, 'ActiveState'), 'inactive', 'still busy with the first');
  raise();
  await until('the second run', () => runs() === 2);
  await until('rest', idle);
});

t.test('fifteen rotations in a row leave the pair alive', { skip: noLab }, async (t) => {
  await reset();
  installKubelet();
  start('kubelet');
  start(`${UNIT}.path`);
  shell(
    `for i in $(seq 15); do touch ${FLAG}; while test -e ${FLAG}; do sleep 0.01; done; done`.replace(
      'for',
      'mkdir -p /run/certlet; for',
    ),
  );
  await runsAtRest();
  t.equal(show(`${UNIT}.path`, 'ActiveState'), 'active');
  t.ok(runs() >= 8, `${String(runs())} runs`);
});

t.test('a flag that cannot be removed is paced, and taken when it can be', { skip: noLab }, async (t) => {
  await reset();
  installKubelet();
  start('kubelet');
  dropIn(
    `${UNIT}.service`,
    'pace',
    '[Service]\nExecStopPost=\nExecStopPost=sh -c \'test "$$SERVICE_RESULT" = success || { date +%%s.%%N >> /run/certlet/tries; sleep 0.5; }\'\n',
  );
  start(`${UNIT}.path`);
  shell(`mkdir -p ${FLAG}`);
  const tries = (): readonly number[] =>
    attempt('cat', '/run/certlet/tries').stdout.split('\n').filter(Boolean).map(Number);
  await until('three attempts', () => tries().length >= 3);
  const [first = 0, second = 0, third = 0] = tries();
  t.ok(
    second - first >= 0.5 && third - second >= 0.5,
    `${String(tries())}: each waits for the pause of the one before`,
  );
  t.equal(show(`${UNIT}.path`, 'ActiveState'), 'active', 'the path unit lives');
  shell(`rmdir ${FLAG}; touch ${FLAG}`);
  await until('the flag to be taken', () => !exists(FLAG));
});

t.test('a kubelet that is stopped stays stopped', { skip: noLab }, async (t) => {
  await reset();
  installKubelet();
  start(`${UNIT}.path`);
  raise();
  await until('the flag to be taken', idle);
  t.equal(show('kubelet', 'ActiveState'), 'inactive');
  t.equal(await runsAtRest(), 1);
});

/** What a service wrote of its last run, as certlet judges it: `done`, or why not. */
function judged(name: string, kind: FlagKind = 'restart'): string | undefined {
  const written = parseFlagResult(read(`/run/certlet/results/${name}`));
  const end = written && judgeFlagResult(written, { kind, service: UNIT });
  return end?.kind === 'failed' ? end.why : end?.kind;
}

/** The same in its own words, without what differs each time. */
const result = (name: string): Readonly<Record<string, string>> => {
  const lines = read(`/run/certlet/results/${name}`).split('\n');
  return Object.fromEntries(lines.map((line) => line.split('=', 2)).filter(([key = '']) => !/^(Run|At)$/.test(key)));
};
const ended = (name: string): boolean => exists(`/run/certlet/results/${name}`) && result(name)['Phase'] === 'ended';

for (const row of [
  {
    name: 'absent',
    install: () => undefined,
    result: { LoadState: 'not-found' },
    comesTo: /no such unit/,
  },
  {
    name: 'masked',
    install: () => shell('systemctl mask --runtime kubelet'),
    result: { LoadState: 'masked' },
    comesTo: /masked/,
  },
  {
    name: 'failing',
    install: () => {
      put(
        '/run/systemd/system/kubelet.service',
        '[Service]\nExecStart=sh -c "test ! -e /run/broken && exec sleep infinity"\n',
      );
      run('systemctl', 'daemon-reload');
      shell('rm -f /run/broken');
      start('kubelet');
      shell('touch /run/broken');
    },
    result: { LoadState: 'loaded', ActiveState: 'failed' },
    comesTo: /has failed/,
  },
  {
    name: 'fine',
    install: () => {
      installKubelet();
      start('kubelet');
    },
    result: { LoadState: 'loaded', ActiveState: 'active', Service: 'success' },
    comesTo: /^done$/,
  },
]) {
  t.test(`a restart was reported as done: unit ${row.name}`, { skip: noLab }, async (t) => {
    await reset();
    row.install();
    start(`${UNIT}.path`);
    raise();
    await until('a result', () => !exists(FLAG) && ended('restart-kubelet'));
    t.match(result('restart-kubelet'), { Phase: 'ended', Unit: 'kubelet.service', ...row.result });
    t.match(judged('restart-kubelet'), row.comesTo);
    await until(
      'rest',
      () =>
        show(`${UNIT}.service`, 'ActiveState') !== 'activating' &&
        show(`${UNIT}.service`, 'ActiveState') !== 'deactivating',
    );
    shell('systemctl unmask --runtime kubelet || :');
  });
}

t.test('check tells of a restart that failed, until somebody starts the kubelet', { skip: noLab }, async (t) => {
  await reset();
  const unit = '[Service]\nExecStart=sh -c "test ! -e /run/broken && exec sleep infinity"\n';
  put('/run/systemd/system/kubelet.service', unit);
  shell('systemctl daemon-reload; rm -f /run/broken; systemctl start kubelet; touch /run/broken');
  start(`${UNIT}.path`);
  raise();
  await until('a result', () => !exists(FLAG) && ended('restart-kubelet'));
  const at = Date.parse(parseFlagResult(read('/run/certlet/results/restart-kubelet'))?.at ?? '');
  t.match(findingsOf('kubelet.restart-failed'), [
    {
      verdict: 'warning',
      what: /kubelet\.service was to be restarted at .*Z and has failed/,
      remedy: /^systemctl status kubelet\.service .* journalctl -u certlet-kubelet-restart\.service -e$/,
    },
  ]);
  await until('another second', () => Date.now() >= at + 1_000);
  shell('rm /run/broken; systemctl start kubelet');
  t.strictSame(findingsOf('kubelet.restart-failed'), []);
});

t.test('a kubelet between two ends of a crash loop was taken for started by somebody', { skip: noLab }, async (t) => {
  await reset();
  const unit =
    '[Service]\nRestart=always\nRestartSec=1\nExecStart=sh -c "test -e /run/broken && exec sleep 4; exec sleep infinity"\n';
  put('/run/systemd/system/kubelet.service', `[Unit]\nStartLimitIntervalSec=0\n${unit}`);
  shell('systemctl daemon-reload; touch /run/broken; systemctl start kubelet');
  const at = `${new Date().toISOString().slice(0, 19)}Z`;
  const state = 'LoadState=loaded\nActiveState=activating\nSubState=auto-restart\n';
  put(
    '/run/certlet/results/restart-kubelet',
    `Run=a\nPhase=ended\nService=success\nUnit=kubelet.service\nAt=${at}\n${state}`,
  );
  await until(
    'a start by systemd',
    () => show('kubelet', 'NRestarts') !== '0' && show('kubelet', 'SubState') === 'running',
  );
  t.match(findingsOf('kubelet.restart-failed'), [{ verdict: 'warning', what: /auto-restart/ }]);
  shell('rm /run/broken; systemctl restart kubelet');
  t.equal(show('kubelet', 'NRestarts'), '0');
  t.strictSame(findingsOf('kubelet.restart-failed'), []);
});

t.test('the unit of the kubelet is a setting of the host', { skip: noLab }, async (t) => {
  await reset();
  installKubelet();
  installKubelet('kubelet-of-another-name.service');
  run('systemctl', 'start', 'kubelet', 'kubelet-of-another-name');
  const [ours, other] = [pidOf('kubelet-of-another-name'), pidOf('kubelet')];
  put('/etc/certlet/kubelet-unit.env', 'KUBELET_UNIT=kubelet-of-another-name.service\n');
  start(`${UNIT}.path`);
  raise();
  await until('another kubelet', () => ![ours, '0'].includes(pidOf('kubelet-of-another-name')));
  t.equal(pidOf('kubelet'), other);
});

t.test('a link that a sandboxed service plants as its folder leads nowhere', { skip: noLab }, async (t) => {
  await reset();
  put('/etc/victim/restart-kubelet', 'x');
  put('/etc/victim/x', 'x');
  put('/etc/certlet/hooks/x', '#!/bin/sh\n', '755');
  shell('mkdir -p /run/certlet; ln -s /etc/victim /run/certlet/hooks');
  dropIn('certlet-hook@.service', 'pace', '[Service]\nExecStopPost=\n');
  t.not(attempt('systemctl', 'start', 'certlet-hook@x.service').status, 0);
  t.ok(exists('/etc/victim/x'), 'not removed');
});

t.test('a rotation raises the flag for an old kubelet', { skip: noLab }, async (t) => {
  await reset();
  installKubelet();
  start('kubelet');
  start(`${UNIT}.path`);
  const pid = pidOf('kubelet');
  put('/etc/certlet/config.yaml', 'kubelet:\n  version: v1.17.17\n');
  await LabCluster.start(t);
  start('certlet');
  await until('both certificates', () => /^client until .*; serving until /.test(show('certlet', 'StatusText')));
  await until('another kubelet', () => ![pid, '0'].includes(pidOf('kubelet')));
  await until('rest', idle);
  t.equal(await runsAtRest(), 1, 'for the client certificate only: nothing listens that would serve an older pair');
  await untilSaid('certlet', /^Hook done/);
});

t.test('a privileged hook runs outside the sandbox, once for each flag', { skip: noLab }, async (t) => {
  await reset();
  put(
    '/etc/certlet/hooks/tell',
    '#!/bin/sh\ngrep CapEff /proc/self/status > /etc/told\necho $$ >> /etc/told-runs\n',
    '755',
  );
  shell('rm -f /etc/told*');
  start('certlet-hook@tell.path');
  shell('mkdir -p /run/certlet/hooks; touch /run/certlet/hooks/tell');
  await until('the hook', () => exists('/etc/told-runs') && !exists('/run/certlet/hooks/tell'));
  t.notMatch(shell('cat /etc/told'), /CapEff:\s+0+$/, 'with capabilities, and /etc is writable');
  await until('rest', () => show('certlet-hook@tell.service', 'ActiveState') === 'inactive');
  shell('touch /run/certlet/hooks/tell');
  await until('the second run', () => shell('wc -l < /etc/told-runs') === '2');
  stop('certlet-hook@tell.path');
});

t.test('the flag of certlet as a user of its own is taken', { skip: noLab }, async (t) => {
  await reset();
  installKubelet();
  start('kubelet');
  installDropIn('own-user.conf');
  shell('systemd-sysusers');
  start('certlet');
  start(`${UNIT}.path`);
  t.equal(shell('stat -c %U /run/certlet'), 'certlet');
  const pid = pidOf('kubelet');
  shell(`setpriv --reuid certlet --regid certlet --clear-groups touch ${FLAG}`);
  await until('another kubelet', () => ![pid, '0'].includes(pidOf('kubelet')));
  await until('the flag to be taken', idle);
  t.equal(judged('restart-kubelet'), 'done', 'its result is written into a folder of another user');
});

t.test('a reload of a unit that does not exist was reported as done', { skip: noLab }, async (t) => {
  await reset();
  put('/etc/certlet/reload/proxy.env', 'UNIT=no-such.service\nACTION=try-restart\n');
  start('certlet-reload@proxy.path');
  shell('mkdir -p /run/certlet/reload; touch /run/certlet/reload/proxy');
  await until('a result', () => ended('reload-proxy'));
  t.match(judged('reload-proxy', 'reload'), /^no-such\.service could not be reloaded .*not-found/);
  stop('certlet-reload@proxy.path');
});

t.test('status was healthy while the unit to restart did not exist', { skip: noLab }, async (t) => {
  await reset();
  start(`${UNIT}.path`);
  put('/etc/certlet/config.yaml', 'kubelet:\n  version: v1.17.17\n');
  await LabCluster.start(t);
  start('certlet');
  await untilSaid(
    'certlet',
    /^Hook failed.*ERR_HOOK.*kubelet\.service could not be restarted.*not-found.*KUBELET_UNIT/s,
  );
  t.match(run('sh', '-c', 'certlet status || :'), /restart-kubelet.*kubelet\.service could not be restarted/s);
  // What failed for want of the unit and that there is none is one problem.
  t.match(
    run('sh', '-c', 'certlet check || :'),
    /PROBLEM +kubelet\.service, which is to be restarted after a rotation, is\s+no unit of this host/,
  );
  installKubelet();
  // A hook is tried again within half a minute, and within one more where the first time came before the unit did.
  await untilSaid('certlet', /^Hook done/, 120_000);
  t.notMatch(run('sh', '-c', 'certlet status || :'), /could not be restarted/);
});
