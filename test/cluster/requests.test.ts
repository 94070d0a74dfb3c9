/** Requests of every key type, straight from `src/pki` and `src/csr`, in front of the real validation and the real signer. */
import t from 'tap';
import { issuedProblems } from '../../src/csr/issued.ts';
import { requestName } from '../../src/csr/template.ts';
import { clientTemplate, servingTemplate } from '../fixtures/specs.ts';
import type { CertificateTemplate } from '../../src/csr/template.ts';
import { decodeCsr, encodeCsr } from '../../src/csr/wire.ts';
import { parseChain } from '../../src/pki/certificate.ts';
import { generatePrivateKey, KEY_ALGORITHMS } from '../../src/pki/keys.ts';
import type { PrivateKey } from '../../src/pki/keys.ts';
import { createRequest } from '../../src/pki/pkcs10.ts';
import { readPkcs10 } from '../fixtures/cluster/pkcs10.ts';
import type { ControlPlane } from './fixtures/control-plane.ts';
import { staticUsers } from './fixtures/control-plane-programs.ts';
import { eventually } from '../fixtures/eventually.ts';
import { withControlPlane } from './fixtures/suite.ts';

interface Posted {
  readonly name: string;
  readonly requestPem: string;
}

async function post(plane: ControlPlane, template: CertificateTemplate, key: PrivateKey): Promise<Posted> {
  const requestPem = createRequest(template, key);
  const name = requestName(key.publicKeyDer, template);
  const { signerName, usages } = template;
  await plane.admin.want(plane.csrPath, {
    method: 'POST',
    token: staticUsers.automatic.token,
    body: JSON.parse(encodeCsr('v1', { name, requestPem, signerName, usages })),
  });
  return { name, requestPem };
}

async function problems(
  plane: ControlPlane,
  name: string,
  template: CertificateTemplate,
  key: PrivateKey,
): Promise<readonly unknown[]> {
  const certificatePem = await eventually(
    `the certificate of ${name}`,
    async () => decodeCsr((await plane.admin.want(`${plane.csrPath}/${name}`)).json).certificatePem,
  );
  return issuedProblems(parseChain(certificatePem), { template, key, now: new Date(), toleranceMs: 0 });
}

await withControlPlane(t, {}, (plane) => {
  for (const algorithm of KEY_ALGORITHMS) {
    const options = { nodeName: `n-${algorithm.toLowerCase()}`, keyEncipherment: true };

    t.test(`${algorithm}: a serving request with DNS, IPv4 and IPv6 names is valid, and issued as asked`, async (t) => {
      const key = await generatePrivateKey(algorithm);
      const template = servingTemplate(options, ['a.example.test', '192.0.2.7', '2001:db8::7', '::ffff:192.0.2.8']);
      const { name, requestPem } = await post(plane, template, key);
      t.ok(readPkcs10(requestPem).signatureValid, 'signed by its own key');
      await plane.approve(name);
      t.strictSame(await problems(plane, name, template, key), []);
    });

    t.test(`${algorithm}: a client request is valid, approved automatically, and issued as asked`, async (t) => {
      const key = await generatePrivateKey(algorithm);
      const template = clientTemplate(options);
      const { name } = await post(plane, template, key);
      t.strictSame(await problems(plane, name, template, key), []);
    });
  }
});
