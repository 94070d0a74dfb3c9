import t from 'tap';
import { judgeLooks, kubeletEndpoint, type Look, lookMoments, type Served } from '../../src/kubelet/served.ts';

const WANTED = { fingerprint: 'new' };
const shows = (fingerprint: string, name?: string): Look => ({
  kind: 'served',
  serial: `serial of ${fingerprint}`,
  fingerprint,
  ...(name === undefined ? {} : { name }),
});
const ABSENT: Look = { kind: 'absent' };
const FAILED: Look = { kind: 'failed', error: 'bad record' };

const rows: readonly { readonly name: string; readonly looks: readonly Look[]; readonly served: Served }[] = [
  { name: 'the new pair to all', looks: [shows('new'), shows('new', 'n1')], served: { kind: 'current' } },
  {
    name: 'the old one to all, as kubelets up to 1.30 do',
    looks: [shows('old'), shows('old', 'n1')],
    served: { kind: 'stale', serial: 'serial of old', to: 'every client' },
  },
  {
    name: 'the old one to clients without SNI, as kubelets 1.31 to 1.35 do',
    looks: [shows('old'), shows('new', 'n1'), shows('new', 'n2')],
    served: { kind: 'stale', serial: 'serial of old', to: 'clients that connect by address' },
  },
  {
    name: 'the old one by one name only',
    looks: [shows('new'), shows('old', 'n1'), shows('new', 'n2')],
    served: { kind: 'stale', serial: 'serial of old', to: 'clients that ask for n1' },
  },
  {
    name: 'a stale one, though another look failed',
    looks: [shows('old'), FAILED],
    served: { kind: 'stale', serial: 'serial of old', to: 'every client' },
  },
  { name: 'no handshake', looks: [FAILED], served: { kind: 'unclear', error: 'bad record' } },
  {
    name: 'one handshake that failed',
    looks: [shows('new'), FAILED],
    served: { kind: 'unclear', error: 'bad record' },
  },
  { name: 'nobody', looks: [ABSENT], served: { kind: 'absent' } },
  { name: 'one that went away meanwhile', looks: [shows('new'), ABSENT], served: { kind: 'absent' } },
  { name: 'no look at all', looks: [], served: { kind: 'absent' } },
];
for (const { name, looks, served } of rows) {
  t.test(`judgeLooks: ${name}`, async (t) => t.strictSame(judgeLooks(looks, WANTED), served));
}

t.test('lookMoments: soon at first, and once at the end of the time', async (t) => {
  t.strictSame(lookMoments(90_000), [300, 1_000, 3_000, 10_000, 30_000, 60_000, 90_000]);
  t.strictSame(lookMoments(1_000), [300, 1_000]);
  t.strictSame(lookMoments(100), [100]);
});

const SEEN = { informed: true, version: 'v1.36.2', port: 10_350, addresses: ['192.0.2.7'] };
for (const row of [
  {
    name: 'nobody has said anything',
    set: {},
    seen: undefined,
    want: { addresses: ['127.0.0.1', '::1', '192.0.2.9'], port: 10_250 },
  },
  {
    name: 'the Node tells',
    set: {},
    seen: SEEN,
    want: { addresses: ['127.0.0.1', '::1', '192.0.2.9', '192.0.2.7'], port: 10_350 },
  },
  {
    name: 'the settings tell',
    set: { address: '10.0.0.1', port: 4194 },
    seen: SEEN,
    want: { addresses: ['10.0.0.1'], port: 4194 },
  },
  {
    name: 'everywhere',
    set: { address: '::' },
    seen: { ...SEEN, addresses: ['127.0.0.1'] },
    want: { addresses: ['127.0.0.1', '::1', '192.0.2.9'], port: 10_350 },
  },
]) {
  t.test(`kubeletEndpoint: ${row.name}`, async (t) =>
    t.strictSame(kubeletEndpoint(row.set, row.seen, ['192.0.2.9']), row.want),
  );
}
