/** What check says about failures that the fake cluster and this host can produce. */
import t from 'tap';
import { CheckHost } from '../fixtures/check/host.ts';
import { startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';

t.test(
  'a node with both certificates in a good cluster: nothing wrong, nothing changed, nothing but reads and reviews',
  async (t) => {
    const cluster = await startFakeCluster({
      nodes: [{ name: 'n1', addresses: [{ type: 'InternalIP', address: '127.0.0.1' }] }],
    });
    t.teardown(() => cluster.close());
    const host = new CheckHost(t);
    host.bootstrap(cluster.bootstrapKubeconfig());
    host.pair(cluster.clientCa, 'client');
    host.pair(cluster.clientCa, 'serving');
    host.nodeKubeconfig(cluster.url, cluster.serverCa.pem);
    const result = await host.check();
    console.error(result.text);
    t.strictSame(result.ids('problem'), []);
  },
);
