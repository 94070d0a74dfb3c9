import t from 'tap';
import { requestName, templateDigest } from '../../src/csr/template.ts';
import { clientTemplate } from '../fixtures/specs.ts';
import { encodePrivateKey, generatePrivateKey } from '../../src/pki/keys.ts';
import { createRequest } from '../../src/pki/pkcs10.ts';
import { CertletError } from '../../src/errors.ts';
import { endsRequest } from '../../src/rotation/request/request.ts';
import { checkIssued } from '../../src/rotation/request/issued.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';

const authority = createAuthority({ name: 'ca' });
const key = await generatePrivateKey('ECDSA-P256');
const template = clientTemplate({ nodeName: 'n1', keyEncipherment: true });
const requestPem = createRequest(template, key);
const day = (number: number): Date => new Date(Date.UTC(2030, 0, number));

for (const row of [
  { name: 'in time: usable', issuedUntil: day(20), code: undefined },
  {
    name: 'expired while the node was off: a new request soon, no refusal',
    issuedUntil: day(9),
    code: 'ERR_ISSUED_EXPIRED',
  },
  {
    name: 'expired before it was asked for: the signer is at fault',
    issuedUntil: day(4),
    code: 'ERR_ISSUED_UNACCEPTABLE',
  },
  {
    name: 'expired and for another node',
    issuedUntil: day(9),
    commonName: 'system:node:n2',
    code: 'ERR_ISSUED_UNACCEPTABLE',
  },
]) {
  t.test(`a certificate looked at on the 10th, asked for on the 5th, ${row.name}`, async (t) => {
    const { certPem } = authority.sign(requestPem, {
      notBefore: day(1),
      notAfter: row.issuedUntil,
      usages: template.usages,
      ...(row.commonName === undefined ? {} : { commonName: row.commonName, organizations: ['system:nodes'] }),
    });
    const record = {
      purpose: 'client',
      name: requestName(key.publicKeyDer, template),
      keyPem: encodePrivateKey(key),
      requestPem,
      template,
      templateDigest: templateDigest(template),
      nodeName: 'n1',
      certDir: '/var/lib/kubelet/pki',
      createdAt: day(5),
      issuedPem: certPem,
    } as const;
    const check = (): unknown => checkIssued(record, { local: day(10), earliest: day(10), latest: day(10) });
    if (row.code === undefined) return t.doesNotThrow(check);
    return t.throws(check, { code: row.code });
  });
}

t.test('the request that it came of is over: the next attempt makes a new one', async (t) => {
  t.ok(endsRequest(new CertletError('ERR_ISSUED_EXPIRED', 'expired'), { uid: 'u' }));
});
