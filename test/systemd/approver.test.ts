/** The approver's unit: from the entry of `certificates` that gets its identity to a serving certificate that it approves. */
import t from 'tap';
import { defaultBindings } from '../fixtures/cluster/roles.ts';
import { typedBy } from '../fixtures/typed-pages.ts';
import {
  exists,
  messages,
  noLab,
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
import { LabCluster } from './fixtures/lab-cluster.ts';

const page = typedBy('test/systemd/approver.test.ts', 'docs/approve.md');
const alerts = typedBy('test/systemd/approver.test.ts', 'docs/alerts.md');
const CONF = '/etc/kubernetes/certlet-approver.conf';
const csrs = 'certificatesigningrequests';
const certificates = 'certificates.k8s.io';
const rule = (group: string, resource: string, ...verbs: readonly string[]) => ({
  verbs,
  group,
  resources: [resource],
});
const bindings = [
  ...defaultBindings(true),
  { role: 'selfnodeserver', groups: ['system:nodes'], rules: [rule(certificates, `${csrs}/selfnodeserver`, 'create')] },
  {
    role: 'certlet-approver',
    users: ['certlet-approver'],
    rules: [
      rule(certificates, csrs, 'get', 'list', 'watch'),
      rule(certificates, `${csrs}/approval`, 'update'),
      rule('', 'nodes', 'list', 'watch'),
      rule('networking.k8s.io', 'servicecidrs', 'list'),
      rule('', 'services', 'get'),
      rule('', 'endpoints', 'get'),
      rule('', 'configmaps', 'get'),
      rule('authorization.k8s.io', 'subjectaccessreviews', 'create'),
      rule('coordination.k8s.io', 'leases', 'create', 'get', 'update'),
      rule('', 'events', 'create'),
    ],
  },
];
const nodes = [{ name: 'sdlab', addresses: [{ type: 'InternalIP', address: '192.0.2.7' }] }];

t.test(
  'the approver boots with a certificate of its own, holds its Lease and survives a restart of the API server',
  { skip: noLab },
  async (t) => {
    await reset();
    const cluster = await LabCluster.start(t, { approveServing: false, bindings, nodes });
    put('/etc/certlet/config.yaml', 'nodeIP: [192.0.2.7]\n');
    start('certlet');
    const [printed, users, folder, reload, enable, ...more] = page('As a service');
    t.strictSame(more, [], 'all of the page is typed');
    const entry = shell(printed ?? '');
    shell(users ?? '');
    shell(folder ?? '');
    put('/etc/certlet/config.yaml', `nodeIP: [192.0.2.7]\n${entry}`);
    shell(reload ?? '');
    await until('three requests', async () => (await cluster.tell()).csrs.length === 3);
    await cluster.tell({ approveAll: true });
    await until('the kubeconfig of the approver', () => exists(CONF));
    t.equal(run('stat', '-c', '%a %U', CONF), '600 root');

    shell(enable ?? '');
    t.equal(show('certlet-approver', 'User'), 'certlet-approver');
    await untilSaid('certlet-approver', /^Holding the Lease/);
    await until('the status', () => show('certlet-approver', 'StatusText') === 'approving');
    run('certlet', 'renew', 'serving');
    await untilSaid('certlet-approver', /^Approved/);

    for (const command of alerts('The approver')) t.match(shell(command), /Approved/);

    await cluster.tell({ restart: true });
    const before = messages('certlet-approver').filter((line) => line.startsWith('Approved')).length;
    run('certlet', 'renew', 'serving');
    await until(
      'an approval after the restart',
      () => messages('certlet-approver').filter((line) => line.startsWith('Approved')).length > before,
      60_000,
    );
    t.equal(show('certlet-approver', 'NRestarts'), '0');

    const pid = show('certlet-approver', 'MainPID');
    run('systemctl', 'reload', 'certlet-approver');
    await untilSaid('certlet-approver', /^Settings of the approver reloaded/);
    await until('to be ready again', () => show('certlet-approver', 'ActiveState') === 'active');
    t.equal(show('certlet-approver', 'MainPID'), pid, 'the same process');
    t.notMatch(read(`/proc/${pid}/status`), /CapEff:\s+0*[1-9a-f]/, 'no capabilities');
    run('systemctl', 'disable', '--now', 'certlet-approver');
    t.equal(show('certlet-approver', 'Result'), 'success');
  },
);
