import { connect as connectTcp, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { createPublicKey } from 'node:crypto';
import t from 'tap';
import type { Test } from 'tap';
import { proxyOf } from '../../fixtures/proxy-url.ts';
import { type Issued, generateTestKey, testKeyPem } from '../../fixtures/cluster/authority.ts';
import { der, sequence, TAG, time } from '../../fixtures/cluster/der.ts';
import { connect, failureOf, never } from '../../fixtures/http/api.ts';
import { startProxy } from '../../fixtures/http/connect-proxy.ts';
import { sendJson, startServer } from '../../fixtures/http/scripted-server.ts';
import type { ScriptedServer } from '../../fixtures/http/scripted-server.ts';
import {
  address,
  certificatePem,
  dns,
  EXTENSION,
  nameOf,
  oddCertificate,
  oddExtension,
  type OddFields,
  USAGE,
} from '../../fixtures/odd-certificate.ts';

type Key = ReturnType<typeof generateTestKey>;
type Fields = Partial<OddFields>;

const [oldKey, newKey, middleKey, serverKey] = [
  generateTestKey(),
  generateTestKey(),
  generateTestKey(),
  generateTestKey(),
];
const spkiOf = (key: Key): Buffer => createPublicKey(key).export({ type: 'spki', format: 'der' });
const names = EXTENSION.names(dns('localhost'), address(127, 0, 0, 1));
const forServers = [EXTENSION.usages(USAGE.server), names];
const past = time(new Date('2001-01-01T00:00:00Z'));

function caOf(key: Key, fields: Fields = {}): string {
  const subject = nameOf('kubernetes');
  const extensions = [EXTENSION.ca, EXTENSION.certSign];
  return certificatePem(oddCertificate({ issuer: subject, subject, signingKey: key, extensions, ...fields }));
}

function leafOf(key: Key, fields: Fields = {}): Issued {
  const [issuer, subject] = [nameOf('kubernetes'), nameOf('kube-apiserver')];
  const bytes = oddCertificate({
    issuer,
    subject,
    signingKey: key,
    publicKey: spkiOf(serverKey),
    extensions: forServers,
    ...fields,
  });
  return shown(certificatePem(bytes));
}

const shown = (...pems: readonly string[]): Issued => ({
  certPem: pems[0] ?? '',
  chainPem: pems.join(''),
  keyPem: testKeyPem(serverKey),
});

/** A leaf below an intermediate that `key` has signed; the server sends both. */
function deepLeaf(key: Key, middle: Fields = {}): Issued {
  const subject = nameOf('intermediate');
  const extensions = [EXTENSION.ca, EXTENSION.certSign];
  const above = caOf(key, { subject, publicKey: spkiOf(middleKey), extensions, ...middle });
  return shown(leafOf(middleKey, { issuer: middle.subject ?? subject }).certPem, above);
}

const withKeyId = [EXTENSION.ca, EXTENSION.certSign, EXTENSION.keyId(2)];
const both = caOf(oldKey) + caOf(newKey);
const authorityAndSerial = oddExtension(
  '2.5.29.35',
  sequence(der(0xa1, der(0xa4, nameOf('kubernetes'))), der(0x82, Buffer.from([99]))),
);

interface Row {
  readonly leaf: Issued;
  readonly caPem: string;
}

const ACCEPTED: Readonly<Record<string, Row>> = {
  'two CAs of one subject, the old one first': { leaf: leafOf(newKey), caPem: both },
  'two CAs of one subject, the new one first': { leaf: leafOf(newKey), caPem: caOf(newKey) + caOf(oldKey) },
  'two CAs of one subject, and an intermediate below the second': { leaf: deepLeaf(newKey), caPem: both },
  'a CA reissued with the same key: issuer and serial of the former one in the leaf': {
    leaf: leafOf(newKey, { extensions: [...forServers, authorityAndSerial] }),
    caPem: caOf(newKey),
  },
  'a CA reissued with the same key and another key identifier': {
    leaf: leafOf(newKey, { extensions: [...forServers, EXTENSION.issuerKeyId(1)] }),
    caPem: caOf(newKey, { extensions: withKeyId }),
  },
  'extended key usage any': {
    leaf: leafOf(newKey, { extensions: [EXTENSION.usages(USAGE.any), names] }),
    caPem: caOf(newKey),
  },
  'nsCertType client': {
    leaf: leafOf(newKey, { extensions: [...forServers, EXTENSION.netscapeClient] }),
    caPem: caOf(newKey),
  },
  'key usage nonRepudiation': {
    leaf: leafOf(newKey, { extensions: [...forServers, EXTENSION.nonRepudiation] }),
    caPem: caOf(newKey),
  },
};

interface RefusedRow extends Row {
  readonly code?: string;
  readonly words: RegExp;
  readonly remedy?: RegExp;
}

const nodeLeaf = leafOf(newKey, {
  subject: nameOf('system:node:n1'),
  publicKey: spkiOf(middleKey),
  extensions: [EXTENSION.usages(USAGE.client)],
});
const constraint = oddExtension(
  '2.5.29.30',
  sequence(der(0xa0, sequence(der(0x82, Buffer.from('example'))))),
  'critical',
);

const REFUSED: Readonly<Record<string, RefusedRow>> = {
  'extended key usage clientAuth alone': {
    leaf: leafOf(newKey, { extensions: [EXTENSION.usages(USAGE.client), names] }),
    caPem: caOf(newKey),
    words: /a CA of the kubeconfig has signed the certificate, but .*not for servers.*it is for clients/,
    remedy: /serverAuth/,
  },
  "a node's leaf as issuer": {
    leaf: shown(leafOf(middleKey, { issuer: nameOf('system:node:n1') }).certPem, nodeLeaf.certPem),
    caPem: caOf(newKey),
    words: /not signed by the CA|CA/,
  },
  "a node's leaf of the bundle as issuer": {
    leaf: leafOf(middleKey, { issuer: nameOf('system:node:n1') }),
    caPem: caOf(newKey) + nodeLeaf.certPem,
    words: /is no CA certificate/,
  },
  'an intermediate below a CA whose path length is 0': {
    leaf: deepLeaf(newKey),
    caPem: caOf(newKey, { extensions: [EXTENSION.caPath(0), EXTENSION.certSign] }),
    words: /not signed by the CA .*path length/,
  },
  'name constraints that leave the name out': {
    leaf: leafOf(newKey),
    caPem: caOf(newKey, { extensions: [EXTENSION.ca, EXTENSION.certSign, constraint] }),
    words: /./,
  },
  'name constraints, with a purpose that OpenSSL refuses': {
    leaf: leafOf(newKey, { extensions: [EXTENSION.usages(USAGE.any), EXTENSION.names(dns('localhost'))] }),
    caPem: caOf(newKey, { extensions: [EXTENSION.ca, EXTENSION.certSign, constraint] }),
    words: /./,
  },
  'an expired CA': {
    leaf: leafOf(newKey),
    caPem: caOf(newKey, { notAfter: past }),
    code: 'ERR_API_TLS_DATES',
    words: /: the CA "CN=kubernetes" of the kubeconfig expired at 2001-01-01/,
    remedy: /certificate-authority-data/,
  },
  'an expired leaf': {
    leaf: leafOf(newKey, { notAfter: past }),
    caPem: both,
    code: 'ERR_API_TLS_DATES',
    words: /a certificate of the server has expired/,
  },
  'another CA of the same name': {
    leaf: leafOf(newKey),
    caPem: caOf(oldKey),
    words:
      /is not signed by the CA that the kubeconfig gives \(.*a CA of that name is in the kubeconfig, with another key\)/,
  },
  'a name that is not its own, under a CA that only direct trust takes': {
    leaf: leafOf(newKey, { extensions: [EXTENSION.usages(USAGE.any), EXTENSION.names(dns('other.example'))] }),
    caPem: caOf(newKey),
    words: /for another name: 127\.0\.0\.1 is not among DNS:other\.example/,
  },
  'a critical extension that nobody knows': {
    leaf: leafOf(newKey, { extensions: [...forServers, oddExtension('1.2.3.4', der(TAG.octetString), 'critical')] }),
    caPem: caOf(newKey),
    words: /./,
  },
};

async function serve(t: Test, leaf: Issued, headers: Record<string, string> = {}): Promise<ScriptedServer> {
  const server = await startServer({ leaf }, (_, response) =>
    sendJson(response, 200, { kind: 'APIResourceList', resources: [{ name: 'certificatesigningrequests' }] }, headers),
  );
  t.teardown(() => server.close());
  return server;
}

for (const [name, row] of Object.entries(ACCEPTED)) {
  t.test(`a server that kubectl trusts is trusted, also through proxies: ${name}`, async (t) => {
    const server = await serve(t, row.leaf);
    const access = { server: server.url, caPem: row.caPem, insecureSkipTlsVerify: false };
    t.equal(await connect(t, access).discover(never), 'v1');
    const [http, https] = [await startProxy(), await startProxy({ leaf: row.leaf })];
    t.teardown(() => Promise.all([http.close(), https.close()]));
    for (const proxyUrl of [`http://${http.host}`, `https://${https.host}`].map(proxyOf))
      t.equal(await connect(t, { ...access, proxyUrl }).discover(never), 'v1');
  });
}

for (const [name, row] of Object.entries(REFUSED)) {
  t.test(`nothing is sent to a server that kubectl refuses: ${name}`, async (t) => {
    const server = await serve(t, row.leaf);
    const access = { server: server.url, caPem: row.caPem, insecureSkipTlsVerify: false };
    const proxy = await startProxy();
    t.teardown(() => proxy.close());
    for (const proxyUrl of [undefined, proxyOf(`http://${proxy.host}`)]) {
      const error = await failureOf(
        connect(t, { ...access, ...(proxyUrl === undefined ? {} : { proxyUrl }) }).discover(never),
      );
      t.match(error, { code: row.code ?? 'ERR_API_TLS', message: row.words });
      if (row.remedy !== undefined) t.match(error.remedy, row.remedy);
    }
    t.same(server.seen, []);
  });
}

interface Switch {
  readonly url: string;
  /** Where further connections go. */
  to(server: ScriptedServer): void;
}

/** Passes connections on, as a balancer does or somebody in between. */
async function switched(t: Test, first: ScriptedServer): Promise<Switch> {
  const sockets = new Set<Socket>();
  let target = first;
  const front = createServer((client) => {
    const upstream = connectTcp(target.port, '127.0.0.1');
    for (const socket of [client, upstream]) sockets.add(socket.on('error', () => undefined));
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  t.teardown(
    () =>
      new Promise((resolve) => {
        front.close(resolve);
        for (const socket of sockets) socket.destroy();
      }),
  );
  return {
    url: `https://127.0.0.1:${String((front.address() as AddressInfo).port)}`,
    to: (server) => {
      target = server;
    },
  };
}

for (const row of ['extended key usage any', 'two CAs of one subject, and an intermediate below the second']) {
  t.test(`what was accepted on one connection does not let another server in on the next: ${row}`, async (t) => {
    const { leaf, caPem } = ACCEPTED[row] as Row;
    // Each answer ends its connection, so that the next request needs another one.
    const right = await serve(t, leaf, { connection: 'close' });
    const wrong = await serve(t, leafOf(middleKey));
    const front = await switched(t, right);
    const api = connect(t, { server: front.url, caPem, insecureSkipTlsVerify: false });
    t.equal(await api.discover(never), 'v1');
    t.equal(await api.discover(never), 'v1', 'the way that was found is kept');
    front.to(wrong);
    t.equal((await failureOf(api.discover(never))).code, 'ERR_API_TLS');
    t.same(wrong.seen, [], 'no byte of HTTP, no token');
    front.to(right);
    t.equal(await api.discover(never), 'v1');
    t.equal(right.resumed() + wrong.resumed(), 0, 'no session is offered, so each handshake shows its certificate');
  });
}

t.test('a way that was found is tried first, and the others again where it fails', async (t) => {
  const { leaf, caPem } = ACCEPTED['two CAs of one subject, and an intermediate below the second'] as Row;
  const right = await serve(t, leaf, { connection: 'close' });
  const api = connect(t, { server: right.url, caPem, insecureSkipTlsVerify: false });
  await api.discover(never);
  const first = right.connections();
  await api.discover(never);
  t.equal(right.connections(), first + 1);
});
