import t, { type Test } from 'tap';
import { apiFault } from '../../fixtures/fakes/api.ts';
import { DAY, FakeHost, HOUR, MINUTE } from '../../fixtures/fakes/host.ts';

function newHost(t: Test, options: ConstructorParameters<typeof FakeHost>[0] = {}, now?: string): FakeHost {
  const host = new FakeHost(options, now);
  t.teardown(() => host.stop());
  return host;
}

const YEAR = 365 * DAY;

t.test(
  'boot in 1970: TLS fails on dates, the message says whose clock; when it is set, all comes at once',
  async (t) => {
    const host = newHost(t, {}, '1970-01-01T00:05:00Z');
    host.api.aheadMs = Date.parse('2030-06-01T00:00:00Z') - host.clock.now().getTime();
    host.api.glimpsed = { serverDate: host.api.now() };
    host.api.fault = () => apiFault('ERR_API_TLS_DATES', 'certificate is not yet valid');
    host.start();
    await host.clock.advance(HOUR);
    t.equal(host.count('create'), 0);
    t.match(host.manager('client').reason, /this node's clock \(1970.* is 22\d{3} days behind the server's/);
    t.match(host.manager('client').command, /timedatectl/);
    host.api.fault = () => undefined;
    await host.setClock(Date.parse('2030-06-01T01:05:00Z') - host.clock.now().getTime());
    await host.until(() => host.isUpToDate, 5 * MINUTE);
    t.ok(host.leaf('serving').notAfter > host.clock.now());
  },
);

t.test("the server's own certificate has expired: the message says so", async (t) => {
  const host = newHost(t);
  const dates = { notBefore: new Date('2029-01-01'), notAfter: new Date('2030-01-01') };
  host.api.glimpsed = {
    serverDate: host.api.now(),
    certificate: { subject: 's', issuer: 'i', names: 'n', ...dates },
  };
  host.api.fault = () => apiFault('ERR_API_TLS_DATES', 'certificate has expired');
  host.start();
  await host.clock.settle();
  t.match(host.manager('client').reason, /valid from 2029-01-01T.* to 2030-01-01T.*agrees with the server's/);
  t.match(host.manager('client').command, /kubeadm certs renew apiserver/);
  host.api.glimpseFault = apiFault('ERR_API_UNREACHABLE', 'no');
  await host.clock.advance(10 * MINUTE);
  t.equal(host.manager('client').reason, 'certificate has expired', 'without a look the error stands as it is');
});

t.test('a clock that is years ahead asks for nothing', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  await host.stop();
  await host.setClock(5 * YEAR);
  host.start();
  await host.clock.advance(DAY);
  t.equal(host.count('create'), 2);
  t.match(host.log.of('Clock skew between this node and the API server')[0]?.fields, {
    skew: 'this node is 1825 days ahead of the server',
  });
  t.equal(host.isUpToDate, false);
  t.equal(host.manager('client').phase, 'waiting for the clock');
  await host.setClock(-5 * YEAR);
  await host.until(() => host.isUpToDate, 10 * MINUTE);
  t.equal(host.count('create'), 2);
});

t.test('a clock set ahead while running asks for nothing either', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  await host.setClock(5 * YEAR);
  await host.clock.advance(HOUR);
  t.equal(host.count('create'), 2);
  t.equal(host.log.of('No new certificate is needed after all').length > 0, true);
  await host.setClock(-5 * YEAR);
  await host.clock.advance(HOUR);
  t.equal(host.isUpToDate, true);
});

t.test('a clock set back by years stalls nothing', async (t) => {
  const host = newHost(t);
  host.api.lifetimeMs = DAY;
  await host.bootstrap();
  await host.setClock(-2 * YEAR);
  await host.clock.advance(HOUR);
  const { last } = host;
  t.ok(last !== undefined && host.clock.now().getTime() - last.at.getTime() <= MINUTE, 'the loop goes on');
  await host.setClock(2 * YEAR);
  await host.clock.advance(DAY);
  t.equal(host.isUpToDate, true);
});

t.test('years off with the right clock: renewed, though the comparison of clocks is from before', async (t) => {
  const host = newHost(t);
  host.api.lifetimeMs = 30 * DAY;
  await host.bootstrap();
  await host.clock.step(31 * DAY);
  await host.until(() => host.isUpToDate && host.count('create') === 4, 10 * MINUTE);
});

t.test('skew is named once an hour', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  await host.setClock(10 * MINUTE);
  await host.clock.advance(3 * HOUR);
  const lines = host.log.of('Clock skew between this node and the API server').length;
  t.ok(lines >= 3 && lines <= 4, `${String(lines)} lines in three hours`);
  t.equal(host.last?.clockSkewMs, 10 * MINUTE);
});

t.test('a certificate that begins in the future by every clock is kept until it begins', async (t) => {
  const host = newHost(t);
  const start = new Date(host.clock.now().getTime() + 20 * MINUTE);
  host.api.overrides = { notBefore: start, notAfter: new Date(start.getTime() + DAY) };
  host.start();
  await host.clock.advance(10 * MINUTE);
  t.equal(host.manager('client').lastError?.code, 'ERR_ISSUED_NOT_YET_VALID');
  t.equal(host.count('create'), 1);
  await host.until(() => host.isUpToDate, 30 * MINUTE);
  t.equal(host.count('create'), 2);
});

t.test(
  'a clock that was ahead when the certificate came puts its renewal minutes before its end, a year later',
  async (t) => {
    const host = newHost(t, { serving: false });
    await host.setClock(YEAR - 20 * MINUTE);
    await host.bootstrap();
    await host.setClock(20 * MINUTE - YEAR);
    await host.clock.advance(HOUR);
    const { rotationDeadline: deadline } = host.manager('client');
    const { notBefore, notAfter } = host.leaf('client');
    const share = ((deadline?.getTime() ?? 0) - notBefore.getTime()) / (notAfter.getTime() - notBefore.getTime());
    t.ok(share >= 0.7 && share <= 0.9, `at ${String(share)} of its life`);
    await host.restart();
    t.strictSame(host.manager('client').rotationDeadline, deadline, 'a restart knows the same');
  },
);
