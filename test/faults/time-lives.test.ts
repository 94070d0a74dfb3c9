/** Hosts that sleep, and certificates of minutes and of years. */
import t from 'tap';
import { DAY, HOUR, MINUTE } from '../fixtures/fakes/host.ts';
import { MOST_IN_AN_HOUR, newHost, PURPOSES, RequestWatch, YEAR } from './fixtures/time-host.ts';

t.setTimeout(20 * MINUTE);

for (const row of [
  { name: 'a certificate of a year', lifetimeMs: YEAR, creates: 2 },
  { name: 'a certificate that fell due meanwhile', lifetimeMs: 33 * DAY, creates: 4 },
  { name: 'a certificate that expired meanwhile', lifetimeMs: 20 * DAY, creates: 4 },
]) {
  t.test(`asleep for a month with ${row.name}`, async (t) => {
    const host = newHost(t);
    host.api.lifetimeMs = row.lifetimeMs;
    const watch = new RequestWatch(host);
    await host.bootstrap();
    await host.clock.step(31 * DAY);
    await host.clock.advance(5 * MINUTE);
    t.equal(host.isUpToDate, true);
    t.equal(host.count('create'), row.creates);
    t.ok(host.leaf('client').notAfter > host.clock.now());
    t.ok(watch.busiestHour() <= MOST_IN_AN_HOUR);
  });
}

t.test('asleep for a month while a request waits: the same request, and what was issued meanwhile', async (t) => {
  const host = newHost(t);
  host.api.approve = 'manual';
  host.start();
  await host.clock.advance(5 * MINUTE);
  const [name = ''] = host.api.pendingNames;
  await host.clock.step(31 * DAY);
  await host.clock.advance(5 * MINUTE);
  t.equal(host.count('create'), 1);
  host.api.approveRequest(name);
  await host.until(() => host.isUpToDate, 2 * MINUTE);
  t.equal(host.count('create'), 2);
});

for (const row of [
  { name: 'ten minutes', lifetimeMs: 10 * MINUTE, forMs: 4 * HOUR, strideMs: MINUTE, most: 90 },
  { name: 'an hour', lifetimeMs: HOUR, forMs: 12 * HOUR, strideMs: 10 * MINUTE, most: 36 },
  { name: 'ten years', lifetimeMs: 10 * YEAR, forMs: 19 * YEAR, strideMs: 20 * DAY, most: 6 },
]) {
  t.test(`certificates of ${row.name} are renewed in time, for good`, async (t) => {
    const host = newHost(t);
    host.api.lifetimeMs = row.lifetimeMs;
    const watch = new RequestWatch(host);
    await host.bootstrap();
    // Only its own certificate can renew it.
    host.kubeconfigs.bootstrap = { kind: 'absent', path: host.kubeconfigs.bootstrap.path };
    const endMs = host.clock.now().getTime() + row.forMs;
    while (host.clock.now().getTime() < endMs && t.passing()) {
      if (row.strideMs > HOUR) await host.clock.step(row.strideMs);
      await host.clock.advance(row.strideMs > HOUR ? MINUTE : row.strideMs);
      for (const purpose of PURPOSES) {
        if (host.leaf(purpose).notAfter <= host.clock.now())
          t.fail(`${purpose} expired at ${host.clock.now().toISOString()}`);
      }
    }
    const created = host.count('create');
    t.ok(created >= 4 && created <= row.most, `${String(created)} signing requests`);
    t.ok(watch.busiestHour() <= MOST_IN_AN_HOUR, `${String(watch.busiestHour())} requests in an hour`);
    t.ok(watch.mostLive <= 1);
  });
}
