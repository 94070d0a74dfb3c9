import { networkInterfaces } from 'node:os';
import { isIP } from 'node:net';
import t from 'tap';
import { createRouteProbe } from '../../src/adapters/route-probe.ts';

const withResolve = (resolve: (host: string) => Promise<readonly string[]>, lookupTimeoutMs = 1000) =>
  createRouteProbe({ lookupTimeoutMs, resolve });

t.test('the address towards a loopback server is the loopback address', async (t) => {
  t.equal(await createRouteProbe().localAddress('https://127.0.0.1:6443'), '127.0.0.1');
});

const hasIpv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'));
t.test('IPv6 too', { skip: hasIpv6 ? false : 'this host has no IPv6 loopback' }, async (t) => {
  t.equal(await createRouteProbe().localAddress('https://[::1]:6443/path'), '::1');
});

t.test('names are resolved; the first address with a route decides', async (t) => {
  const asked: string[] = [];
  const probe = withResolve(async (host) => {
    asked.push(host);
    return ['not an address', '127.0.0.1'];
  });
  t.equal(await probe.localAddress('https://api.example:6443'), '127.0.0.1');
  t.same(asked, ['api.example']);
  t.equal(isIP((await createRouteProbe().localAddress('https://localhost:6443')) ?? ''), 4);
});

for (const row of [
  { name: 'a name that does not resolve', resolve: () => Promise.reject(new Error('ENOTFOUND')) },
  { name: 'a name without addresses', resolve: () => Promise.resolve([]) },
  { name: 'a name server that never answers', resolve: () => new Promise<never>(() => undefined), timeoutMs: 5 },
]) {
  t.test(`${row.name} gives no address`, async (t) => {
    // The limit's timer does not keep a process alive; the test does.
    const alive = setInterval(() => undefined, 1000);
    t.teardown(() => clearInterval(alive));
    t.equal(await withResolve(row.resolve, row.timeoutMs).localAddress('https://api.example'), undefined);
  });
}

t.test('what is no URL gives no address', async (t) => {
  t.equal(await createRouteProbe().localAddress('api'), undefined);
});
