/** A change of the trusted CAs that a crash or a full disk cuts short at each of its writes. */
import t from 'tap';
import { CertletError } from '../../../src/errors.ts';
import { CLUSTER_CA, readTrustedCas } from '../../../src/kubeconfig/trusted-ca.ts';
import type { FollowOptions } from '../../../src/rotation/rotation-context.ts';
import { createAuthority } from '../../fixtures/cluster/authority.ts';
import { FakePublication } from '../../fixtures/fakes/cluster-ca.ts';
import { CLUSTER, DAY, FakeHost, HOUR, MINUTE } from '../../fixtures/fakes/host.ts';
import { BOOTSTRAP_PATH, usable } from '../../fixtures/fakes/kubeconfigs.ts';
import { Secret } from '../../../src/secret.ts';

const [OLD, NEW] = [createAuthority({ name: 'kubernetes' }).pem, createAuthority({ name: 'kubernetes' }).pem];
const FOLLOW: FollowOptions = {
  source: 'cluster-info',
  refreshMs: MINUTE,
  verifiedForMs: 10 * MINUTE,
  ownFile: '/pki/cluster-ca.crt',
  rootCommand: () => 'certlet join',
};

/** The power goes before (`lost`) or after this write is on the disk; every write after it fails until the next start. */
interface Cut {
  readonly at: number;
  readonly lost: boolean;
}

interface Disk {
  writes: number;
  cut: Cut | undefined;
}

const FULL = new CertletError('ERR_STORE_FULL', 'no space left');

/** Counts the writes of record and kubeconfig, and cuts them. */
function cutting(host: FakeHost): Disk {
  const disk: Disk = { writes: 0, cut: undefined };
  const guarded =
    <A extends readonly unknown[], R>(work: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      disk.writes += 1;
      const { cut, writes } = disk;
      if (cut !== undefined && (writes > cut.at || (writes === cut.at && cut.lost))) throw FULL;
      const done = await work(...args);
      if (cut !== undefined && writes === cut.at) throw FULL;
      return done;
    };
  const { clusterCa, kubeconfigs } = host;
  clusterCa.writeRecord = guarded(clusterCa.writeRecord.bind(clusterCa));
  kubeconfigs.writeNode = guarded(kubeconfigs.writeNode.bind(kubeconfigs));
  return disk;
}

const trusted = ({ kubeconfigs: { node } }: FakeHost): readonly string[] =>
  node.kind === 'usable' ? readTrustedCas(node.config.cluster.caPem).map(({ fingerprint }) => fingerprint) : [];
const [old, fresh] = [OLD, NEW].map((pem) => readTrustedCas(pem)[0]?.fingerprint ?? '');

/** How many writes one phase takes where nothing fails. */
async function played(cut: Cut | undefined): Promise<{ readonly host: FakeHost; readonly writes: number }> {
  const host = new FakeHost({ followCa: FOLLOW, kubeletVersion: 'v1.20.2' });
  host.api.lifetimeMs = 3650 * DAY;
  const cluster = new FakePublication(OLD);
  cluster.playOn(host.api);
  const token = { kind: 'token', token: new Secret('abcdef.0123456789abcdef') } as const;
  host.kubeconfigs.bootstrap = usable(BOOTSTRAP_PATH, { ...CLUSTER, caPem: OLD }, token);
  await host.bootstrap();
  const disk = cutting(host);
  disk.cut = cut;
  cluster.published = [OLD, NEW];
  await host.clock.advance(5 * MINUTE);
  // Whatever was cut: the server in use verifies under what the kubeconfig trusts.
  if (!trusted(host).includes(old ?? '')) throw new Error('the old CA is lost');
  cluster.signers[''] = trusted(host).length === 2 ? NEW : OLD;
  cluster.published = trusted(host).length === 2 ? [NEW] : [OLD, NEW];
  await host.clock.advance(20 * MINUTE);
  if (trusted(host).length === 0) throw new Error('an empty bundle');
  const { writes } = disk;
  disk.cut = undefined;
  host.clusterCa.run = 'run 2';
  await host.restart();
  await host.clock.advance(5 * MINUTE);
  cluster.signers[''] = NEW;
  cluster.published = [NEW];
  await host.clock.advance(HOUR);
  return { host, writes };
}

t.test('wherever it is cut: the next start ends with the new CA alone, and the kubelet is told', async (t) => {
  const whole = await played(undefined);
  await whole.host.stop();
  t.ok(whole.writes > 4, `${String(whole.writes)} writes`);
  for (let at = 1; at <= whole.writes; at += 1) {
    for (const lost of [true, false]) {
      const { host } = await played({ at, lost });
      const name = `cut at write ${String(at)}, ${lost ? 'lost' : 'kept'}`;
      t.strictSame(trusted(host), [fresh], name);
      t.ok(
        host.rotations.some(({ purpose }) => purpose === CLUSTER_CA),
        `${name}: a restart is wanted`,
      );
      t.equal(host.api.calls.filter(({ what, as }) => what === 'create' && as === 'bootstrap').length, 1, name);
      t.equal(host.thrown, undefined);
      await host.stop();
    }
  }
});

t.test('a kubeconfig that was changed without a word to the kubelet: the next start says it', async (t) => {
  const host = new FakeHost({ followCa: FOLLOW, kubeletVersion: 'v1.20.2' });
  t.teardown(() => host.stop());
  const cluster = new FakePublication(OLD);
  cluster.playOn(host.api);
  const token = { kind: 'token', token: new Secret('abcdef.0123456789abcdef') } as const;
  host.kubeconfigs.bootstrap = usable(BOOTSTRAP_PATH, { ...CLUSTER, caPem: OLD }, token);
  await host.bootstrap();
  const { writeNode } = host.kubeconfigs;
  let stopped: Promise<void> | undefined;
  host.kubeconfigs.writeNode = async (...args) => {
    const done = await writeNode.apply(host.kubeconfigs, args);
    // The power goes here: what follows in this process reaches nobody.
    stopped = host.stop();
    host.rotations.length = 0;
    return done;
  };
  cluster.published = [OLD, NEW];
  await host.until(() => stopped !== undefined, HOUR);
  await stopped;
  host.rotations.length = 0;
  host.kubeconfigs.writeNode = writeNode.bind(host.kubeconfigs);
  await host.restart();
  await host.clock.advance(5 * MINUTE);
  t.match(host.rotations, [{ purpose: CLUSTER_CA }]);
  t.match(host.agent?.snapshot().clusterCa?.kubelet?.lacks, [{ fingerprint: fresh }]);
});
