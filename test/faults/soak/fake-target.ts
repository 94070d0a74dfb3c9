/** The fake cluster in a process of its own, told by the parent what to do. */
import { startFakeCluster } from '../../fixtures/cluster/fake-cluster.ts';
import type { ClusterCommand, ClusterReport } from './messages.ts';

const cluster = await startFakeCluster({ approveServing: true, backdateMs: 0 });

function report(): ClusterReport {
  const kinds: Record<string, number> = {};
  for (const { verb, resource } of cluster.requests) {
    const kind = `${verb} ${resource}`.trim();
    kinds[kind] = (kinds[kind] ?? 0) + 1;
  }
  return {
    bootstrapKubeconfig: cluster.bootstrapKubeconfig(),
    momentsMs: cluster.requests.map(({ at }) => at.getTime()),
    createdMs: cluster.requests
      .filter(({ verb, resource }) => verb === 'create' && resource === 'certificatesigningrequests')
      .map(({ at }) => at.getTime()),
    kinds,
    connections: cluster.connectionCount,
    openConnections: cluster.openConnections,
  };
}

async function obey(command: ClusterCommand): Promise<void> {
  if (command.lifetimeMs !== undefined) cluster.settings.lifetimeMs = command.lifetimeMs;
  if (command.up === false) await cluster.stop();
  if (command.up === true) await cluster.start();
  const told = report();
  if (command.forget === true) {
    cluster.forgetRequests();
    // What is decided is of no use to anybody any more, as after a run of the cleaner.
    for (const { name, certificatePem } of cluster.csrs) if (certificatePem !== undefined) cluster.remove(name);
  }
  process.send?.(told);
}

process.on('message', (command: ClusterCommand) => void obey(command));
process.on('disconnect', () => process.exit(1));
process.send?.(report());
