/** A reserve for time off, and how a node comes back from it. */
import t, { type Test } from 'tap';
import { fixedChance } from '../fixtures/fakes/chance.ts';
import { DAY, FakeHost, type HostOptions, HOUR, MINUTE } from '../fixtures/fakes/host.ts';
import { absent, BOOTSTRAP_PATH } from '../fixtures/fakes/kubeconfigs.ts';

function newHost(t: Test, options: HostOptions = {}): FakeHost {
  const host = new FakeHost({ nodeRefreshMs: HOUR, ...options });
  t.teardown(() => host.stop());
  return host;
}

/** Time goes by in strides of hours, as a host that naps lets it go by. */
async function pass(host: FakeHost, ms: number, strideMs = 6 * HOUR): Promise<void> {
  for (let leftMs = ms; leftMs > 0; leftMs -= strideMs) {
    await host.clock.step(Math.min(leftMs, strideMs));
    await host.clock.advance(1);
  }
}

const leastLeft = (host: FakeHost): number =>
  Math.min(...['client', 'serving'].map((name) => host.leaf(name).notAfter.getTime() - host.clock.now().getTime()));

t.test('a node that is online always has its reserve left, and one without a reserve does not', async (t) => {
  for (const { reserveMs, kept } of [
    { reserveMs: 21 * DAY, kept: true },
    { reserveMs: undefined, kept: false },
  ]) {
    const host = newHost(t, reserveMs === undefined ? {} : { reserveMs });
    host.api.lifetimeMs = 60 * DAY;
    await host.bootstrap();
    let least = Number.POSITIVE_INFINITY;
    for (let day = 0; day < 200; day += 0.25) {
      await pass(host, DAY / 4);
      least = Math.min(least, leastLeft(host));
    }
    t.equal(least >= 21 * DAY, kept, `${String(least / DAY)} days`);
    await host.stop();
  }
});

t.test(
  'a lifetime that is too short for the reserve: renewed at half of it, and told once for each certificate',
  async (t) => {
    const host = newHost(t, { reserveMs: 21 * DAY, serving: false });
    host.api.lifetimeMs = DAY;
    await host.bootstrap();
    await host.clock.advance(HOUR);
    const told = host.log.of('The lifetime of the certificate is too short for the reserve');
    t.equal(told.length, 1);
    t.match(told[0], { level: 'warn', fields: { purpose: 'client', reserve: '504h0m0s', remedy: /1120h/ } });
    t.match(host.manager('client').reserve, { wantedMs: 21 * DAY, ask: /--cluster-signing-duration=1120h/ });
    const created = host.count('create');
    await pass(host, 11 * DAY, HOUR / 2);
    const renewals = host.count('create') - created;
    t.ok(renewals >= 20 && renewals <= 22, `${String(renewals)} renewals in eleven days: no more than two a day`);
  },
);

t.test('after weeks off the node asks with its own certificate where that is still good', async (t) => {
  const host = newHost(t, { reserveMs: 21 * DAY });
  host.api.lifetimeMs = 60 * DAY;
  await host.bootstrap();
  await pass(host, 20 * DAY);
  const since = host.api.calls.length;
  await host.restart(21 * DAY);
  await host.clock.advance(10 * MINUTE);
  t.ok(host.count('create', since) > 0, 'renewed');
  t.strictSame([...new Set(host.api.calls.slice(since).map(({ as }) => as))], ['node']);
  t.equal(host.isUpToDate, true);
});

t.test('after its end: the bootstrap credential; without one a line that says which is missing', async (t) => {
  const host = newHost(t);
  host.api.lifetimeMs = 10 * DAY;
  await host.bootstrap();
  const { bootstrap } = host.kubeconfigs;
  host.kubeconfigs.bootstrap = absent(BOOTSTRAP_PATH);
  await host.restart(11 * DAY);
  await host.clock.advance(5 * MINUTE);
  t.match(host.manager('client').lastError, {
    code: 'ERR_CREDENTIAL_MISSING',
    message: /^no bootstrap kubeconfig at .*, and the client certificate expired at /,
  });
  host.kubeconfigs.bootstrap = bootstrap;
  host.agent?.filesChanged();
  await host.clock.advance(MINUTE);
  t.equal(host.isUpToDate, true, 'it comes back by the credential as soon as that is there');
});

t.test('a sealed credential that was not opened is called that, with what opens it', async (t) => {
  const host = newHost(t);
  const linksTo = '/run/certlet/bootstrap-kubelet.conf';
  host.kubeconfigs.bootstrap = { kind: 'absent', path: BOOTSTRAP_PATH, linksTo };
  host.start();
  await host.clock.settle();
  t.match(host.manager('client').lastError, {
    code: 'ERR_CREDENTIAL_MISSING',
    message: /is a link to \/run\/certlet\/bootstrap-kubelet\.conf, where nothing is, and no client certificate yet/,
    remedy: /^systemctl restart certlet-unseal\.service/,
  });
});

t.test('a fleet whose certificates ended while it was off does not come back in one second', async (t) => {
  const moments: number[] = [];
  for (let node = 0; node < 20; node += 1) {
    const host = newHost(t, { nodeName: `n${String(node)}` });
    host.api.lifetimeMs = DAY;
    host.chance = fixedChance((node + 0.5) / 20);
    await host.bootstrap();
    await host.stop();
    await host.clock.advance(30 * DAY);
    const from = host.clock.now().getTime();
    const since = host.api.calls.length;
    host.start();
    await host.clock.advance(2 * MINUTE);
    t.equal(host.isUpToDate, true);
    moments.push((host.api.calls[since]?.at.getTime() ?? 0) - from);
    await host.stop();
  }
  const seconds = new Set(moments.map((ms) => Math.floor(ms / 3000)));
  t.equal(seconds.size, 20, `over the minute of rotation.startSpread: ${moments.join(' ')}`);
});
