import t from 'tap';
import { exists, noLab, put, read, reset, run, shell, show, start, until } from './fixtures/lab.ts';

const UNITS = '/run/systemd/system';
const DROP_IN = '/etc/systemd/system/kubelet.service.d/20-certlet.conf';
const LINK = '/var/lib/kubelet/pki/kubelet-server-current.pem';

/** A program named kubelet that tells its version, or its flags to a file. */
function putKubelet(): void {
  put(
    '/srv/bin/kubelet',
    `#!/bin/sh\nif [ "$1" = --version ]; then echo Kubernetes v1.20.2; exit; fi\nprintf '%s\\n' "$@" > /run/kubelet-flags\nexec sleep infinity\n`,
    '755',
  );
}

/** Flags of the kubelet that was started last. */
async function flagsOfRestarted(): Promise<readonly string[]> {
  shell('rm -f /run/kubelet-flags; systemctl daemon-reload; systemctl restart kubelet');
  await until('the kubelet', () => exists('/run/kubelet-flags') && read('/run/kubelet-flags') !== '');
  return read('/run/kubelet-flags').split('\n');
}

const BEFORE = [
  '--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf',
  '--kubeconfig=/etc/kubernetes/kubelet.conf',
  '--config=/var/lib/kubelet/config.yaml',
  '--node-ip=192.0.2.7',
  '--node-labels=a=b c',
];

t.test('a kubeadm kubelet is handed over and taken back', { skip: noLab }, async (t) => {
  await reset();
  putKubelet();
  put(`${UNITS}/kubelet.service`, '[Service]\nExecStart=/srv/bin/kubelet\n');
  put(
    `${UNITS}/kubelet.service.d/10-kubeadm.conf`,
    `[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/var/lib/kubelet/extra.env
ExecStart=
ExecStart=/srv/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
`,
  );
  put('/var/lib/kubelet/kubeadm-flags.env', 'KUBELET_KUBEADM_ARGS="--node-ip=192.0.2.7"\n');
  put('/var/lib/kubelet/extra.env', `KUBELET_EXTRA_ARGS="'--node-labels=a=b c'"\n`);
  put('/var/lib/kubelet/config.yaml', 'rotateCertificates: true\nserverTLSBootstrap: true\n');
  t.strictSame(await flagsOfRestarted(), BEFORE);

  const told = run('certlet', 'adopt', '--write');
  t.match(told, 'kubelet: kubelet.service, v1.20.2');
  t.match(told, `written: ${DROP_IN}`);
  shell('mkdir -p /var/lib/kubelet/pki; systemctl daemon-reload');
  start('certlet');
  t.ok(exists(LINK), 'the kubelet can start on it');
  t.equal(run('systemd-analyze', 'verify', 'kubelet.service'), '');
  t.strictSame(await flagsOfRestarted(), [
    ...BEFORE,
    '--bootstrap-kubeconfig=',
    '--rotate-certificates=false',
    '--rotate-server-certificates=false',
    `--tls-cert-file=${LINK}`,
    `--tls-private-key-file=${LINK}`,
  ]);
  t.match(run('certlet', 'adopt'), "certlet's files: nothing to change");

  shell(`rm ${DROP_IN}`);
  t.strictSame(await flagsOfRestarted(), BEFORE);
});

t.test('folders outside the defaults are writable after adopt, and only they', { skip: noLab }, async (t) => {
  await reset();
  putKubelet();
  put(
    `${UNITS}/kubelet.service`,
    '[Service]\nExecStart=/srv/bin/kubelet --kubeconfig /srv/node/kubelet.conf "--cert-dir=/srv/cert dir"\n',
  );
  shell('mkdir -p /srv/node "/srv/cert dir" /srv/other');
  run('systemctl', 'daemon-reload');
  run('certlet', 'adopt', '--write');
  run('systemctl', 'daemon-reload');
  start('certlet');
  t.equal(show('certlet', 'ActiveState'), 'active');
  await until('a pair in the folder', () => exists('/srv/cert dir/kubelet-server-current.pem'));
  const pid = show('certlet', 'MainPID');
  const writable = (folder: string): boolean =>
    exists(folder) &&
    run('nsenter', '-t', pid, '-m', '--', 'sh', '-c', `test -w "${folder}" && echo yes || echo no`) === 'yes';
  t.ok(writable('/srv/node'));
  t.notOk(writable('/srv/other'));
});
