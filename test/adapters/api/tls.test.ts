import { spawn } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import t, { type Test } from 'tap';
import type { ClusterAccess, Credential } from '../../../src/kubeconfig/client-config.ts';
import { networkError } from '../../../src/adapters/api/network-errors.ts';
import { identityOf } from '../../../src/adapters/api/credential-label.ts';
import { CertletError } from '../../../src/errors.ts';
import type { ServerGlimpse } from '../../../src/ports.ts';
import { Secret } from '../../../src/secret.ts';
import { createAuthority, issueSelfSigned, type Authority, type Issued } from '../../fixtures/cluster/authority.ts';
import { sequence } from '../../fixtures/cluster/der.ts';
import { certificatePem, oddCertificate } from '../../fixtures/odd-certificate.ts';
import {
  accessTo,
  connect,
  connectorOf,
  failureOf,
  loopbackLeaf,
  never,
  tokenCredential,
} from '../../fixtures/http/api.ts';
import {
  type ScriptedServer,
  type ScriptedServerOptions,
  sendJson,
  startServer,
} from '../../fixtures/http/scripted-server.ts';
import { issuerKeyIdOf } from '../../../src/pki/key-ids.ts';
import { readCertificate } from '../../../src/pki/x509-reader.ts';
import { withoutOpenssl } from '../../fixtures/openssl.ts';

const authority = createAuthority({ name: 'kubernetes' });
const other = createAuthority({ name: 'other' });
const clients = createAuthority({ name: 'clients' });
const LOOPBACK = { dnsNames: ['localhost'], ipAddresses: ['127.0.0.1', '::1'] };

async function serve(t: Test, options: ScriptedServerOptions): Promise<ScriptedServer> {
  const server = await startServer(options, (_, response) =>
    sendJson(response, 200, { kind: 'APIResourceList', resources: [{ name: 'certificatesigningrequests' }] }),
  );
  t.teardown(() => server.close());
  return server;
}

function certificateOf(issued: Issued): Credential {
  return { kind: 'certificate', chainPem: issued.chainPem, keyPem: new Secret(issued.keyPem) };
}

interface TrustRow {
  readonly name: string;
  readonly leaf: Issued;
  readonly reason?: 'other name' | 'not signed';
  readonly access?: Partial<ClusterAccess>;
  /** Undefined: the connection must work. */
  readonly code?: string;
  readonly words?: RegExp;
  readonly remedy?: RegExp;
}

const below = authority.intermediate({ name: 'intermediate' });
const weak = createAuthority({ name: 'weak', keyAlgorithm: 'RSA-1024' });
const self = issueSelfSigned({ commonName: 'self', ...LOOPBACK });
const past = { notBefore: new Date('2020-01-01T00:00:00Z'), notAfter: new Date('2021-01-01T00:00:00Z') };
const ahead = { notBefore: new Date('2200-01-01T00:00:00Z'), notAfter: new Date('2201-01-01T00:00:00Z') };

const TRUST: readonly TrustRow[] = [
  { name: 'the right CA', leaf: loopbackLeaf(authority) },
  { name: 'several CAs', leaf: loopbackLeaf(authority), access: { caPem: other.pem + authority.pem } },
  { name: 'an intermediate as CA, as Go trusts it', leaf: loopbackLeaf(below), access: { caPem: below.pem } },
  { name: 'the leaf itself as CA, as Go trusts it', leaf: self, access: { caPem: self.certPem } },
  { name: 'an intermediate that the server sends', leaf: loopbackLeaf(below) },
  {
    name: 'insecure-skip-tls-verify',
    leaf: self,
    access: { caPem: undefined as unknown as string, insecureSkipTlsVerify: true },
  },
  {
    name: 'tls-server-name that is in the certificate',
    leaf: authority.issue({ dnsNames: ['kubernetes'] }),
    access: { tlsServerName: 'kubernetes' },
  },
  {
    name: 'tls-server-name that is an address in the certificate',
    leaf: authority.issue({ ipAddresses: ['10.96.0.1'] }),
    access: { tlsServerName: '10.96.0.1' },
  },
  {
    name: 'another CA',
    leaf: loopbackLeaf(other),
    code: 'ERR_API_TLS',
    words: /not signed by the CA that the kubeconfig gives/,
    reason: 'not signed',
    remedy: /openssl s_client -connect 127\.0\.0\.1:\d+/,
  },
  {
    name: 'a self-signed certificate',
    leaf: self,
    code: 'ERR_API_TLS',
    words: /not signed by the CA/,
    reason: 'not signed',
  },
  {
    name: "the system's roots only",
    leaf: loopbackLeaf(authority),
    access: { caPem: undefined as unknown as string },
    code: 'ERR_API_TLS',
    words: /not signed by a CA that this host trusts, and the kubeconfig gives none/,
    reason: 'not signed',
    remedy: /certificate-authority-data/,
  },
  {
    name: 'a certificate for other names',
    leaf: authority.issue({ dnsNames: ['api.example'] }),
    code: 'ERR_API_TLS',
    words: /for another name: .*127\.0\.0\.1/,
    reason: 'other name',
    remedy: /tls-server-name/,
  },
  {
    name: 'a certificate for other names, by server name',
    leaf: authority.issue({ dnsNames: ['api.example'] }),
    access: { tlsServerName: 'kubernetes' },
    code: 'ERR_API_TLS',
    words: /kubernetes.*DNS:api\.example/,
    reason: 'other name',
  },
  {
    name: 'a certificate without that address, by server name',
    leaf: authority.issue({ ipAddresses: ['10.96.0.1'] }),
    access: { tlsServerName: '10.96.0.2' },
    code: 'ERR_API_TLS',
    words: /10\.96\.0\.2/,
    reason: 'other name',
  },
  {
    name: 'a certificate without alternative names passes by its common name',
    leaf: authority.issue({ commonName: '127.0.0.1' }),
    code: 'ERR_API_TLS_NO_NAMES',
    words: /no subject alternative names/,
    remedy: /subjectAltName/,
  },
  {
    name: 'a certificate without alternative names passes by its common name, by server name',
    leaf: authority.issue({ commonName: 'api.example' }),
    access: { tlsServerName: 'api.example' },
    code: 'ERR_API_TLS_NO_NAMES',
    words: /no subject alternative names/,
  },
  {
    name: 'a server name with a dot at its end',
    leaf: authority.issue({ dnsNames: ['kubernetes'] }),
    access: { tlsServerName: 'kubernetes.' },
  },
  {
    name: 'a star for a part of a label, which Go does not take',
    leaf: authority.issue({ dnsNames: ['kube*.example'] }),
    access: { tlsServerName: 'kubernetes.example' },
    code: 'ERR_API_TLS',
    words: /for another name/,
    reason: 'other name',
  },
  {
    name: 'an expired certificate',
    leaf: authority.issue({ ...LOOPBACK, ...past }),
    code: 'ERR_API_TLS_DATES',
    words: /has expired by this node's clock/,
    remedy: /date -u/,
  },
  {
    name: 'a certificate of the future',
    leaf: authority.issue({ ...LOOPBACK, ...ahead }),
    code: 'ERR_API_TLS_DATES',
    words: /is not yet valid/,
  },
  {
    name: 'a CA with a weak key',
    leaf: loopbackLeaf(weak),
    access: { caPem: weak.pem },
    code: 'ERR_API_TLS',
    words: /CA certificate key too weak/,
    remedy: /2048 bits/,
  },
  {
    name: 'a leaf with a weak key',
    leaf: authority.issue({ ...LOOPBACK, keyAlgorithm: 'RSA-1024' }),
    code: 'ERR_API_TLS',
    words: /EE certificate key too weak/,
  },
];

for (const row of TRUST) {
  t.test(`server trust: ${row.name}`, async (t) => {
    const server = await serve(t, { leaf: row.leaf });
    const { caPem, ...access } = accessTo(server, authority, row.access);
    const api = connect(t, caPem === undefined ? access : { ...access, caPem });
    if (row.code === undefined) {
      t.equal(await api.discover(never), 'v1');
      return;
    }
    const error = await failureOf(api.discover(never));
    t.equal(error.code, row.code, error.message);
    t.equal(error.reason, row.reason);
    t.match(error.message, row.words ?? /./);
    t.match(error.remedy, row.remedy ?? /./);
    t.same(server.seen, [], 'nothing was sent');
  });
}

t.test('SNI is the tls-server-name, and never an address', async (t) => {
  const server = await serve(t, { leaf: authority.issue({ ...LOOPBACK, dnsNames: ['kubernetes'] }) });
  await connect(t, accessTo(server, authority)).discover(never);
  await connect(t, accessTo(server, authority, { tlsServerName: 'kubernetes' })).discover(never);
  const byAddress = accessTo(server, authority, { tlsServerName: '127.0.0.1' });
  await connect(t, byAddress).discover(never);
  const dotted = accessTo(server, authority, { tlsServerName: 'kubernetes.' });
  await connect(t, dotted).discover(never);
  await connectorOf().glimpse(dotted, never);
  t.same(
    server.seen.map(({ serverName }) => serverName),
    ['', 'kubernetes', '', 'kubernetes', 'kubernetes'],
    'nor a dot at the end of a name',
  );
});

t.test('a middlebox that drops large ClientHellos lets the connection pass', async (t) => {
  const sizes: number[] = [];
  const box = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (hello) => {
      sizes.push(hello.length);
      socket.destroy();
    });
  });
  await new Promise<void>((resolve) => box.listen(0, '127.0.0.1', resolve));
  t.teardown(() => box.close());
  const url = `https://127.0.0.1:${String((box.address() as AddressInfo).port)}`;
  const access = { server: url, caPem: authority.pem, insecureSkipTlsVerify: false };
  await failureOf(connect(t, access).discover(never));
  await failureOf(connectorOf().glimpse(access, never));
  t.ok(sizes.length === 2 && sizes.every((size) => size < 600), `a part of one packet: ${sizes.join(', ')} bytes`);
});

t.test('a front that speaks HTTP/2 only is named as such', async (t) => {
  const leaf = loopbackLeaf(authority);
  const front = createTlsServer({ cert: leaf.chainPem, key: leaf.keyPem, ALPNProtocols: ['h2'] });
  front.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  t.teardown(() => front.close());
  const url = `https://127.0.0.1:${String((front.address() as AddressInfo).port)}`;
  t.match(
    await failureOf(connect(t, { server: url, caPem: authority.pem, insecureSkipTlsVerify: false }).discover(never)),
    { code: 'ERR_API_TLS', message: /speaks no HTTP\/1\.1/, remedy: /http\/1\.1 beside h2/ },
  );
});

for (const [name, leaf] of [
  ['the CA behind its certificate', { ...loopbackLeaf(authority) }],
  ['its certificate twice', { ...loopbackLeaf(authority) }],
] as const) {
  t.test(`a server that sends ${name}`, async (t) => {
    const chainPem = leaf.chainPem + (name.startsWith('the CA') ? authority.pem + other.pem : leaf.chainPem);
    const server = await serve(t, { leaf: { ...leaf, chainPem } });
    t.equal(await connect(t, accessTo(server, authority)).discover(never), 'v1');
  });
}

t.test('a redirect is not followed, and where it points is told', async (t) => {
  const elsewhere = await serve(t, { leaf: loopbackLeaf(authority) });
  const server = await startServer({ leaf: loopbackLeaf(authority) }, (_, response) => {
    response.writeHead(307, { location: `${elsewhere.url}/there` }).end();
  });
  t.teardown(() => server.close());
  t.match(await failureOf(connect(t, accessTo(server, authority)).discover(never)), {
    code: 'ERR_API_PROTOCOL',
    message: `: 307, a redirect to ${elsewhere.url}/there, which is not followed`,
  });
  t.same(elsewhere.seen, [], 'no token goes there');
});

t.test('an IPv6 server', async (t) => {
  const server = await serve(t, { leaf: loopbackLeaf(authority), host: '::1' });
  t.equal(await connect(t, accessTo(server, authority)).discover(never), 'v1');
});

t.test('a client certificate is presented, without a token', async (t) => {
  const server = await serve(t, { leaf: loopbackLeaf(authority), clientCas: [clients] });
  const api = connect(t, accessTo(server, authority), certificateOf(clients.issue({ commonName: 'system:node:n1' })));
  await api.discover(never);
  t.match(server.seen[0], { clientName: 'system:node:n1' });
  t.equal(server.seen[0]?.headers.authorization, undefined);
});

for (const version of ['-tls1_2', '-tls1_3']) {
  t.test(
    `the alert of a server that refuses our certificate is told, ${version}`,
    { skip: withoutOpenssl },
    async (t) => {
      const port = await demandingServer(t, version);
      const access = { server: `https://127.0.0.1:${port}`, caPem: authority.pem, insecureSkipTlsVerify: false };
      const foreign = connect(t, access, certificateOf(other.issue({ commonName: 'system:node:n1' })));
      t.match(await failureOf(foreign.discover(never)), {
        code: 'ERR_API_UNAUTHORIZED',
        message: /ends the TLS handshake over the client certificate CN=system:node:n1 serial \w+ \(unknown ca\)/,
      });
      const old = connect(t, access, certificateOf(clients.issue({ commonName: 'n', ...past })));
      t.match(await failureOf(old.discover(never)), {
        code: 'ERR_API_UNAUTHORIZED',
        message: /\(certificate expired\)/,
      });
    },
  );
}

/** `openssl s_server` that wants a certificate of `clients`: Node's own server closes without an alert. Its port. */
async function demandingServer(t: Test, version: string): Promise<string> {
  const leaf = loopbackLeaf(authority);
  const folder = t.testdir({ 'server.pem': leaf.chainPem + leaf.keyPem, 'clients.pem': clients.pem });
  const pair = ['-cert', join(folder, 'server.pem'), '-key', join(folder, 'server.pem')];
  const demand = ['-CAfile', join(folder, 'clients.pem'), '-Verify', '1', '-verify_return_error', version, '-www'];
  const child = spawn('openssl', ['s_server', '-accept', '127.0.0.1:0', ...pair, ...demand], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  t.teardown(() => child.kill());
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    const port = /ACCEPT 127\.0\.0\.1:(\d+)/.exec(chunk.toString())?.[1];
    if (port !== undefined) return port;
  }
  throw new Error('openssl s_server did not start');
}

t.test('what does not speak TLS', async (t) => {
  const server = createServer((socket) => socket.on('error', () => undefined).end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const url = `https://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  const error = await failureOf(
    connect(t, { server: url, caPem: authority.pem, insecureSkipTlsVerify: false }).discover(never),
  );
  t.match(error, { code: 'ERR_API_TLS', message: /does not speak TLS/ });
});

t.test('our own certificate with a weak key, or with another key, cannot be loaded', async (t) => {
  const server = await serve(t, { leaf: loopbackLeaf(authority) });
  const small = connect(
    t,
    accessTo(server, authority),
    certificateOf(clients.issue({ commonName: 'n', keyAlgorithm: 'RSA-1024' })),
  );
  t.match(await failureOf(small.discover(never)), {
    code: 'ERR_CREDENTIAL_INVALID',
    message: /ee key too small/,
    remedy: /2048/,
  });
  const pair = clients.issue({ commonName: 'n' });
  const wrong = connect(t, accessTo(server, authority), {
    kind: 'certificate',
    chainPem: pair.chainPem,
    keyPem: new Secret(clients.keyPem),
  });
  t.match(await failureOf(wrong.discover(never)), { code: 'ERR_CREDENTIAL_INVALID', message: /key values mismatch/ });
});

const facts = { identity: identityOf(tokenCredential), server: 'https://api:6443', what: 'GET /x', proxy: undefined };
const coded = (code: string, message = 'text'): Error => Object.assign(new Error(message), { code });

for (const row of [
  { name: 'a lost route', error: coded('EHOSTUNREACH'), code: 'ERR_API_UNREACHABLE', words: /no route to the host/ },
  {
    name: 'a lost network',
    error: coded('ENETUNREACH'),
    code: 'ERR_API_UNREACHABLE',
    words: /no route to the network/,
  },
  {
    name: 'a name server that is down',
    error: coded('EAI_AGAIN'),
    code: 'ERR_API_UNREACHABLE',
    words: /name server/,
    remedy: /getent hosts api:?/,
  },
  { name: 'a reset', error: coded('ECONNRESET'), code: 'ERR_API_UNREACHABLE', words: /was reset/ },
  {
    name: 'the connect timeout of undici',
    error: coded('UND_ERR_CONNECT_TIMEOUT'),
    code: 'ERR_API_UNREACHABLE',
    words: /no connection in time/,
    // A server that hangs accepts TCP: nc says that all is well.
    remedy: /^nc -vz api \d+ {3}# .*; if it connects: the server itself/,
  },
  {
    name: 'all addresses of a name refused',
    error: Object.assign(new AggregateError([coded('ECONNREFUSED')], ''), { code: 'ECONNREFUSED' }),
    code: 'ERR_API_UNREACHABLE',
    words: /nothing listens/,
  },
  {
    name: 'a cause inside an error of undici',
    error: Object.assign(new Error('x', { cause: coded('CERT_HAS_EXPIRED') }), { code: 'UND_ERR_PRX_CONN' }),
    code: 'ERR_API_TLS_DATES',
    words: /has expired/,
  },
  { name: 'an unknown code', error: coded('EWEIRD', 'odd'), code: 'ERR_API_UNREACHABLE', words: /EWEIRD: odd/ },
  { name: 'an error without code', error: new Error('odd\nthing'), code: 'ERR_API_UNREACHABLE', words: /odd thing$/ },
  { name: 'what is no error', error: 'odd', code: 'ERR_API_UNREACHABLE', words: /odd/ },
  {
    name: 'an alert about our CA',
    error: coded('ERR_SSL_TLSV1_ALERT_UNKNOWN_CA'),
    code: 'ERR_API_UNAUTHORIZED',
    words: /demands a client certificate, and only the bootstrap token abcdef is there \(unknown ca\)/,
    remedy: /client CA/,
  },
  {
    name: 'an alert about our dates',
    error: coded('ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED'),
    code: 'ERR_API_UNAUTHORIZED',
    words: /certificate expired/,
  },
  {
    name: 'an alert that wants a certificate',
    error: coded('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED'),
    code: 'ERR_API_UNAUTHORIZED',
    words: /certificate required/,
  },
  {
    name: 'an alert about the protocol',
    error: coded('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION'),
    code: 'ERR_API_TLS',
    words: /handshake failed/,
  },
]) {
  t.test(`networkError: ${row.name}`, async (t) => {
    const error = networkError(row.error, facts);
    t.equal(error.code, row.code);
    t.match(error.message, row.words);
    t.match(error.remedy, row.remedy ?? /./);
  });
}

t.test('networkError leaves a CertletError as it is', async (t) => {
  const error = new CertletError('ERR_API_SERVER', 'x');
  t.equal(networkError(error, facts), error);
});

t.test('glimpse sees certificate and Date of a server that cannot be verified, and sends no credential', async (t) => {
  const leaf: Issued = other.issue({ commonName: 'kube-apiserver', dnsNames: ['api.example'], ...past });
  const server = await startServer({ leaf }, (_, response) => {
    response.setHeader('date', 'Sun, 22 Nov 2026 09:00:00 GMT');
    response.writeHead(401).end();
  });
  t.teardown(() => server.close());
  const seen = await connectorOf().glimpse(accessTo(server, authority, { tlsServerName: 'kubernetes' }), never);
  const { serialNumber: serial, fingerprint256: fingerprint } = new X509Certificate(leaf.certPem);
  const named = { subject: 'CN=kube-apiserver', issuer: 'CN=other', names: 'DNS:api.example' };
  t.same(seen, {
    certificate: {
      ...named,
      ...past,
      serial,
      fingerprint,
      issuerKeyId: issuerKeyIdOf(readCertificate(new X509Certificate(leaf.certPem).raw)),
    },
    serverDate: new Date('2026-11-22T09:00:00Z'),
  });
  t.match(server.seen[0], { method: 'GET', url: '/version', clientName: '', serverName: 'kubernetes' });
  t.equal(server.seen[0]?.headers.authorization, undefined);
});

t.test('the look at a server whose certificate has no subject is a defect of certlet', async (t) => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const nobody = { issuer: sequence(), subject: sequence(), signingKey: privateKey };
  const certPem = certificatePem(oddCertificate(nobody));
  const leaf = { certPem, chainPem: certPem, keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) };
  const server = await serve(t, { leaf });
  const seen = await connectorOf().glimpse(accessTo(server, authority), never);
  t.match(seen.certificate, { subject: '', issuer: '', names: 'DNS:localhost, IP Address:127.0.0.1' });
});

t.test('glimpse of a server that ends without an answer gives the certificate alone', async (t) => {
  const server = await startServer({ leaf: loopbackLeaf(authority) }, (_, response) => void response.socket?.destroy());
  t.teardown(() => server.close());
  const seen = await connectorOf().glimpse(accessTo(server, authority as Authority), never);
  t.equal(seen.certificate?.issuer, 'CN=kubernetes');
  t.equal(seen.serverDate, undefined);
});

/** With the shortest limit that the handshake fits in: a busy host needs a longer one, and twice that again. */
async function glimpseUntilTimeLimit(access: ClusterAccess): Promise<ServerGlimpse> {
  for (let connectMs = 100; ; connectMs *= 2) {
    try {
      return await connectorOf({ timeouts: { connectMs } }).glimpse(access, never);
    } catch (error) {
      if (connectMs > 10_000) throw error;
    }
  }
}

t.test('a server that stalls after the handshake held up the look at its certificate for ever', async (t) => {
  const stopping = new AbortController();
  const server = await startServer({ leaf: loopbackLeaf(authority) }, () => undefined);
  t.teardown(() => server.close());
  const access = accessTo(server, authority);
  const seen = await glimpseUntilTimeLimit(access);
  t.equal(seen.certificate?.issuer, 'CN=kubernetes', 'told without the Date');
  t.equal(seen.serverDate, undefined);
  const stopped = startServer({ leaf: loopbackLeaf(authority) }, () => stopping.abort(new Error('stopping')));
  t.teardown(async () => (await stopped).close());
  const failure = await failureOf(connectorOf().glimpse(accessTo(await stopped, authority), stopping.signal));
  t.equal(failure, stopping.signal.reason, 'and a stop is heard');
});

t.test('glimpse where nothing answers', async (t) => {
  const server = createServer((socket) => socket.on('error', () => undefined).resume());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `https://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  const access = { server: url, insecureSkipTlsVerify: false };
  const timeouts = { connectMs: 30 };
  t.equal(
    (await failureOf(connectorOf({ timeouts }).glimpse(access, never))).code,
    'ERR_API_UNREACHABLE',
    'a server that says nothing',
  );
  const reason = new Error('stopping');
  t.equal(await failureOf(connectorOf().glimpse(access, AbortSignal.abort(reason))), reason);
  await new Promise((resolve) => server.close(resolve));
  t.match(await failureOf(connectorOf().glimpse(access, never)), {
    code: 'ERR_API_UNREACHABLE',
    message: /a look at .*nothing listens/,
  });
});
