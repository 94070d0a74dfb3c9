/** `certlet allow` as root types it: what it opens is open to the daemon and to the timer's service, and a flag reloads what root has named. */
import t from 'tap';
import {
  attempt,
  exists,
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

const DROP_IN = '/etc/systemd/system/certlet.service.d/zz-allowed-folders.conf';
const RESTART = 'systemctl daemon-reload; systemctl restart certlet';

/** Whether the running daemon may write there. */
const writable = (folder: string): boolean =>
  attempt('nsenter', '-t', show('certlet', 'MainPID'), '-m', '--', 'test', '-w', folder).status === 0;

t.test(
  'folders with letters that systemd, a shell or C would read otherwise are open as they are',
  { skip: noLab },
  async (t) => {
    await reset();
    const folders = [
      '/srv/plain',
      '/srv/with space',
      '/srv/é',
      '/srv/100%n',
      `/srv/it's "quoted"`,
      String.raw`/srv/back\slash`,
      '/srv/$HOME',
    ];
    for (const folder of folders) run('certlet', 'allow', folder);
    shell('mkdir /srv/other');
    for (const unit of ['certlet.service', 'certlet-once.service']) {
      t.equal(run('systemd-analyze', 'verify', '--man=no', unit), '', unit);
      t.ok(exists(DROP_IN.replace('certlet.service', unit)), unit);
    }
    shell('systemctl daemon-reload');
    start('certlet');
    for (const folder of folders) t.ok(writable(folder), folder);
    t.notOk(writable('/srv/other'));
    const listed = run('certlet', 'allow');
    for (const folder of folders) t.match(listed, `  ${folder}  `);
    for (const folder of folders) run('certlet', 'allow', '--remove', folder);
    t.notOk(exists(DROP_IN));
    shell(RESTART);
    for (const folder of folders) t.notOk(writable(folder), folder);
  },
);

t.test('a folder for a user of its own: what is printed as next makes it so', { skip: noLab }, async (t) => {
  await reset();
  shell(
    'mkdir -p /etc/systemd/system/certlet.service.d; cp /usr/share/certlet/drop-ins/certlet.service.d/own-user.conf /etc/systemd/system/certlet.service.d/; systemd-sysusers; systemctl daemon-reload',
  );
  const told = run('certlet', 'allow', '/srv/certificates');
  const next = told.slice(told.indexOf('next:\n') + 'next:\n'.length);
  t.match(next, 'chown certlet /srv/certificates');
  shell(next);
  t.ok(
    attempt(
      'nsenter',
      '-t',
      show('certlet', 'MainPID'),
      '-m',
      '--',
      'runuser',
      '-u',
      'certlet',
      '--',
      'touch',
      '/srv/certificates/x',
    ).status === 0,
  );
});

t.test('what root, the kubelet or others believe stays closed, and says why', { skip: noLab }, async (t) => {
  await reset();
  put(
    '/run/systemd/system/kubelet.service',
    '[Service]\nExecStart=/bin/sleep infinity --config=/srv/kubelet/config.yaml --kubeconfig=/etc/kubernetes/kubelet.conf\n',
  );
  put('/srv/kubelet/config.yaml', 'staticPodPath: /srv/pods/static\n');
  shell(
    'mkdir -p /srv/pods/static /srv/real /srv/theirs/x /srv/open/x; ln -s real /srv/link; chown 7 /srv/theirs; chmod 777 /srv/open; systemctl daemon-reload',
  );
  for (const [folder, why] of [
    ['/srv/kubelet', "config.yaml is part of the kubelet's unit or configuration"],
    ['/srv/pods', 'static pods'],
    ['/srv/pods/static/below', 'static pods'],
    ['/srv/link', 'a link leads from it to /srv/real'],
    ['/srv/theirs/x', '/srv/theirs above it belongs to user 7'],
    ['/srv/open/x', '/srv/open above it can be written by others (mode 0777)'],
    ['/etc/systemd/system/certlet.service.d', "not certlet's alone"],
    ['/etc/cron.d', "not certlet's alone"],
    ['/var/spool/cron/crontabs', "not certlet's alone"],
    ['/etc/certlet/hooks', "not certlet's alone"],
    ['/var/lib/kubelet', "not certlet's alone"],
    ['/etc/kubernetes/manifests', 'the units keep /etc/kubernetes/manifests closed'],
    ['/root/x', 'does not see'],
    ['/', "not certlet's alone"],
  ] as const) {
    const { status, stderr } = attempt('certlet', 'allow', folder);
    t.equal(status, 64, folder);
    t.match(stderr, why, folder);
  }
  t.notOk(exists(DROP_IN));
});

t.test(
  'a raised flag does to a unit what root has said, and nothing once that is taken back',
  { skip: noLab },
  async (t) => {
    await reset();
    for (const name of ['proxy', String.raw`a\x2db`])
      put(
        `/run/systemd/system/${name}.service`,
        `[Service]\nExecStart=/bin/sleep infinity\nExecReload=touch /srv/reloaded\n`,
      );
    shell('mkdir -p /srv; systemctl daemon-reload');
    start('proxy');
    for (const [choice, name] of [
      ['proxy=proxy:reload', 'proxy'],
      [String.raw`escaped=a\x2db.service:try-restart`, 'escaped'],
    ] as const) {
      const told = run('certlet', 'allow', '--reload', choice);
      shell(told.slice(told.indexOf('next:\n') + 'next:\n'.length));
      t.equal(show(`certlet-reload@${name}.path`, 'ActiveState'), 'active');
    }
    const pid = show('proxy', 'MainPID');
    shell('mkdir -p /run/certlet/reload; touch /run/certlet/reload/proxy');
    await until('the reload', () => exists('/srv/reloaded'));
    t.equal(show('proxy', 'MainPID'), pid, 'reloaded, not restarted');

    start(String.raw`a\x2db`);
    const before = show(String.raw`a\x2db.service`, 'MainPID');
    shell('touch /run/certlet/reload/escaped');
    await until('the restart', () => {
      const now = show(String.raw`a\x2db.service`, 'MainPID');
      return now !== before && now !== '0';
    });
    stop(String.raw`a\x2db`);

    t.match(run('certlet', 'allow'), '  proxy  reload proxy.service');
    const removed = run('certlet', 'allow', '--remove', '--reload', 'proxy');
    shell(removed.slice(removed.indexOf('next:\n') + 'next:\n'.length));
    t.notOk(exists('/etc/certlet/reload/proxy.env'));
    t.equal(show('certlet-reload@proxy.path', 'ActiveState'), 'inactive');
    t.match(read('/etc/certlet/reload/escaped.env'), String.raw`UNIT='a\x2db.service'`);
  },
);

const ENTRY = `certificates:
  - name: proxy
    signerName: kubernetes.io/kube-apiserver-client
    commonName: system:kube-proxy
    usages: [client auth]
    certFile: /srv/proxy/tls.crt
    keyFile: /srv/proxy/tls.key
    reload: proxy
`;

interface CheckAnswer {
  readonly findings: readonly { readonly id: string; readonly remedy?: string }[];
}

/** Remedies of what check finds wrong on this host with folders and reloads. */
function remedies(): ReadonlyMap<string, string> {
  const { findings } = JSON.parse(attempt('certlet', 'check', '--output', 'json').stdout) as CheckAnswer;
  const ours = findings.filter(({ id }) => id === 'files.sandbox' || id.startsWith('reload.'));
  return new Map(ours.map(({ id, remedy = '' }) => [id, remedy]));
}

t.test(
  'settings that name another folder and a unit: a reload and check say what root has to allow',
  { skip: noLab },
  async (t) => {
    await reset();
    put('/run/systemd/system/proxy.service', '[Service]\nExecStart=/bin/sleep infinity\n');
    shell('systemctl daemon-reload');
    start('certlet');
    put('/etc/certlet/config.yaml', ENTRY);
    run('systemctl', 'reload', 'certlet');
    const line = await untilSaid('certlet', 'A folder of the settings is closed to the service');
    t.match(line, 'folder=/srv/proxy');
    t.match(line, 'certlet allow /srv/proxy && systemctl daemon-reload && systemctl restart certlet');
    const found = remedies();
    t.strictSame([...found.keys()], ['files.sandbox', 'reload.unnamed']);
    for (const remedy of found.values()) shell(remedy);
    t.strictSame([...remedies().keys()], []);
    t.ok(writable('/srv/proxy'));
    t.equal(show('certlet-reload@proxy.path', 'ActiveState'), 'active');
    run('systemctl', 'disable', '--now', 'certlet-reload@proxy.path');
    shell('rm /run/systemd/system/proxy.service; systemctl daemon-reload');
    t.strictSame([...remedies().keys()], ['reload.no-unit', 'reload.not-enabled']);
  },
);
