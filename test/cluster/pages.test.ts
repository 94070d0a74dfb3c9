/** What pages of docs/ have an administrator type, typed on a real control plane in their order: what test/fixtures/typed-pages.ts gives to this file. */
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import t, { type Test } from 'tap';
import { certletCommand, quoted } from '../fixtures/program.ts';
import { noteSecret } from '../fixtures/record.ts';
import { typedBy } from '../fixtures/typed-pages.ts';
import { typedInTables } from '../fixtures/typed-tables.ts';
import { ApproverHost } from './fixtures/approver.ts';
import { asset } from './fixtures/assets.ts';
import { createFileAuthority } from './fixtures/certificates.ts';
import type { ControlPlane } from './fixtures/control-plane.ts';
import { type Output, run } from './fixtures/processes.ts';
import { hostFor, withControlPlane } from './fixtures/suite.ts';

const FILE = 'test/cluster/pages.test.ts';
const alerts = typedBy(FILE, 'docs/alerts.md');
const approve = typedBy(FILE, 'docs/approve.md');
const binary = typedBy(FILE, 'docs/binary-install.md');
const caRotation = typedBy(FILE, 'docs/ca-rotation.md');
const certificates = typedBy(FILE, 'docs/certificates.md');
const install = typedBy(FILE, 'docs/install.md');
const tokens = typedBy(FILE, 'docs/tokens.md');
const root = resolve(import.meta.dirname, '../..');

/** Somebody whose kubectl is an administrator's, in a folder of his own. */
class Admin {
  readonly folder: string;
  readonly #env: NodeJS.ProcessEnv;

  constructor(plane: ControlPlane) {
    this.folder = join(plane.folder, 'admin');
    const bin = join(this.folder, 'bin');
    mkdirSync(bin, { recursive: true });
    const command = certletCommand([]).map(quoted).join(' ');
    for (const [name, program] of [
      ['certlet', command],
      ['kubectl', `${quoted(asset('kubectl') ?? '')} --cache-dir ${quoted(join(this.folder, 'cache'))}`],
    ] as const) {
      writeFileSync(join(bin, name), `#!/bin/sh\nexec ${program} "$@"\n`);
      chmodSync(join(bin, name), 0o755);
    }
    const PATH = `${bin}${delimiter}${process.env['PATH'] ?? ''}`;
    this.#env = { PATH, HOME: this.folder, KUBECONFIG: join(plane.folder, 'admin.conf') };
  }

  /** Types one line, and what is answered to its question; `fill` puts in what each reader has of his own. */
  async line(command: string, fill: Readonly<Record<string, string>> = {}, answer = ''): Promise<Output> {
    let typed = command.replaceAll('/usr/share/certlet/rbac/', `${join(root, 'config/rbac')}/`);
    for (const [word, value] of Object.entries(fill)) typed = typed.replaceAll(word, () => value);
    const env = { ...this.#env, LINE: typed };
    const script = answer === '' ? 'eval "$LINE"' : `printf '%s\\n' ${answer} | script -qec "$LINE" /dev/null`;
    return run('sh', ['-c', `cd ${quoted(this.folder)} && ${script}`], { env });
  }

  /** Types all of them, each of which must end well; gives what they printed. */
  async type(
    t: Test,
    commands: readonly string[],
    fill: Readonly<Record<string, string>> = {},
  ): Promise<readonly string[]> {
    const printed: string[] = [];
    for (const command of commands) {
      const { status, stdout, stderr } = await this.line(command, fill);
      t.equal(status, 0, command, status === 0 ? {} : { printed: `${stdout}\n${stderr}` });
      printed.push(stdout);
    }
    return printed;
  }
}

await withControlPlane(t, { clusterInfo: true, rbac: [] }, async (plane) => {
  const admin = new Admin(plane);
  const host = await ApproverHost.create(plane);

  t.test(
    'install.md and binary-install.md: roles, a bootstrap kubeconfig, and a serving request approved',
    async (t) => {
      for (const said of await admin.type(t, install('2. Roles in the cluster, once'))) t.match(said, /created/);
      for (const said of await admin.type(t, binary('1. Roles'))) t.match(said, /created|configured|unchanged/);
      const token = await plane.createBootstrapToken({
        id: 'binary',
        secret: '0123456789abcdef',
        extraGroups: ['system:bootstrappers:x'],
      });
      // Tokens of a file are in the group of their line; one of the cluster is in system:bootstrappers, which the first of the pages has bound.
      await admin.type(t, install('2. Roles in the cluster, once'));
      const fill = {
        '/etc/kubernetes/pki/ca.pem': plane.caPath,
        '${KUBE_APISERVER}': plane.server,
        '${BOOTSTRAP_TOKEN}': token,
      };
      await admin.type(t, binary('2. The bootstrap kubeconfig'), fill);
      const bootstrapKubeconfig = join(admin.folder, 'bootstrap.kubeconfig');
      chmodSync(bootstrapKubeconfig, 0o600);
      const node = hostFor(t, plane, 'binary-1', { bootstrapKubeconfig });
      node.start();
      await node.issued('client');
      const { metadata } = await plane.pendingCsr('serving', 'binary-1');
      await admin.type(t, binary('3. The kubelet'), { NAME: metadata.name });
      await node.issued('serving');
    },
  );

  t.test('certificates.md: who approves, and a request of a host approved', async (t) => {
    const [listed, approved] = certificates('Who asks, who approves, who signs');
    const signerName = 'kubernetes.io/kube-apiserver-client';
    await host.ask('of-kube-proxy', 'binary-1', {
      content: { commonName: 'system:kube-proxy' },
      spec: { signerName, usages: ['client auth'] },
    });
    const [said] = await admin.type(t, [listed ?? '']);
    t.match(said, 'of-kube-proxy');
    t.notMatch(said, 'node-csr', 'of that signer alone');
    await admin.type(t, [approved ?? ''], { NAME: 'of-kube-proxy' });
    t.match(await host.condition('of-kube-proxy'), /^Approved/);
    await admin.type(t, certificates('kube-proxy'));
  });

  t.test('tokens.md: tokens for nodes, their groups, and what approves any node taken away', async (t) => {
    const [write = '', show = ''] = tokens('Make them');
    const [made = ''] = await admin.type(t, [write]);
    for (const name of ['worker-1', 'worker-2']) {
      t.equal(statSync(join(admin.folder, 'tokens', `${name}.conf`)).mode & 0o777, 0o600);
      t.match(made, `${name}.conf`);
    }
    const [shown = ''] = await admin.type(t, [show]);
    const token = /[a-z0-9]{6}\.[a-z0-9]{16}/.exec(shown)?.[0] ?? '';
    noteSecret(token);
    t.match(shown, `certlet join`);
    const [hash = ''] = await admin.type(t, tokens('How the binding works'));
    const secret = await plane.kubectl([
      '-n',
      'kube-system',
      'get',
      'secret',
      `bootstrap-token-${token.slice(0, 6)}`,
      '-o',
      'jsonpath={.data.auth-extra-groups}',
    ]);
    t.match(Buffer.from(secret, 'base64').toString('utf8'), `system:bootstrappers:certlet-node:${hash.trim()}`);

    const [remove = '', look = ''] = tokens('Turn it on');
    t.match((await admin.line(look)).stdout, 'certlet', 'there before');
    await admin.type(t, [remove]);
    t.equal((await admin.line(look)).stdout, '', 'nothing is left that approves any node');
  });

  t.test('approve.md by hand, as the roles of the guides are bound, and with roles of its own', async (t) => {
    await host.node('by-hand', ['192.0.2.7']);
    const [ask = '', dry = '', yes = '', force = '', json = ''] = approve('Approving requests of nodes');
    await admin.type(t, approve('What the settings say'));
    await host.ask('csr-first', 'by-hand', { content: { ipAddresses: ['192.0.2.7'] } });
    const asked = await admin.line(ask, {}, 'y');
    t.equal(asked.status, 0, asked.stdout);
    t.match(await host.condition('csr-first'), /^Approved/);
    await host.ask('csr-x7k2p', 'by-hand', { content: { ipAddresses: ['192.0.2.7'] } });
    const [shown] = await admin.type(t, [dry]);
    t.match(shown, /csr-x7k2p.*approve/);
    t.equal(await host.condition('csr-x7k2p'), undefined, 'nothing is approved');
    await admin.type(t, [yes]);
    t.match(await host.condition('csr-x7k2p'), /^Approved/);
    await host.ask('csr-foreign', 'by-hand', { content: { ipAddresses: ['192.0.2.99'] } });
    const [document] = await admin.type(t, [json]);
    t.match(document, /"verdict": "(?:refuse|wait)"/);
    const forced = await admin.line(force, { 'csr-x7k2p': 'csr-foreign' }, 'y');
    t.equal(forced.status, 0, forced.stdout);
    t.match(await host.condition('csr-foreign'), /^Approved/);

    await host.ask('of-the-approver', 'by-hand', {
      content: { commonName: 'certlet-approver' },
      spec: { signerName: 'kubernetes.io/kube-apiserver-client', usages: ['client auth'] },
    });
    await admin.type(t, approve('As a service'), { NAME: 'of-the-approver' });
    const approver = host.start();
    t.teardown(() => approver.end('SIGKILL'));
    await approver.line(/Holding the Lease/);
    const [pending, lease] = await admin.type(t, alerts('The approver'));
    t.match(lease, 'holderIdentity');
    t.type(pending, 'string');
    await approver.end();
    writeFileSync(join(admin.folder, 'settings.yaml'), 'approve: {serving: true}\n');
    for (const said of await admin.type(t, approve('In the cluster'), {
      'config/approver/': `${root}/config/approver/`,
      FILE: 'settings.yaml',
    }))
      t.match(said, /clusterrole.*(?:created|configured|unchanged)/);
  });

  t.test('ca-rotation.md: cluster-info gets the new CA beside the old', async (t) => {
    // As kubeadm writes it, a field on a line.
    await admin.type(t, [
      "kubectl -n kube-public get configmap cluster-info -o jsonpath='{.data.kubeconfig}' > json.conf",
      'kubectl config view --raw --kubeconfig json.conf > yaml.conf',
      'kubectl -n kube-public create configmap cluster-info --from-file kubeconfig=yaml.conf --dry-run=client -o yaml | kubectl apply -f -',
    ]);
    mkdirSync(join(admin.folder, 'next'));
    const next = await createFileAuthority(join(admin.folder, 'next'), 'next');
    writeFileSync(join(admin.folder, 'old-ca.crt'), readFileSync(plane.caPath));
    writeFileSync(join(admin.folder, 'new-ca.crt'), readFileSync(next.files.certificate));
    await admin.type(t, caRotation('A rotation, step by step'));
    const text = await plane.kubectl([
      '-n',
      'kube-public',
      'get',
      'configmap',
      'cluster-info',
      '-o',
      'jsonpath={.data.kubeconfig}',
    ]);
    const data = /certificate-authority-data: (\S+)/.exec(text)?.[1] ?? '';
    t.equal(Buffer.from(data, 'base64').toString('utf8'), readFileSync(join(admin.folder, 'both.crt'), 'utf8'));
  });

  t.test('commands in tables of the pages', async (t) => {
    await plane.kubectl(
      ['create', '-f', '-'],
      JSON.stringify({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'of-a-table' } }),
    );
    for (const command of typedInTables(FILE)) {
      const { status, stdout } = await admin.line(command, { NAME: 'of-a-table' });
      // An answer that is no ends so.
      t.ok(status === 0 || stdout.trim() === 'no', command);
    }
  });
});
