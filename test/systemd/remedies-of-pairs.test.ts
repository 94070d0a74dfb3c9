/** Remedies for certificates, kubeconfigs and the way to the kubelet, on a node that has joined: pasted into a shell, the trouble is gone. */
import { X509Certificate } from 'node:crypto';
import t from 'tap';
import {
  attempt,
  BOOTSTRAP,
  exists,
  installDropIn,
  KUBECONFIG,
  noLab,
  PKI,
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
import { joinWords } from './fixtures/join-words.ts';
import { LabCluster } from './fixtures/lab-cluster.ts';
import { findingsOf, fixBelow, fixOf, Pastes, saidSinceStart } from './fixtures/paste.ts';

const pastes = new Pastes('remedies-of-pairs');

const PAIRS = 'check/rules/pairs.ts';
const SERVING = `${PKI}/kubelet-server-current.pem`;
const settled = (): boolean => /^client until .*; serving until /.test(show('certlet', 'StatusText'));
const remedyOf = (id: string): string => findingsOf(id).find((found) => found.id === id)?.remedy ?? '';

/** Pastes the remedy of one finding and sees that finding gone. */
async function mended(id: string, source: string): Promise<void> {
  const remedy = remedyOf(id);
  pastes.paste(source, remedy);
  await until(`no ${id} after ${remedy}`, () => findingsOf(id).every((found) => found.id !== id));
}

t.test('pairs and links that came to harm', { skip: noLab }, async (t) => {
  await reset();
  put('/etc/certlet/config.yaml', 'kubelet: { restart: never }\n');
  await LabCluster.start(t);
  start('certlet');
  await until('both certificates', settled);
  const whole = (): readonly string[] => findingsOf('certificate.').map(({ id }) => id);

  stop('certlet');
  shell(`ln -sfn gone.pem ${SERVING}`);
  await mended('certificate.serving-absent', PAIRS);
  await until('both certificates', settled);

  stop('certlet');
  shell(`cp --remove-destination "$(readlink -f ${SERVING})" ${SERVING}`);
  await mended('certificate.serving-no-link', PAIRS);
  run('systemctl', 'restart', 'certlet');
  await until('both certificates', settled);

  stop('certlet');
  shell(`echo > "$(readlink -f ${SERVING})"`);
  await mended('certificate.serving-broken', PAIRS);
  run('certlet', 'renew', 'serving', '--wait');

  stop('certlet');
  shell(`chown 7 "$(readlink -f ${SERVING})"`);
  await mended('certificate.serving-unsafe', PAIRS);
  start('certlet');
  await until('both certificates', settled);

  stop('certlet');
  shell(`rm ${PKI}/kubelet-server-*`);
  start('certlet');
  stop('certlet');
  shell(`rm -f ${PKI}/kubelet-server-*`);
  const lost = remedyOf('certificate.serving-absent');
  start('certlet');
  pastes.paste(PAIRS, lost);
  await until('both certificates', settled);
  t.strictSame(whole(), []);
});

t.test('a kubeconfig whose CA lies where the service does not look', { skip: noLab }, async (t) => {
  await reset();
  put('/etc/certlet/config.yaml', 'kubelet: { restart: never }\n');
  await LabCluster.start(t);
  const text = read(BOOTSTRAP);
  const [, ca = ''] = /certificate-authority-data: "?([\w+/=]+)/.exec(text) ?? [];
  put('/etc/kubernetes/pki/ca.crt', new X509Certificate(Buffer.from(ca, 'base64')).toString());
  put(
    BOOTSTRAP,
    text.replace(/certificate-authority-data: .*/, 'certificate-authority: /etc/kubernetes/pki/ca.crt'),
    '644',
  );
  start('certlet');
  pastes.paste('adapters/file-errors.ts', fixOf(await untilSaid('certlet', 'EACCES')));
  // Others can read its token, which is a warning from the first look.
  const warned = await untilSaid('certlet', 'every user can read it');
  pastes.paste('adapters/kubeconfig-files.ts', fixOf(warned));
  await until('both certificates', settled);
  run('systemctl', 'restart', 'certlet');
  t.notMatch(saidSinceStart(), /EACCES|every user can read it/);
});

t.test('nobody takes the flag that restarts the kubelet', { skip: noLab }, async (t) => {
  await reset();
  put('/run/systemd/system/kubelet.service', '[Service]\nExecStart=/bin/sleep infinity\n');
  put('/etc/certlet/config.yaml', 'kubelet: { restart: always }\n');
  shell('systemctl disable certlet-kubelet-restart.path; systemctl daemon-reload; systemctl start kubelet');
  const pid = show('kubelet', 'MainPID');
  await LabCluster.start(t);
  // A run of the timer waits less long than the daemon.
  start('certlet-once.service');
  const line = await untilSaid('certlet-once.service', 'was not taken within');
  pastes.paste('adapters/systemd/flag-hook.ts', fixOf(line));
  await until('another kubelet', () => show('kubelet', 'MainPID') !== pid);
  await until('the flag to be taken', () => !exists('/run/certlet/restart-kubelet'));
  run('systemctl', 'disable', '--now', 'certlet-kubelet-restart.path');
});

t.test('what the settings name no more', { skip: noLab }, async (t) => {
  await reset();
  const common = 'kubelet: { restart: never }\n';
  put(
    '/etc/certlet/config.yaml',
    `${common}certificates:\n  - name: proxy\n    signerName: kubernetes.io/kube-apiserver-client\n    commonName: system:kube-proxy\n    usages: [client auth]\n    certFile: /etc/kubernetes/proxy/tls.crt\n    keyFile: /etc/kubernetes/proxy/tls.key\n`,
  );
  const cluster = await LabCluster.start(t);
  start('certlet');
  await until('the third certificate', async () => {
    await cluster.tell({ approveAll: true });
    return exists('/etc/kubernetes/proxy/tls.key');
  });
  put('/etc/certlet/config.yaml', common);
  run('systemctl', 'reload', 'certlet');
  const line = await untilSaid('certlet', / fix: rm /);
  pastes.paste('adapters/store/left-files.ts', fixOf(line));
  t.notOk(exists('/etc/kubernetes/proxy/tls.key'), line);
  run('systemctl', 'restart', 'certlet');
  t.notMatch(saidSinceStart(), / fix: rm /);
});

t.test('a kubeconfig that is left to root: what join says is next', { skip: noLab }, async (t) => {
  await reset();
  put('/run/systemd/system/kubelet.service', '[Service]\nExecStart=/bin/sleep infinity\n');
  shell('systemctl daemon-reload');
  await LabCluster.start(t);
  const { token, words } = joinWords(read(BOOTSTRAP));
  shell(`rm ${BOOTSTRAP}`);
  put('/run/token', token, '600');
  const told = run('certlet', 'join', ...words, '--write-kubeconfig');
  const next = (/^next: (.*?)(?: {3}\(.*\))?$/m.exec(told)?.[1] ?? '').split('; ');
  for (const line of next.slice(0, -1)) pastes.paste('cli/root-kubeconfig.ts', line);
  pastes.paste('cli/join.ts', next.at(-1) ?? '');
  await until('both certificates', settled);
  t.equal(run('stat', '-c', '%a %U', KUBECONFIG), '600 root');
  run('systemctl', 'disable', 'certlet');
});

t.test('a service with a user of its own reads what join wrote', { skip: noLab }, async (t) => {
  await reset();
  shell('userdel certlet 2> /dev/null || :; groupdel certlet 2> /dev/null || :');
  installDropIn('own-user.conf');
  shell('cp /usr/share/certlet/drop-ins/certlet.service.d/own-user.yaml /etc/certlet/config.yaml');
  const bootstrap = '/etc/certlet/bootstrap-kubelet.conf';
  await LabCluster.start(t, {}, bootstrap);
  const { token, words } = joinWords(read(bootstrap));
  shell(`rm ${bootstrap}`);
  put('/run/token', token, '600');
  const { status, stderr } = attempt('certlet', 'join', ...words);
  t.equal(status, 0, stderr);
  pastes.paste('cli/join.ts', fixBelow(stderr));
  t.equal(run('stat', '-c', '%U %G %a', bootstrap), 'root certlet 640');
  t.equal(run('certlet', 'join', ...words).includes('written'), true);
  t.equal(run('stat', '-c', '%U %G %a', bootstrap), 'root certlet 640', 'with a user that is there, at once');
  start('certlet');
  await until('both certificates', settled);
});

t.test('a node that belongs to another cluster now', { skip: noLab }, async (t) => {
  await reset();
  put('/run/systemd/system/kubelet.service', '[Service]\nExecStart=/bin/sleep infinity\n');
  shell('systemctl daemon-reload');
  put('/etc/certlet/config.yaml', 'kubelet: { restart: never }\n');
  await LabCluster.start(t);
  start('certlet');
  await until('both certificates', settled);
  const first = run('cat', SERVING);
  // At the address of the first one stands another cluster now.
  const { url } = await (await LabCluster.start(t)).tell();
  shell(`sed -i 's#server: .*#server: "${url}"#' ${KUBECONFIG}`);
  const [found] = findingsOf('tls.stale-kubeconfig');
  const leave = found?.causes?.find(({ remedy = '' }) => remedy.includes('certlet reset'))?.remedy ?? '';
  pastes.pasteAnswering('check/rules/tls.ts', leave);
  await until('both certificates', settled);
  t.not(run('cat', SERVING), first);
  t.equal(show('kubelet', 'ActiveState'), 'active');

  const { host, hostname, port } = new URL(url);
  const look = `openssl s_client -connect ${host} </dev/null`;
  for (const command of pastes.shown()) {
    const [program = ''] = command.split(' ');
    const words = wordsOf(command, { url, host, hostname, port, look });
    const text = words.reduce((all, word) => all.replace('{}', () => word), command);
    t.notMatch(text, '{}', command);
    if (tools(text).some((tool) => attempt('sh', '-c', `command -v ${tool}`).status !== 0))
      t.comment(`without ${text}`);
    else t.ok((ANSWERS[program] ?? [0]).includes(attempt('bash', '-c', text).status), text);
  }
});

/** Exit codes that are an answer, too: a mount point that is none, a server whose CA the host does not trust, the status of a unit that is failed or not there. */
const ANSWERS: Readonly<Record<string, readonly number[]>> = {
  certlet: [0, 1, 2, 3, 64],
  curl: [0, 60],
  findmnt: [0, 1],
  fuser: [0, 1],
  getent: [0, 2],
  systemctl: [0, 3, 4],
};

/** Programs of a line that a minimal host may lack. */
const tools = (text: string): readonly string[] =>
  [...text.matchAll(/(?:^|; |\| |&& )([a-z_-]+)(?= )/g)].map(([, name = '']) => name);

interface Way {
  readonly url: string;
  readonly host: string;
  readonly hostname: string;
  readonly port: string;
  readonly look: string;
}

/** What stands in the place of each `{}`. */
function wordsOf(command: string, { url, host, hostname, port, look }: Way): readonly string[] {
  if (/s_client/.test(command)) return [host];
  if (command.includes('{} |')) return [look];
  if (command.startsWith('curl')) return [url];
  if (command.startsWith('getent')) return [hostname];
  if (command.startsWith('nc ')) return [hostname, port, hostname];
  if (command.includes('sport')) return [port];
  if (command.startsWith('certlet ')) return ['status'];
  if (command.includes('certlet-reload@')) return ['proxy'];
  if (command.startsWith('systemd-analyze')) return ['kubelet.service'];
  if (command.startsWith('ss ')) return ['/run/certlet/control.sock'];
  return [PKI, PKI];
}

t.test('every remedy that the registry names this file for was pasted', { skip: noLab }, async (t) => pastes.all(t));
