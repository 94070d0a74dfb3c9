/** Two API servers on one etcd: one ends while a request waits, and the kubeconfig follows the other. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { eventually } from '../fixtures/eventually.ts';
import { staticUsers } from './fixtures/control-plane-programs.ts';
import { hostFor, withControlPlane } from './fixtures/suite.ts';

t.setTimeout(5 * 60_000);

await withControlPlane(t, {}, (plane) => {
  t.test(
    'a server ends while its request is pending: watched on at the other, one request; then the kubeconfig follows',
    async (t) => {
      t.setTimeout(4 * 60_000);
      const second = await plane.startSecondServer();
      const host = hostFor(t, plane, 'two-servers', {
        servers: [plane.server],
        moveKubeconfig: '1m',
        // One that takes new pairs over by itself: the only restart is the move's.
        kubelet: { restart: 'auto', version: 'v1.36.2' },
        rotation: { nodeRefresh: '5s' },
      });
      host.bootstrapWith(staticUsers.manual.token, second.server);
      const certlet = host.start();
      const { metadata } = await plane.pendingCsr('client', host.nodeName);
      await certlet.line(new RegExp(metadata.name));
      await second.stop();
      await certlet.line(/Asking another API server/, 60);
      await plane.approve(metadata.name);
      await host.issued('client', { seconds: 60 });
      const all = await plane.csrs({ purpose: 'client', node: host.nodeName });
      t.strictSame(
        all.map((csr) => csr.metadata.uid),
        [metadata.uid],
        'one request, the one made first',
      );
      await eventually('the kubeconfig', () => existsSync(host.kubeconfig) || undefined, 20);
      t.ok(readFileSync(host.kubeconfig, 'utf8').includes(second.server), 'it still names its own');
      const flag = join(host.folder, 'run', 'restart-kubelet');
      t.notOk(existsSync(flag), 'nothing else wants a restart');
      await certlet.line(/The kubeconfig names another API server now/, 150);
      t.ok(readFileSync(host.kubeconfig, 'utf8').includes(plane.server));
      t.notOk(readFileSync(host.kubeconfig, 'utf8').includes(second.server));
      await eventually('the restart flag', () => existsSync(flag) || undefined, 20);
      t.equal(readFileSync(flag, 'utf8'), 'kubeconfig\n');
      rmSync(flag);
    },
  );

  t.test('a server under another CA is never asked, and told', async (t) => {
    const { createServer } = await import('node:tls');
    const { createAuthority } = await import('../fixtures/cluster/authority.ts');
    const other = createAuthority({ name: 'another CA' }).issue({
      commonName: 'x',
      ipAddresses: ['127.0.0.1'],
      usages: ['server auth'],
    });
    const asked: string[] = [];
    const stranger = createServer({ cert: other.chainPem, key: other.keyPem }, (socket) => {
      socket.on('data', (data) => asked.push(data.toString()));
      socket.on('error', () => socket.destroy());
    });
    stranger.on('tlsClientError', () => undefined);
    await new Promise<void>((done) => stranger.listen(0, '127.0.0.1', done));
    t.teardown(() => stranger.close());
    const { port } = stranger.address() as { port: number };
    const second = await plane.startSecondServer();
    const host = hostFor(t, plane, 'stranger', { servers: [`https://127.0.0.1:${String(port)}`, plane.server] });
    await second.stop();
    host.bootstrapWith(staticUsers.automatic.token, second.server);
    const certlet = host.start();
    await certlet.line(/An API server is not trusted and is passed over/, 30);
    t.ok(await host.issued('client', { seconds: 60 }));
    t.strictSame(asked, [], 'nothing was said to it');
  });
});
