import { isIP, isIPv6 } from 'node:net';
import * as fc from 'fast-check';
import t from 'tap';
import { canonicalIpAddress, parseIpAddress } from '../../src/pki/ip-address.ts';

for (const [text, canonical] of [
  ['10.0.0.1', '10.0.0.1'],
  ['010.000.0.01', '10.0.0.1'],
  ['255.255.255.255', '255.255.255.255'],
  ['256.0.0.1', undefined],
  ['1.2.3', undefined],
  ['1.2.3.4.5', undefined],
  ['1.2.3.x', undefined],
  ['10.0.0.1/24', undefined],
  [' 10.0.0.1', undefined],
  ['', undefined],
  ['node1', undefined],
  ['::', '::'],
  ['::1', '::1'],
  ['0:0:0:0:0:0:0:1', '::1'],
  ['FD00:0:0:0:0:0:0:1', 'fd00::1'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['1::', '1::'],
  ['::ffff:10.0.0.1', '10.0.0.1'],
  ['::ffff:a00:1', '10.0.0.1'],
  ['::1.2.3.4', '::102:304'],
  ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'],
  ['1:2:3:4:5:6:7', undefined],
  ['1:2:3:4:5:6:7:8:9', undefined],
  ['1:2:3:4:5:6:7:8::', undefined],
  ['1::2::3', undefined],
  [':1:2:3:4:5:6:7', undefined],
  ['1.2.3.4::', undefined],
  ['fe80::1%eth0', undefined],
  ['[::1]', undefined],
  ['12345::', undefined],
  [':', undefined],
  [':::', undefined],
] as const) {
  t.test(`${JSON.stringify(text)} is ${canonical ?? 'no address'}`, async (t) => {
    t.equal(canonicalIpAddress(text), canonical);
  });
}

t.test('agrees with the platform on what an IPv6 address is', async () => {
  const groups = fc.array(fc.constantFrom('', '0', '1', 'ff', 'FFFF', '12345', '1.2.3.4', 'g'), {
    minLength: 1,
    maxLength: 9,
  });
  fc.assert(
    fc.property(groups, (parts) => {
      const text = parts.join(':');
      return !text.includes(':') || (canonicalIpAddress(text) !== undefined) === isIPv6(text);
    }),
    { numRuns: 2000 },
  );
});

t.test('every address has one text, which reads back to the same bytes', async () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    sparse(),
  );
  fc.assert(
    fc.property(bytes, (address) => {
      const text =
        address.length === 4
          ? [...address].join('.')
          : (Buffer.from(address).toString('hex').match(/.{4}/g) ?? []).join(':');
      const canonical = canonicalIpAddress(text) ?? '';
      const url = isIP(canonical) === 6 ? new URL(`http://[${canonical}]`).hostname.slice(1, -1) : canonical;
      return (
        url === canonical &&
        Buffer.from(parseIpAddress(canonical) ?? []).equals(Buffer.from(parseIpAddress(text) ?? []))
      );
    }),
  );
});

function sparse(): fc.Arbitrary<Uint8Array> {
  return fc.array(fc.constantFrom(0, 0, 0, 1), { minLength: 16, maxLength: 16 }).map((bytes) => Uint8Array.from(bytes));
}
