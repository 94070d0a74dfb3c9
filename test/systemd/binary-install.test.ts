/** docs/binary-install.md typed from its first line to its last, on a node of such a cluster; its translation has the same commands. */
import t, { type Test } from 'tap';
import { commandBlocks, fencedFile, pageText } from '../fixtures/page.ts';
import { typedBy } from '../fixtures/typed-pages.ts';
import {
  attempt,
  exists,
  noLab,
  type Outcome,
  put,
  read,
  reset,
  run,
  shell,
  show,
  start,
  subjectOf,
  until,
} from './fixtures/lab.ts';
import { LabCluster } from './fixtures/lab-cluster.ts';

const PAGE = pageText('binary-install.md');
const FOLDER = '/srv/node';
const CERTS = '/etc/kubernetes/pki/kubelet';
const BOOTSTRAP = `${FOLDER}/bootstrap.kubeconfig`;
const KUBECONFIG = '/etc/kubernetes/kubeconfig/kubelet.kubeconfig';
const PROXY = '/etc/kubernetes/kubeconfig/kube-proxy.kubeconfig';
/** Those of the cluster's side are typed by the cluster suite. */
const page = typedBy('test/systemd/binary-install.test.ts', 'docs/binary-install.md');

t.test('both languages have the same commands and files, in the same order', async (t) => {
  const chinese = pageText('binary-install.zh-CN.md');
  const commands = (text: string) => commandBlocks(text).map((block) => block.commands);
  t.ok(commands(PAGE).length > 8);
  t.strictSame(commands(chinese), commands(PAGE));
  const fences = (text: string) => text.match(/^```[^]*?^```$/gm);
  t.strictSame(fences(chinese), fences(PAGE));
});

/** Programs that tell their flags and wait, in place of kubelet and kube-proxy. */
function putPrograms(): void {
  for (const name of ['kubelet', 'kube-proxy'])
    put(
      `/usr/local/bin/${name}`,
      `#!/bin/bash
if [ "$1" = --version ]; then echo Kubernetes v1.20.2; exit; fi
printf '%s\n' "$@" > /run/${name}-flags
exec -a ${name} perl -e 'sleep 1000 while 1' -- "$@"
`,
      '755',
    );
}

/** The host as the guide leaves it before a certificate is there: units, flags, CA. */
async function guideHost(t: Test): Promise<LabCluster> {
  await reset();
  putPrograms();
  for (const path of ['/etc/systemd/system/kubelet.service', '/etc/kubernetes/kubelet'])
    put(path, fencedFile(PAGE, path));
  put('/etc/kubernetes/kubelet-config.yaml', 'kind: KubeletConfiguration\nserverTLSBootstrap: true\n');
  put('/etc/kubernetes/pki/ca-key.pem', 'the key of the cluster', '600');
  put(
    '/etc/systemd/system/kube-proxy.service',
    `[Service]\nExecStart=/usr/local/bin/kube-proxy --kubeconfig=${PROXY}\nRestart=always\n`,
  );
  return await LabCluster.start(t, {}, BOOTSTRAP);
}

/** What was typed and how each command ended. */
interface Typed extends Outcome {
  readonly command: string;
}

/** Types the blocks of one section as root in a folder of one's own. */
const type = (section: string): readonly Typed[] =>
  page(section).map((command) => ({ command, ...attempt('sh', '-c', `cd ${FOLDER} && ${command}`) }));

/** Commands that look, and end by what they see. */
const LOOKS = /^certlet (?:status|check)$/;

function allWell(t: Test, typed: readonly Typed[]): void {
  for (const { command, status, stdout, stderr } of typed)
    if (!LOOKS.test(command)) t.equal(status, 0, command, { printed: status === 0 ? '' : `${stdout}\n${stderr}` });
}

const settled = (): boolean => /client until .*; serving until /.test(show('certlet', 'StatusText'));
const pair = (name: string): string => run('readlink', `${CERTS}/kubelet-${name}-current.pem`);

/** The flags that the kubelet was started with last. */
async function kubeletFlags(): Promise<readonly string[]> {
  await until('the kubelet', () => exists('/run/kubelet-flags') && read('/run/kubelet-flags') !== '');
  return read('/run/kubelet-flags').split('\n');
}

t.test('a new node, typed from the first step to the way back', { skip: noLab, timeout: 240_000 }, async (t) => {
  const cluster = await guideHost(t);
  allWell(t, type('2. The bootstrap kubeconfig'));
  t.equal(run('stat', '-c', '%a', '/etc/kubernetes/kubeconfig/bootstrap.kubeconfig'), '600');
  put(PROXY, read(BOOTSTRAP), '600');
  start('kube-proxy');

  const kubelet = type('3. The kubelet');
  allWell(t, kubelet);
  const shown = kubelet.find(({ command }) => command === 'certlet adopt')?.stdout ?? '';
  t.match(shown, `TemporaryFileSystem=/etc/kubernetes/pki:ro`);
  t.match(shown, '+certDir: /etc/kubernetes/pki/kubelet');
  await until('both certificates', settled, 120_000);
  t.match(pair('client'), /kubelet-client-\d/);
  t.equal(subjectOf(`${CERTS}/kubelet-client-current.pem`), 'CN=system:node:sdlab,O=system:nodes');
  t.match(read(KUBECONFIG), `client-certificate: ${CERTS}/kubelet-client-current.pem`);
  const flags = await kubeletFlags();
  const link = `${CERTS}/kubelet-server-current.pem`;
  t.strictSame(flags.slice(-5), [
    '--bootstrap-kubeconfig=',
    '--rotate-certificates=false',
    '--rotate-server-certificates=false',
    `--tls-cert-file=${link}`,
    `--tls-private-key-file=${link}`,
  ]);
  const checked = attempt('certlet', 'check');
  t.notMatch(checked.stdout, /files\.|kubelet\.rotates/, 'neither sandbox nor kubelet are in the way');

  const pid = show('certlet', 'MainPID');
  const sees = (path: string): boolean => attempt('nsenter', '-t', pid, '-m', '--', 'test', '-e', path).status === 0;
  t.ok(sees(link));
  t.notOk(sees('/etc/kubernetes/pki/ca-key.pem'), "the cluster's key is not shown to the service");
  const writes = (folder: string): boolean =>
    attempt('nsenter', '-t', pid, '-m', '--', 'test', '-w', folder).status === 0;
  t.ok(writes(CERTS));
  t.notOk(writes('/etc/kubernetes/pki'));

  allWell(t, type('4. kube-proxy'));
  await until('the request of kube-proxy', async () => (await cluster.tell()).csrs.length > 2);
  await cluster.tell({ approveAll: true });
  await until('its kubeconfig', () => /kube-proxy-current\.pem/.test(read(PROXY)));
  await until('its restart', () => show('kube-proxy', 'NRestarts') !== '' && exists('/run/kube-proxy-flags'));

  const before = [pair('client'), pair('server')];
  allWell(t, type('5. When something has expired'));
  await until('new certificates', () => pair('client') !== before[0] && pair('server') !== before[1]);
  for (const name of before) t.ok(exists(`${CERTS}/${name}`), 'nothing was deleted');
  t.match(flags.join(), 'cert-dir=/etc/kubernetes/pki/kubelet');

  shell('rm -f /run/kubelet-flags');
  const kept = [pair('client'), pair('server')];
  allWell(t, type('Back to the kubelet'));
  t.strictSame([pair('client'), pair('server')], kept);
  const after = await kubeletFlags();
  t.ok(after.includes('--rotate-certificates') && !after.includes('--rotate-certificates=false'));
});

t.test(
  'a node whose kubelet has its certificates already is taken over',
  { skip: noLab, timeout: 240_000 },
  async (t) => {
    const cluster = await guideHost(t);
    type('2. The bootstrap kubeconfig');
    // What a kubelet of this cluster has left in its folder.
    run('install', '-d', '-m', '755', CERTS);
    const paths = `--bootstrap-kubeconfig /etc/kubernetes/kubeconfig/bootstrap.kubeconfig --kubeconfig ${KUBECONFIG} --cert-dir ${CERTS}`;
    shell(`certlet once ${paths}; rm -r ${CERTS}/.certlet`);
    const { csrs } = await cluster.tell();
    const before = [pair('client'), pair('server')];
    start('kubelet');
    allWell(t, type('3. The kubelet'));
    await until('both certificates', settled, 120_000);
    t.strictSame([pair('client'), pair('server')], before);
    t.strictSame((await cluster.tell()).csrs, csrs, 'nothing is asked for anew');
    await until('the flags', async () => (await kubeletFlags()).includes('--rotate-certificates=false'));
    const again = run('certlet', 'adopt', '--no-kube-proxy');
    t.match(again, "certlet's files: nothing to change");
    t.notMatch(again, /still rotates/);
  },
);
