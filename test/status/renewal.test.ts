import t from 'tap';
import type { ManagerSnapshot } from '../../src/rotation/snapshot.ts';
import { statusDocument, type StatusDocument } from '../../src/status/document.ts';
import { RenewalWatch } from '../../src/status/renewal.ts';
import { NOW, sampleFacts, sampleManager, sampleSnapshot, waitingServing } from '../fixtures/snapshots.ts';

const documentOf = (...managers: readonly ManagerSnapshot[]): StatusDocument =>
  statusDocument(sampleSnapshot({ managers }), { command: 'run', pid: 1, version: '1', now: NOW, hooks: [] });

const renewed = sampleManager({ certificate: sampleFacts({ fingerprint: 'cd'.repeat(32), serial: '20' }) });
const failed = (code: 'ERR_CSR_DENIED' | 'ERR_API_UNREACHABLE', at = NOW): ManagerSnapshot =>
  sampleManager({
    phase: 'waiting to retry',
    reason: 'no',
    lastError: { code, message: 'no', remedy: 'certlet renew', at },
  });

t.test('each change is one line, the same again is none', async (t) => {
  const watch = new RenewalWatch(['client', 'serving'], documentOf(sampleManager()).certificates);
  const waiting = documentOf(sampleManager(), waitingServing());
  t.strictSame(watch.see(waiting), [
    'serving: waiting for approval: the request waits for approval [node-csr-abc]',
    '  fix: kubectl certificate approve node-csr-abc',
  ]);
  t.strictSame(watch.see(waiting), []);
  t.notOk(watch.done);
  t.strictSame(watch.see(documentOf(renewed, waitingServing())), [
    'client: new certificate 20 until 2027-01-03T04:11:00Z',
  ]);
  t.notOk(watch.done, 'a placeholder is not a new certificate');
  watch.see(documentOf(renewed, waitingServing({ placeholder: false })));
  t.ok(watch.done);
});

t.test('the old certificate, a start and a pause without failure are nothing to tell', async (t) => {
  const watch = new RenewalWatch(['client'], documentOf(sampleManager()).certificates);
  for (const phase of ['valid', 'starting', 'waiting to retry'] as const)
    t.strictSame(watch.see(documentOf(sampleManager({ phase }))), []);
  t.notOk(watch.done);
});

t.test('a denial from before the asking is not told as the answer to it', async (t) => {
  const before = documentOf(failed('ERR_CSR_DENIED'));
  const watch = new RenewalWatch(['client'], before.certificates);
  t.strictSame(watch.see(before), []);
  const later = documentOf(failed('ERR_CSR_DENIED', new Date(NOW.getTime() + 1000)));
  t.strictSame(watch.see(later), ['client: waiting to retry: no']);
});

t.test('a refusal ends the wait, what certlet gets over by itself does not', async (t) => {
  const watch = new RenewalWatch(['client'], documentOf(sampleManager()).certificates);
  watch.see(documentOf(failed('ERR_API_UNREACHABLE')));
  t.equal(watch.hopeless, undefined);
  watch.see(documentOf(failed('ERR_CSR_DENIED')));
  t.match(watch.hopeless, { code: 'ERR_CSR_DENIED', message: 'client: no', remedy: 'certlet renew' });
});

t.test('a refusal from before does not count, nor a code of another version', async (t) => {
  const before = documentOf(failed('ERR_CSR_DENIED'));
  const watch = new RenewalWatch(['client'], before.certificates);
  watch.see(before);
  t.equal(watch.hopeless, undefined);
  const later = documentOf(failed('ERR_CSR_DENIED', new Date(NOW.getTime() + 1000)));
  const [status] = later.certificates;
  const strange = { ...status!, lastError: { code: 'ERR_FUTURE', message: 'x', at: '2030-01-01T00:00:00Z' } };
  watch.see({ certificates: [strange] });
  t.equal(watch.hopeless, undefined);
});

t.test('the timeout names what is still waited for', async (t) => {
  const watch = new RenewalWatch(['client', 'serving'], []);
  t.match(watch.timeout(2000), {
    code: 'ERR_TIMEOUT',
    message: 'not issued after 2 s: nothing is known yet',
    remedy: undefined,
  });
  watch.see(documentOf(renewed, waitingServing()));
  t.match(watch.timeout(2000), {
    message: 'not issued after 2 s: serving: waiting for approval (the request waits for approval)',
    remedy: 'kubectl certificate approve node-csr-abc',
  });
});
