/** Files that settings named once and name no more: said once over restarts, told by status as long as they are there. */
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { NodeFileSystem } from '../src/adapters/file-system.ts';
import { MANAGED_FILE } from '../src/adapters/store/left-files.ts';
import { loadSettings, type Settings } from '../src/config.ts';
import { CertletError } from '../src/errors.ts';
import { LeftBehind } from '../src/left-behind.ts';
import type { CertificateSpec } from '../src/csr/spec.ts';
import { FakeLogger } from './fixtures/fakes/logger.ts';
import { exporterSpec, proxySpec } from './fixtures/specs.ts';

const SAID = 'The settings do not name these files any more; they are left';
const FAILED = 'Cannot note which files the settings name';

class Node {
  readonly folder: string;
  readonly stateDir: string;
  readonly log = new FakeLogger();
  specs: readonly CertificateSpec[];
  readonly settings: Settings;
  confirms = 0;
  confirmLock = async (): Promise<void> => {
    this.confirms += 1;
  };

  constructor(t: Test) {
    this.folder = t.testdir({ state: {} });
    this.stateDir = join(this.folder, 'state');
    const fileText = `certDir: ${this.folder}/pki\nkubeconfig: ${this.folder}/kubelet.conf`;
    this.settings = loadSettings({ flags: {}, fileText, filePath: '/etc/certlet/config.yaml', osHostname: 'n1' });
    this.specs = [{ ...proxySpec(), kubeconfig: join(this.folder, 'proxy.conf') }, exporterSpec()];
  }

  link(name: string): string {
    return join(this.folder, `${name}-current.pem`);
  }

  put(path: string): string {
    writeFileSync(path, '');
    return path;
  }

  get record(): string {
    return join(this.stateDir, MANAGED_FILE);
  }

  /** A start of the service with these settings. */
  async begin(...names: readonly string[]): Promise<LeftBehind> {
    const { log, confirmLock } = this;
    const currentPath = (name: string): string => this.link(name);
    const left = new LeftBehind({ fs: new NodeFileSystem(), log, currentPath, confirmLock });
    const specs = this.specs.filter(({ name }) => names.includes(name));
    await left.begin({ ...this.settings, stateDir: this.stateDir, specs });
    return left;
  }
}

t.test('what was left is a file of the settings by another path, and the line told to remove it', async (t) => {
  const node = new Node(t);
  const { kubeconfig } = node.settings;
  symlinkSync(node.folder, join(node.folder, 'link'));
  const [proxy, ...others] = node.specs;
  if (proxy === undefined) throw new Error('no specs');
  node.specs = [{ ...proxy, kubeconfig: join(node.folder, 'link/kubelet.conf') }, ...others];
  const link = node.put(node.link('kube-proxy'));
  node.put(kubeconfig);
  await node.begin('kube-proxy');
  const left = await node.begin();
  t.strictSame(left.files, [{ name: 'kube-proxy', files: [link] }]);
  t.match(node.log.of(SAID), [{ fields: { files: [link] } }]);
  t.notMatch(JSON.stringify(node.log.of(SAID)), 'kubelet.conf');
});

t.test('a dropped entry: its files are named once, also over restarts, and counted until they are gone', async (t) => {
  const node = new Node(t);
  const [link, conf] = [node.put(node.link('kube-proxy')), node.put(join(node.folder, 'proxy.conf'))];
  t.strictSame((await node.begin('kube-proxy', 'exporter')).files, []);
  t.strictSame(node.log.events, [], 'nothing was there before');

  t.strictSame((await node.begin('exporter')).files, [{ name: 'kube-proxy', files: [link, conf] }]);
  t.strictSame(node.log.events, [SAID]);
  t.match(node.log.entries[0], {
    level: 'info',
    fields: {
      purpose: 'kube-proxy',
      files: [link, conf],
      remedy: /^rm .*\*\.pem .* {3}# when nobody reads them any more$/,
    },
  });

  const confirms = node.confirms;
  const left = await node.begin('exporter');
  t.strictSame(node.log.events, [SAID], 'said once');
  t.equal(node.confirms, confirms, 'what has not changed is not written again');

  rmSync(link);
  left.refresh();
  left.refresh();
  while (left.files[0]?.files.length !== 1) await new Promise(setImmediate);
  t.strictSame(left.files, [{ name: 'kube-proxy', files: [conf] }]);
  rmSync(conf);
  left.refresh();
  while (left.files.length > 0) await new Promise(setImmediate);
  left.refresh();
  t.strictSame(left.files, [], 'and nothing is looked at any more');
  await node.begin('exporter');
  t.strictSame((JSON.parse(readFileSync(node.record, 'utf8')) as { left: unknown }).left, []);
});

t.test('a dropped entry whose files somebody removed before is not news', async (t) => {
  const node = new Node(t);
  await node.begin('kube-proxy');
  t.strictSame((await node.begin()).files, []);
  t.strictSame(node.log.events, []);
});

for (const [name, text] of [
  ['no JSON', '{"managed": ['],
  ['nothing', ''],
  ['a number', '7'],
  ['null', 'null'],
  ['lists of something else', '{"managed": [null, 3, {"name": 1, "files": []}, {"name": "x"}], "left": {"a": 1}}'],
  ['files that are no texts', '{"managed": [{"name": "x", "files": [null, 4, {}]}]}'],
] as const) {
  t.test(`a record that is ${name} counts as none and is written anew`, async (t) => {
    const node = new Node(t);
    writeFileSync(node.record, text);
    t.strictSame((await node.begin('exporter')).files, []);
    t.strictSame(node.log.events, []);
    t.match(JSON.parse(readFileSync(node.record, 'utf8')), {
      version: 1,
      managed: [{ name: 'exporter', files: [node.link('exporter')] }],
      left: [],
    });
  });
}

const failures: readonly {
  readonly name: string;
  readonly given: (node: Node) => void;
  readonly fields: object;
}[] = [
  {
    name: "the lock is another one's by now",
    given: (node) => {
      node.confirmLock = async () => {
        throw new CertletError('ERR_STORE_DETACHED', 'lock /pki/.certlet.lock');
      };
    },
    fields: { code: 'ERR_STORE_DETACHED', error: 'lock /pki/.certlet.lock' },
  },
  {
    name: 'a folder lies at its place',
    given: (node) => mkdirSync(node.record),
    fields: { code: 'ERR_STORE_IO', error: /certificates\.json/ },
  },
  {
    name: 'the state folder is a file',
    given: (node) => {
      rmSync(node.stateDir, { recursive: true });
      node.put(node.stateDir);
    },
    fields: { code: 'ERR_STORE_IO', error: /ENOTDIR/ },
  },
];
for (const { name, given, fields } of failures) {
  t.test(`the record cannot be kept: ${name}; that is a warning, and the service goes on`, async (t) => {
    const node = new Node(t);
    given(node);
    await node.begin('exporter');
    t.match(node.log.entries, [{ level: 'warn', event: FAILED, fields }]);
  });
}
