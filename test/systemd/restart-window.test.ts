import t from 'tap';
import {
  attempt,
  exists,
  installKubelet,
  noLab,
  put,
  read,
  reset,
  run,
  show,
  start,
  until,
  untilSaid,
} from './fixtures/lab.ts';
import { LabCluster } from './fixtures/lab-cluster.ts';
import { fixBelow, fixOf, Pastes } from './fixtures/paste.ts';

const pastes = new Pastes('restart-window');

const UNIT = 'certlet-kubelet-restart';
const pidOf = (unit: string): string => show(unit, 'MainPID');

interface Restart {
  readonly at: string;
  readonly by: string;
}

/** What `certlet status` tells of the restart that the client certificate wants. */
function planned(): Restart | undefined {
  const status = JSON.parse(run('sh', '-c', 'certlet status --output json || true')) as {
    readonly certificates: readonly { readonly purpose: string; readonly kubeletRestart?: Restart }[];
  };
  return status.certificates.find(({ purpose }) => purpose === 'client')?.kubeletRestart;
}

/** Half a year from now: no run of this test meets it, whatever the certificates' lifetimes. */
const farAway = `0 3 1 ${String(((new Date().getUTCMonth() + 6) % 12) + 1)} *`;

/** What outlives certlet. */
const held = (): boolean => read('/var/lib/kubelet/pki/.certlet/hooks.json').includes('"held"');

async function renewedAndHeld(): Promise<Restart> {
  run('certlet', 'renew', 'client', '--wait', '--timeout', '60s');
  await until('the restart to wait', () => planned() !== undefined);
  return planned() ?? { at: '', by: '' };
}

t.test(
  'a restart waits for its window over a restart of certlet, until somebody restarts the kubelet',
  { skip: noLab },
  async (t) => {
    await reset();
    installKubelet();
    start('kubelet');
    start(`${UNIT}.path`);
    const first = pidOf('kubelet');
    const window = `{start: "${farAway}", length: 2h, timeZone: Europe/Berlin}`;
    put(
      '/etc/certlet/config.yaml',
      `kubelet:\n  version: v1.17.17\n  restartWindow: ${window}\nrotation: {minimumSpacing: 1s}\n`,
    );
    await LabCluster.start(t);
    start('certlet');
    await until('both certificates', () => /^client until .*; serving until /.test(show('certlet', 'StatusText')));
    await until('a kubelet with its first certificate', () => ![first, '0'].includes(pidOf('kubelet')));
    const pid = pidOf('kubelet');

    const told = await renewedAndHeld();
    t.ok(Date.parse(told.at) > Date.now(), told.at);
    t.equal(pidOf('kubelet'), pid);
    const waits = /^The restart of the kubelet (waits for|cannot wait for) its window/;
    const line = await untilSaid('certlet', waits);

    run('systemctl', 'restart', 'certlet');
    await until('the restart to wait again', () => planned() !== undefined);
    t.strictSame(planned(), told, 'the moment that was told');
    t.equal(pidOf('kubelet'), pid);

    t.match(pastes.paste('adapters/hooks/restart-hold.ts', fixOf(line)), 'the kubelet is restarted now, for client');
    await until('another kubelet', () => ![pid, '0'].includes(pidOf('kubelet')));
    await until('nothing to wait', () => planned() === undefined);
    t.match(run('certlet', 'renew', '--restart-now'), 'no restart of the kubelet waits');
    const another = pidOf('kubelet');
    await renewedAndHeld();
    pastes.paste('status/planned-rows.ts', fixBelow(attempt('certlet', 'status').stdout));
    await until('one more kubelet', () => ![another, '0'].includes(pidOf('kubelet')));

    await renewedAndHeld();
    t.ok(held());
    run('systemctl', 'restart', 'kubelet');
    const theirs = pidOf('kubelet');
    // Else it looks every few minutes.
    run('systemctl', 'restart', 'certlet');
    await until('the wait to end', () => !held());
    t.equal(planned(), undefined);
    t.equal(pidOf('kubelet'), theirs, 'and nobody restarts it again');
    t.notOk(exists('/run/certlet/restart-kubelet'));
  },
);

t.test('every remedy that the registry names this file for was pasted', { skip: noLab }, async (t) => pastes.all(t));
