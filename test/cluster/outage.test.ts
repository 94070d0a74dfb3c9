/** Parts of the control plane that stop while certlet waits, and the reserve that a node keeps for the time that it is off. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { eventually } from '../fixtures/eventually.ts';
import { staticUsers } from './fixtures/control-plane-programs.ts';
import { hostFor, withControlPlane } from './fixtures/suite.ts';

/**
 * What is left of a certificate when it comes. The signer backdates it by five minutes more, so that one whose receipt nobody noted has just not
 * reached half of its life, and the usual deadline is two minutes away.
 */
const USABLE_SECONDS = 310;
const BACKDATED_SECONDS = 300;
const RESERVE_SECONDS = 300;

await withControlPlane(t, { usableSeconds: USABLE_SECONDS }, (plane) => {
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

  t.test(
    'a reserve pulls the renewal forward; a lifetime that cannot give it is told, with what to ask of the admin',
    async (t) => {
      const quick = { rotation: { startSpread: '0s', minimumSpacing: '1s' } };
      const host = hostFor(t, plane, 'reserved', quick);
      host.bootstrapWith(staticUsers.automatic.token);
      const before = host.start();
      const first = await host.issued('client');
      const noted = join(host.certDir, '.certlet', 'client-history.json');
      await eventually('the note of its receipt', () => (existsSync(noted) ? true : undefined));
      await before.end('SIGTERM');
      const begun = Date.parse(first.leaf.validFrom) / 1000;
      const lifeSeconds = Date.parse(first.leaf.validTo) / 1000 - begun;
      t.equal(Math.round(lifeSeconds), USABLE_SECONDS + BACKDATED_SECONDS, 'the lifetime of this cluster');
      // As a pair that the kubelet asked for itself before certlet came: its life counts from the beginning that the signer gave it.
      rmSync(noted);
      const textfile = join(host.folder, 'certlet.prom');
      host.settings({ ...quick, reserve: `${String(RESERVE_SECONDS)}s`, metrics: { textfile } });
      const certlet = host.start();
      const second = await host.issued('client', { notThis: first, seconds: 60 });
      const [, renewal] = await plane.csrs({ purpose: 'client', node: host.nodeName });
      t.equal(renewal?.spec.username, 'system:node:reserved');
      const usual = begun + 0.7 * lifeSeconds;
      const asked = Date.parse(renewal?.metadata.creationTimestamp ?? '') / 1000;
      t.ok(asked < usual, `asked for ${String(usual - asked)} s before the earliest moment without a reserve`);
      t.ok(
        Date.parse(first.leaf.validTo) / 1000 - asked >= RESERVE_SECONDS - 5,
        'so that the reserve is kept, but for the way',
      );

      // Of the second one the receipt is known, and half of what it had then is all that can always be left.
      const lines = certlet.lines.filter(({ text }) => text.includes('too short for the reserve'));
      const line = lines[0] ?? (await certlet.line(/too short for the reserve/));
      t.match(line.fields, { purpose: 'client', do: /--cluster-signing-duration=1h\b/ });
      const possible = await eventually('the metric', () => {
        const samples = [
          ...metricsIn(textfile).matchAll(
            /^certlet_reserve(_possible)?_seconds\{[^}]*purpose="client"[^}]*\} (\d+)$/gm,
          ),
        ];
        const byName = new Map(samples.map(([, name = 'wanted', value]) => [name, Number(value)]));
        return byName.get('wanted') === RESERVE_SECONDS ? byName.get('_possible') : undefined;
      });
      t.ok(Math.abs(possible - USABLE_SECONDS / 2) <= 5, `${String(possible)} s can always be left`);
      const status = await host.start(['status', '--output', 'json']).result();
      const { certificates } = JSON.parse(status.stdout) as {
        readonly certificates: readonly { readonly purpose: string }[];
      };
      t.match(
        certificates.find(({ purpose }) => purpose === 'client'),
        {
          reserve: {
            wantedSeconds: RESERVE_SECONDS,
            possibleSeconds: possible,
            ask: /--cluster-signing-duration=1h\b/,
          },
        },
      );
      const check = await host.start(['check', '--output', 'json']).result();
      const { findings } = JSON.parse(check.stdout) as { readonly findings: readonly { readonly id: string }[] };
      t.match(
        findings.find(({ id }) => id === 'certificate.client-reserve'),
        {
          verdict: 'warning',
          what: /^a reserve of 5 minutes is set, and the client certificate came for 5 minutes/,
          remedy: /^# Ask the cluster's admin for kube-controller-manager --cluster-signing-duration=1h\b/,
          evidence: { possibleSeconds: possible },
        },
      );
      t.not(second.leaf.serialNumber, first.leaf.serialNumber);
    },
  );
});

function metricsIn(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
