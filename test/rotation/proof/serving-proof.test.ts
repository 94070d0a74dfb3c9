import t from 'tap';
import { FakeHost, HOUR, MINUTE } from '../../fixtures/fakes/host.ts';
import { exporterSpec, kubeletSpecs, proxySpec } from '../../fixtures/specs.ts';

const PURPOSE = 'unsuitable certificate purpose';

t.test('a serving certificate that no client could take became current', async (t) => {
  const host = new FakeHost({ specs: [...kubeletSpecs(), proxySpec(), exporterSpec()] });
  host.api.lifetimeMs = 10 * HOUR;
  t.teardown(() => host.stop());
  await host.bootstrap();
  const before = ['serving', 'exporter'].map((name) => host.leaf(name).serial);
  const issued = host.count('create');
  host.servingRefusal = () => PURPOSE;
  await host.clock.advance(9 * HOUR + 30 * MINUTE);
  t.strictSame(
    ['serving', 'exporter'].map((name) => host.leaf(name).serial),
    before,
    'the pairs in use stay',
  );
  for (const name of ['serving', 'exporter']) {
    t.match(host.manager(name).lastError, {
      code: 'ERR_ISSUED_UNACCEPTABLE',
      message: new RegExp(`^the certificate just issued \\(serial .*\\) cannot be served: .*: ${PURPOSE}$`),
    });
    t.equal(host.store.shelves[name]?.pending, undefined, 'its request has ended');
  }
  const asked = host.count('create') - issued;
  t.ok(asked >= 4 && asked <= 12, `${String(asked)} requests: two clients, and the other two paced by hours`);
  t.ok(host.leaf('client').notAfter > host.clock.now(), 'the others go on');
  host.servingRefusal = undefined;
  await host.until(() => host.isUpToDate, 9 * HOUR);
  t.notSame(
    ['serving', 'exporter'].map((name) => host.leaf(name).serial),
    before,
  );
});

t.test('only what servers are to show is shown to a client', async (t) => {
  const host = new FakeHost({ specs: [...kubeletSpecs(), proxySpec(), exporterSpec()] });
  t.teardown(() => host.stop());
  const shown: string[] = [];
  host.servingRefusal = ({ chain }) => void shown.push(chain.leaf.dnsNames.join(' '));
  await host.bootstrap();
  t.strictSame(shown.sort(), ['metrics.example n1', 'n1']);
  t.equal(host.count('review'), 2, 'the two clients were shown to the API server');
});

t.test('a pair that was refused before a restart is not taken after it', async (t) => {
  const host = new FakeHost();
  t.teardown(() => host.stop());
  host.servingRefusal = () => PURPOSE;
  host.start();
  await host.clock.advance(2 * MINUTE);
  const asked = host.count('create');
  await host.restart(MINUTE);
  await host.clock.advance(2 * MINUTE);
  t.equal(host.count('create'), asked, 'and nothing is asked for at once');
  t.ok(host.leaf('serving').selfSigned, 'the placeholder stands in');
  t.match(host.manager('serving').lastError, { code: 'ERR_ISSUED_UNACCEPTABLE' });
});
