/** Pages of docs/ typed on a host, in their order: what test/fixtures/typed-pages.ts gives to this file. The cluster's side of them is typed by the cluster suite. */
import t, { type Test } from 'tap';
import { pageText } from '../fixtures/page.ts';
import { typedBy } from '../fixtures/typed-pages.ts';
import { typedInTables } from '../fixtures/typed-tables.ts';
import { joinWords } from './fixtures/join-words.ts';
import {
  attempt,
  BOOTSTRAP,
  exists,
  KUBECONFIG,
  noLab,
  type Outcome,
  PKI,
  put,
  read,
  reset,
  run,
  shell,
  show,
  until,
} from './fixtures/lab.ts';
import { LabCluster } from './fixtures/lab-cluster.ts';

const FILE = 'test/systemd/pages.test.ts';
const alerts = typedBy(FILE, 'docs/alerts.md');
const caRotation = typedBy(FILE, 'docs/ca-rotation.md');
const certificates = typedBy(FILE, 'docs/certificates.md');
const check = typedBy(FILE, 'docs/check.md');
const install = typedBy(FILE, 'docs/install.md');
const join = typedBy(FILE, 'docs/join.md');
const migrate = typedBy(FILE, 'docs/migrate.md');
const tokens = typedBy(FILE, 'docs/tokens.md');
const troubleshoot = typedBy(FILE, 'docs/troubleshoot.md');

/** Where the person who types is. */
const FOLDER = '/srv/here';
const CA = '/etc/kubernetes/pki/ca.crt';
const settled = (): boolean => /^client until .*; serving until /.test(show('certlet', 'StatusText'));
const bothCertificates = (): Promise<void> => until('both certificates', settled, 120_000);
/** Programs that small trees do not have. */
const has = (program: string): boolean => attempt('sh', '-c', `command -v ${program}`).status === 0;
/** Commands that look, and end by what they see. */
const LOOKS = /^certlet (?:status|check)/;
/** The greatest status of theirs that says what was seen (docs/exit-codes.md). */
const SEEN = 3;

interface Typing {
  /** What stands on the page for things that each reader has others of. */
  readonly fill?: Readonly<Record<string, string>>;
  /** What is typed after the command, at a terminal, and then Ctrl-D. */
  readonly answer?: string;
}

/** Types commands as root; each must end well, and one that looks must have seen something. */
function type(t: Test, commands: readonly string[], { fill = {}, answer = '' }: Typing = {}): readonly Outcome[] {
  return commands.map((command) => {
    let typed = command;
    for (const [word, value] of Object.entries(fill)) typed = typed.replaceAll(word, () => value);
    const line = `mkdir -p ${FOLDER} && cd ${FOLDER} && printf '%s\\n' "$2" | TERM=dumb script -qec "$1" /dev/null`;
    const outcome = attempt('sh', '-c', line, 'sh', typed, answer);
    const well = LOOKS.test(command) ? outcome.status <= SEEN : outcome.status === 0;
    t.ok(well, command, well ? {} : { printed: `${String(outcome.status)}: ${outcome.stdout}\n${outcome.stderr}` });
    return outcome;
  });
}

/** What the last of them printed. */
const lastOf = (outcomes: readonly Outcome[]): string => outcomes.at(-1)?.stdout.replaceAll('\r', '') ?? '';

/** Programs that tell their flags and wait, in place of kubelet and kube-proxy. */
function putPrograms(kubelet: string): void {
  const wait = `exec -a "$(basename "$0")" perl -e 'sleep 1000 while 1' -- "$@"`;
  const version = 'if [ "$1" = --version ]; then echo Kubernetes v1.20.2; exit; fi';
  for (const name of ['kubelet', 'kube-proxy']) put(`/srv/bin/${name}`, `#!/bin/bash\n${version}\n${wait}\n`, '755');
  put('/run/systemd/system/kubelet.service', `[Service]\nExecStart=/srv/bin/kubelet ${kubelet}\nRestart=always\n`);
  run('systemctl', 'daemon-reload');
}

/** Command line of the kubelet that runs. */
const kubeletFlags = (): string => attempt('pgrep', '-af', '^kubelet -e').stdout;

/** A fresh host and what `kubeadm token create --print-join-command` would have told about its cluster. */
async function freshHost(
  t: Test,
  kubelet: string,
): Promise<{ readonly token: string; readonly fill: Readonly<Record<string, string>>; readonly conf: string }> {
  await reset();
  shell("find /etc/systemd/system -path '*.wants/certlet*' -delete; systemctl daemon-reload");
  putPrograms(kubelet);
  await LabCluster.start(t, {}, '/run/of-the-cluster');
  const conf = read('/run/of-the-cluster');
  const { token, words } = joinWords(conf);
  const [endpoint = ''] = words;
  const hash = words.at(-1) ?? '';
  const data = /certificate-authority-data: "?([\w+/=]+)/.exec(conf)?.[1] ?? '';
  put(CA, Buffer.from(data, 'base64').toString('utf8'));
  const fill = {
    'join ...': `join ${words.join(' ')}`,
    'API-SERVER:6443': endpoint,
    '192.0.2.1:6443': endpoint,
    '10.0.0.1:6443': endpoint,
    'sha256:<64 hex digits>': hash,
    'sha256:HASH': hash,
    'sha256:...': hash,
    'token-file FILE': 'token-file /run/token',
  };
  return { token, fill, conf };
}

/** The kubelet's configuration as docs/install.md gives it, and a CA file of its own. */
function kubeletConfiguration(): string {
  const fence = /```yaml\n# KubeletConfiguration\n([^]*?)```/.exec(pageText('install.md'))?.[1] ?? '';
  return `${fence}authentication: {x509: {clientCAFile: ${CA}}}\n`;
}

t.test(
  'install.md on a new node; what alerts.md, check.md and troubleshoot.md look with',
  { skip: noLab, timeout: 240_000 },
  async (t) => {
    const { token, fill } = await freshHost(t, `--config=/var/lib/kubelet/config.yaml --kubeconfig=${KUBECONFIG}`);
    put('/var/lib/kubelet/config.yaml', kubeletConfiguration());
    shell(
      `mkdir -p ${FOLDER}; cd ${FOLDER}; echo kept > kept; sha256sum kept > SHA256SUMS; echo "$(cat SHA256SUMS)-missing" >> SHA256SUMS`,
    );
    t.match(lastOf(type(t, install('1. Install the package'))), 'kept: OK');
    type(t, install('The image for a read-only /usr'));

    type(t, install('3. A bootstrap kubeconfig'), { fill, answer: token });
    t.equal(run('stat', '-c', '%a %U', BOOTSTRAP), '600 root');
    t.notOk(exists('/root/token'));
    type(t, install('4. The kubelet'));
    type(t, install('5. Start'));
    t.match(show('kubelet', 'After'), 'certlet.service');
    await bothCertificates();
    run('systemctl', 'restart', 'kubelet');

    for (const { stdout } of type(t, alerts('Alerts'))) t.match(stdout, /certlet/i);
    t.match(lastOf(type(t, check('Find out why it does not work'))), /^Settings/m);
    for (const { stdout } of type(t, check('Before something changes'))) t.match(stdout, /^Settings/m);
    const { lines, socket } = Object.groupBy(troubleshoot('Troubleshoot by log line'), (command) =>
      command.startsWith('curl') ? 'socket' : 'lines',
    );
    t.match(type(t, lines ?? [])[0]?.stdout, 'Starting certlet');
    t.test('the socket', { skip: has('curl') ? false : 'no curl in this tree' }, async (t) => {
      const answers = type(t, socket ?? []);
      t.match(answers.at(-1)?.stdout, /^certlet_/m);
      t.match(answers[0]?.stdout, /debug/);
    });
  },
);

t.test(
  'install.md: a look before the upgrade, and the upgrade from an archive',
  { skip: noLab, timeout: 240_000 },
  async (t) => {
    const { conf } = await freshHost(t, '');
    put(BOOTSTRAP, conf, '600');
    run('systemctl', 'enable', '--now', 'certlet');
    await bothCertificates();
    const before = [run('readlink', `${PKI}/kubelet-client-current.pem`), show('certlet', 'MainPID')];
    // The archive has a link in place of its Node: what it holds is looked at by the suite of packages.
    shell(`mkdir -p ${FOLDER}/link/usr/lib/certlet /srv/new/usr/lib; cp -a /usr/lib/certlet /srv/new/usr/lib/
    cd ${FOLDER}/link/usr/lib/certlet; cp -a $(ls -d /usr/lib/certlet/* | grep -v /node$) .; ln -s /usr/lib/certlet/node node`);
    await t.test('the look', { skip: has('xz') ? false : 'no xz in this tree' }, async (t) => {
      shell(`rm -rf /tmp/new; tar -cf - -C ${FOLDER}/link . | xz -0 > ${FOLDER}/certlet-0.2.0-linux-amd64.tar.xz`);
      const [unpack = '', look = ''] = install('From 0.1.0 to 0.2.0');
      type(t, [unpack], { fill: { VERSION: '0.2.0' } });
      t.match(attempt('sh', '-c', look).stdout, /^Settings/m);
      shell('rm -rf /tmp/new');
    });
    type(t, install('Upgrade'), { fill: { 'DIR/usr': '/srv/new/usr' } });
    await bothCertificates();
    t.equal(run('readlink', `${PKI}/kubelet-client-current.pem`), before[0], 'goes on with its certificate');
    t.not(show('certlet', 'MainPID'), before[1], 'by the new program');
  },
);

t.test(
  'join.md from joining to leaving; the ways that tokens.md and ca-rotation.md name',
  { skip: noLab, timeout: 240_000 },
  async (t) => {
    const { token, fill, conf } = await freshHost(t, '');
    type(t, join('The short way'), { fill, answer: token });
    t.equal(run('stat', '-c', '%a %U', BOOTSTRAP), '600 root');
    t.notOk(exists('/run/token'));
    await bothCertificates();
    t.match(lastOf(type(t, join('The hash of the CA'))), new RegExp(`^${fill['sha256:HASH'] ?? ''}$`));

    put('/run/token', token, '600');
    put(`${FOLDER}/cluster.conf`, conf.replace(/^ {4}token: .*$/m, '    {}'), '600');
    type(t, join('Without anonymous access'));
    put(`${FOLDER}/worker-1.conf`, conf, '600');
    type(t, tokens('Make them'));
    t.notOk(exists(`${FOLDER}/worker-1.conf`));
    type(t, caRotation('A node that was off'), { fill });

    type(t, join("The kubelet's kubeconfig by root"), { fill });
    t.match(read(KUBECONFIG), `client-certificate: ${PKI}/kubelet-client-current.pem`);
    await bothCertificates();
    type(t, join('Sealed to the host'), { fill });
    t.equal(run('readlink', BOOTSTRAP), '/run/certlet/bootstrap-kubelet.conf');

    const [stop = '', leave = '', ...again] = join('Leave a cluster');
    type(t, [stop]);
    type(t, [leave], { answer: 'y' });
    t.equal(attempt('grep', '-rls', 'PRIVATE KEY', PKI).stdout, '', 'no key is left');
    t.notOk(exists(KUBECONFIG) || exists(BOOTSTRAP) || exists('/etc/certlet/bootstrap-kubelet.cred'));
    type(t, again, { fill });
    await bothCertificates();
    run('systemctl', 'disable', '--now', 'certlet');
  },
);

t.test(
  'migrate.md there and back, with the certificates of certificates.md',
  { skip: noLab, timeout: 240_000 },
  async (t) => {
    const flags = `--bootstrap-kubeconfig=${BOOTSTRAP} --kubeconfig=${KUBECONFIG} --config=/var/lib/kubelet/config.yaml`;
    const { conf } = await freshHost(t, flags);
    put(BOOTSTRAP, conf, '600');
    put('/var/lib/kubelet/config.yaml', `rotateCertificates: true\nauthentication: {x509: {clientCAFile: ${CA}}}\n`);
    const proxy = '/etc/kubernetes/kube-proxy.kubeconfig';
    put(proxy, conf, '600');
    put(
      '/run/systemd/system/kube-proxy.service',
      `[Service]\nExecStart=/srv/bin/kube-proxy --kubeconfig=${proxy}\nRestart=always\n`,
    );
    run('systemctl', 'daemon-reload');
    run('systemctl', 'start', 'kubelet', 'kube-proxy');

    t.match(lastOf(type(t, migrate('See first'))), 'kubelet: kubelet.service, v1.20.2');
    type(t, migrate('Move: kubeadm, or any kubelet with a unit of its own'));
    const reads = (): boolean => kubeletFlags().includes('--rotate-certificates=false');
    await until('a kubelet that reads', reads);
    type(t, migrate('A kube-proxy on the host'));
    await until('the first certificate', () => exists(`${PKI}/kubelet-client-current.pem`), 120_000);
    type(t, migrate('Check'));

    shell('printf "g node-exporter -\\n" | systemd-sysusers -');
    type(t, certificates('Where the pair lies'));
    t.equal(run('stat', '-c', '%a %G', '/var/lib/certlet/certs/node-exporter'), '2750 node-exporter');
    t.match(run('certlet', 'allow'), '/srv/exporter');
    type(t, certificates('What reloads after a renewal'), {
      fill: { 'NAME=UNIT': 'kube-proxy=kube-proxy.service', NAME: 'kube-proxy' },
    });
    type(t, certificates('kube-proxy'));
    t.equal(show('certlet-reload@kube-proxy.path', 'ActiveState'), 'active');

    await t.test('a CA that the kubelet lacks', { skip: has('jq') ? false : 'no jq in this tree' }, async (t) => {
      const ca = read(CA);
      shell(
        `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=another -days 9 -keyout /dev/null -out ${CA} 2> /dev/null`,
      );
      const lacks = `.findings[] | select(.id == "cluster-ca.client-ca") | .evidence.pem // [] | .[]`;
      const found = (): boolean => shell(`certlet check --output json | jq -r '${lacks}'`) !== '';
      t.ok(found());
      type(t, caRotation('A rotation, step by step'));
      t.ok(read(CA).includes(ca.trim()), 'the missing one is added');
      t.notOk(found());
    });

    type(t, migrate('Back to the kubelet'));
    await until('a kubelet that rotates', () => kubeletFlags() !== '' && !reads());
    run('systemctl', 'stop', 'kube-proxy');
  },
);

t.test('commands in tables of the pages', { skip: noLab }, async (t) => {
  await reset();
  run('systemctl', 'start', 'certlet', 'certlet-kubelet-restart.path');
  await until('its socket', () => exists('/run/certlet/control.sock'));
  put(`${FOLDER}/FILE`, 'x');
  // A group first, then what is for it.
  const commands = [...typedInTables(FILE)].sort(
    (a, b) => Number(b.includes('sysusers')) - Number(a.includes('sysusers')),
  );
  for (const command of commands)
    if (has(command.split(' ')[0] ?? '')) type(t, [command]);
    else t.comment(`without ${command}`);
  t.equal(run('stat', '-c', '%a %G', '/etc/certlet/bootstrap-kubelet.conf'), '640 certlet');
  t.equal(show('certlet-once.timer', 'ActiveState'), 'active');
  run('systemctl', 'disable', '--now', 'certlet-once.timer');
});
