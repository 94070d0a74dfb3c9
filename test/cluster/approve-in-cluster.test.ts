/** `certlet approve --watch` with the identity of a pod: the manifests on a real API server, a service account's token that changes, and the pod itself. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { eventually } from '../fixtures/eventually.ts';
import { noteSecret } from '../fixtures/record.ts';
import { ApproverHost, bindSelfNodeServer } from './fixtures/approver.ts';
import { controlPlaneMissing } from './fixtures/assets.ts';
import { Certlet } from './fixtures/certlet.ts';
import type { ControlPlane } from './fixtures/control-plane.ts';
import { Kubelet, kubeletMissing, startContainerd } from './fixtures/kubelet.ts';
import { importImage, killContainers, MountNamespace, pauseArchive } from './fixtures/pod.ts';
import { freePorts } from './fixtures/processes.ts';
import { withControlPlane } from './fixtures/suite.ts';

const MANIFESTS = resolve(import.meta.dirname, '../../config/approver');
const ACCOUNT = 'system:serviceaccount:kube-system:certlet-approver';
const KUBE_SYSTEM = '/api/v1/namespaces/kube-system';
/** A kubelet beside other suites takes its time for what it does with a pod; who is killed never gives up its Lease. */
const KUBELET_SECONDS = 180;
const LEASE = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/certlet-approver';
const root = process.getuid?.() === 0;

/** A token of the approver's account that the API server has made, and which ends with the Secret it is bound to. */
async function tokenBoundTo(plane: ControlPlane, secret: string): Promise<string> {
  const made = await plane.admin.want(`${KUBE_SYSTEM}/secrets`, {
    method: 'POST',
    body: { apiVersion: 'v1', kind: 'Secret', metadata: { name: secret } },
  });
  const { json } = await plane.admin.want(`${KUBE_SYSTEM}/serviceaccounts/certlet-approver/token`, {
    method: 'POST',
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        expirationSeconds: 600,
        audiences: ['https://kubernetes.default.svc'],
        boundObjectRef: { apiVersion: 'v1', kind: 'Secret', name: secret, uid: made.json.metadata.uid },
      },
    },
  });
  noteSecret(json.status.token);
  return json.status.token as string;
}

/** Settings as the ConfigMap has them, served on this port. */
const settingsOn = (text: string, port: number): string => text.replace(':9099', `:${String(port)}`);

await withControlPlane(t, { rbac: [] }, async (plane) => {
  const host = await ApproverHost.create(plane);
  await bindSelfNodeServer(plane);
  await host.node('n1', ['192.0.2.1']);

  t.test(
    'the API server takes the manifests, dry and for good, and they change nothing when applied again',
    async (t) => {
      const dry = await plane.kubectl(['apply', '--dry-run=server', '-f', MANIFESTS]);
      t.match(dry, /deployment\.apps\/certlet-approver created \(server dry run\)/);
      t.equal(
        (await plane.admin.call('/apis/apps/v1/namespaces/kube-system/deployments/certlet-approver')).status,
        404,
      );
      await plane.kubectl(['apply', '-f', MANIFESTS]);
      const again = await plane.kubectl(['apply', '-f', MANIFESTS]);
      t.notMatch(again, /created|configured/);
      t.match(again, /deployment\.apps\/certlet-approver unchanged/);
    },
  );

  t.test(
    'as nobody, on a file system that is read-only, with the files and variables of a pod; a new token is taken when the old one ends',
    { skip: root ? false : 'mounts need root' },
    async (t) => {
      const folder = join(plane.folder, 'in-cluster');
      const account = join(folder, 'account');
      mkdirSync(account, { recursive: true });
      const put = (name: string, text: string): void => {
        writeFileSync(join(account, `${name}.next`), text);
        chmodSync(join(account, `${name}.next`), 0o644);
        renameSync(join(account, `${name}.next`), join(account, name));
      };
      const { json } = await plane.admin.want(`${KUBE_SYSTEM}/configmaps/certlet-approver`);
      put('config.yaml', settingsOn(json.data['config.yaml'], 0));
      put('ca.crt', readFileSync(plane.caPath, 'utf8'));
      put('token', await tokenBoundTo(plane, 'first'));
      const place = '/run/secrets/kubernetes.io/serviceaccount';
      const mounts = await MountNamespace.open(
        folder,
        `mount -t tmpfs -o mode=755 none /run && mkdir -p ${place} && mount --bind ${account} ${place} && mount -o remount,bind,ro /`,
      );
      t.teardown(() => mounts.stop());
      const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups', '--no-new-privs', '--bounding-set=-all'];
      const approver = new Certlet(['approve', '--watch', '--config', `${place}/config.yaml`], {
        logPath: join(plane.folder, 'log', 'in-cluster.log'),
        within: [...mounts.enter, 'setpriv', ...nobody, '--inh-caps=-all', '--'],
        env: { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: new URL(plane.server).port },
      });
      t.teardown(() => approver.end('SIGKILL'));
      await approver.line(/Holding the Lease/, 60);
      t.equal(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${String(approver.pid)}/status`, 'utf8'))?.[1], '65534');
      await host.ask('by-account', 'n1');
      t.match(await host.decided('by-account'), /^Approved CertletApproved/);
      const [decision] = plane
        .requests({ user: ACCOUNT, resource: 'certificatesigningrequests' })
        .filter(({ verb }) => verb === 'update');
      t.match(decision, { name: 'by-account', status: 200 });

      put('token', await tokenBoundTo(plane, 'second'));
      await plane.admin.want(`${KUBE_SYSTEM}/secrets/first`, { method: 'DELETE' });
      // The API server remembers a token for ten seconds.
      await eventually(
        'the first token to end',
        () => (plane.requests().some(({ status }) => status === 401) ? true : undefined),
        40,
      );
      await host.ask('by-second-token', 'n1');
      t.match(await host.decided('by-second-token', 40), /^Approved/);
      t.match(await approver.end(), { code: 0 });
      t.match(await plane.admin.want(LEASE), { json: { spec: { holderIdentity: '' } } }, 'it gave the Lease up');
    },
  );

  const missing = podMissing();
  t.test('the pod of the Deployment, by a real kubelet', { skip: missing ?? false }, async (t) => {
    const folder = join(plane.folder, 'pod');
    const [port = 0] = await freePorts(1);
    const mounts = await MountNamespace.open(folder, 'mount -t tmpfs none /var/lib && mount -t tmpfs none /var/log');
    t.teardown(() => mounts.stop());
    const pause = pauseArchive(archive() ?? '', folder);
    const containerd = await startContainerd(join(folder, 'containerd'), { mounts, sandboxImage: pause.name });
    t.teardown(() => containerd.stop());
    for (const path of [pause.path, archive() ?? '']) importImage(containerd.socket, path, mounts);
    const { json: settings } = await plane.admin.want(`${KUBE_SYSTEM}/configmaps/certlet-approver`);
    await plane.admin.want(`${KUBE_SYSTEM}/configmaps/certlet-approver`, {
      method: 'PUT',
      body: { ...settings, data: { 'config.yaml': settingsOn(settings.data['config.yaml'], port) } },
    });
    t.teardown(() => killContainers(containerd.socket, mounts));
    const kubelet = await startKubelet(plane, { folder, containerdSocket: containerd.socket, mounts });
    t.teardown(() => kubelet.stop());
    await plane.admin.want(`${KUBE_SYSTEM}/pods`, { method: 'POST', body: await podOf(plane, port) });
    await eventually(
      'the pod to hold the Lease',
      async () => {
        kubelet.assertRunning();
        const { status, json } = await plane.admin.call(LEASE);
        return status === 200 && json.spec.holderIdentity !== '' ? true : undefined;
      },
      120,
    );
    await host.ask('by-pod', 'n1');
    t.match(await host.decided('by-pod', 60), /^Approved CertletApproved/);
    // The approver acts before its kubelet has told the API server that it runs.
    const ready = await eventually(
      'the kubelet to tell that the pod is ready',
      async () => {
        const { status } = (await plane.admin.want(`${KUBE_SYSTEM}/pods/approver`)).json;
        return status.containerStatuses?.[0]?.ready === true ? status : undefined;
      },
      60,
    );
    t.match(ready, { phase: 'Running', containerStatuses: [{ ready: true, restartCount: 0 }] });
    const metrics = await (await fetch(`http://127.0.0.1:${String(port)}/metrics`)).text();
    t.match(metrics, /^certlet_approver_is_leader 1$/m);
    const logs = podLogs(mounts);
    t.match(logs, /"Holding the Lease: this approver acts"/);
    t.notMatch(logs, /"level":"(warn|error)"(?!.*Addresses of Services may pass)/);

    await plane.admin.want(`${KUBE_SYSTEM}/pods/approver`, { method: 'DELETE' });
    await eventually(
      'the pod to give its Lease up, and not be killed',
      async () => ((await plane.admin.want(LEASE)).json.spec.holderIdentity === '' ? true : undefined),
      KUBELET_SECONDS,
    );
    await eventually(
      'the pod to go',
      async () => ((await plane.admin.call(`${KUBE_SYSTEM}/pods/approver`)).status === 404 ? true : undefined),
      KUBELET_SECONDS,
    );
  });
});

function archive(): string | undefined {
  const folder = process.env['CERTLET_PACKAGES'] ?? '';
  const name = folder === '' ? undefined : readdirSync(folder).find((file) => file.endsWith('-amd64.oci.tar'));
  return name === undefined ? undefined : resolve(folder, name);
}

function podMissing(): string | undefined {
  const reason = controlPlaneMissing() ?? kubeletMissing();
  if (reason !== undefined) return reason;
  if (process.arch !== 'x64') return 'the archive is for amd64';
  return archive() === undefined ? 'no CERTLET_PACKAGES with an OCI archive' : undefined;
}

function podLogs(mounts: MountNamespace): string {
  const logs = mounts.inside('/var/log/pods');
  const files = existsSync(logs) ? readdirSync(logs, { recursive: true, encoding: 'utf8' }) : [];
  return files
    .filter((path) => path.endsWith('.log'))
    .map((path) => readFileSync(join(logs, path), 'utf8'))
    .join('');
}

async function startKubelet(
  plane: ControlPlane,
  options: { readonly folder: string; readonly containerdSocket: string; readonly mounts: MountNamespace },
): Promise<Kubelet> {
  const nodeName = 'node-of-the-pod';
  const pair = await plane.authority.issue('kubelet', {
    commonName: `system:node:${nodeName}`,
    organizations: ['system:nodes'],
  });
  const kubeconfig = join(options.folder, 'kubelet.conf');
  const config = {
    clusters: [{ name: 'c', cluster: { server: plane.server, 'certificate-authority': plane.caPath } }],
    users: [{ name: 'u', user: { 'client-certificate': pair.certificate, 'client-key': pair.key } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  };
  writeFileSync(kubeconfig, JSON.stringify(config), { mode: 0o600 });
  const started = await Kubelet.start(plane, {
    ...options,
    nodeName,
    kubeconfig,
    certDir: join(options.folder, 'pki'),
  });
  await eventually(
    'the kubelet to register',
    async () => {
      started.assertRunning();
      return (await plane.admin.call(`/api/v1/nodes/${nodeName}`)).status === 200 ? true : undefined;
    },
    60,
  );
  return started;
}

/**
 * The pod of the Deployment's template as the API server keeps it, with what no scheduler, no network and no controllers are here to give: its
 * node, the host's network, where the API server is, and the account's volume that the admission of later versions adds.
 */
async function podOf(plane: ControlPlane, port: number): Promise<object> {
  const { json } = await plane.admin.want('/apis/apps/v1/namespaces/kube-system/deployments/certlet-approver');
  const { metadata, spec } = json.spec.template;
  const [container] = spec.containers;
  await plane.admin.want(`${KUBE_SYSTEM}/configmaps`, {
    method: 'POST',
    body: {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'kube-root-ca.crt' },
      data: { 'ca.crt': readFileSync(plane.caPath, 'utf8') },
    },
  });
  const sources = [
    { serviceAccountToken: { path: 'token', expirationSeconds: 3607 } },
    { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
  ];
  const mountPath = '/var/run/secrets/kubernetes.io/serviceaccount';
  const where = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: new URL(plane.server).port };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...metadata, name: 'approver' },
    spec: {
      ...spec,
      nodeName: 'node-of-the-pod',
      hostNetwork: true,
      automountServiceAccountToken: false,
      volumes: [...spec.volumes, { name: 'account', projected: { sources } }],
      containers: [
        {
          ...container,
          ports: [{ name: 'metrics', containerPort: port }],
          env: Object.entries(where).map(([name, value]) => ({ name, value })),
          volumeMounts: [...container.volumeMounts, { name: 'account', mountPath, readOnly: true }],
        },
      ],
    },
  };
}
