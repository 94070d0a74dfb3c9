import t, { type Test } from 'tap';
import { CertletError } from '../../../src/errors.ts';
import { apiFault, type FakeCall } from '../../fixtures/fakes/api.ts';
import { DAY, FakeHost, HOUR, MINUTE } from '../../fixtures/fakes/host.ts';
import { absent, BOOTSTRAP_PATH } from '../../fixtures/fakes/kubeconfigs.ts';

function newHost(t: Test, options: ConstructorParameters<typeof FakeHost>[0] = {}): FakeHost {
  const host = new FakeHost(options);
  t.teardown(() => host.stop());
  return host;
}

const unauthorized = (call: FakeCall): CertletError | undefined =>
  call.as === 'node' ? apiFault('ERR_API_UNAUTHORIZED', 'Unauthorized') : undefined;

t.test('expired while off, with a token: comes back by itself', async (t) => {
  const host = newHost(t);
  host.api.lifetimeMs = DAY;
  await host.bootstrap();
  const since = host.api.calls.length;
  await host.restart(30 * DAY);
  await host.until(() => host.isUpToDate, 5 * MINUTE);
  t.equal(host.count('create'), 4);
  t.equal(host.count('review', since), 1, 'the new pair is proved once, the expired one not at all');
});

t.test(
  'expired while off, without a token: says what is missing, asks nothing, comes back when it is there',
  async (t) => {
    const host = newHost(t);
    host.api.lifetimeMs = DAY;
    await host.bootstrap();
    host.kubeconfigs.bootstrap = absent(BOOTSTRAP_PATH);
    const since = host.api.calls.length;
    await host.restart(30 * DAY);
    await host.clock.advance(DAY);
    t.equal(host.api.calls.length, since, 'no request without a credential');
    const { phase, reason, command } = host.manager('client');
    t.equal(phase, 'waiting to retry');
    t.match(reason, /no bootstrap kubeconfig at .*bootstrap-kubelet.conf, and the client certificate expired at/);
    t.match(command, /kubeadm token create/);
    t.equal(host.manager('serving').phase, 'waiting for the client certificate');
    const lines = host.log.of('Failed while requesting a signed certificate').length;
    t.ok(lines > 100 && lines < 600, `${String(lines)} lines in a day`);
    host.offerToken('fedcba.fedcba9876543210');
    host.agent?.filesChanged([BOOTSTRAP_PATH]);
    await host.clock.settle();
    t.equal(host.isUpToDate, true);
  },
);

t.test('a bootstrap kubeconfig that cannot be read is the reason that is shown', async (t) => {
  const host = newHost(t);
  const error = new CertletError('ERR_KUBECONFIG_INVALID', 'line 3: no');
  host.kubeconfigs.bootstrap = { kind: 'unusable', path: BOOTSTRAP_PATH, error };
  host.start();
  await host.clock.settle();
  t.equal(host.manager('client').lastError?.code, 'ERR_KUBECONFIG_INVALID');
});

t.test('a refused bootstrap token: bounded requests, 401 told', async (t) => {
  const host = newHost(t);
  host.api.fault = () => apiFault('ERR_API_UNAUTHORIZED', 'Unauthorized');
  host.start();
  await host.clock.advance(DAY);
  const anHour = host.api.calls.length / 24;
  t.ok(anHour > 5 && anHour < 40, `${String(anHour)} requests an hour`);
  t.equal(host.manager('client').lastError?.code, 'ERR_API_UNAUTHORIZED');
});

t.test('a refused client certificate: minutes of proofs, then the bootstrap credential', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  const since = host.api.calls.length;
  const refusedSince = host.clock.now();
  const { serial } = host.leaf('client');
  let healed = false;
  host.api.fault = (call) => (healed ? undefined : unauthorized(call));
  await host.until(() => host.count('create', since) > 0, 30 * MINUTE);
  const tookMs = host.clock.now().getTime() - refusedSince.getTime();
  t.ok(tookMs >= 5 * MINUTE, 'not before five minutes');
  healed = true;
  await host.until(() => host.isUpToDate, 10 * MINUTE);
  t.equal(host.api.calls.slice(since).find(({ what }) => what === 'create')?.as, 'bootstrap');
  t.not(host.leaf('client').serial, serial);
});

t.test(
  'refused in runs too short to judge it: the next runs go on counting, then the bootstrap credential',
  async (t) => {
    const host = newHost(t);
    await host.bootstrap();
    const since = host.api.calls.length;
    host.api.fault = unauthorized;
    for (let runs = 0; runs < 4 && host.count('create', since) === 0; runs += 1) {
      await host.restart(HOUR);
      await host.clock.advance(4 * MINUTE);
    }
    t.equal(host.api.calls.slice(since).find(({ what }) => what === 'create')?.as, 'bootstrap');
    host.api.fault = () => undefined;
    await host.until(() => host.isUpToDate, 2 * MINUTE);
    t.equal(host.count('create', since), 1, 'the new pair is proved already: nothing is left to wait for');
  },
);

t.test('refused before a restart and accepted after it: nothing is asked for, and nothing remembered', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  const { serial } = host.leaf('client');
  host.api.fault = unauthorized;
  await host.restart(HOUR);
  await host.clock.advance(4 * MINUTE);
  t.ok((await host.store.readHistory('client')).refused !== undefined, 'written down');
  host.api.fault = () => undefined;
  await host.restart(HOUR);
  await host.clock.advance(HOUR);
  t.equal(host.leaf('client').serial, serial);
  t.equal(host.count('create'), 2);
  t.equal((await host.store.readHistory('client')).refused, undefined);
});

t.test('status does not call a certificate valid that the API server refuses', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  host.api.fault = unauthorized;
  await host.restart(HOUR);
  await host.clock.advance(MINUTE);
  t.match(host.manager('client'), {
    phase: 'waiting to retry',
    reason: /^the API server refuses the client certificate: \d+ times since /,
    command: 'certlet check',
  });
  host.api.fault = () => undefined;
  await host.clock.advance(HOUR);
  t.equal(host.manager('client').phase, 'valid');
});

t.test('a control plane that recovers before that is forgiven', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  const { serial } = host.leaf('client');
  host.api.fault = unauthorized;
  await host.clock.advance(8 * MINUTE);
  host.api.fault = () => undefined;
  await host.clock.advance(HOUR);
  t.equal(host.leaf('client').serial, serial);
  t.equal(host.count('create'), 2);
  t.ok(host.log.of('The API server refused the client certificate').length > 0);
});

t.test(
  'refused for good and no bootstrap credential: goes on proving, and lives on when it is accepted again',
  async (t) => {
    const host = newHost(t);
    await host.bootstrap();
    host.kubeconfigs.bootstrap = absent(BOOTSTRAP_PATH);
    host.api.fault = unauthorized;
    const since = host.api.calls.length;
    await host.clock.advance(DAY);
    const anHour = (host.api.calls.length - since) / 24;
    t.ok(anHour > 2 && anHour < 40, `${String(anHour)} requests an hour`);
    t.equal(host.manager('client').lastError?.code, 'ERR_CREDENTIAL_MISSING');
    host.api.fault = () => undefined;
    await host.until(() => host.isUpToDate, HOUR);
    t.equal(host.count('create'), 2, 'nothing was asked');
  },
);

t.test('three replicas that take a new CA in turns never send the node back to bootstrapping', async (t) => {
  const host = newHost(t);
  await host.bootstrap();
  let call = 0;
  host.api.fault = ({ as }) => {
    call += 1;
    return as === 'node' && call % 3 !== 0 ? apiFault('ERR_API_UNAUTHORIZED', 'Unauthorized') : undefined;
  };
  await host.clock.advance(6 * HOUR);
  t.equal(host.count('create'), 2);
});
