import t from 'tap';
import { LEASE_MS, leaseStep, type LeaseView, lookedAt } from '../../src/approve/lease.ts';

const record = (holder: string, resourceVersion = '1') => ({
  resourceVersion,
  holder,
  transitions: 0,
  acquireTime: undefined,
});
const view = (holder: string): LeaseView => ({ record: record(holder), seenAtMs: 1_000 });

for (const row of [
  { name: 'there is none', view: { record: undefined, seenAtMs: 0 }, nowMs: 0, step: { kind: 'create' } },
  { name: 'it was given up', view: view(''), nowMs: 1_000, step: { kind: 'take' } },
  { name: 'it is one’s own', view: view('me'), nowMs: 1_000, step: { kind: 'take' } },
  { name: 'another has just renewed it', view: view('other'), nowMs: 1_000, step: { kind: 'wait', untilMs: 3_000 } },
  { name: 'a second before it runs out', view: view('other'), nowMs: 10_000, step: { kind: 'wait', untilMs: 11_000 } },
  { name: 'it ran out by the own clock', view: view('other'), nowMs: 1_000 + LEASE_MS, step: { kind: 'take' } },
]) {
  t.test(`a Lease when ${row.name}`, async (t) => {
    t.strictSame(leaseStep(row.view, 'me', row.nowMs), row.step);
  });
}

t.test('the time of a record runs from when it was first seen, whatever stands in it', async (t) => {
  const first = lookedAt(undefined, record('other', '1'), 500);
  t.equal(lookedAt(first, record('other', '1'), 9_000).seenAtMs, 500, 'the same record goes on ageing');
  t.equal(lookedAt(first, record('other', '2'), 9_000).seenAtMs, 9_000, 'a renewed one begins anew');
});

t.test('from the death of a holder it takes less than 15 seconds', async (t) => {
  // Renewed right after a look, seen two seconds later, and then silent.
  let known = lookedAt(undefined, record('other', '1'), 0);
  let nowMs = 2_000;
  known = lookedAt(known, record('other', '2'), nowMs);
  for (let step = leaseStep(known, 'me', nowMs); step.kind === 'wait'; step = leaseStep(known, 'me', nowMs))
    nowMs = step.untilMs;
  t.ok(nowMs <= 13_000, `${String(nowMs)} ms`);
});
