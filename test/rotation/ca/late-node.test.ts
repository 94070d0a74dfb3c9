/** A node that was off while the API servers got certificates of a CA that it does not know, and does not follow what the cluster publishes. */
import t from 'tap';
import { explainTls } from '../../../src/rotation/proof/explain-tls.ts';
import { CertletError } from '../../../src/errors.ts';
import { readTrustedCas } from '../../../src/kubeconfig/trusted-ca.ts';
import { Secret } from '../../../src/secret.ts';
import { createAuthority } from '../../fixtures/cluster/authority.ts';
import { FakePublication } from '../../fixtures/fakes/cluster-ca.ts';
import { CLUSTER, DAY, FakeHost, HOUR } from '../../fixtures/fakes/host.ts';
import { BOOTSTRAP_PATH, usable } from '../../fixtures/fakes/kubeconfigs.ts';

const OLD = createAuthority({ name: 'kubernetes' }).pem;
const NEW = createAuthority({ name: 'kubernetes' }).pem;
const MISSED =
  /the certificate of https:\/\/cluster\.test:6443 is signed by CN=kubernetes \(key id AB:CD\), which this node does not trust; it trusts CN=kubernetes \(sha256 /;
const JOIN = /: certlet join cluster\.test:6443 --token-file FILE --discovery-token-ca-cert-hash sha256:HASH --force /;
const SEEN = {
  certificate: {
    subject: 'CN=kube-apiserver',
    issuer: 'CN=kubernetes',
    names: '',
    notBefore: new Date(),
    notAfter: new Date(),
    issuerKeyId: 'AB:CD',
  },
};

t.test(
  'a late node said that a certificate is not signed by its CA, and to look with openssl which one did',
  async (t) => {
    const host = new FakeHost();
    t.teardown(() => host.stop());
    host.api.lifetimeMs = 100 * DAY;
    const cluster = new FakePublication(OLD);
    cluster.playOn(host.api);
    host.offerToken('abcdef.0123456789abcdef', { ...CLUSTER, caPem: OLD });
    await host.bootstrap();
    const { fingerprint } = host.leaf('client');
    await host.stop();
    cluster.signers[''] = NEW;
    host.api.glimpsed = SEEN;
    await host.restart(DAY);
    await host.clock.advance(HOUR);
    t.match(host.log.of('Could not prove the client certificate')[0]?.fields, {
      code: 'ERR_API_TLS',
      error: MISSED,
      remedy: JOIN,
    });
    await host.agent?.renew(['client']);
    await host.clock.advance(HOUR);
    t.match(host.manager('client'), { reason: MISSED, command: JOIN }, 'what status shows');
    t.match(host.log.of('Failed while requesting a signed certificate')[0]?.fields, { error: MISSED, remedy: JOIN });
    const token = { kind: 'token', token: new Secret('fresh1.0123456789abcdef') } as const;
    host.kubeconfigs.bootstrap = usable(BOOTSTRAP_PATH, { ...CLUSTER, caPem: NEW }, token);
    const created = host.count('create');
    host.agent?.filesChanged([BOOTSTRAP_PATH]);
    await host.until(() => host.leaf('client').fingerprint !== fingerprint, HOUR);
    const asked = host.api.calls.filter(({ what }) => what === 'create').slice(created);
    t.strictSame(
      asked.map(({ as }) => as),
      ['node'],
      'the renewal was asked for with the certificate that it had',
    );
  },
);

const context = (glimpse: () => Promise<object>, manageKubeconfig = true) => {
  const { options } = new FakeHost();
  const connector = {
    connect: () => {
      throw new Error('no connection');
    },
    glimpse,
  };
  return { clock: new FakeHost().clock, connector, options: { ...options, manageKubeconfig } };
};
const unsigned = new CertletError('ERR_API_TLS', 'not signed by the CA', { reason: 'not signed' });
const { signal } = new AbortController();

for (const row of [
  {
    name: 'the server is silent by then',
    glimpse: async () => {
      throw new CertletError('ERR_API_UNREACHABLE', '');
    },
    want: /signed by another CA, which/,
  },
  {
    name: 'another server stands in',
    glimpse: async () => ({ ...SEEN, server: 'https://second:6443' }),
    want: /certificate of https:\/\/second:6443 is signed by CN=kubernetes \(key id/,
  },
]) {
  t.test(`which CA is missing: ${row.name}`, async (t) => {
    const told = await explainTls(context(row.glimpse), { ...CLUSTER, caPem: OLD }, unsigned, signal);
    t.match(told, { code: 'ERR_API_TLS', message: row.want, reason: 'not signed' });
  });
}

t.test('which CA is missing: a kubeconfig without a CA goes by the roots of the host', async (t) => {
  const { caPem: _none, ...cluster } = CLUSTER;
  const told = await explainTls(
    context(async () => SEEN),
    cluster,
    unsigned,
    signal,
  );
  t.match(told.message, /it trusts the roots of this host alone$/);
  t.strictSame(readTrustedCas(undefined), []);
});

t.test('which CA is missing: where root writes the kubeconfig the command writes it, too', async (t) => {
  const told = await explainTls(
    context(async () => SEEN, false),
    CLUSTER,
    unsigned,
    signal,
  );
  t.match(told.remedy, / --force --write-kubeconfig   # /);
});

t.test('any other error of TLS says what it said', async (t) => {
  const named = new CertletError('ERR_API_TLS', 'for another name', { reason: 'other name' });
  const looks = () => {
    throw new Error('nobody has to look');
  };
  t.equal(await explainTls(context(looks), CLUSTER, named, signal), named);
});

t.test('a stop while the server is looked at ends without a defect', async (t) => {
  const stopped = new AbortController();
  stopped.abort(new Error('stopped'));
  const told = await explainTls(
    context(() => Promise.reject(stopped.signal.reason as Error)),
    CLUSTER,
    unsigned,
    stopped.signal,
  );
  t.equal(told.code, 'ERR_API_TLS');
});
