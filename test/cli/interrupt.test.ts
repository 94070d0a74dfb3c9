/** Commands that are told to stop while they wait for an answer: no defect is reported, and a later run may go on. */
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { CertletHost } from '../fixtures/certlet-host.ts';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';

const cluster = await startFakeCluster();
t.teardown(() => cluster.close());

/** A port that takes connections and never says a word; `asked` settles with the first of them. */
async function silentServer(t: Test): Promise<{ readonly address: string; readonly asked: Promise<unknown> }> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sockets: { destroy(): unknown }[] = [];
  server.on('connection', (socket) => {
    socket.on('error', () => undefined);
    sockets.push(socket);
  });
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { address: `127.0.0.1:${String((server.address() as AddressInfo).port)}`, asked: once(server, 'connection') };
}

for (const row of [
  {
    name: 'join that asks a cluster',
    args: (address: string) => [
      'join',
      address,
      '--token',
      'abcdef.0123456789abcdef',
      '--discovery-token-unsafe-skip-ca-verification',
    ],
  },
  {
    name: 'join that reads a discovery file from a server',
    args: (address: string) => [
      'join',
      '--discovery-file',
      `https://${address}/c`,
      '--token',
      'abcdef.0123456789abcdef',
    ],
  },
]) {
  t.test(`an interrupted ${row.name} ends with 75 and without a stack`, async (t) => {
    const host = new CertletHost(t, cluster);
    const { address, asked } = await silentServer(t);
    const run = host.start(row.args(address));
    await asked;
    const { code, stdout, stderr } = await run.end('SIGINT');
    t.equal(code, 75);
    t.equal(stdout, '');
    t.notMatch(stderr, /unexpected|aborted|\n\s+at /);
  });
}

t.test('an interrupted check ends with 75 and without a stack', async (t) => {
  const held = cluster.faults.add({ kind: 'stall', at: 'request' }, { path: '/version' });
  t.teardown(() => held.release());
  const host = new CertletHost(t, cluster);
  const run = host.start(['check']);
  await held.reached;
  const { code, stdout, stderr } = await run.end('SIGTERM');
  t.equal(code, 75);
  t.equal(stdout, '');
  t.equal(stderr, '');
});
