import t, { type Test } from 'tap';
import { isNoName } from '../../../src/csr/node-name.ts';
import { heldNodeName } from '../../../src/rotation/disk/holds.ts';
import { apiFault } from '../../fixtures/fakes/api.ts';
import { DAY, FakeHost, MINUTE } from '../../fixtures/fakes/host.ts';

/** A host that is called otherwise keeps the certificate of its node. */

for (const name of [
  '',
  '(none)',
  'localhost',
  'localhost.localdomain',
  'localhost6.localdomain6',
  'localhost.',
  'a.localhost',
  'localdomain',
])
  t.test(`no name: ${JSON.stringify(name)}`, async (t) => t.equal(isNoName(name), true));
for (const name of ['n1', 'localhosts', 'localhost7', 'localhost.example.org', 'vm'])
  t.test(`a name: ${name}`, async (t) => t.equal(isNoName(name), false));

const NOW = new Date('2030-06-01T00:00:00Z');
const current = { commonName: 'system:node:n1', notAfter: new Date('2031-01-01'), selfSigned: false };
const base = {
  current,
  nodeName: 'vm',
  namedByHost: true,
  earliest: NOW,
  forced: false,
  recorded: 'aa',
  machine: 'aa',
};
for (const { name, change, held } of [
  { name: 'another name of the host: held', change: {}, held: 'n1' },
  { name: 'the machine is not known: held', change: { machine: undefined }, held: 'n1' },
  { name: 'it was not recorded: held', change: { recorded: undefined }, held: 'n1' },
  { name: 'a clone: not held', change: { machine: 'bb' }, held: undefined },
  { name: 'the settings name the node: not held', change: { namedByHost: false }, held: undefined },
  { name: 'an administrator wants it: not held', change: { forced: true }, held: undefined },
  { name: 'the pair has ended: not held', change: { earliest: new Date('2032-01-01') }, held: undefined },
  { name: 'none: not held', change: { current: undefined }, held: undefined },
  { name: 'a self-signed one', change: { current: { ...current, selfSigned: true } }, held: undefined },
  { name: 'its own', change: { nodeName: 'n1' }, held: undefined },
  { name: 'no node', change: { current: { ...current, commonName: 'admin' } }, held: undefined },
  {
    name: 'one of a host without a name: not held',
    change: { current: { ...current, commonName: 'system:node:localhost' } },
    held: undefined,
  },
]) {
  t.test(`heldNodeName: ${name}`, async (t) => t.equal(heldNodeName({ ...base, ...change }), held));
}

/** A node with both certificates that is started anew under another name. */
async function renamed(t: Test, machine = 'aa'): Promise<FakeHost> {
  const host = new FakeHost({ namedByHost: true, machine: 'aa' });
  t.teardown(() => host.stop());
  await host.bootstrap();
  await host.clock.advance(10 * MINUTE);
  await host.stop();
  host.options = { ...host.options, nodeName: 'vm', machine };
  host.start();
  await host.clock.advance(5 * MINUTE);
  return host;
}

t.test('a restart under another name requested and installed a certificate for that name', async (t) => {
  const host = await renamed(t);
  await host.clock.advance(DAY);
  t.equal(host.count('create'), 2);
  t.equal(host.leaf('client').commonName, 'system:node:n1');
  t.match(host.manager('client'), {
    phase: 'held',
    reason: /called vm now.*certificate of node n1 until/,
    command: /certlet renew client/,
    lastError: { code: 'ERR_NODE_NAME' },
  });
  t.equal(host.log.of('This host has another name than its certificate; leaving that alone').length, 1);
  t.equal(host.isUpToDate, false);
  await host.stop();
  host.options = { ...host.options, nodeName: 'n1' };
  host.start();
  await host.until(() => host.isUpToDate, 5 * MINUTE);
  t.equal(host.count('create'), 2, 'its old name again: all is as it was');
  t.equal(host.manager('client').lastError, undefined);
});

t.test('… certlet renew client ends the hold', async (t) => {
  const host = await renamed(t);
  await host.agent?.renew(['client']);
  await host.until(() => host.isUpToDate, 20 * MINUTE);
  t.equal(host.leaf('client').commonName, 'system:node:vm');
  t.equal(host.leaf('serving').commonName, 'system:node:vm');
});

t.test('… the end of the certificate ends it', async (t) => {
  const host = await renamed(t);
  await host.clock.step(366 * DAY);
  await host.until(() => host.isUpToDate, 20 * MINUTE);
  t.equal(host.leaf('client').commonName, 'system:node:vm');
});

t.test('… a clone of the disk on another machine asks at once', async (t) => {
  const host = await renamed(t, 'bb');
  t.equal(host.isUpToDate, true);
  t.equal(host.leaf('client').commonName, 'system:node:vm');
  await host.clock.advance(10 * MINUTE);
  t.equal(host.store.shelves.client.history.machine, 'bb');
});

t.test('a disk that cannot take the note of the machine keeps nobody from a certificate', async (t) => {
  const host = new FakeHost({ namedByHost: true, machine: 'aa', serving: false });
  t.teardown(() => host.stop());
  await host.bootstrap();
  host.store.fail = (call) => (call === 'write history client' ? apiFault('ERR_STORE_FULL', 'ENOSPC') : undefined);
  await host.clock.advance(10 * MINUTE);
  t.equal(host.isUpToDate, true);
  t.match(host.log.of('Could not write down the machine')[0]?.level, 'debug');
});
