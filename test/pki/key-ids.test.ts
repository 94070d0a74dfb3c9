import { X509Certificate } from 'node:crypto';
import t from 'tap';
import { issuerKeyIdOf } from '../../src/pki/key-ids.ts';
import { readCertificate } from '../../src/pki/x509-reader.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';

t.test('the key id of the signer, as openssl prints it; none where the certificate has none', async (t) => {
  const authority = createAuthority({ name: 'kubernetes' });
  const fields = readCertificate(new X509Certificate(authority.issue().certPem).raw);
  const id = issuerKeyIdOf(fields);
  t.ok(id === undefined || /^([0-9A-F]{2}:)+[0-9A-F]{2}$/.test(id));
  const withId = (hex: string): ReturnType<typeof issuerKeyIdOf> =>
    issuerKeyIdOf({ ...fields, extensions: [{ type: '551d23', critical: false, value: Buffer.from(hex, 'hex') }] });
  t.equal(withId('30068004deadbeef'), 'DE:AD:BE:EF');
  t.equal(withId('3000'), undefined);
  t.equal(withId('30028000'), undefined);
  t.equal(withId('ff'), undefined, 'what is no DER');
  t.equal(issuerKeyIdOf({ ...fields, extensions: [] }), undefined);
});
