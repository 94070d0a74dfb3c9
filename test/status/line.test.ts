import t from 'tap';
import type { ManagerSnapshot } from '../../src/rotation/snapshot.ts';
import { isUsefulState, statusText } from '../../src/status/line.ts';
import { sampleManager, sampleSnapshot, waitingServing } from '../fixtures/snapshots.ts';

const line = (...managers: readonly ManagerSnapshot[]): string => statusText(sampleSnapshot({ managers }));

for (const { name, text, line: told } of [
  {
    name: 'a good certificate with the date of its renewal',
    line: line(sampleManager()),
    text: 'client until 2027-01-03, next rotation 2026-12-01',
  },
  {
    name: 'a good certificate that has no date of renewal yet',
    line: line(sampleManager({ rotationDeadline: undefined })),
    text: 'client until 2027-01-03',
  },
  {
    name: 'both, one of them waiting for a person',
    line: line(sampleManager(), waitingServing()),
    text: 'client until 2027-01-03, next rotation 2026-12-01; serving not issued, waits for approval of csr node-csr-abc',
  },
  {
    name: 'an approved request',
    line: line(waitingServing({ phase: 'waiting for issuance' })),
    text: 'serving not issued, waits for issuance of csr node-csr-abc',
  },
  {
    name: 'a failure, with the certificate that still holds',
    line: line(sampleManager({ phase: 'waiting to retry', reason: 'no route to host' })),
    text: 'client until 2027-01-03, waiting to retry: no route to host',
  },
]) {
  t.test(`statusText: ${name}`, async (t) => t.equal(told, text));
}

/** A node without a certificate whose request was made so long ago. */
const asked = (seconds: number): ManagerSnapshot =>
  sampleManager({
    phase: 'waiting for approval',
    certificate: undefined,
    since: new Date(sampleSnapshot().at.getTime() - seconds * 1000),
  });

for (const { name, manager, useful } of [
  { name: 'a valid certificate', manager: sampleManager(), useful: true },
  { name: 'a placeholder that counts as valid', manager: sampleManager({ placeholder: true }), useful: false },
  { name: 'a wait that it can name', manager: waitingServing(), useful: true },
  { name: 'a first client request of just now, which a good cluster issues at once', manager: asked(1), useful: false },
  { name: 'a first client request that waits for somebody', manager: asked(6), useful: true },
  { name: 'a prefix that is held', manager: sampleManager({ phase: 'held' }), useful: true },
  { name: 'a start', manager: sampleManager({ phase: 'starting' }), useful: false },
  { name: 'a request on its way', manager: sampleManager({ phase: 'requesting' }), useful: false },
]) {
  t.test(`isUsefulState: ${name}: ${useful ? 'ready' : 'not ready yet'}`, async (t) => {
    t.equal(isUsefulState(sampleSnapshot({ managers: [sampleManager(), manager] })), useful);
  });
}
