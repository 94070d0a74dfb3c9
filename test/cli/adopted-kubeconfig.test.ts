/** What becomes of root's kubeconfigs when certlet takes the pair over. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { NodeFileSystem } from '../../src/adapters/file-system.ts';
import { adoptedKubeconfig, kubeletKubeconfig, kubeProxyKubeconfig } from '../../src/cli/adopted-kubeconfig.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';

const CA = createAuthority({ name: 'kubernetes' }).pem;
const OWN = '/pki/kubelet-client-current.pem';
const PATH = '/etc/kubernetes/kubelet.conf';
const kubelet = kubeletKubeconfig(PATH, '/pki');
const proxy = kubeProxyKubeconfig('/etc/kubernetes/kube-proxy.conf', '/certs');

const config = (cluster: object, pair = '/other/client.pem'): string =>
  JSON.stringify({
    clusters: [{ name: 'c', cluster: { server: 'https://192.0.2.1:6443', ...cluster } }],
    users: [{ name: 'u', user: { 'client-certificate': pair, 'client-key': pair } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  });
const data = { 'certificate-authority-data': Buffer.from(CA).toString('base64') };

const rows: readonly {
  readonly name: string;
  readonly of?: typeof kubelet;
  readonly files?: Readonly<Record<string, string>>;
  /** Undefined: nothing is written. */
  readonly written?: readonly RegExp[];
  readonly never?: RegExp;
  readonly warnings?: readonly RegExp[];
}[] = [
  {
    name: 'no file of the kubelet',
    warnings: [/kubelet\.conf is not there: certlet join --write-kubeconfig writes it$/],
  },
  {
    name: 'no file of kube-proxy',
    of: proxy,
    warnings: [/kube-proxy\.conf is not there: a copy of the kubelet's will do/],
  },
  {
    name: 'a file that the service could write',
    of: kubeletKubeconfig('/pki/kubelet.conf', '/pki'),
    files: { '/pki/kubelet.conf': config(data) },
    warnings: [/^\/pki\/kubelet\.conf lies in \/pki, which the service writes: give the kubelet another kubeconfig/],
  },
  { name: 'the pair is named already', files: { [PATH]: config(data, OWN) } },
  {
    name: 'no pair yet',
    files: { [PATH]: config(data) },
    warnings: [
      /does not name \/pki\/kubelet-client-current\.pem yet: start certlet, .* run certlet adopt --write again/,
    ],
  },
  {
    name: 'no pair yet for kube-proxy',
    of: proxy,
    files: { [proxy.path]: config(data) },
    warnings: [
      /does not name \/certs\/kube-proxy\/kube-proxy-current\.pem yet: once certlet has its certificate, and run/,
    ],
  },
  {
    name: 'a CA inside',
    files: { [PATH]: config(data), [OWN]: 'x' },
    written: [/client-certificate: \/pki\/kubelet-client-current\.pem/, /certificate-authority-data:/],
  },
  {
    name: 'a CA in a file of root: the file is named on',
    files: { [PATH]: config({ 'certificate-authority': '/etc/kubernetes/pki/ca.crt' }), [OWN]: 'x' },
    written: [/certificate-authority: \/etc\/kubernetes\/pki\/ca\.crt/],
    never: /certificate-authority-data/,
  },
  {
    name: 'a CA in a file that the service could change: what it says now is put in, though the pair is named already',
    files: { [PATH]: config({ 'certificate-authority': '/pki/ca.crt' }, OWN), [OWN]: 'x', '/pki/ca.crt': CA },
    written: [/certificate-authority-data:/],
    never: /\/pki\/ca\.crt/,
  },
  {
    name: 'no CA, another name and a proxy',
    files: {
      [PATH]: config({ 'tls-server-name': 'api.example', 'proxy-url': 'http://proxy.example:3128' }),
      [OWN]: 'x',
    },
    written: [
      /tls-server-name: api\.example/,
      /proxy-url: .*proxy\.example:3128/,
      /server: https:\/\/192\.0\.2\.1:6443/,
    ],
    never: /certificate-authority|insecure-skip-tls-verify: true/,
  },
  {
    name: 'a cluster that nobody verifies',
    files: { [PATH]: config({ 'insecure-skip-tls-verify': true }), [OWN]: 'x' },
    written: [/insecure-skip-tls-verify: true/],
  },
];
for (const { name, of = kubelet, files = {}, written, never, warnings = [] } of rows) {
  t.test(`root's kubeconfig: ${name}`, async (t) => {
    const root = t.testdir({});
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    const adopted = await adoptedKubeconfig(of, new NodeFileSystem(), root);
    const text = adopted.text?.reveal();
    t.equal(text === undefined, written === undefined);
    for (const part of written ?? []) t.match(text, part);
    if (never !== undefined) t.notMatch(text, never);
    t.equal(adopted.warnings.length, warnings.length);
    for (const [at, warning] of warnings.entries()) t.match(adopted.warnings[at], warning);
  });
}

t.test(
  "root's kubeconfig that is none is an error that names it, and nothing is told of a folder in its place",
  async (t) => {
    const root = t.testdir({ etc: { kubernetes: { 'kubelet.conf': 'a: [' } } });
    await t.rejects(adoptedKubeconfig(kubelet, new NodeFileSystem(), root), {
      code: 'ERR_KUBECONFIG_INVALID',
      message: /^\/etc\/kubernetes\/kubelet\.conf:1:\d+: /,
    });
    const folder = t.testdir({ etc: { kubernetes: { 'kubelet.conf': {} } } });
    await t.rejects(adoptedKubeconfig(kubelet, new NodeFileSystem(), folder), {
      code: 'ERR_STORE_IO',
      message: /EINVAL/,
    });
  },
);
