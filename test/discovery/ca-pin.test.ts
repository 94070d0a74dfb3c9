import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import t from 'tap';
import { caPinOf, parseCaPin, pinnedOf } from '../../src/discovery/ca-pin.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';

const one = createAuthority({ name: 'one' });
const other = createAuthority({ name: 'other' });
const certificateOf = (authority: { readonly pem: string }): X509Certificate => new X509Certificate(authority.pem);

const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

t.test(
  'a pin is what the openssl line of the kubeadm documents prints',
  { skip: !hasOpenssl && 'no openssl here' },
  async (t) => {
    const key = execFileSync('openssl', ['x509', '-pubkey', '-noout'], { input: one.pem });
    const der = execFileSync('openssl', ['pkey', '-pubin', '-outform', 'der'], { input: key });
    const digest = execFileSync('openssl', ['dgst', '-sha256', '-r'], { input: der }).toString().slice(0, 64);
    t.equal(caPinOf(certificateOf(one)), `sha256:${digest}`);
  },
);

t.test('prefix and digits are read in either case', async (t) => {
  const pin = caPinOf(certificateOf(one));
  t.equal(parseCaPin(` ${pin.toUpperCase()} `), pin);
});

for (const text of ['', 'sha256:', 'sha256:abc', `sha1:${'a'.repeat(40)}`, `sha256:${'g'.repeat(64)}`]) {
  t.test(`refused: ${JSON.stringify(text)}`, async (t) => {
    t.throws(() => parseCaPin(text), { code: 'ERR_USAGE', remedy: / sha256sum .*sha256:/ });
  });
}

t.test('the remedy for a hash without sha256: made the reader compute the hash anew', async (t) => {
  t.throws(() => parseCaPin(` ${'A'.repeat(64)}`), {
    code: 'ERR_USAGE',
    remedy: `Write --discovery-token-ca-cert-hash sha256:${'a'.repeat(64)}`,
  });
});

t.test('of a bundle only what is pinned is kept, and the rest is told', async (t) => {
  const [first, second] = [certificateOf(one), certificateOf(other)];
  const again = certificateOf(createAuthority({ name: 'one again', key: one.key }));
  const pinned = pinnedOf([second, first, again], [caPinOf(first)]);
  t.strictSame(
    pinned.kept.map(({ fingerprint256 }) => fingerprint256),
    [first.fingerprint256, again.fingerprint256],
  );
  t.strictSame(pinned.leftOut, [caPinOf(second)]);
});

t.test('of a bundle without a pinned certificate nothing is kept', async (t) => {
  const pin = caPinOf(certificateOf(other));
  const { kept, leftOut } = pinnedOf([certificateOf(one)], [pin]);
  t.strictSame(kept, []);
  t.strictSame(leftOut, [caPinOf(certificateOf(one))]);
});

t.test('a CA that was reissued with its old key keeps its pin', async (t) => {
  const again = createAuthority({ name: 'one again', key: one.key });
  t.not(again.pem, one.pem);
  t.equal(caPinOf(certificateOf(again)), caPinOf(certificateOf(one)));
});
