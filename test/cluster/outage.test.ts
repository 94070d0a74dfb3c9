/** Parts of the control plane that stop while certlet waits. */
import t from 'tap';
import { staticUsers } from './fixtures/control-plane-programs.ts';
import { hostFor, withControlPlane } from './fixtures/suite.ts';

await withControlPlane({}, (plane) => {
  t.test('the API server stops and comes back during a wait: the same request is watched on', async (t) => {
    const host = hostFor(t, plane, 'outage');
    host.bootstrapWith(staticUsers.manual.token);
    const certlet = host.start();
    const { metadata } = await plane.pendingCsr('client', host.nodeName);
    await certlet.line(new RegExp(metadata.name));
    await plane.stopApiServer();
    const line = await certlet.line(/ERR_API_UNREACHABLE/, 30);
    t.ok(line.text.includes(new URL(plane.server).host), 'the line names the server');
    await plane.startApiServer();
    await plane.approve(metadata.name);
    // The delay between attempts has grown while the server was away.
    await host.issued('client', { seconds: 60 });
    const all = await plane.csrs({ purpose: 'client', node: host.nodeName });
    t.strictSame(
      all.map((csr) => csr.metadata.uid),
      [metadata.uid],
      'one request, the one made first',
    );
  });

  t.test('a start while the API server is away: the serving link is there, and the rest follows', async (t) => {
    await plane.stopApiServer();
    const host = hostFor(t, plane, 'early');
    host.bootstrapWith(staticUsers.automatic.token);
    const certlet = host.start();
    await certlet.line(/ERR_API_UNREACHABLE/);
    t.equal(host.current('serving')?.byCluster, false);
    await plane.startApiServer();
    t.ok(await host.issued('client', { seconds: 60 }));
  });

  t.test('the controller manager is away: approved by nobody, then issued when it is back', async (t) => {
    await plane.stopControllerManager();
    const host = hostFor(t, plane, 'unsigned');
    host.bootstrapWith(staticUsers.manual.token);
    const certlet = host.start();
    const { metadata } = await plane.pendingCsr('client', host.nodeName);
    await plane.approve(metadata.name);
    await certlet.line(/approved/i);
    t.equal(host.current('client'), undefined);
    await plane.startControllerManager();
    t.ok(await host.issued('client', { seconds: 30 }));
    t.equal((await plane.csrs({ purpose: 'client', node: host.nodeName })).length, 1);
  });
});
