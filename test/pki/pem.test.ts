import * as fc from 'fast-check';
import t from 'tap';
import { describePem, encodePem, pemBlocks } from '../../src/pki/pem.ts';

const DER = Buffer.from('0123456789'.repeat(9), 'ascii');
const CERTIFICATE = encodePem('CERTIFICATE', DER);

function read(text: string): readonly (readonly [string, boolean])[] {
  return pemBlocks(text).map(({ label, der }) => [label, der !== undefined && DER.equals(der)]);
}

for (const row of [
  { name: 'one block', text: CERTIFICATE, blocks: [['CERTIFICATE', true]] },
  {
    name: 'two blocks',
    text: CERTIFICATE + CERTIFICATE,
    blocks: [
      ['CERTIFICATE', true],
      ['CERTIFICATE', true],
    ],
  },
  { name: 'text around blocks', text: `subject=CN\n${CERTIFICATE}---\nmore: text\n`, blocks: [['CERTIFICATE', true]] },
  { name: 'Windows line ends', text: CERTIFICATE.replaceAll('\n', '\r\n'), blocks: [['CERTIFICATE', true]] },
  {
    name: 'headers',
    text: CERTIFICATE.replace('-----\n', '-----\nProc-Type: 4\nDEK-Info: x\n\n'),
    blocks: [['CERTIFICATE', true]],
  },
  { name: 'no newline at the end', text: CERTIFICATE.trimEnd(), blocks: [['CERTIFICATE', true]] },
  { name: 'no END line', text: CERTIFICATE.split('-----END')[0] ?? '', blocks: [['CERTIFICATE', false]] },
  {
    name: 'another END line',
    text: CERTIFICATE.replace('END CERTIFICATE', 'END KEY'),
    blocks: [['CERTIFICATE', false]],
  },
  {
    name: 'a cut block, then a whole one',
    text: `${CERTIFICATE.slice(0, 60)}\n${CERTIFICATE}`,
    blocks: [
      ['CERTIFICATE', false],
      ['CERTIFICATE', true],
    ],
  },
  {
    name: 'headers without a blank line after them',
    text: CERTIFICATE.replace('-----\n', '-----\nA: b\n'),
    blocks: [['CERTIFICATE', false]],
  },
  { name: 'an empty block', text: encodePem('CERTIFICATE', Buffer.of()), blocks: [['CERTIFICATE', false]] },
  { name: 'an END line alone', text: '-----END CERTIFICATE-----\n', blocks: [] },
  { name: 'nothing', text: '', blocks: [] },
]) {
  t.test(`pemBlocks: ${row.name}`, async (t) => {
    t.same(read(row.text), row.blocks);
  });
}

t.test('base64 that is not whole gives no bytes', async (t) => {
  t.equal(pemBlocks('-----BEGIN A-----\nAAA\n-----END A-----\n')[0]?.der, undefined);
});

t.test('what is encoded reads back, in lines of at most 64 characters', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (bytes) => {
      const text = encodePem('X', bytes);
      const [block] = pemBlocks(text);
      return (
        block?.der !== undefined &&
        Buffer.from(bytes).equals(block.der) &&
        text.split('\n').every((line) => line.length <= 64)
      );
    }),
  );
});

t.test('a hostile text costs no more than its length', async (t) => {
  const started = performance.now();
  pemBlocks('-----BEGIN A-----\n'.repeat(50_000));
  pemBlocks(`-----BEGIN ${'A'.repeat(1_000_000)}`);
  pemBlocks(`-----BEGIN A-----${' '.repeat(1_000_000)}x`);
  t.ok(performance.now() - started < 5_000);
});

t.test('describePem names what is there', async (t) => {
  t.equal(describePem([], 0), 'an empty text');
  t.equal(describePem(pemBlocks(CERTIFICATE + CERTIFICATE + encodePem('KEY', DER)), 1), 'PEM blocks CERTIFICATE, KEY');
});
