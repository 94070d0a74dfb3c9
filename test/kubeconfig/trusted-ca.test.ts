/** The CAs of a bundle: each once, in their order, and read once however often they are asked for. */
import t from 'tap';
import { bundleOf, readTrustedCas } from '../../src/kubeconfig/trusted-ca.ts';
import { createAuthority, issueSelfSigned } from '../fixtures/cluster/authority.ts';

/** More than are remembered. */
const MANY = 40;

t.test('each once and in their order, what cannot be read left out', async (t) => {
  const [one, other] = ['one', 'other'].map((name) => createAuthority({ name }).pem);
  const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  const cas = readTrustedCas(`${other ?? ''}${broken}${one ?? ''}${other ?? ''}`);
  t.strictSame(
    cas.map(({ subject, unfit }) => [subject, unfit]),
    [
      ['CN=other', undefined],
      ['CN=one', undefined],
    ],
  );
  t.strictSame(readTrustedCas(undefined), []);
  t.strictSame(readTrustedCas('no PEM'), []);
});

t.test('a CA was read and verified anew in each round', async (t) => {
  const { pem } = createAuthority({ name: 'one' });
  const [first] = readTrustedCas(pem);
  t.equal(readTrustedCas(pem)[0], first, 'remembered');
  t.match(readTrustedCas(issueSelfSigned({ commonName: 'leaf' }).certPem), [{ unfit: /no CA/ }]);
});

t.test('of more CAs than are remembered each is told right', async (t) => {
  const pems = Array.from({ length: MANY }, (_, index) => createAuthority({ name: `ca ${String(index)}` }).pem);
  const bundle = pems.join('');
  for (let turn = 0; turn < 2; turn += 1) {
    const cas = readTrustedCas(bundle);
    t.equal(bundleOf(cas), bundle);
    t.strictSame(
      cas.map(({ subject }) => subject),
      pems.map((_, index) => `CN=ca ${String(index)}`),
    );
  }
});
