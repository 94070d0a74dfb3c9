import t, { type Test } from 'tap';
import { statusDocument } from '../../src/status/document.ts';
import { statusReport } from '../../src/status/text.ts';
import { verdictOf } from '../../src/status/verdict.ts';
import { DAY, FakeHost, MINUTE } from '../fixtures/fakes/host.ts';

const DUE = 'Rotation is due, waiting for the spacing between requests';
const REASON = 'missing requested DNS names [web.example.org]';

/** Both certificates are fresh, and the settings have a name more since. */
async function withNewName(t: Test): Promise<FakeHost> {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  host.api.lifetimeMs = 365 * DAY;
  await host.bootstrap();
  await host.stop();
  host.options = { ...host.options, servingNames: ['web.example.org'] };
  await host.restart(MINUTE);
  await host.until(() => host.manager('serving').reason.includes('spacing between requests'), 2 * MINUTE);
  return host;
}

t.test('a rotation that is due but held back by the spacing: nothing tells when it comes', async (t) => {
  const host = await withNewName(t);
  const { phase, reason, nextAttempt } = host.manager('serving');
  t.equal(phase, 'waiting to retry');
  t.equal(reason, `${REASON}; waits for the spacing between requests`);
  t.ok(nextAttempt !== undefined && nextAttempt > host.clock.now());
  t.equal(host.manager('client').nextAttempt, undefined);
  t.match(host.log.of(DUE), [{ level: 'info', fields: { purpose: 'serving', reasons: [REASON], nextAttempt } }]);
  await host.until(() => host.leaf('serving').dnsNames.includes('web.example.org'), 10 * MINUTE);
  t.ok(nextAttempt !== undefined && host.clock.now().getTime() - nextAttempt.getTime() < MINUTE, 'it came then');
  t.equal(host.manager('serving').nextAttempt, undefined);
  await host.clock.advance(DAY);
  t.equal(host.log.of(DUE).length, 1, 'told once');
});

t.test('… status stays healthy, and its text has the reason and the time', async (t) => {
  const host = await withNewName(t);
  const now = host.clock.now();
  const snapshot = host.agent?.snapshot();
  if (snapshot === undefined) throw new Error('no agent');
  const document = statusDocument(snapshot, { command: 'run', pid: 1, version: '0', now, hooks: [] });
  const verdict = verdictOf(document, now, 'running');
  t.strictSame(verdict, { state: 'healthy', reasons: [] });
  const text = statusReport(document, { source: { kind: 'socket' }, verdict, now, colour: false });
  t.match(text, /reason +missing requested DNS names \[web\.example\.org\]; waits for the spacing between requests/);
  t.match(text, /next attempt +in \d+ (minutes|seconds) \(/);
});

t.test('… told again when the reason is another one', async (t) => {
  const host = await withNewName(t);
  await host.stop();
  host.options = { ...host.options, nodeIPs: ['10.0.0.9'] };
  host.start();
  await host.until(() => host.log.of(DUE).length === 2, 2 * MINUTE);
  t.match(host.log.of(DUE)[1]?.fields['reasons'], [REASON, 'missing requested IP addresses [10.0.0.9]']);
});
