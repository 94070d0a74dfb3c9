/** Runs that end by themselves: what each asks of a cluster when nothing is due. */
import t from 'tap';
import { DAY, FakeHost, HOUR } from '../../fixtures/fakes/host.ts';

/** A run that has nothing to do, and what it asked. */
async function quietRun(host: FakeHost, afterMs: number): Promise<readonly string[]> {
  const since = host.api.calls.length;
  await host.restart(afterMs);
  t.equal(host.isUpToDate, true);
  return [...host.callsSince(since)].sort();
}

t.test(
  'each run of the timer proved the certificate again: with nothing due it reads the Node, and proves once a day',
  async (t) => {
    const host = new FakeHost({ proofGoodForMs: DAY, startSpreadMs: 0, everyMs: HOUR });
    t.teardown(() => host.stop());
    await host.bootstrap();
    t.strictSame(await quietRun(host, HOUR), ['node as node', 'review as node'], 'none is written down yet');
    const noted = host.store.shelves.client.history?.proved?.at;
    t.strictSame(noted, host.clock.now());
    t.strictSame(await quietRun(host, HOUR), ['node as node']);
    t.strictSame(await quietRun(host, HOUR), ['node as node']);
    t.strictSame(host.store.shelves.client.history?.proved?.at, noted, 'and nothing was written');
    t.strictSame(await quietRun(host, 22 * HOUR), ['node as node', 'review as node']);
    t.strictSame(await quietRun(host, HOUR), ['node as node']);
  },
);

t.test('a refusal in such a run is proved anew at once', async (t) => {
  const host = new FakeHost({ proofGoodForMs: DAY, startSpreadMs: 0, everyMs: HOUR });
  t.teardown(() => host.stop());
  await host.bootstrap();
  await quietRun(host, HOUR);
  host.api.trusts = () => false;
  const since = host.api.calls.length;
  await host.restart(HOUR);
  t.match(host.callsSince(since).slice(0, 2), ['node as node', 'review as node']);
  t.equal(host.isUpToDate, false);
  t.equal(host.store.shelves.client.history?.proved, undefined);
});

t.test('a run with nothing due read the kubeconfig eight times: it looks at the disk once', async (t) => {
  const host = new FakeHost({ proofGoodForMs: DAY, startSpreadMs: 0, everyMs: HOUR });
  t.teardown(() => host.stop());
  await host.bootstrap();
  await quietRun(host, HOUR);
  const before = host.kubeconfigs.reads;
  await quietRun(host, HOUR);
  t.equal(host.kubeconfigs.reads - before, 2, 'at the look at the disk, and before it is decided whether to write it');
});

t.test('a daemon keeps no note of it', async (t) => {
  const host = new FakeHost({ startSpreadMs: 0 });
  t.teardown(() => host.stop());
  await host.bootstrap();
  t.strictSame(await quietRun(host, HOUR), ['node as node', 'review as node']);
  t.strictSame(await quietRun(host, HOUR), ['node as node', 'review as node']);
  t.equal(host.store.shelves.client.history?.proved, undefined);
});
