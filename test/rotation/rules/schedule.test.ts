import { KUBELET_WINDOW } from '../../../src/csr/spec.ts';
import fc from 'fast-check';
import t from 'tap';
import { laterOf, requestSpacingMs, rotationDeadline } from '../../../src/rotation/rules/schedule.ts';

const SECOND = 1000;
const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 24 * 3_600_000;
const NOW = new Date('2030-06-01T00:00:00Z');
const at = (ms: number): Date => new Date(NOW.getTime() + ms);

const NODE = { nodeName: 'n1', window: KUBELET_WINDOW };

t.test(
  'rotationDeadline: in [70, 90) % of the lifetime, not before half of what was left at receipt where that is within',
  async () => {
    fc.assert(
      fc.property(
        fc.integer({ min: MINUTE, max: 3650 * DAY }),
        fc.bigInt({ min: 1n, max: 2n ** 160n }).map((serial) => serial.toString(16)),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (lifetimeMs, serial, receivedShare) => {
          const certificate = { notBefore: NOW, notAfter: at(lifetimeMs), serial };
          const drawn = rotationDeadline(certificate, NODE, undefined).getTime() - NOW.getTime();
          const share = drawn / lifetimeMs;
          const receivedMs = lifetimeMs * receivedShare;
          const floored = rotationDeadline(certificate, NODE, at(receivedMs)).getTime() - NOW.getTime();
          return (
            share >= 0.7 - 1e-4 &&
            share < 0.9 &&
            floored >= drawn &&
            floored >= Math.min(receivedMs + (lifetimeMs - receivedMs) / 2, lifetimeMs * 0.9) - 2 &&
            (floored <= lifetimeMs * 0.9 || receivedMs <= 6 * MINUTE)
          );
        },
      ),
    );
  },
);

t.test('rotationDeadline: the same for the same serial and node, another for another', async (t) => {
  const deadline = (serial: string, node: string): number =>
    rotationDeadline(
      { notBefore: NOW, notAfter: at(365 * DAY), serial },
      { ...NODE, nodeName: node },
      undefined,
    ).getTime();
  t.equal(deadline('1f', 'n1'), deadline('1f', 'n1'));
  const fleet = new Set(Array.from({ length: 100 }, (_, index) => deadline('1f', `n${String(index)}`)));
  t.equal(fleet.size, 100, 'a fleet does not renew in one second');
});

t.test('rotationDeadline: a clock that was ahead at receipt puts the deadline minutes before the end', async (t) => {
  const certificate = { notBefore: NOW, notAfter: at(365 * DAY), serial: '1' };
  const deadline = rotationDeadline(certificate, NODE, at(365 * DAY - 16 * MINUTE));
  t.ok(deadline <= at(365 * 0.9 * DAY), deadline.toISOString());
});

t.test(
  'rotationDeadline: of six minutes five are backdated: half of what was left, whatever part of the life that is',
  async (t) => {
    const certificate = { notBefore: NOW, notAfter: at(6 * MINUTE), serial: '1' };
    t.strictSame(rotationDeadline(certificate, NODE, at(5 * MINUTE)), at(5.5 * MINUTE));
  },
);

t.test('rotationDeadline: a receipt after the end changes nothing', async (t) => {
  const certificate = { notBefore: NOW, notAfter: at(DAY), serial: '1' };
  t.strictSame(rotationDeadline(certificate, NODE, at(2 * DAY)), rotationDeadline(certificate, NODE, undefined));
});

for (const row of [
  { name: 'no certificate: the minimum', lifetimeMs: undefined, spacingMs: 30 * SECOND },
  { name: 'ten minutes: a twentieth', lifetimeMs: 10 * MINUTE, spacingMs: 30 * SECOND },
  { name: 'an hour: a twentieth', lifetimeMs: HOUR, spacingMs: 3 * MINUTE },
  { name: 'a year: ten minutes at most', lifetimeMs: 365 * DAY, spacingMs: 10 * MINUTE },
]) {
  t.test(`requestSpacingMs: ${row.name}`, async (t) => {
    const certificate = row.lifetimeMs === undefined ? undefined : { notBefore: NOW, notAfter: at(row.lifetimeMs) };
    t.equal(requestSpacingMs(certificate, 30 * SECOND), row.spacingMs);
  });
}

t.test('laterOf: the later one, or the only one', async (t) => {
  t.equal(laterOf(undefined, undefined), undefined);
  t.equal(laterOf(NOW, undefined), NOW);
  t.equal(laterOf(undefined, NOW), NOW);
  t.strictSame(laterOf(NOW, at(1)), at(1));
  t.strictSame(laterOf(at(1), NOW), at(1));
});
