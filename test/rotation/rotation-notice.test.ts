import t, { type Test } from 'tap';
import { durationText } from '../../src/rotation/rotation-notice.ts';
import { DAY, FakeHost, HOUR, MINUTE } from '../fixtures/fakes/host.ts';

/** What people search their journals for, as the kubelet prints it. */
function newHost(t: Test): FakeHost {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  return host;
}

t.test('the deadline and the wait for it are told once per certificate, together', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  await host.clock.advance(DAY);
  const deadlines = host.log.of('Certificate rotation deadline determined');
  const waits = host.log.of('Waiting for next certificate rotation');
  t.strictSame(
    waits.map(({ level, fields }) => [level, fields['purpose']]),
    deadlines.map(({ level, fields }) => [level, fields['purpose']]),
  );
  t.equal(waits.length, 2);
  for (const { fields } of waits) t.match(fields['sleep'], /^\d+h\d+m\d+s$/);
  await host.agent?.renew(['client']);
  await host.clock.settle();
  t.equal(host.log.of('Waiting for next certificate rotation').length, 3);
});

const durations: readonly { ms: number; text: string }[] = [
  { ms: 999, text: '0s' },
  { ms: 59_999, text: '59s' },
  { ms: MINUTE, text: '1m0s' },
  { ms: HOUR + 2 * MINUTE + 3000, text: '1h2m3s' },
  { ms: 300 * DAY, text: '7200h0m0s' },
];
for (const { ms, text } of durations) {
  t.test(`durationText: ${text}`, async (t) => t.equal(durationText(ms), text));
}

const refusals: readonly { name: string; spoil: (host: FakeHost, csr: string) => void; event: string }[] = [
  {
    name: 'denied',
    spoil: (host, csr) => host.api.condition(csr, 'Denied', 'NotAllowed', 'no'),
    event: 'Certificate request was not signed',
  },
  {
    name: 'failed',
    spoil: (host, csr) => host.api.condition(csr, 'Failed', 'SignerValidationFailure', 'no'),
    event: 'Certificate request was not signed',
  },
  {
    name: 'failed over its usages',
    spoil: (host, csr) => host.api.condition(csr, 'Failed', 'SignerValidationFailure', 'usages did not match'),
    event: 'Certificate request was not signed',
  },
  {
    name: 'deleted',
    spoil: (host, csr) => host.api.remove(csr),
    event: 'Failed while requesting a signed certificate',
  },
];
for (const { name, spoil, event } of refusals) {
  t.test(`a request that is ${name}: ${event}`, async (t) => {
    const host = newHost(t);
    host.api.approve = 'manual';
    host.start();
    await host.clock.settle();
    spoil(host, host.api.pendingNames[0] ?? '');
    await host.clock.settle();
    const told = host.log.entries.filter(({ fields }) => fields['error'] !== undefined).map((entry) => entry.event);
    t.strictSame(told, [event]);
  });
}
