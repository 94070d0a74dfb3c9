import * as fc from 'fast-check';
import t from 'tap';
import { CertletError, isCertletError } from '../../src/errors.ts';
import {
  bitString,
  booleanTrue,
  type DerNode,
  directoryString,
  encodeDer,
  encoded,
  integer,
  oid,
  sequence,
  setOf,
  tagged,
  taggedBytes,
  time,
} from '../../src/pki/der.ts';
import { isObjectIdentifier, readElement, readElements, unlessMalformed } from '../../src/pki/der-reader.ts';

function hex(node: DerNode): string {
  return Buffer.from(encodeDer(node)).toString('hex');
}

for (const row of [
  { name: 'zero', node: integer(Uint8Array.of()), hex: '020100' },
  { name: 'zero with leading zeros', node: integer(Uint8Array.of(0, 0)), hex: '020100' },
  { name: 'a number whose top bit is set', node: integer(Uint8Array.of(0, 0x80)), hex: '02020080' },
  { name: 'a number whose top byte is 255', node: integer(Uint8Array.of(0xff, 0xff)), hex: '020300ffff' },
  { name: 'true', node: booleanTrue(), hex: '0101ff' },
  { name: 'an OID', node: oid('2.5.4.3'), hex: '0603550403' },
  {
    name: 'a printable text',
    node: directoryString("system:node:n1 '()+,-./:=?"),
    hex: `131a${Buffer.from("system:node:n1 '()+,-./:=?").toString('hex')}`,
  },
  { name: 'a text with an at sign', node: directoryString('a@1'), hex: '0c03614031' },
  { name: 'a text with an asterisk', node: directoryString('*'), hex: '0c012a' },
  { name: 'a text beyond ASCII', node: directoryString('é'), hex: '0c02c3a9' },
  { name: 'bits', node: bitString(Uint8Array.of(0xa0), 5), hex: '030205a0' },
  { name: 'a tagged list', node: tagged(0, booleanTrue()), hex: 'a0030101ff' },
  { name: 'an empty tagged list', node: tagged(0), hex: 'a000' },
  { name: 'tagged bytes', node: taggedBytes(2, Buffer.from('n1')), hex: '82026e31' },
  {
    name: 'a set in the order of its bytes',
    node: setOf([directoryString('b'), directoryString('a')]),
    hex: '3106130161130162',
  },
  { name: 'DER as it is', node: sequence(encoded(Buffer.from('30020500', 'hex'))), hex: '300430020500' },
  {
    name: 'a time before 2050',
    node: time(new Date('2049-12-31T23:59:59.999Z')),
    hex: `170d${Buffer.from('491231235959Z').toString('hex')}`,
  },
  {
    name: 'a time from 2050 on',
    node: time(new Date('2050-01-01T00:00:00Z')),
    hex: `180f${Buffer.from('20500101000000Z').toString('hex')}`,
  },
  {
    name: 'a clock that was never set',
    node: time(new Date(0)),
    hex: `170d${Buffer.from('700101000000Z').toString('hex')}`,
  },
]) {
  t.test(`DER of ${row.name}`, async (t) => {
    t.equal(hex(row.node), row.hex);
  });
}

for (const [name, bytes] of [
  ['nothing', ''],
  ['a tag alone', '30'],
  ['a length that reaches past the end', '3005aa'],
  ['a length that reaches one past the end', '3001'],
  ['data after the end', '3000aa'],
  ['an indefinite length', '30800000'],
  ['a long length for a short value', '308101aa'],
  ['a length with a leading zero', `30820080${'00'.repeat(128)}`],
  ['a length of four bytes', '308480000000'],
  ['a cut-off length', '3082ff'],
  ['a tag of several bytes', '1f8101'],
] as const) {
  t.test(`readElement refuses ${name}`, async (t) => {
    t.throws(() => readElement(Buffer.from(bytes, 'hex')), { code: 'ERR_API_PROTOCOL' });
  });
}

t.test('what is encoded reads back in its parts', async () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 5 }), (values) => {
      const bytes = encodeDer(sequence(...values.map((value) => taggedBytes(1, value))));
      const read = readElements(readElement(bytes).content).map(({ content }) => Buffer.from(content).toString('hex'));
      return read.join() === values.map((value) => Buffer.from(value).toString('hex')).join();
    }),
  );
});

t.test('whatever the bytes, reading ends with elements that cover them, or with ERR_API_PROTOCOL', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        const elements = readElements(bytes);
        return Buffer.concat(elements.map((element) => element.bytes)).equals(Buffer.from(bytes));
      } catch (error) {
        return isCertletError(error, 'ERR_API_PROTOCOL');
      }
    }),
    { numRuns: 1000 },
  );
});

t.test('a defect of certlet is not taken for bytes that are no DER', async (t) => {
  const defect = new TypeError('undefined is not a function');
  t.throws(
    () =>
      unlessMalformed(() => {
        throw defect;
      }),
    defect,
  );
  t.equal(
    unlessMalformed(() => readElement(Buffer.from([0x30, 0x80]))),
    undefined,
  );
  const other = new CertletError('ERR_INTERNAL', 'another error');
  t.throws(
    () =>
      unlessMalformed(() => {
        throw other;
      }),
    other,
  );
});

for (const [bytes, expected] of [
  ['', false],
  ['2a', true],
  ['2a864886f70d', true],
  ['2a80', false],
  ['2a8001', false],
  ['2a87ffffff7f', true],
  ['2a8880808000', false],
  ['8837', true],
] as const) {
  t.test(`object identifier ${bytes || 'of no bytes'}`, async (t) =>
    t.equal(isObjectIdentifier(Buffer.from(bytes, 'hex')), expected),
  );
}
