/** A hundred certificates are one loop: what they cost in timers, wake-ups, requests and memory, and that none waits for another. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t, { type Test } from 'tap';
import type { CertificateSpec } from '../../src/csr/spec.ts';
import { CertletError } from '../../src/errors.ts';
import { DAY, FakeHost, HOUR, MINUTE } from '../fixtures/fakes/host.ts';
import { exporterSpec, kubeletSpecs } from '../fixtures/specs.ts';

const HUNDRED: readonly CertificateSpec[] = Array.from({ length: 100 }, (_, index) => ({
  ...exporterSpec(`/certs/c${String(index)}`),
  name: `c${String(index)}`,
  signerName: `example.com/c${String(index)}`,
}));
const NAMES = HUNDRED.map(({ name }) => name);
/** The loop's own pause, and what the kubelet's two need. */
const TIMERS_OF_A_LOOP = 3;

function hostOf(t: Test, specs: readonly CertificateSpec[] = HUNDRED): FakeHost {
  const host = new FakeHost({ specs: [...kubeletSpecs(), ...specs] });
  host.api.lifetimeMs = 365 * DAY;
  t.teardown(() => host.stop());
  return host;
}

/** Requests of one certificate. */
const requestsOf = (host: FakeHost, name: string): number =>
  [...host.api.requests.values()].filter(({ csr }) => csr.signerName === `example.com/${name}`).length;

/** Requests of these signers are approved by nobody. */
function leaveUndecided(host: FakeHost, isSilent: (signerName: string) => boolean): void {
  const { create } = host.api;
  host.api.create = (body, username) => {
    const { approve } = host.api;
    if (isSilent(body.signerName)) host.api.approve = 'manual';
    const csr = create.call(host.api, body, username);
    host.api.approve = approve;
    return csr;
  };
}

t.test('a hundred certificates that are good: the timers of one loop, a wake-up a minute, no request', async (t) => {
  const host = hostOf(t);
  await host.bootstrap();
  for (const name of NAMES) t.equal(requestsOf(host, name), 1);
  await host.clock.advance(10 * MINUTE);
  const [calls, wakes] = [host.api.calls.length, host.clock.wakes];
  t.ok(host.clock.sleeping <= TIMERS_OF_A_LOOP, `${String(host.clock.sleeping)} timers`);
  await host.clock.advance(HOUR);
  t.strictSame(
    host.api.calls.slice(calls).filter(({ what }) => what !== 'node'),
    [],
  );
  t.ok(host.clock.wakes - wakes <= 75, `${String(host.clock.wakes - wakes)} wake-ups in an hour`);
});

t.test('a hundred first requests go out once each, and an hour without approval costs no more of them', async (t) => {
  const host = hostOf(t);
  leaveUndecided(host, (signerName) => signerName.startsWith('example.com/'));
  host.start();
  await host.until(() => host.api.pendingNames.length === 100, 10 * MINUTE);
  await host.clock.advance(10 * MINUTE);
  t.strictSame(
    NAMES.map((name) => host.manager(name).phase),
    NAMES.map(() => 'waiting for approval'),
  );
  const calls = host.api.calls.length;
  await host.clock.advance(HOUR);
  const more = host.api.calls.slice(calls).filter(({ what }) => what === 'create' || what === 'get');
  t.strictSame(more, [], 'each waits by its watch');
  for (const name of NAMES) t.equal(requestsOf(host, name), 1);
  // Nothing that one waits for is asked for once a certificate.
  t.equal(host.api.count('discover'), 1);
});

t.test('one signer that never answers and one that is refused hold up none of ninety-eight others', async (t) => {
  const host = hostOf(t);
  host.api.lifetimeMs = 10 * HOUR;
  leaveUndecided(host, (signerName) => signerName === 'example.com/c0');
  const { create } = host.api;
  host.api.create = (body, username) => {
    if (body.signerName === 'example.com/c1') throw new CertletError('ERR_API_FORBIDDEN', 'not allowed');
    return create.call(host.api, body, username);
  };
  host.start();
  const others = NAMES.slice(2);
  await host.until(() => others.every((name) => host.manager(name).phase === 'valid'), 5 * MINUTE);
  t.equal(host.manager('c0').phase, 'waiting for approval');
  t.equal(host.manager('c1').phase, 'waiting to retry');
  await host.clock.advance(12 * HOUR);
  for (const name of ['client', 'serving', ...others]) t.ok(host.leaf(name).notAfter > host.clock.now(), name);
  t.equal(requestsOf(host, 'c0'), 1);
});

t.test('the spacing between requests counts for each certificate by itself', async (t) => {
  const spacingMs = 10 * MINUTE;
  const host = new FakeHost({ specs: [...kubeletSpecs(), ...HUNDRED.slice(0, 2)], minimumSpacingMs: spacingMs });
  t.teardown(() => host.stop());
  await host.bootstrap();
  await host.clock.advance(spacingMs);
  const serial = (name: string): string => host.leaf(name).serial;
  const renewed = async (name: string, limitMs: number): Promise<number> => {
    const [before, from] = [serial(name), host.clock.now().getTime()];
    await host.agent?.renew([name]);
    await host.until(() => serial(name) !== before, limitMs);
    return host.clock.now().getTime() - from;
  };
  t.ok((await renewed('c0', HOUR)) < MINUTE);
  t.ok((await renewed('c1', HOUR)) < MINUTE, 'the other one does not wait for it');
  const gap = host.manager('c0');
  t.ok(gap.nextAttempt === undefined || gap.nextAttempt > host.clock.now());
});

/** A host that naps through most of each life. */
async function renewals(host: FakeHost, count: number): Promise<void> {
  for (let round = 0; round < count; round += 1) {
    await host.clock.step(0.92 * host.api.lifetimeMs);
    await host.clock.advance(10 * MINUTE);
    await host.until(() => host.isUpToDate, HOUR);
  }
}

t.test('a hundred certificates cost little memory, and renewing them no more', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const heapKiB = (): number => {
    collect();
    return process.memoryUsage().heapUsed / 1024;
  };
  const few = hostOf(t, []);
  await few.bootstrap();
  const before = heapKiB();
  const host = hostOf(t);
  await host.bootstrap();
  // What the fakes keep of each call and line is not the agent's.
  const forget = (): void => {
    host.api.calls.length = 0;
    host.log.entries.length = 0;
    host.store.calls.length = 0;
    host.rotations.length = 0;
    host.events.length = 0;
    host.api.requests.clear();
  };
  forget();
  const each = (heapKiB() - before) / 100;
  t.comment(`${each.toFixed(1)} KiB of heap a certificate`);
  t.ok(each < 100, `${each.toFixed(1)} KiB of heap a certificate`);
  // The store keeps three pairs of each once they have been renewed a few times.
  await renewals(host, 3);
  forget();
  const settled = heapKiB();
  await renewals(host, 3);
  forget();
  const growth = (heapKiB() - settled) / 100;
  t.comment(`${growth.toFixed(1)} KiB more a certificate after three more renewals`);
  t.ok(growth < 10, `${growth.toFixed(1)} KiB more a certificate after three more renewals`);
});
