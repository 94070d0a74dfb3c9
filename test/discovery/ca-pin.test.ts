import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import t from 'tap';
import { caPinOf, parseCaPin, pinProblems } from '../../src/discovery/ca-pin.ts';
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

for (const text of [
  '',
  'sha256:',
  'sha256:abc',
  `sha1:${'a'.repeat(40)}`,
  'a'.repeat(64),
  `sha256:${'g'.repeat(64)}`,
]) {
  t.test(`refused: ${JSON.stringify(text)}`, async (t) => {
    t.throws(() => parseCaPin(text), { code: 'ERR_USAGE' });
  });
}

t.test('one pinned certificate in a bundle is enough', async (t) => {
  t.strictSame(pinProblems([certificateOf(other), certificateOf(one)], [caPinOf(certificateOf(one))]), []);
});

t.test('a bundle without a pinned certificate is refused, and both sides are shown', async (t) => {
  const pin = caPinOf(certificateOf(other));
  const [problem] = pinProblems([certificateOf(one)], [pin]);
  t.match(problem, caPinOf(certificateOf(one)));
  t.match(problem, pin);
});

t.test('a CA that was reissued with its old key keeps its pin', async (t) => {
  const again = createAuthority({ name: 'one again', key: one.key });
  t.not(again.pem, one.pem);
  t.equal(caPinOf(certificateOf(again)), caPinOf(certificateOf(one)));
});
