import t from 'tap';
import { KUBELET_WINDOW } from '../../../src/csr/spec.ts';
import {
  dueInRounds,
  dueWhenExpiring,
  isMissed,
  servedInRounds,
  rotationDeadline,
} from '../../../src/rotation/rules/schedule.ts';
import { DAY, FakeHost, HOUR, MINUTE } from '../../fixtures/fakes/host.ts';

/** `certlet once` by a timer: no certificate ends between two runs, but for those that no run can serve. */

const NOW = new Date('2030-06-01T00:00:00Z');
const at = (ms: number): Date => new Date(NOW.getTime() + ms);
const BACKDATE = 5 * MINUTE;
/** A run brings its certificate after so long. */
const RUN = 2 * MINUTE;

/** Runs every hour, one of `failing` in vain: how long no valid certificate was there at the start of a run, in runs. */
function lostRuns(lifetimeMs: number, phase: number, failing: (run: number) => boolean): number {
  let lost = 0;
  let serial = phase * 1000 + 1;
  let current = { notBefore: at(-BACKDATE), notAfter: at(lifetimeMs - BACKDATE), serial: serial.toString(16) };
  let receivedAt = NOW;
  const runs = Math.ceil((4 * lifetimeMs) / HOUR) + 30;
  for (let run = 1; run <= runs; run += 1) {
    // A timer comes up to a minute late.
    const now = at(run * HOUR + ((phase * 7 + run * 13) % 60) * 1000);
    if (now > current.notAfter) lost += 1;
    const deadline = rotationDeadline(current, { nodeName: `n${String(phase)}`, window: KUBELET_WINDOW }, receivedAt);
    if (failing(run) || now < dueInRounds(deadline, current, { everyMs: HOUR, receivedAt })) continue;
    serial += 1;
    receivedAt = new Date(now.getTime() + RUN);
    const notBefore = new Date(receivedAt.getTime() - BACKDATE);
    current = { notBefore, notAfter: new Date(notBefore.getTime() + lifetimeMs), serial: serial.toString(16) };
  }
  return lost;
}

const service = (lifetimeMs: number) =>
  servedInRounds({ notBefore: at(-BACKDATE), notAfter: at(lifetimeMs - BACKDATE) }, NOW, HOUR);

const lifetimes = [0.5, 0.75, 1, 1.25, 1.5, 2, 2.25, 2.5, 3, 4, 6, 8, 10, 12, 24, 48];
for (const hours of lifetimes) {
  t.test(`a timer every hour and certificates of ${String(hours)} h`, async (t) => {
    const phases = Array.from({ length: 60 }, (_, phase) => phase);
    const lost = phases.filter((phase) => lostRuns(hours * HOUR, phase, () => false) > 0).length;
    const lostByOne = phases.filter(
      (phase) => lostRuns(hours * HOUR, phase, (run) => run % 5 === phase % 5) > 0,
    ).length;
    const said = service(hours * HOUR);
    t.comment(`${String(lost)} of 60 lost; ${String(lostByOne)} where every fifth run fails; said: ${said}`);
    if (said !== 'never') t.equal(lost, 0, 'none is lost that is not named');
    if (said === 'well') t.equal(lostByOne, 0, 'nor where one run fails');
    if (hours <= 1) t.equal(lost, 60, 'what is named as impossible is');
  });
}

t.test('dueWhenExpiring: so long before the end, but not for what has just come', async (t) => {
  const year = { notBefore: NOW, notAfter: at(365 * DAY) };
  t.strictSame(dueWhenExpiring(year, { withinMs: 7 * DAY, receivedAt: NOW }), at(358 * DAY));
  const short = { notBefore: at(-BACKDATE), notAfter: at(4 * DAY) };
  t.strictSame(dueWhenExpiring(short, { withinMs: 7 * DAY, receivedAt: NOW }), at(2 * DAY));
});

t.test(
  'a run that renews what ends within two hours leaves the others alone, though their rotation is due',
  async (t) => {
    const host = new FakeHost({ serving: false, startSpreadMs: 0, expiringWithinMs: 2 * HOUR });
    t.teardown(() => host.stop());
    host.api.lifetimeMs = 2 * DAY;
    await host.bootstrap();
    const first = host.leaf('client').serial;
    await host.clock.advance(45 * HOUR);
    t.equal(host.leaf('client').serial, first, 'its rotation deadline is over, and more than two hours are left');
    await host.until(() => host.leaf('client').serial !== first, 2 * HOUR);
  },
);

t.test('servedInRounds: by what was left at receipt', async (t) => {
  const life = { notBefore: NOW, notAfter: at(4 * HOUR) };
  t.equal(servedInRounds(life, undefined, HOUR), 'well');
  t.equal(servedInRounds(life, at(2.5 * HOUR), HOUR), 'barely');
  t.equal(servedInRounds(life, at(3 * HOUR), HOUR), 'never');
});

t.test('isMissed: after two intervals', async (t) => {
  t.equal(isMissed(NOW, at(2 * HOUR), HOUR), false);
  t.equal(isMissed(NOW, at(3 * HOUR), HOUR), true);
});

for (const lifetimeMs of [1.5 * HOUR, 4 * HOUR, 8 * HOUR]) {
  t.test(`certlet-once.timer loses nodes with certificates of ${String(lifetimeMs / HOUR)} h`, async (t) => {
    for (let index = 0; index < 6; index += 1) {
      const host = new FakeHost({ serving: false, nodeName: `n${String(index)}`, startSpreadMs: 0, everyMs: HOUR });
      host.api.lifetimeMs = lifetimeMs;
      for (let run = 0; run < 15; run += 1) {
        host.start();
        await host.until(() => host.isUpToDate, 2 * MINUTE);
        await host.stop();
        host.kubeconfigs.bootstrap = { kind: 'absent', path: host.kubeconfigs.bootstrap.path };
        await host.clock.step(HOUR - (host.clock.now().getTime() % HOUR));
        if (!t.passing()) return;
      }
      t.pass(`n${String(index)}`);
    }
  });
}

t.test('without --every nothing is renewed early', async (t) => {
  const host = new FakeHost({ serving: false });
  t.teardown(() => host.stop());
  host.api.lifetimeMs = 2 * HOUR;
  await host.bootstrap();
  await host.restart(HOUR);
  t.equal(host.count('create'), 1);
  t.ok(host.leaf('client').notAfter.getTime() < host.clock.now().getTime() + DAY);
});
