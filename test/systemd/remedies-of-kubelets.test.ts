/** Remedies for what a kubelet and other programs show and read, and for records, on a node that has joined: pasted into a shell, the trouble is gone. */
import t, { type Test } from 'tap';
import {
  attempt,
  BOOTSTRAP,
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
import { LabCluster } from './fixtures/lab-cluster.ts';
import { type Finding, findingsOf, fixBelow, fixOf, Pastes } from './fixtures/paste.ts';

const pastes = new Pastes('remedies-of-kubelets');

const SERVING = `${PKI}/kubelet-server-current.pem`;
const settled = (): boolean => /^client until .*; serving until /.test(show('certlet', 'StatusText'));
const found = (id: string, ...words: readonly string[]): Finding | undefined =>
  findingsOf(id, ...words).find((each) => each.id === id);

/** Pastes the remedy of one finding, and sees that finding gone. */
async function mended(id: string, source: string, ...words: readonly string[]): Promise<void> {
  const remedy = found(id, ...words)?.remedy ?? '';
  pastes.paste(source, remedy);
  await until(`no ${id} after ${remedy}`, () => found(id, ...words) === undefined);
}

const OLD = '/srv/old.pem';
const EXTENSIONS = '/srv/extensions';

/** A pair of a CA that is none of the cluster's. */
function makeOldPair(): void {
  const key = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes';
  put(EXTENSIONS, 'extendedKeyUsage=serverAuth\nsubjectAltName=IP:127.0.0.1\n');
  shell(`
    openssl req -x509 ${key} -keyout /srv/ca.key -out /srv/ca.crt -days 2 -subj /CN=another 2> /dev/null
    openssl req ${key} -keyout /srv/old.key -out /srv/old.csr -subj /CN=other 2> /dev/null
    openssl x509 -req -in /srv/old.csr -CA /srv/ca.crt -CAkey /srv/ca.key -CAcreateserial -days 2 -extfile ${EXTENSIONS} -out /srv/old.crt 2> /dev/null
    cat /srv/old.crt /srv/old.key > ${OLD}`);
}

/** A program that shows at its port the pair that lay at `path` when it was started, or the old one. */
function installServer(unit: string, program: string, port: number, path: string): void {
  makeOldPair();
  put(
    program,
    `#!/bin/sh\npair=${path}; [ -e "$pair" ] || pair=${OLD}\nexec openssl s_server -accept ${String(port)} -cert "$pair" -key "$pair" -quiet -www\n`,
    '755',
  );
  const flags = '--config=/var/lib/kubelet/config.yaml --kubeconfig=/etc/kubernetes/kubelet.conf';
  put(
    `/run/systemd/system/${unit}`,
    `[Service]\nExecStart=${program}${unit === 'kubelet.service' ? ` ${flags}` : ''}\n`,
  );
  run('systemctl', 'daemon-reload');
}

const KUBELET_SETTINGS =
  'kubelet: { restart: never, address: 127.0.0.1, port: 10250 }\nrotation: { minimumSpacing: 1s }\n';

async function joined(t: Test, settings = KUBELET_SETTINGS): Promise<LabCluster> {
  put('/etc/certlet/config.yaml', settings);
  const cluster = await LabCluster.start(t);
  start('certlet');
  await until('both certificates', settled);
  return cluster;
}

t.test('a kubelet that shows an older pair, and one that is not there', { skip: noLab }, async (t) => {
  await reset();
  installServer('kubelet.service', '/usr/local/bin/kubelet', 10_250, SERVING);
  put('/var/lib/kubelet/config.yaml', '{}\n');
  start('kubelet');
  put('/etc/certlet/config.yaml', KUBELET_SETTINGS);
  await LabCluster.start(t);
  // A run of the timer waits less long than the daemon.
  start('certlet-once.service');
  const line = await untilSaid('certlet-once.service', 'the settings forbid to restart it');
  pastes.paste('adapters/hooks/restart-kubelet.ts', fixOf(line));
  await until('the current pair', () => found('served.stale') === undefined);

  start('certlet');
  await until('both certificates', settled);
  run('certlet', 'renew', 'serving', '--wait');
  await mended('served.stale', 'check/rules/served.ts');
  run('certlet', 'renew', 'serving', '--wait');
  await mended('kubelet-ca.served', 'check/rules/for-kubelet-ca.ts', '--for', 'kubelet-ca');

  stop('kubelet');
  const { stdout } = attempt('certlet', 'check', '--for', 'kubelet-ca', '--output', 'json');
  const { findings } = JSON.parse(stdout) as { readonly findings: readonly Finding[] };
  const absent = findings.find(({ id, verdict }) => id === 'kubelet-ca.served' && verdict === 'skipped');
  pastes.paste('check/rules/for-kubelet-ca.ts', absent?.remedy ?? '');
  t.equal(show('kubelet', 'ActiveState'), 'active');

  const pid = show('kubelet', 'MainPID');
  pastes.paste('check/rules/for-ca-rotation.ts', found('ca-rotation.kubelet', '--for', 'ca-rotation')?.remedy ?? '');
  t.notOk([pid, '0'].includes(show('kubelet', 'MainPID')), 'another run of the kubelet');
});

t.test('a serving certificate that an API server will refuse one day', { skip: noLab }, async (t) => {
  await reset();
  await joined(t);
  stop('certlet');
  makeOldPair();
  shell(`cp ${OLD} "$(readlink -f ${SERVING})"`);
  await mended('kubelet-ca.common-name', 'check/rules/for-kubelet-ca.ts', '--for', 'kubelet-ca');
});

t.test('another program writes pairs', { skip: noLab }, async (t) => {
  await reset();
  await joined(t);
  const foreign = (year: number): string =>
    shell(`cp -L ${PKI}/kubelet-client-current.pem ${PKI}/kubelet-client-${String(year)}-01-01-00-00-00.pem`);
  foreign(2031);
  await mended('kubelet.foreign-client', 'check/rules/pairs.ts');
  installServer('kubelet.service', '/usr/local/bin/kubelet', 10_250, SERVING);
  put('/var/lib/kubelet/config.yaml', 'rotateCertificates: true\n');
  start('kubelet');
  foreign(2032);
  await mended('kubelet.foreign-client', 'check/rules/kubelet.ts');
  t.equal(show('kubelet', 'ActiveState'), 'active');
});

t.test('a kubeconfig with the certificate inside', { skip: noLab }, async (t) => {
  await reset();
  installServer('kubelet.service', '/usr/local/bin/kubelet', 10_250, SERVING);
  put('/var/lib/kubelet/config.yaml', '{}\n');
  await joined(t);
  stop('certlet');
  const inside = (field: string): string =>
    `s#${field}: .*#${field}-data: '"$(base64 -w0 < "$(readlink -f ${PKI}/kubelet-client-current.pem)")"'#`;
  shell(`sed -i '${inside('client-certificate')}; ${inside('client-key')}' ${KUBECONFIG}`);
  start('kubelet');
  const remedy = found('kubelet.embedded')?.remedy ?? '';
  const pid = show('kubelet', 'MainPID');
  start('certlet');
  await until('the kubeconfig', () => !read(KUBECONFIG).includes('client-certificate-data'));
  pastes.paste('check/rules/kubelet.ts', remedy);
  t.notOk([pid, '0'].includes(show('kubelet', 'MainPID')), 'another run of the kubelet');
  t.equal(found('kubelet.embedded'), undefined);
});

t.test('a program of somebody that shows an older pair', { skip: noLab }, async (t) => {
  await reset();
  const folder = '/srv/exporter';
  installServer('exporter.service', '/usr/local/bin/exporter', 9100, `${folder}/tls.pem`);
  shell(`mkdir -p ${folder}`);
  // A program that wants both in one file.
  put(
    '/run/systemd/system/exporter.service.d/one-file.conf',
    `[Service]\nExecStartPre=sh -c 'cat ${folder}/tls.crt ${folder}/tls.key > ${folder}/tls.pem || rm -f ${folder}/tls.pem'\n`,
  );
  shell('systemctl daemon-reload; systemctl start exporter');
  run('certlet', 'allow', folder);
  run('certlet', 'allow', '--reload', 'exporter=exporter.service:try-restart');
  put(
    '/etc/certlet/config.yaml',
    `${KUBELET_SETTINGS}certificates:
  - name: exporter
    signerName: example.com/exporter
    commonName: exporter
    names: ["127.0.0.1"]
    usages: [digital signature, server auth]
    certFile: ${folder}/tls.crt
    keyFile: ${folder}/tls.key
    reload: exporter
    verify: {address: "127.0.0.1:9100"}
`,
  );
  const cluster = await LabCluster.start(t, { approveOthers: true });
  await cluster.tell({ signOthers: true });
  start('certlet');
  await until('the certificate of the program', () => attempt('test', '-e', `${folder}/tls.crt`).status === 0);
  await mended('served.stale', 'check/rules/served.ts');
});

t.test("the cluster's server has another CA", { skip: noLab }, async (t) => {
  await reset();
  const cluster = await joined(t);
  const another = async (): Promise<void> => {
    stop('certlet');
    const { bootstrapKubeconfig } = await cluster.tell({ rotateServerCa: true });
    put(BOOTSTRAP, bootstrapKubeconfig, '600');
  };
  const takenOver = async (words: string): Promise<void> => {
    const first = run('readlink', `${PKI}/kubelet-client-current.pem`);
    const causes = found('tls.stale-kubeconfig')?.causes ?? [];
    pastes.paste('check/rules/tls.ts', causes.find(({ remedy = '' }) => remedy.includes(words))?.remedy ?? '');
    await until('the CA to be taken over', () => found('tls.stale-kubeconfig') === undefined, 120_000);
    t.equal(run('readlink', `${PKI}/kubelet-client-current.pem`), first, 'identity and key stay');
  };
  await another();
  await takenOver('systemctl restart certlet');

  put('/etc/certlet/config.yaml', `manageKubeconfig: false\n${KUBELET_SETTINGS}`);
  installServer('kubelet.service', '/usr/local/bin/kubelet', 10_250, SERVING);
  await another();
  start('certlet');
  start('kubelet');
  const pid = show('kubelet', 'MainPID');
  await takenOver('certlet join --write-kubeconfig');
  t.notOk([pid, '0'].includes(show('kubelet', 'MainPID')), 'another run of the kubelet');
});

t.test('another CA that is published, and a kubelet that believes no callers of it', { skip: noLab }, async (t) => {
  await reset();
  installServer('kubelet.service', '/usr/local/bin/kubelet', 10_250, SERVING);
  put('/var/lib/kubelet/config.yaml', 'authentication: { x509: { clientCAFile: /srv/client-ca.crt } }\n');
  const cluster = await joined(t);
  const [, ca = ''] = /certificate-authority-data: "?([\w+/=]+)/.exec((await cluster.tell()).bootstrapKubeconfig) ?? [];
  put('/srv/client-ca.crt', Buffer.from(ca, 'base64').toString().trim());
  start('kubelet');
  await cluster.tell({ publishAnother: true });
  if (attempt('sh', '-c', 'command -v jq').status === 0)
    await mended('cluster-ca.client-ca', 'check/rules/client-ca.ts');
  else {
    t.comment('without jq');
    pastes.note('check/rules/client-ca.ts', found('cluster-ca.client-ca')?.remedy ?? '');
  }
});

t.test('refused requests, broken records, and commands that find no daemon', { skip: noLab }, async (t) => {
  await reset();
  installServer('kubelet.service', '/usr/local/bin/kubelet', 10_250, SERVING);
  const cluster = await joined(t);
  await cluster.tell({ set: { approval: 'denying' } });
  run('certlet', 'renew', 'client');
  await untilSaid('certlet', 'ERR_CSR_DENIED');
  await cluster.tell({ set: { approval: 'automatic' } });
  await mended('requests.client-held', 'check/steps/requests.ts');

  stop('certlet');
  start('kubelet');
  const pid = show('kubelet', 'MainPID');
  pastes.paste('cli/commands/renew.ts', fixBelow(attempt('certlet', 'renew', '--restart-now').stderr));
  t.notOk([pid, '0'].includes(show('kubelet', 'MainPID')), 'another run of the kubelet');

  put(`${PKI}/.certlet/client-history.json`, 'no record', '600');
  pastes.paste('cli/commands/history.ts', fixBelow(attempt('certlet', 'history').stderr));
  await until('a history', () => attempt('certlet', 'history').status === 0);

  stop('certlet');
  put('/run/certlet/status.json', '{"version":9}\n');
  pastes.paste('status/codec.ts', fixBelow(attempt('certlet', 'status').stderr));
  await until('a status', () => attempt('certlet', 'status').status === 0);
});

t.test('every remedy that the registry names this file for was pasted', { skip: noLab }, async (t) => pastes.all(t));
