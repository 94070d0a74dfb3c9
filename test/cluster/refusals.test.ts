/** A cluster that was set up incompletely: each refusal gives a line that names the cause and the remedy. */
import { writeFileSync } from 'node:fs';
import t from 'tap';
import { staticUsers } from './fixtures/control-plane-programs.ts';
import { never } from '../fixtures/eventually.ts';
import { hostFor, withControlPlane } from './fixtures/suite.ts';

await withControlPlane(t, { bootstrapTokenAuth: false }, (plane) => {
  t.jobs = 3;

  t.test('403: no role for the bootstrap identity', async (t) => {
    const host = hostFor(t, plane, 'no-role');
    host.bootstrapWith(staticUsers.stranger.token);
    const certlet = host.start();
    const line = await certlet.line(/ERR_API_FORBIDDEN/);
    t.match(line.text, /static-stranger/, 'who was refused');
    t.match(line.text, /certificatesigningrequests/, 'what was refused');
    t.match(line.text, /kubectl create clusterrolebinding \S+ --clusterrole=system:node-bootstrapper/, 'the command');
    t.match(line.text, /--group=strangers|--user=static-stranger|--group=system:bootstrappers/, 'for this identity');
    t.ok(['warn', 'error'].includes(line.level), `level ${line.level}`);
    await never('a certificate', () => host.current('client'), 2);
    t.equal(host.current('serving')?.byCluster, false, 'the kubelet can start all the same');
    t.ok(certlet.count(/ERR_API_FORBIDDEN/) < 5, 'not a line for each attempt within seconds');
    t.strictSame(await plane.csrs({ node: host.nodeName }), []);
  });

  t.test('401: the API server does not know bootstrap tokens', async (t) => {
    const host = hostFor(t, plane, 'no-token-auth');
    host.bootstrapWith(await plane.createBootstrapToken({ id: 'nobody', secret: 'fedcba9876543210' }));
    const certlet = host.start();
    const line = await certlet.line(/ERR_API_UNAUTHORIZED/);
    t.match(line.text, /--enable-bootstrap-token-auth/, 'the flag that may be missing');
    t.match(line.text, /kubeadm token create/, 'the command for the other causes');
    t.match(line.text, /nobody/, 'which token');
    t.notMatch(certlet.output, /fedcba9876543210/, 'but never its secret');
    t.ok(['warn', 'error'].includes(line.level), `level ${line.level}`);

    host.bootstrapWith(staticUsers.automatic.token);
    await host.issued('client', { seconds: 30 });
    t.pass('a bootstrap kubeconfig that works, dropped in, needs no restart');
  });

  t.test('certlet once ends with 75 when the credential is refused', async (t) => {
    const host = hostFor(t, plane, 'once-refused');
    host.bootstrapWith('nobody.0000000000000000');
    const certlet = host.start(['once', '--timeout', '5s']);
    t.equal((await certlet.exited).code, 75);
    t.match(certlet.output, /--enable-bootstrap-token-auth/);
  });

  t.test('certlet once ends with 78 at once when the bootstrap kubeconfig cannot be parsed', async (t) => {
    const host = hostFor(t, plane, 'once-unparsable');
    writeFileSync(host.bootstrapKubeconfig, 'apiVersion: v1\nkind: Config\nclusters: [\n', { mode: 0o600 });
    const certlet = host.start(['once', '--timeout', '60s']);
    t.equal((await certlet.exited).code, 78);
    t.ok(certlet.output.includes(host.bootstrapKubeconfig), 'names the file');
  });
});
