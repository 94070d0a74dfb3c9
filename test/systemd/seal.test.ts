/** The bootstrap kubeconfig sealed to the host. */
import t from 'tap';
import {
  attempt,
  BOOTSTRAP,
  exists,
  messages,
  noLab,
  PKI,
  put,
  read,
  reset,
  run,
  shell,
  show,
  start,
  until,
  untilSaid,
} from './fixtures/lab.ts';
import { joinWords } from './fixtures/join-words.ts';
import { LabCluster } from './fixtures/lab-cluster.ts';
import { fixOf, Pastes } from './fixtures/paste.ts';

const pastes = new Pastes('seal');

const SEALED = '/etc/certlet/bootstrap-kubelet.cred';
const OPENED = '/run/certlet/bootstrap-kubelet.conf';
const settled = (): boolean => /^client until .*; serving until /.test(show('certlet', 'StatusText'));

t.test('join --seal, and a host whose key is lost goes on with its certificate', { skip: noLab }, async (t) => {
  await reset();
  const cluster = await LabCluster.start(t, {}, '/run/of-the-cluster');
  const { token, words } = joinWords(read('/run/of-the-cluster'));
  put('/run/token', token, '600');
  const said = run('certlet', 'join', ...words, '--seal');
  t.match(said, `written: ${SEALED}`);
  t.match(said, 'systemctl start certlet-unseal; systemctl enable --now certlet');
  shell('rm /run/token /run/of-the-cluster');
  t.equal(run('stat', '-c', '%a %U', SEALED), '600 root');
  t.equal(run('readlink', BOOTSTRAP), OPENED);
  t.equal(attempt('grep', '-rls', token, '/etc', '/var/lib', '/run').stdout, '', 'the token is on no disk');

  const [unseal = ''] = (/next: (.*)/.exec(said)?.[1] ?? '').split('; ');
  pastes.paste('cli/join.ts', unseal);
  t.equal(run('stat', '-c', '%a %U', OPENED), '600 root');
  // Somebody had no wish for a unit that nobody had explained.
  shell(`rm ${OPENED}; systemctl mask --runtime certlet-unseal`);
  start('certlet');
  const line = await untilSaid('certlet', 'where nothing is');
  shell('systemctl unmask --runtime certlet-unseal');
  pastes.paste('rotation/node/kubeconfigs.ts', fixOf(line));
  t.equal(run('stat', '-c', '%a %U', OPENED), '600 root');
  await until('both certificates', settled, 120_000);
  t.equal((await cluster.tell()).csrs.length, 2);
  const pair = (): string => run('readlink', `${PKI}/kubelet-client-current.pem`);
  const first = pair();

  // Another disk controller, a TPM that was cleared, an image copied to another machine.
  shell(`systemctl stop certlet; rm /var/lib/systemd/credential.secret ${OPENED}`);
  start('certlet');
  t.equal(show('certlet', 'ActiveState'), 'active');
  t.equal(show('certlet-unseal', 'ActiveState'), 'failed', 'and somebody who looks sees why');
  t.notOk(exists(OPENED));
  t.ok(messages('certlet-unseal').length > 0);
  await until('both certificates as before', settled, 120_000);
  run('certlet', 'renew', 'client', '--wait');
  t.not(pair(), first, 'rotation goes on');
  t.equal((await cluster.tell()).csrs.length, 3);
});

t.test('a plain join takes the sealed token away', { skip: noLab }, async (t) => {
  await reset();
  await LabCluster.start(t, {}, '/run/of-the-cluster');
  const { token, words } = joinWords(read('/run/of-the-cluster'));
  put('/run/token', token, '600');
  run('certlet', 'join', ...words, '--seal');
  run('systemctl', 'start', 'certlet-unseal');
  run('certlet', 'join', ...words);
  t.notOk(exists(SEALED) || exists(OPENED));
  t.equal(run('stat', '-c', '%F %a', BOOTSTRAP), 'regular file 600');
  run('certlet', 'join', ...words, '--seal');
  run('systemctl', 'start', 'certlet-unseal');
  run('certlet', 'reset', '--yes', '--with-bootstrap-kubeconfig');
  t.notOk(exists(SEALED) || exists(OPENED) || attempt('test', '-L', BOOTSTRAP).status === 0, 'and so does a reset');
});

t.test('every remedy that the registry names this file for was pasted', { skip: noLab }, async (t) => pastes.all(t));
