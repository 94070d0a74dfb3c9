/** Kubeconfigs by where they lead: servers, addresses, server names, proxies, trust, fronts. */
import { base64, fieldsRow } from './config-text.ts';
import type { Fields } from './config-text.ts';
import type { Materials } from './materials.ts';
import type { Row, Scene } from './row.ts';

const cluster = (kind: string, name: string, fields: Fields | ((scene: Scene) => Fields), more?: Partial<Row>): Row =>
  fieldsRow(kind, name, (scene) => ({ cluster: typeof fields === 'function' ? fields(scene) : fields }), more);

function servers(): readonly Row[] {
  const kind = 'server';
  const port = ({ port }: Scene): string => String(port);
  const at = (name: string, url: (port: string) => string, more?: Partial<Row>): Row =>
    cluster(kind, name, (scene) => ({ server: url(port(scene)) }), more);
  const bare = (name: string, url: (port: string) => string): Row =>
    cluster(kind, `${name}, no CA`, (scene) => ({ server: url(port(scene)), 'certificate-authority-data': undefined }));
  const forms: readonly (readonly [string, (port: string) => string])[] = [
    ['a trailing slash', (p) => `https://127.0.0.1:${p}/`],
    ['a path', (p) => `https://127.0.0.1:${p}/k8s/clusters/c-1`],
    ['a path with trailing slash', (p) => `https://127.0.0.1:${p}/k8s/`],
    ['a path with two slashes', (p) => `https://127.0.0.1:${p}//k8s`],
    ['a path with dots', (p) => `https://127.0.0.1:${p}/a/../b`],
    ['a path with a blank escaped', (p) => `https://127.0.0.1:${p}/a%20b`],
    ['a path with a slash escaped', (p) => `https://127.0.0.1:${p}/a%2Fb`],
    ['a path with a bad escape', (p) => `https://127.0.0.1:${p}/a%zz`],
    ['a path beyond ASCII', (p) => `https://127.0.0.1:${p}/ä`],
    ['a query', (p) => `https://127.0.0.1:${p}/?a=b`],
    ['a bare question mark', (p) => `https://127.0.0.1:${p}?`],
    ['a fragment', (p) => `https://127.0.0.1:${p}/#a`],
    ['a user', (p) => `https://user@127.0.0.1:${p}`],
    ['a user and a password', (p) => `https://user:secret@127.0.0.1:${p}`],
    ['scheme in capitals', (p) => `HTTPS://127.0.0.1:${p}`],
    ['host in capitals', (p) => `https://LOCALHOST:${p}`],
    ['localhost', (p) => `https://localhost:${p}`],
    ['localhost with trailing dot', (p) => `https://localhost.:${p}`],
    ['localhost with two trailing dots', (p) => `https://localhost..:${p}`],
    ['no scheme', (p) => `127.0.0.1:${p}`],
    ['no scheme, a name', (p) => `localhost:${p}`],
    ['slashes alone', (p) => `//127.0.0.1:${p}`],
    ['one slash', (p) => `https:/127.0.0.1:${p}`],
    ['no slash', (p) => `https:127.0.0.1:${p}`],
    ['three slashes', (p) => `https:///127.0.0.1:${p}`],
    ['backslashes', (p) => `https:\\\\127.0.0.1:${p}`],
    ['a backslash behind', (p) => `https://127.0.0.1:${p}\\`],
    ['http for https', (p) => `http://127.0.0.1:${p}`],
    ['scheme ftp', (p) => `ftp://127.0.0.1:${p}`],
    ['scheme htps', (p) => `htps://127.0.0.1:${p}`],
    ['scheme wss', (p) => `wss://127.0.0.1:${p}`],
    ['a blank before', (p) => ` https://127.0.0.1:${p}`],
    ['a blank behind', (p) => `https://127.0.0.1:${p} `],
    ['a line end behind', (p) => `https://127.0.0.1:${p}\n`],
    ['a blank within', (p) => `https://127.0. 0.1:${p}`],
    ['a tab within', (p) => `https://127.0.0\t.1:${p}`],
    ['an empty port', () => 'https://127.0.0.1:'],
    ['port 0', () => 'https://127.0.0.1:0'],
    ['port with zeros before', (p) => `https://127.0.0.1:0${p}`],
    ['port too large', () => 'https://127.0.0.1:99999'],
    ['port with letters', (p) => `https://127.0.0.1:${p}x`],
    ['port with a plus', (p) => `https://127.0.0.1:+${p}`],
    ['two ports', (p) => `https://127.0.0.1:${p}:${p}`],
    ['no host', (p) => `https://:${p}`],
    ['host with an escape', (p) => `https://127%2E0.0.1:${p}`],
    ['host with full-width digits', (p) => `https://１27.0.0.1:${p}`],
    ['host with a soft hyphen', (p) => `https://local\u00ADhost:${p}`],
    ['a comma and another server', (p) => `https://127.0.0.1:${p},https://127.0.0.1:${p}`],
  ];
  return [...forms.map(([name, url]) => at(name, url)), ...forms.slice(18, 21).map(([name, url]) => bare(name, url))];
}

function addresses(): readonly Row[] {
  const kind = 'address';
  const at = (host: string, listen: readonly string[] = ['127.0.0.1']): Row =>
    cluster(kind, host, (scene) => ({ server: `https://${host}:${String(scene.port)}` }), { addresses: listen });
  const four = ['127.0.0.1', '127.0.0.8'];
  return [
    ...[
      '127.0.0.1',
      '127.0.0.8',
      '127.0.0.010',
      '127.0.0.001',
      '0177.0.0.1',
      '127.1',
      '127.0.1',
      '2130706433',
      '0x7f.1',
      '0x7f000001',
      '127.0.0.1.',
      '127.0.0.256',
      '127.0.0.1.1',
      '127.0.0.0x1',
      '[127.0.0.1]',
      '[::ffff:127.0.0.1]',
      '[::ffff:7f00:1]',
      '[::127.0.0.1]',
    ].map((host) => at(host, four)),
    ...[
      '[::1]',
      '[0:0:0:0:0:0:0:1]',
      '[0000::0001]',
      '[::1%25lo]',
      '[::1%lo]',
      '[::1',
      '::1',
      '[::1]x',
      '[::00001]',
      '[::1]]',
      '[::1%25]',
    ].map((host) => at(host, ['::1'])),
  ];
}

function serverNames(): readonly Row[] {
  const kind = 'tls-server-name';
  const right = [
    'kubernetes',
    'KUBERNETES',
    'kubernetes.',
    'api.example.test',
    'a.wild.example.test',
    '127.0.0.1',
    '127.0.0.8',
    '::1',
    '[::1]',
    '0:0:0:0:0:0:0:1',
    '::1%lo',
  ];
  const wrong = [
    'other',
    'wild.example.test',
    'a.b.wild.example.test',
    '*.wild.example.test',
    '10.0.0.1',
    'kubernetes:443',
    'kubernetes/',
    ' kubernetes',
    'kubernetes ',
    'kubernetes..',
    '.kubernetes',
    'kube_rnetes',
    'kubernetés',
    '127.0.0.01',
    'https://kubernetes',
    '',
    '-',
    '.',
    'a'.repeat(64),
  ];
  return [
    ...[...right, ...wrong].map((name) => cluster(kind, JSON.stringify(name), { 'tls-server-name': name })),
    cluster(kind, '"other" and no verification', {
      'tls-server-name': 'other',
      'certificate-authority-data': undefined,
      'insecure-skip-tls-verify': true,
    }),
    cluster(kind, 'a number', { 'tls-server-name': 7 }),
  ];
}

function proxies(): readonly Row[] {
  const kind = 'proxy-url';
  const through = (name: string, url: (port: number) => string, front: Row['front'] = 'http proxy'): Row =>
    cluster(kind, name, ({ frontPort }) => ({ 'proxy-url': url(frontPort) }), front === undefined ? {} : { front });
  return [
    through('http', (p) => `http://127.0.0.1:${String(p)}`),
    through('http and a trailing slash', (p) => `http://127.0.0.1:${String(p)}/`),
    through('http and a path', (p) => `http://127.0.0.1:${String(p)}/foo`),
    through('http and a query', (p) => `http://127.0.0.1:${String(p)}/?a=b`),
    through('http and a fragment', (p) => `http://127.0.0.1:${String(p)}/#a`),
    through('scheme in capitals', (p) => `HTTP://127.0.0.1:${String(p)}`),
    through('user and password', (p) => `http://user:secret@127.0.0.1:${String(p)}`),
    through('password with a percent sign', (p) => `http://user:100%@127.0.0.1:${String(p)}`),
    through('password with an escape', (p) => `http://user:100%25@127.0.0.1:${String(p)}`),
    through('password with a slash', (p) => `http://user:a/b@127.0.0.1:${String(p)}`),
    through('password with a colon', (p) => `http://user:a:b@127.0.0.1:${String(p)}`),
    through('password with an at sign', (p) => `http://user:a@b@127.0.0.1:${String(p)}`),
    through('password beyond ASCII', (p) => `http://user:ä@127.0.0.1:${String(p)}`),
    through('password with a blank', (p) => `http://user:a b@127.0.0.1:${String(p)}`),
    through('a name', (p) => `http://localhost:${String(p)}`),
    through('a name with trailing dot', (p) => `http://localhost.:${String(p)}`),
    through('zeros in the address', (p) => `http://127.0.0.001:${String(p)}`),
    through('a short address', (p) => `http://127.1:${String(p)}`),
    through('no scheme', (p) => `127.0.0.1:${String(p)}`),
    through('no scheme, a name', (p) => `localhost:${String(p)}`),
    through('one slash', (p) => `http:/127.0.0.1:${String(p)}`),
    through('backslashes', (p) => `http:\\\\127.0.0.1:${String(p)}`),
    through('scheme ftp', (p) => `ftp://127.0.0.1:${String(p)}`),
    through('a blank before', (p) => ` http://127.0.0.1:${String(p)}`),
    through('a blank behind', (p) => `http://127.0.0.1:${String(p)} `),
    through('no host', () => 'http://'),
    through('port with letters', (p) => `http://127.0.0.1:${String(p)}x`),
    through('nothing listens', () => 'http://127.0.0.1:1', undefined),
    through('a number', () => '7'),
    through('https', (p) => `https://127.0.0.1:${String(p)}`, 'https proxy'),
    through('https, a name', (p) => `https://localhost:${String(p)}`, 'https proxy'),
    through('https to a proxy that speaks http', (p) => `https://127.0.0.1:${String(p)}`),
    through('http to a proxy that speaks https', (p) => `http://127.0.0.1:${String(p)}`, 'https proxy'),
    through('socks5', (p) => `socks5://127.0.0.1:${String(p)}`, 'socks proxy'),
    through('socks5h', (p) => `socks5h://127.0.0.1:${String(p)}`, 'socks proxy'),
    through('socks4', (p) => `socks4://127.0.0.1:${String(p)}`, 'socks proxy'),
  ];
}

function trust(): readonly Row[] {
  const kind = 'trust';
  const byHost = { served: ({ servedByHost }: Materials) => servedByHost };
  const none = { 'certificate-authority-data': undefined };
  const file = (name: string, path: (scene: Scene) => string, content: (scene: Scene) => string): Row => ({
    ...cluster(kind, name, {}),
    files: (scene) => ({
      ...cluster(kind, name, { ...none, 'certificate-authority': path(scene) }).files(scene),
      'ca.crt': content(scene),
    }),
  });
  const pem = ({ materials }: Scene): string => materials.ca.pem;
  return [
    cluster(kind, 'no CA, a server of the cluster', none),
    cluster(kind, 'no CA, a server that the host trusts', none, byHost),
    cluster(kind, 'a CA, a server that the host trusts', {}, byHost),
    cluster(kind, 'another CA', ({ materials }) => ({ 'certificate-authority-data': base64(materials.otherCa.pem) })),
    cluster(kind, 'no verification', { ...none, 'insecure-skip-tls-verify': true }),
    cluster(kind, 'no verification and a CA', { 'insecure-skip-tls-verify': true }),
    cluster(kind, 'no verification and a CA file', {
      ...none,
      'certificate-authority': 'ca.crt',
      'insecure-skip-tls-verify': true,
    }),
    file('a relative path', () => 'ca.crt', pem),
    file('a relative path with dots', () => './nowhere/../ca.crt', pem),
    file('an absolute path', ({ folder }) => `${folder}/ca.crt`, pem),
    file('a path with a home sign', () => '~/ca.crt', pem),
    file('a path with a blank behind', () => 'ca.crt ', pem),
    file('a path in a file URL', ({ folder }) => `file://${folder}/ca.crt`, pem),
    file('a path to a folder', () => '.', pem),
    file('a path to nothing', () => 'nothing.crt', pem),
    file(
      'an empty file',
      () => 'ca.crt',
      () => '',
    ),
    file(
      'a file without certificate',
      () => 'ca.crt',
      () => 'hello\n',
    ),
    file(
      'base64 in a file',
      () => 'ca.crt',
      (scene) => base64(pem(scene)),
    ),
    cluster(kind, 'a broken path beside the data', { 'certificate-authority': 'nothing.crt' }),
    cluster(kind, 'a path in the data', { 'certificate-authority-data': 'ca.crt' }),
  ];
}

function fronts(): readonly Row[] {
  const kind = 'front';
  const http = ({ port }: Scene): Fields => ({ server: `http://127.0.0.1:${String(port)}` });
  return [
    cluster(kind, 'plain http where https is said', {}, { front: 'plain http' }),
    cluster(kind, 'plain http on loopback', http, { front: 'plain http' }),
    cluster(kind, 'HTTP/2 alone', {}, { front: 'http2 only' }),
    cluster(kind, 'a redirect', {}, { front: 'redirect' }),
    cluster(kind, 'a middlebox that takes small first messages only', {}, { front: 'small hello' }),
    cluster(kind, 'no compression', { 'disable-compression': true }),
  ];
}

/** All of this file. */
export function serverRows(): readonly Row[] {
  return [...servers(), ...addresses(), ...serverNames(), ...proxies(), ...trust(), ...fronts()];
}
