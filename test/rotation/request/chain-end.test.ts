import t, { type Test } from 'tap';
import { statusDocument } from '../../../src/status/document.ts';
import { EventCounters } from '../../../src/status/counters.ts';
import { metricsText } from '../../../src/status/metrics.ts';
import { statusReport } from '../../../src/status/text.ts';
import { verdictOf } from '../../../src/status/verdict.ts';
import { createAuthority } from '../../fixtures/cluster/authority.ts';
import { DAY, FakeHost, MINUTE } from '../../fixtures/fakes/host.ts';

/** A pair lasts until the first certificate of its chain ends. */

/** Leaves of a year by an intermediate that ends in a hundred days. */
async function shortChainHost(t: Test): Promise<FakeHost> {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  const now = host.clock.now().getTime();
  const from = (days: number): Date => new Date(now + days * DAY);
  const root = createAuthority({ name: 'root', notBefore: from(-400), notAfter: from(4000) });
  const below = (name: string, days: number) =>
    root.intermediate({ name, notBefore: from(-400), notAfter: from(days) });
  host.api.authority = below('signer one', 100);
  host.api.trusts = (issuer) => issuer.includes('signer');
  await host.bootstrap();
  host.api.authority = below('signer two', 4000);
  return host;
}

t.test(
  'an intermediate that ends before the leaf: its pair was used for nine months more, expired at depth 1',
  async (t) => {
    const host = await shortChainHost(t);
    const { notBefore, notAfter, endsWith } = host.leaf('client');
    t.equal(endsWith, 'CN=signer one');
    const deadline = host.manager('client').rotationDeadline ?? notAfter;
    t.ok(deadline.getTime() <= notBefore.getTime() + (notAfter.getTime() - notBefore.getTime()) * 0.9);
    t.equal(Math.round((notAfter.getTime() - host.clock.now().getTime()) / DAY), 100);
    await host.clock.step(95 * DAY);
    await host.clock.advance(10 * MINUTE);
    t.equal(host.leaf('client').endsWith, undefined);
    t.equal(host.leaf('serving').endsWith, undefined);
    t.equal(host.log.of('The chain of the certificate ends before the certificate itself').length, 2);
  },
);

t.test('… found on disk after that end, it counts as expired: the bootstrap credential asks', async (t) => {
  const host = await shortChainHost(t);
  await host.stop();
  await host.clock.step(150 * DAY);
  host.start();
  await host.until(() => host.isUpToDate, 10 * MINUTE);
  t.match(host.log.of('The current client certificate cannot be used')[0]?.fields['why'], [/^expired at /]);
  t.equal(host.leaf('client').endsWith, undefined);
});

t.test('… status, its text and the metrics tell the earlier end and whose it is', async (t) => {
  const host = await shortChainHost(t);
  const now = host.clock.now();
  const snapshot = host.agent?.snapshot();
  if (snapshot === undefined) throw new Error('no agent');
  const document = statusDocument(snapshot, { command: 'run', pid: 1, version: '0', now, hooks: [] });
  const [client] = document.certificates;
  t.match(client?.certificate, {
    endsWith: 'CN=signer one',
    notAfter: host.leaf('client').notAfter.toISOString().replace('.000', ''),
  });
  const verdict = verdictOf(document, now, 'running');
  t.match(
    statusReport(document, { source: { kind: 'socket' }, verdict, now, colour: false, details: true }),
    /expires .*, with CN=signer one of its chain/,
  );
  const later = new Date(now.getTime() + 101 * DAY);
  t.equal(verdictOf(document, later, 'running').state, 'expired');
  const seconds = String(Math.trunc(host.leaf('client').notAfter.getTime() / 1000));
  t.ok(
    metricsText(snapshot, {
      version: '0',
      now,
      hookProblems: 0,
      servingRotations: new EventCounters().servingRotations(),
    }).includes(seconds),
  );
});
