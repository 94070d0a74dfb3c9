import { writeFileSync } from 'node:fs';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import t from 'tap';
import { parseChain } from '../../src/pki/certificate.ts';
import { encodePrivateKey, generatePrivateKey, KEY_ALGORITHMS } from '../../src/pki/keys.ts';
import { createSelfSigned } from '../../src/pki/self-signed.ts';
import { openssl, withoutOpenssl } from '../fixtures/openssl.ts';

const HOUR_MS = 3_600_000;
const content = {
  commonName: 'n1@1893456000',
  dnsNames: ['n1'],
  ipAddresses: ['127.0.0.1', '::1'],
  notBefore: new Date(Math.floor(Date.now() / 1000) * 1000 - HOUR_MS),
  notAfter: new Date(Math.floor(Date.now() / 1000) * 1000 + 24 * HOUR_MS),
  serial: Uint8Array.of(0xff, 1, 2, 3),
};
const ecKey = await generatePrivateKey('ECDSA-P256');

for (const algorithm of KEY_ALGORITHMS) {
  // Once: one of RSA may take a second.
  const key = await generatePrivateKey(algorithm);

  t.test(
    `a TLS server serves with a ${algorithm} pair, and a client that trusts it verifies name and address`,
    async (t) => {
      const certificate = createSelfSigned({ ...content, key });
      const server = createServer({ cert: certificate, key: encodePrivateKey(key).reveal() }, (socket) => socket.end());
      await once(server.listen(0, '127.0.0.1'), 'listening');
      const { port } = server.address() as AddressInfo;
      for (const servername of ['n1', undefined]) {
        const socket = connect({
          port,
          host: '127.0.0.1',
          ca: certificate,
          ...(servername === undefined ? {} : { servername }),
        });
        await once(socket, 'secureConnect');
        t.ok(socket.authorized);
        socket.destroy();
      }
      server.close();
      await once(server, 'close');
    },
  );

  t.test(`OpenSSL verifies a ${algorithm} certificate for servers only`, { skip: withoutOpenssl }, async (t) => {
    const file = join(t.testdir(), 'cert.pem');
    const certificate = createSelfSigned({ ...content, key });
    writeFileSync(file, certificate);
    t.doesNotThrow(() => openssl('', 'verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', file, file));
    t.throws(() => openssl('', 'verify', '-purpose', 'sslclient', '-CAfile', file, file));
    const text = openssl(certificate, 'x509', '-noout', '-text');
    t.match(text, algorithm.startsWith('RSA') ? /Digital Signature, Key Encipherment\n/ : /Digital Signature\n/);
    t.match(text, /Version: 3 [^]*TLS Web Server Authentication\n[^]*CA:FALSE\n/);
  });
}

t.test('the facts of the certificate are what was asked for', async (t) => {
  const { leaf } = parseChain(createSelfSigned({ ...content, key: ecKey }));
  t.match(leaf, {
    commonName: content.commonName,
    organizations: [],
    dnsNames: ['n1'],
    ipAddresses: ['127.0.0.1', '::1'],
    otherNames: [],
    extendedKeyUsages: ['server auth'],
    notBefore: content.notBefore,
    notAfter: content.notAfter,
    subject: `CN=${content.commonName}`,
    issuer: `CN=${content.commonName}`,
    isCa: false,
    selfSigned: true,
  });
});

for (const row of [
  { name: 'a serial whose top bit is set loses that bit', serial: Uint8Array.of(0xff, 1), text: '7f01' },
  { name: 'a serial of zeros becomes one', serial: new Uint8Array(8), text: '1' },
  { name: 'an empty serial becomes one', serial: new Uint8Array(0), text: '1' },
  { name: 'a long serial is cut to 20 bytes', serial: new Uint8Array(32).fill(0x11), text: '11'.repeat(20) },
]) {
  t.test(row.name, async (t) => {
    t.equal(parseChain(createSelfSigned({ ...content, key: ecKey, serial: row.serial })).leaf.serial, row.text);
  });
}

t.test('dates at a clock that was never set, and far ahead', async (t) => {
  const [notBefore, notAfter] = [new Date(-HOUR_MS), new Date('2051-01-01T00:00:00Z')];
  t.has(parseChain(createSelfSigned({ ...content, key: ecKey, notBefore, notAfter })).leaf, { notBefore, notAfter });
});
