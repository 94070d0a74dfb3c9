/** What another user of the host plants for the files and kubeconfigs of `certificates`, and folders whose group they could choose. */
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { CertletHost, type Ended } from '../fixtures/certlet-host.ts';
import { type FakeCluster, startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { asOther, NO_OTHER_USER, openFolder } from './fixtures/other-user.ts';

const skip = NO_OTHER_USER ?? false;
const GROUP = 54_321;
const NOBODY = 65_534;
const PROXY_SIGNER = 'kubernetes.io/kube-apiserver-client';
const OWN_SIGNER = 'example.com/monitoring';

interface Site {
  readonly cluster: FakeCluster;
  readonly host: CertletHost;
  /** Holds `certs/exporter` and `certs/kube-proxy`, and `conf` for the kubeconfig. */
  readonly path: string;
  readonly keyFile: string;
}

/** Folders as root made them: the exporter's for a group. `plain`: where its two files go, in that folder unless told. */
async function siteOf(t: Test, plain?: string): Promise<Site> {
  const cluster = await startFakeCluster({ approveServing: true, sign: ({ issue }) => issue().chainPem });
  t.teardown(() => cluster.close());
  const path = openFolder(t);
  for (const name of ['certs', 'certs/exporter', 'certs/kube-proxy', 'conf']) mkdirSync(join(path, name));
  const folder = join(path, 'certs/exporter');
  forGroup(folder);
  const keyFile = join(plain ?? folder, 'tls.key');
  const client = { commonName: 'system:kube-proxy', organizations: ['system:node-proxier'], usages: ['client auth'] };
  const host = new CertletHost(t, cluster, {
    certDir: join(openFolder(t), 'pki'),
    certificatesDir: join(path, 'certs'),
    certificates: [
      { name: 'kube-proxy', signerName: PROXY_SIGNER, ...client, kubeconfig: join(path, 'conf/kube-proxy.conf') },
      {
        name: 'exporter',
        signerName: OWN_SIGNER,
        commonName: '{nodeName}',
        names: 'node',
        usages: ['server auth'],
        certFile: join(dirname(keyFile), 'tls.crt'),
        keyFile,
        groupReadable: true,
      },
    ],
  });
  return { cluster, host, path, keyFile };
}

function forGroup(folder: string, mode = 0o2750): void {
  chownSync(folder, 0, GROUP);
  chmodSync(folder, mode);
}

/** Runs it to its end, both requests approved by a person. */
async function once({ cluster, host }: Site, timeout = '40s'): Promise<Ended> {
  const ended = host.run(['once', '--timeout', timeout]);
  for (const signer of [PROXY_SIGNER, OWN_SIGNER]) {
    const found = (): string | undefined => cluster.csrs.find(({ signerName }) => signerName === signer)?.name;
    await Promise.race([cluster.until(() => found() !== undefined), ended]);
    const name = found();
    if (name !== undefined) cluster.approve(name);
  }
  return await ended;
}

/** Places that another user may fill where the folder is sticky. */
const PLANTS = [
  'certs/exporter/exporter-current.pem',
  'certs/exporter/exporter-2020-01-01-00-00-00.pem',
  'certs/exporter/tls.key',
  'certs/exporter/tls.crt',
  'certs/exporter/.tls.key.fedcba9876543210.certlet-tmp',
  'certs/kube-proxy/kube-proxy-current.pem',
  'certs/kube-proxy/.kube-proxy-current.pem.fedcba9876543210.certlet-tmp',
  'conf/kube-proxy.conf',
  'conf/.kube-proxy.conf.fedcba9876543210.certlet-tmp',
];

for (const plant of ['links', 'links to nothing', 'files'] as const) {
  t.test(`certificates: ${plant} of another user where pairs and kubeconfigs go lead nowhere`, { skip }, async (t) => {
    const site = await siteOf(t);
    for (const name of ['certs/kube-proxy', 'conf']) chmodSync(join(site.path, name), 0o1777);
    forGroup(join(site.path, 'certs/exporter'), 0o3777);
    const victims = openFolder(t, 0o777);
    const victim = (at: string): string => join(victims, at.replaceAll('/', '-'));
    for (const at of PLANTS) {
      const path = join(site.path, at);
      if (plant === 'files') asOther(`echo planted > ${path}; chmod 666 ${path}`);
      else asOther(`ln -s ${victim(at)} ${path}`);
      if (plant !== 'links') continue;
      writeFileSync(victim(at), 'untouched');
      chmodSync(victim(at), 0o666);
    }
    const { code, stderr } = await once(site);
    t.equal(code, 0, stderr);
    if (plant === 'links') for (const at of PLANTS) t.equal(readFileSync(victim(at), 'utf8'), 'untouched', at);
    else t.strictSame(readdirSync(victims), [], 'nothing is made behind them');
    const key = lstatSync(site.keyFile);
    t.strictSame(
      [key.uid, key.gid, key.mode],
      [process.geteuid?.(), GROUP, 0o100640],
      'the key is for the group alone',
    );
    const kubeconfig = lstatSync(join(site.path, 'conf/kube-proxy.conf'));
    t.strictSame([kubeconfig.uid, kubeconfig.mode], [process.geteuid?.(), 0o100600]);
  });
}

const refusals: Readonly<Record<string, (site: Site) => void>> = {
  'the folder of a certificate that everybody may write': ({ path }) => forGroup(join(path, 'certs/exporter'), 0o2777),
  'the folder of a certificate of another user': ({ path }) => {
    chownSync(join(path, 'certs/exporter'), NOBODY, NOBODY);
    chmodSync(join(path, 'certs/exporter'), 0o2750);
  },
  'a folder of certificates that can be swapped': ({ path }) => chmodSync(join(path, 'certs'), 0o777),
};
for (const [name, prepare] of Object.entries(refusals)) {
  t.test(`certificates: no key goes into ${name}`, { skip }, async (t) => {
    const site = await siteOf(t);
    prepare(site);
    const { code, stderr } = await once(site, '8s');
    t.not(code, 0);
    t.match(stderr, /ERR_STORE_UNSAFE/);
    t.match(stderr, /chown|chmod/, 'names the command');
    t.strictSame(readdirSync(join(site.path, 'certs/exporter')), [], 'nothing is written there');
  });
}

for (const swapped of ['of another user', 'that everybody may write', 'below one that can be swapped'] as const) {
  t.test(`a key for a group went into a folder ${swapped}, whose group they chose`, { skip }, async (t) => {
    const above = openFolder(t);
    const folder = join(above, 'app');
    mkdirSync(folder);
    forGroup(folder);
    const site = await siteOf(t, folder);
    if (swapped === 'of another user') chownSync(folder, NOBODY, NOBODY);
    chmodSync(folder, swapped === 'that everybody may write' ? 0o2777 : 0o2750);
    if (swapped === 'below one that can be swapped') chmodSync(above, 0o777);
    const { stderr } = await once(site, '30s');
    t.notOk(existsSync(site.keyFile), stderr);
    t.match(stderr, /not safe for keys/);
    t.equal(statSync(join(site.path, 'certs/exporter')).gid, GROUP);
  });
}
