/** Ranges of addresses, distinguished names and basicConstraints: small readers of what strangers write. */
import fc from 'fast-check';
import t from 'tap';
import { claimsAuthority } from '../../src/pki/basic-constraints.ts';
import { readElement } from '../../src/pki/der-reader.ts';
import { commonNameOf, NAME_TYPE, readName } from '../../src/pki/distinguished-name.ts';
import { formatIpRange, holdsFamily, type IpRange, parseIpRange, rangeHolds } from '../../src/pki/ip-range.ts';
import type { CertificateFields } from '../../src/pki/x509-reader.ts';
import { der, integer, objectIdentifier, sequence, TAG } from '../fixtures/cluster/der.ts';

for (const [text, prefixLength, network] of [
  ['10.96.0.0/12', 12, '0a600000'],
  ['0.0.0.0/0', 0, '00000000'],
  ['192.0.2.1', 32, 'c0000201'],
  ['192.0.2.1/32', 32, 'c0000201'],
  ['::/0', 0, '0'.repeat(32)],
  ['2001:db8::/32', 32, `20010db8${'0'.repeat(24)}`],
  ['::1', 128, `${'0'.repeat(31)}1`],
  ['::ffff:10.0.0.0/104', 8, '0a000000'],
  ['::ffff:192.0.2.1', 32, 'c0000201'],
  ['::ffff:0.0.0.0/96', 0, '00000000'],
] as const) {
  t.test(`the range ${text}`, async (t) => {
    const range = parseIpRange(text);
    t.equal(range?.prefixLength, prefixLength);
    t.equal(Buffer.from(range?.network ?? []).toString('hex'), network);
  });
}

for (const [text, shown] of [
  ['10.96.0.0/12', '10.96.0.0/12'],
  ['192.0.2.1', '192.0.2.1/32'],
  ['2001:0DB8:0::/48', '2001:db8::/48'],
  ['::ffff:10.0.0.0/104', '10.0.0.0/8'],
] as const) {
  t.test(`the range ${text} in its one text`, async (t) => {
    const range = parseIpRange(text);
    t.equal(range && formatIpRange(range), shown);
  });
}

for (const [texts, ipv4, ipv6] of [
  [[], false, false],
  [['0.0.0.0/0'], true, false],
  [['0.0.0.0/0', '::/0'], true, true],
  [['128.0.0.0/1', '0.0.0.0/1', '8000::/1'], true, false],
  [['128.0.0.0/1', '0.0.0.0/2'], false, false],
  [['::/1', '8000::/2', 'c000::/2', '10.0.0.0/8'], false, true],
  [['0.0.0.0/0', '10.0.0.0/8'], true, false],
] as const) {
  t.test(`what ${texts.join(' and ') || 'nothing'} hold`, async (t) => {
    const ranges: readonly IpRange[] = texts.flatMap((text) => parseIpRange(text) ?? []);
    t.equal(holdsFamily(ranges, 'IPv4'), ipv4);
    t.equal(holdsFamily(ranges, 'IPv6'), ipv6);
  });
}

for (const text of [
  '',
  '/',
  '/8',
  'n1',
  '10.0.0.0/',
  '10.0.0.0/33',
  '10.0.0.0/-1',
  '10.0.0.0/1e1',
  '10.0.0.0/8/8',
  '10.0.0.0/ 8',
  '10.0.0.0/0008',
  '10.0.0/8',
  '10.0.0.1/8',
  '10.96.0.1/12',
  '2001:db8::1/32',
  '2001:db8::/129',
  '::ffff:10.0.0.0/8',
  '::ffff:10.0.0.0/95',
  '::ffff:10.0.0.1/104',
  'fe80::1%eth0/64',
  '10.0.0.0/8\n',
]) {
  t.test(`no range: ${JSON.stringify(text)}`, async (t) => {
    t.equal(parseIpRange(text), undefined);
  });
}

for (const [range, address, holds] of [
  ['10.96.0.0/12', '10.96.0.0', true],
  ['10.96.0.0/12', '10.111.255.255', true],
  ['10.96.0.0/12', '10.112.0.0', false],
  ['10.96.0.0/12', '10.95.255.255', false],
  ['10.96.0.0/12', '::ffff:10.96.0.1', true],
  ['::ffff:10.0.0.0/104', '10.1.2.3', true],
  ['0.0.0.0/0', '::1', false],
  ['::/0', '10.0.0.1', false],
  ['::/0', 'ffff:ffff::1', true],
  ['2001:db8::/33', '2001:db8:7fff::', true],
  ['2001:db8::/33', '2001:db8:8000::', false],
  ['192.0.2.1', '192.0.2.1', true],
  ['192.0.2.1', '192.0.2.2', false],
  ['192.0.2.1', 'n1', false],
  ['192.0.2.1', '', false],
] as const) {
  t.test(`${range} ${holds ? 'holds' : 'does not hold'} ${address || 'nothing'}`, async (t) => {
    const read = parseIpRange(range);
    t.ok(read);
    t.equal(read !== undefined && rangeHolds(read, address), holds);
  });
}

t.test('a range of IPv4 holds exactly the addresses with its first bits', async (t) => {
  const word = fc.integer({ min: 0, max: 0xffffffff });
  const text = (value: number): string => [24, 16, 8, 0].map((shift) => String((value >>> shift) & 255)).join('.');
  fc.assert(
    fc.property(word, word, fc.integer({ min: 0, max: 32 }), (base, other, length) => {
      const size = 2 ** (32 - length);
      const network = Math.floor(base / size) * size;
      const range = parseIpRange(`${text(network)}/${String(length)}`);
      if (range === undefined) return false;
      const holds = (value: number): boolean => rangeHolds(range, text(value));
      return holds(base) && holds(other) === (Math.floor(other / size) * size === network);
    }),
  );
  t.pass('for any network, length and address');
});

const OID = { cn: objectIdentifier('2.5.4.3'), o: objectIdentifier('2.5.4.10') } as const;
const value = (tag: number, bytes: string | Uint8Array): Buffer => der(tag, Buffer.from(bytes as string));
const nameWith = (...sets: readonly Uint8Array[]): ReturnType<typeof readName> =>
  readName(readElement(sequence(...sets)));

for (const [kind, tag, bytes, text] of [
  ['UTF8String', 12, 'é', 'é'],
  ['UTF8String that is none', 12, Uint8Array.of(0xc3), undefined],
  ['UTF8String with a surrogate', 12, Uint8Array.of(0xed, 0xa0, 0x80), undefined],
  ['NumericString', 18, '12 3', '12 3'],
  ['NumericString with a letter', 18, '12a', undefined],
  ['PrintableString', 19, "a.B-1 '()+,/:=?*&", "a.B-1 '()+,/:=?*&"],
  ['PrintableString with @', 19, 'a@b', undefined],
  ['PrintableString with a line break', 19, 'a\n', undefined],
  ['TeletexString', 20, Uint8Array.of(0xe9), 'é'],
  ['IA5String', 22, 'a@b', 'a@b'],
  ['IA5String beyond ASCII', 22, Uint8Array.of(0x80), undefined],
  ['BMPString', 30, Uint8Array.of(0, 0x61, 0, 0xe9), 'aé'],
  ['BMPString with a zero at its end', 30, Uint8Array.of(0, 0x61, 0, 0), 'a'],
  ['BMPString of half a letter', 30, Uint8Array.of(0, 0x61, 0), undefined],
  ['UniversalString', 28, Uint8Array.of(0, 0, 0, 0x61), undefined],
  ['number', 2, Uint8Array.of(7), undefined],
  ['empty UTF8String', 12, '', ''],
] as const) {
  t.test(`an attribute that is a ${kind}`, async (t) => {
    const read = nameWith(der(TAG.set, sequence(OID.cn, value(tag, bytes))));
    t.strictSame(read, [{ type: NAME_TYPE.commonName, value: text }]);
    t.equal(commonNameOf(read), text);
  });
}

const BROKEN = { type: '', value: undefined };
const cn = (text: string): Buffer => sequence(OID.cn, value(12, text));

for (const row of [
  { name: 'no attributes', sets: [], gives: [], commonName: undefined },
  {
    name: 'several in one set',
    sets: [der(TAG.set, sequence(OID.o, value(12, 'o')), cn('a'))],
    gives: [
      { type: NAME_TYPE.organization, value: 'o' },
      { type: NAME_TYPE.commonName, value: 'a' },
    ],
    commonName: 'a',
  },
  {
    name: 'two common names: the last one counts, as for Go',
    sets: [der(TAG.set, cn('a')), der(TAG.set, cn('b'))],
    gives: ['a', 'b'].map((text) => ({ type: NAME_TYPE.commonName, value: text })),
    commonName: 'b',
  },
  { name: 'an empty set', sets: [der(TAG.set)], gives: [], commonName: undefined },
  { name: 'what is no set', sets: [integer(7n)], gives: [BROKEN], commonName: undefined },
  { name: 'what is no attribute', sets: [der(TAG.set, integer(7n))], gives: [BROKEN], commonName: undefined },
  { name: 'an empty attribute', sets: [der(TAG.set, sequence())], gives: [BROKEN], commonName: undefined },
  {
    name: 'an attribute without a value',
    sets: [der(TAG.set, sequence(OID.cn))],
    gives: [BROKEN],
    commonName: undefined,
  },
  {
    name: 'an attribute with two values',
    sets: [der(TAG.set, sequence(OID.cn, value(12, 'a'), value(12, 'b')))],
    gives: [BROKEN],
    commonName: undefined,
  },
  {
    name: 'an attribute whose type is no identifier',
    sets: [der(TAG.set, sequence(integer(3n), value(12, 'a')))],
    gives: [BROKEN],
    commonName: undefined,
  },
  {
    name: 'an identifier that is not in its shortest form',
    sets: [der(TAG.set, sequence(der(TAG.oid, Buffer.of(0x55, 0x04, 0x80, 0x03)), value(12, 'a')))],
    gives: [BROKEN],
    commonName: undefined,
  },
]) {
  t.test(`a Name with ${row.name}`, async (t) => {
    const read = nameWith(...row.sets);
    t.strictSame(read, row.gives);
    t.equal(commonNameOf(read), row.commonName);
  });
}

t.test('what is no Name at all', async (t) => {
  t.strictSame(readName(readElement(der(TAG.set))), []);
  t.strictSame(readName(readElement(integer(7n))), [BROKEN]);
  t.throws(() => readName(readElement(sequence(Buffer.of(0x31, 9)))), { code: 'ERR_API_PROTOCOL' });
});

const flag = (...bytes: readonly number[]): Buffer => der(TAG.boolean, Buffer.from(bytes));

for (const [name, type, bytes, claims] of [
  ['a CA', '551d13', sequence(flag(0xff)), true],
  ['a CA of a certain depth', '551d13', sequence(flag(0xff), integer(0n)), true],
  ['a CA by another form of true', '551d13', sequence(flag(0x01)), true],
  ['a CA by two bytes', '551d13', sequence(flag(0x00, 0x01)), true],
  ['no CA', '551d13', sequence(flag(0x00)), false],
  ['no CA by an empty flag', '551d13', sequence(flag()), false],
  ['no CA by default', '551d13', sequence(), false],
  ['a depth without a flag', '551d13', sequence(integer(1n)), false],
  ['another extension', '551d0f', sequence(flag(0xff)), false],
  ['a flag in no sequence', '551d13', flag(0xff), false],
  ['a set', '551d13', der(TAG.set, flag(0xff)), false],
  ['nothing', '551d13', Buffer.alloc(0), false],
  ['bytes behind its end', '551d13', Buffer.concat([sequence(flag(0xff)), Buffer.of(0)]), false],
  ['a flag that is cut off', '551d13', Buffer.of(0x30, 2, 1, 9), false],
] as const) {
  t.test(`basicConstraints with ${name} ${claims ? 'claim' : 'do not claim'} authority`, async (t) => {
    const extensions = [
      { type: '551d0e', critical: false, value: sequence() },
      { type, critical: true, value: bytes },
    ];
    t.equal(claimsAuthority({ extensions } as unknown as CertificateFields), claims);
  });
}
