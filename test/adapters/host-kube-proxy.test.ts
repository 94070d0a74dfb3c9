/** The kube-proxy of a host, by its units and processes, whole and broken. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { readHostKubeProxy } from '../../src/adapters/host-kube-proxy.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';

type Tree = Readonly<Record<string, string>>;

function hostOf(t: Test, tree: Tree): string {
  const root = t.testdir();
  for (const [path, text] of Object.entries(tree)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

const UNITS = '/etc/systemd/system';
const authority = createAuthority({ name: 'kubernetes' });
const { chainPem } = authority.issue({ commonName: 'system:kube-proxy' });
const PROXY = `${UNITS}/kube-proxy.service`;
const KUBECONFIG = '/etc/kube-proxy.kubeconfig';
const unit = (command: string): string => `[Service]\nExecStart=${command}\n`;
const kubeconfig = (user: Readonly<Record<string, string>>): string =>
  JSON.stringify({
    users: [{ name: 'p', user }],
    contexts: [{ name: 'x', context: { user: 'p' } }],
    'current-context': 'x',
  });
const embedded = kubeconfig({ 'client-certificate-data': Buffer.from(chainPem).toString('base64') });
const plainUnit = { [PROXY]: unit(`/usr/bin/kube-proxy --kubeconfig=${KUBECONFIG}`) };

function running(
  pid: number,
  argv: readonly string[],
  cgroup = '0::/system.slice/kube-proxy.service',
  uid = '0',
): Tree {
  return {
    [`/proc/${String(pid)}/cmdline`]: argv.map((word) => `${word}\0`).join(''),
    [`/proc/${String(pid)}/cgroup`]: `${cgroup}\n`,
    [`/proc/${String(pid)}/status`]: `Name:\tkube-proxy\nUid:\t${uid}\t${uid}\t${uid}\t${uid}\n`,
  };
}

const CONFIG = '/etc/kube-proxy.yaml';
const configured = { [PROXY]: unit(`/usr/bin/kube-proxy --config=${CONFIG} --kubeconfig=/other`) };
const SHELL = { [PROXY]: unit('/bin/sh -c "exec kube-proxy $OPTS"') };
const ARGV = ['/usr/bin/kube-proxy', `--kubeconfig=${KUBECONFIG}`];

for (const row of [
  { name: 'none', tree: {}, facts: undefined },
  { name: 'one in a container', tree: running(7, ARGV, '0::/kubepods/burstable/x'), facts: undefined },
  { name: 'one of another user', tree: running(7, ARGV, undefined, '1000'), facts: undefined },
  { name: 'other programs', tree: running(7, ['/usr/bin/kube-proxy-x']), facts: undefined },
  { name: 'a process that has just ended', tree: running(7, []), facts: undefined },
  {
    name: 'a unit that does not run',
    tree: { ...plainUnit, [KUBECONFIG]: embedded },
    facts: {
      unit: 'kube-proxy.service',
      pid: undefined,
      kubeconfig: KUBECONFIG,
      commonName: 'system:kube-proxy',
      sources: [PROXY],
    },
  },
  {
    name: 'a process without a unit’s file',
    tree: { ...running(7, ARGV, '0::/init.scope'), [KUBECONFIG]: embedded },
    facts: { unit: undefined, pid: 7, kubeconfig: KUBECONFIG, commonName: 'system:kube-proxy', sources: [] },
  },
  {
    name: 'a process of hyperkube in a unit of another name',
    tree: {
      ...running(7, ['/hyperkube', 'proxy', '--kubeconfig=/seen'], '0::/system.slice/kp.service'),
      [`${UNITS}/kp.service`]: unit('/hyperkube proxy --kubeconfig=/named'),
    },
    facts: { unit: 'kp.service', pid: 7, kubeconfig: '/named', sources: [`${UNITS}/kp.service`] },
  },
  {
    name: 'a shell’s words, and what runs of them',
    tree: { ...SHELL, ...running(7, ARGV) },
    facts: { unit: 'kube-proxy.service', pid: 7, kubeconfig: KUBECONFIG },
  },
  {
    name: 'a shell’s words that do not run',
    tree: SHELL,
    facts: { unit: 'kube-proxy.service', pid: undefined, kubeconfig: undefined, commonName: undefined },
  },
  {
    name: 'a configuration, which goes before flags',
    tree: { ...configured, [CONFIG]: `clientConnection: {kubeconfig: ${KUBECONFIG}}`, [KUBECONFIG]: embedded },
    facts: { kubeconfig: KUBECONFIG, commonName: 'system:kube-proxy', sources: [PROXY, CONFIG], warnings: [] },
  },
  {
    name: 'a configuration that is not there',
    tree: configured,
    facts: {
      kubeconfig: undefined,
      sources: [PROXY, CONFIG],
      warnings: [`kube-proxy: its configuration ${CONFIG} could not be read`],
    },
  },
  {
    name: 'a configuration by a path that depends on where it was started',
    tree: { [PROXY]: unit('/usr/bin/kube-proxy --config=kube-proxy.yaml'), '/kube-proxy.yaml': 'x: 1' },
    facts: {
      sources: [PROXY, 'kube-proxy.yaml'],
      warnings: ['kube-proxy: its configuration kube-proxy.yaml could not be read'],
    },
  },
  {
    name: 'a configuration that is no YAML',
    tree: { ...configured, [CONFIG]: 'a: [' },
    facts: { kubeconfig: undefined, warnings: [/^kube-proxy: \/etc\/kube-proxy\.yaml/] },
  },
  {
    name: 'a kubeconfig by a relative path',
    tree: { [PROXY]: unit('/usr/bin/kube-proxy --kubeconfig=kp.kubeconfig'), '/kp.kubeconfig': embedded },
    facts: { kubeconfig: 'kp.kubeconfig', commonName: undefined },
  },
  { name: 'a kubeconfig that is not there', tree: plainUnit, facts: { kubeconfig: KUBECONFIG, commonName: undefined } },
  {
    name: 'a kubeconfig that is no YAML',
    tree: { ...plainUnit, [KUBECONFIG]: 'a: [' },
    facts: { kubeconfig: KUBECONFIG, commonName: undefined },
  },
  {
    name: 'a kubeconfig without a user',
    tree: { ...plainUnit, [KUBECONFIG]: '{}' },
    facts: { kubeconfig: KUBECONFIG, commonName: undefined },
  },
  {
    name: 'a kubeconfig with a token',
    tree: { ...plainUnit, [KUBECONFIG]: kubeconfig({ token: 'x' }) },
    facts: { kubeconfig: KUBECONFIG, commonName: undefined },
  },
  {
    name: 'a kubeconfig with a certificate’s file',
    tree: { ...plainUnit, [KUBECONFIG]: kubeconfig({ 'client-certificate': '/kp.pem' }), '/kp.pem': chainPem },
    facts: { commonName: 'system:kube-proxy' },
  },
  {
    name: 'a kubeconfig with a certificate’s file that is not there',
    tree: { ...plainUnit, [KUBECONFIG]: kubeconfig({ 'client-certificate': '/kp.pem' }) },
    facts: { commonName: undefined },
  },
  {
    name: 'a kubeconfig with a certificate that is none',
    tree: { ...plainUnit, [KUBECONFIG]: kubeconfig({ 'client-certificate': '/kp.pem' }), '/kp.pem': 'x' },
    facts: { commonName: undefined },
  },
]) {
  t.test(`the kube-proxy of a host with ${row.name}`, async (t) => {
    const found = await readHostKubeProxy(hostOf(t, row.tree as Tree));
    if (row.facts === undefined) t.equal(found, undefined);
    else t.match(found, row.facts);
  });
}
