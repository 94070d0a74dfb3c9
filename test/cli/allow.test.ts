/** What root allows: folders for the sandbox, units for a reload. On a tree of files that stands for the host. */
import { existsSync, lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import type { FileFacts } from '../../src/adapters/file-system.ts';
import { NodeFileSystem } from '../../src/adapters/file-system.ts';
import { HostFiles } from '../../src/adapters/host-files.ts';
import { type AllowPorts, type AllowRequest, changeAllowances, listAllowances } from '../../src/cli/allow.ts';
import { allowanceAnswer, allowanceText, allowedText } from '../../src/cli/allow-report.ts';
import type { AllowArguments } from '../../src/cli/command.ts';
import { parseCommandLine } from '../../src/cli/command-line.ts';
import { type BelievedPath, folderRefusal, type FolderQuestion, type OwnedPath } from '../../src/cli/folder-refusal.ts';
import type { CertletError } from '../../src/errors.ts';
import { parseEnvironmentFile } from '../../src/kubelet/environment-file.ts';
import { parseReloadChoice, readReloadFile, reloadFile } from '../../src/kubelet/reload-file.ts';
import { allowedDropIns, allowedIn, mayWrite } from '../../src/kubelet/sandbox-drop-in.ts';
import { mergeSandbox } from '../../src/kubelet/unit-file.ts';

const UNIT = readFileSync(join(import.meta.dirname, '../../systemd/certlet.service'), 'utf8');
const BY_ROOT = readFileSync(
  join(import.meta.dirname, '../../systemd/drop-ins/certlet.service.d/10-kubeconfig-by-root.conf'),
  'utf8',
);
const DROP_IN = '/etc/systemd/system/certlet.service.d/zz-allowed-folders.conf';
const ONCE_DROP_IN = '/etc/systemd/system/certlet-once.service.d/zz-allowed-folders.conf';
const RELOAD = '/etc/certlet/reload/kube-proxy.env';

class Host {
  readonly root: string;
  readonly files: HostFiles;
  readonly #ports: AllowPorts;

  constructor(t: Test, tree: Readonly<Record<string, string>> = {}, believed: readonly BelievedPath[] = []) {
    this.root = t.testdir({});
    for (const [path, text] of Object.entries({
      '/usr/lib/systemd/system/certlet.service': UNIT,
      '/usr/lib/systemd/system/certlet-once.service': UNIT,
      '/usr/lib/systemd/system/kube-proxy.service': '[Service]\nExecStart=/usr/bin/kube-proxy\n',
      ...tree,
    }))
      this.put(path, text);
    this.files = rootsOwn(new HostFiles(this.root));
    this.#ports = { fs: new NodeFileSystem(), files: this.files, root: this.root, believed: async () => believed };
  }

  put(path: string, text: string): void {
    mkdirSync(dirname(join(this.root, path)), { recursive: true });
    writeFileSync(join(this.root, path), text);
  }

  read(path: string): string | undefined {
    return existsSync(join(this.root, path)) ? readFileSync(join(this.root, path), 'utf8') : undefined;
  }

  async allow(request: Partial<AllowRequest>): Promise<string> {
    const asked = { folder: undefined, reloads: [], removedReloads: [], remove: false, ...request };
    return allowedText(await changeAllowances(asked, this.#ports));
  }

  async refusal(request: Partial<AllowRequest>): Promise<CertletError> {
    return this.allow(request).then(
      (text) => {
        throw new Error(`allowed: ${text}`);
      },
      (error: unknown) => error as CertletError,
    );
  }

  async sandbox() {
    return mergeSandbox(await this.files.readUnit('certlet.service', []));
  }
}

/** The test's user stands for root, and the umask of whoever runs it for root's. */
function rootsOwn(files: HostFiles): HostFiles {
  const facts = files.facts.bind(files);
  files.facts = async (path): Promise<FileFacts | undefined> => {
    const found = await facts(path);
    return found && { ...found, uid: 0, mode: found.mode & 0o7755 };
  };
  return files;
}

t.test('a folder is opened for both units, once, and closed again', async (t) => {
  const host = new Host(t);
  const first = await host.allow({ folder: '/srv/certlet/pki' });
  t.equal(
    first,
    '/srv/certlet/pki: made\n/srv/certlet/pki: open to certlet.service and certlet-once.service\nnext:\n  systemctl daemon-reload\n  systemctl restart certlet\n',
  );
  t.ok(lstatSync(join(host.root, '/srv/certlet/pki')).isDirectory());
  t.match(host.read(DROP_IN), /^# Written by "certlet allow".*\n\[Service\]\nReadWritePaths=-\/srv\/certlet\/pki\n$/);
  t.equal(host.read(ONCE_DROP_IN), host.read(DROP_IN));
  t.equal(
    await host.allow({ folder: '/srv/certlet/pki' }),
    `/srv/certlet/pki: open already (/srv/certlet/pki in ${DROP_IN})\n`,
  );
  t.match(await host.allow({ folder: '/srv/certlet/pki/below' }), 'open already (/srv/certlet/pki in');
  await host.allow({ folder: '/srv/a' });
  t.match(host.read(DROP_IN), /ReadWritePaths=-\/srv\/a\nReadWritePaths=-\/srv\/certlet\/pki\n$/);
  t.match(await host.allow({ folder: '/srv/a', remove: true }), 'not open any more; what lies in it stays');
  await host.allow({ folder: '/srv/certlet/pki', remove: true });
  t.equal(host.read(DROP_IN), undefined, 'the last one takes the file with it');
  t.equal(host.read(ONCE_DROP_IN), undefined);
  t.match(await host.refusal({ folder: '/srv/a', remove: true }), {
    code: 'ERR_USAGE',
    message: /it has allowed no folder$/,
  });
});

t.test('folders of the unit are open already, and closed ones stay closed', async (t) => {
  const host = new Host(t);
  for (const folder of ['/etc/kubernetes', '/etc/kubernetes/node', '/var/lib/kubelet/pki', '/var/lib/certlet/certs/a'])
    t.match(await host.allow({ folder }), `${folder}: open already`, folder);
  for (const folder of ['/etc/kubernetes/pki', '/etc/kubernetes/manifests/x', '/var/lib/kubelet/pods'])
    t.match(await host.refusal({ folder }), { code: 'ERR_USAGE', message: /closed/ }, folder);
  t.equal(host.read(DROP_IN), undefined);
});

t.test('a folder allowed before the list is emptied by another drop-in is open after it', async (t) => {
  const host = new Host(t, { '/etc/systemd/system/certlet.service.d/own-user.conf': BY_ROOT });
  await host.allow({ folder: '/srv/certlet' });
  t.ok(mayWrite(await host.sandbox(), '/srv/certlet/x'));
  t.notOk(mayWrite(await host.sandbox(), '/etc/kubernetes'));
  t.notOk(mayWrite(await host.sandbox(), '/srv'));
});

t.test('a user of its own gets the folder', async (t) => {
  const host = new Host(t, {
    '/etc/systemd/system/certlet.service.d/own-user.conf': '[Service]\nUser=certlet\n',
    '/etc/passwd': 'root:x:0:0::/:/bin/sh\ncertlet:x:991:991::/:/bin/sh\n',
  });
  t.match(
    await host.allow({ folder: '/srv/certlet' }),
    'next:\n  chown certlet /srv/certlet\n  systemctl daemon-reload\n',
  );
});

t.test('a link is not opened: its target is named', async (t) => {
  const host = new Host(t);
  mkdirSync(join(host.root, 'srv/real'), { recursive: true });
  symlinkSync('real', join(host.root, 'srv/link'));
  t.match(await host.refusal({ folder: '/srv/link/pki' }), {
    code: 'ERR_USAGE',
    message: /^\/srv\/link\/pki cannot be opened to the service: a link leads from it to \/srv\/real\/pki/,
    remedy: 'certlet allow /srv/real/pki',
  });
  t.equal(host.read(DROP_IN), undefined);
});

for (const folder of [
  '/srv/with space',
  '/srv/é',
  '/srv/100%n',
  `/srv/it's "quoted"`,
  String.raw`/srv/back\slash`,
  '/srv/$HOME',
]) {
  t.test(`a unit file says ${folder} as it is`, async (t) => {
    const [file] = allowedDropIns([folder]);
    t.strictSame(allowedIn(file?.text ?? '', file?.path ?? ''), [folder]);
  });
}

const folderOf = (path: string, facts: Partial<OwnedPath> = {}): OwnedPath => ({
  path,
  kind: 'folder',
  uid: 0,
  mode: 0o755,
  ...facts,
});
const QUESTION: FolderQuestion = {
  folder: '/srv/a/b',
  real: '/srv/a/b',
  way: [folderOf('/'), folderOf('/srv'), folderOf('/srv/a'), folderOf('/srv/a/b')],
  serviceUid: 0,
  believed: [],
  closed: [],
};
const wayWith = (index: number, facts: Partial<OwnedPath>): readonly OwnedPath[] =>
  QUESTION.way.map((each, at) => (at === index ? { ...each, ...facts } : each));

for (const [name, change, why, remedy] of [
  ['nothing speaks against it', {}, undefined, undefined],
  [
    'a parent is not root’s',
    { way: wayWith(2, { uid: 7 }) },
    /^\/srv\/a above it belongs to user 7/,
    'chown root /srv/a',
  ],
  [
    'a parent is the service’s',
    { way: wayWith(2, { uid: 7 }), serviceUid: 7 },
    /above it belongs/,
    'chown root /srv/a',
  ],
  ['it belongs to another user', { way: wayWith(3, { uid: 7 }) }, /^it belongs to user 7/, 'chown root /srv/a/b'],
  ['it belongs to the service', { way: wayWith(3, { uid: 7 }), serviceUid: 7 }, undefined, undefined],
  [
    'a group may write above',
    { way: wayWith(1, { mode: 0o775 }) },
    /^\/srv above it .* \(mode 0775\)$/,
    'chmod go-w /srv',
  ],
  ['a sticky folder above', { way: wayWith(1, { mode: 0o1777 }) }, undefined, undefined],
  [
    'everybody may write it',
    { way: wayWith(3, { mode: 0o1777 }) },
    /^it can be written by others/,
    'chmod go-w /srv/a/b',
  ],
  ['a setgid folder that its group reads', { way: wayWith(3, { mode: 0o2750 }) }, undefined, undefined],
  ['it is a file', { way: wayWith(3, { kind: 'file' }) }, /^it is no folder$/, undefined],
  [
    'the kubelet reads a file in it',
    { believed: [{ path: '/srv/a/b/kubelet.yaml', what: 'x' }] },
    /kubelet\.yaml is x/,
    /folder of its own/,
  ],
  [
    'static pods lie above it',
    { believed: [{ path: '/srv/a', what: 'static pods' }] },
    /^\/srv\/a is static pods/,
    /folder of its own/,
  ],
  ['the unit closes it again', { closed: ['/srv/a'] }, /keep \/srv\/a closed/, /folder of its own/],
  ['a home folder', { folder: '/home/a/b', real: '/home/a/b' }, /does not see/, /folder of its own/],
  [
    'root’s hooks',
    { folder: '/etc/certlet/hooks', real: '/etc/certlet/hooks' },
    /not certlet's alone/,
    /folder of its own/,
  ],
  [
    'units',
    { folder: '/etc/systemd/system/x.d', real: '/etc/systemd/system/x.d' },
    /not certlet's alone/,
    /folder of its own/,
  ],
  ['cron', { folder: '/etc/cron.d', real: '/etc/cron.d' }, /not certlet's alone/, /folder of its own/],
  [
    'crontabs',
    { folder: '/var/spool/cron/crontabs', real: '/var/spool/cron/crontabs' },
    /not certlet's alone/,
    /folder of its own/,
  ],
  ['CNI programs', { folder: '/opt/cni/bin', real: '/opt/cni/bin' }, /not certlet's alone/, /folder of its own/],
  [
    'settings of a distribution',
    { folder: '/etc/rancher/k3s', real: '/etc/rancher/k3s' },
    /not certlet's alone/,
    /folder of its own/,
  ],
] as const) {
  t.test(`a folder to open: ${name}`, async (t) => {
    const refusal = folderRefusal({ ...QUESTION, ...change });
    if (why === undefined) t.equal(refusal, undefined);
    else t.match(refusal, { why, ...(remedy === undefined ? {} : { remedy }) });
  });
}

t.test('a unit to reload: written, told again, taken back', async (t) => {
  const host = new Host(t);
  const choice = { name: 'kube-proxy', unit: 'kube-proxy.service', action: 'try-restart' } as const;
  t.match(
    await host.allow({ reloads: [choice] }),
    /try-restart kube-proxy\.service when .*\nnext:\n {2}systemctl enable --now certlet-reload@kube-proxy\.path\n$/,
  );
  t.equal(host.read(RELOAD), '# Written by "certlet allow --reload".\nUNIT=kube-proxy.service\nACTION=try-restart\n');
  host.put('/etc/systemd/system/multi-user.target.wants/certlet-reload@kube-proxy.path', '');
  t.match(await host.allow({ reloads: [choice] }), /\(as before\)\n$/, 'enabled already: nothing is left to do');
  const list = await listAllowances(host.files);
  t.match(
    allowanceText(list),
    /units that a renewed certificate reloads:\n {2}kube-proxy {2}try-restart kube-proxy\.service\n$/,
  );
  t.match(allowanceText(list), /\n {2}\/var\/lib\/kubelet\/pki +\/usr\/lib\/systemd\/system\/certlet\.service/);
  t.match(allowanceAnswer(list), {
    folders: [
      { path: '/var/lib/kubelet/pki', unit: 'certlet.service', file: '/usr/lib/systemd/system/certlet.service' },
    ],
    reloads: [{ name: 'kube-proxy', unit: 'kube-proxy.service', action: 'try-restart' }],
  });
  t.match(
    await host.allow({ removedReloads: ['kube-proxy'], remove: true }),
    'systemctl disable --now certlet-reload@kube-proxy.path',
  );
  t.equal(host.read(RELOAD), undefined);
  t.match(await host.refusal({ removedReloads: ['kube-proxy'], remove: true }), {
    code: 'ERR_USAGE',
    message: /there is no/,
  });
});

t.test(
  'a unit that is not there, and one that cannot be reloaded, are refused before anything is written',
  async (t) => {
    const host = new Host(t, {
      '/run/systemd/generator/made.service': '',
      '/usr/lib/systemd/system/many@.service': '[Service]\nExecReload=true\n',
      '/usr/lib/systemd/system/new.service': '[Service]\nType=notify-reload\n',
    });
    const reload = (name: string, unit: string) => ({ reloads: [{ name, unit, action: 'reload' as const }] });
    t.match(await host.refusal({ folder: '/srv/x', ...reload('a', 'kube-prxy.service') }), {
      message: /no unit kube-prxy\.service/,
    });
    t.match(await host.refusal(reload('a', 'kube-proxy.service')), {
      message: /no ExecReload=/,
      remedy: 'certlet allow --reload a=kube-proxy.service:try-restart',
    });
    t.notOk(existsSync(join(host.root, 'srv/x')), 'nothing was made');
    for (const unit of ['made.service', 'many@one.service', 'new.service'])
      t.match(await host.allow(reload('b', unit)), unit);
  },
);

for (const [text, expected] of [
  ['kube-proxy=kube-proxy', { name: 'kube-proxy', unit: 'kube-proxy.service', action: 'try-reload-or-restart' }],
  ['a=b.service:reload', { name: 'a', unit: 'b.service', action: 'reload' }],
  ['a=b@c.service:try-restart', { name: 'a', unit: 'b@c.service', action: 'try-restart' }],
  [String.raw`a=b\x2dc.service`, { name: 'a', unit: String.raw`b\x2dc.service`, action: 'try-reload-or-restart' }],
  ['a=b.service:restart', /expected one of reload, try-restart, try-reload-or-restart after the unit, got "restart"/],
  ['a', /expected NAME=UNIT/],
  ['a=', /expected NAME=UNIT/],
  ['../a=b', /expected a name of letters/],
  ['a=b.socket', /expected the name of a service/],
  ['a=b c', /expected the name of a service/],
  ['a=certlet', /certlet's own/],
  ['a=certlet-once.service', /certlet's own/],
] as const) {
  t.test(`--reload ${text}`, async (t) => {
    const choice = parseReloadChoice(text);
    if (expected instanceof RegExp) {
      t.match(choice, expected);
      return;
    }
    t.strictSame(choice, expected);
    const file = reloadFile(expected);
    t.equal(parseEnvironmentFile(file.text).get('UNIT'), expected.unit, 'systemd reads it back');
    t.strictSame(readReloadFile(expected.name, file.text), expected);
  });
}

t.test('a file that root wrote by hand', async (t) => {
  t.match(readReloadFile('a', 'UNIT=b\n'), { unit: 'b.service', action: 'try-reload-or-restart' });
  t.equal(readReloadFile('a', 'ACTION=reload\n'), 'UNIT= is missing');
  t.match(readReloadFile('a', 'UNIT=b.service\nACTION=start\n'), /^ACTION=start: expected one of/);
});

for (const [line, expected] of [
  ['allow', { folder: undefined, reloads: [], removedReloads: [], remove: false }],
  ['allow /srv/a/../b/', { folder: '/srv/b' }],
  ['allow --remove --reload a --reload b=c', { remove: true, removedReloads: ['a', 'b'], reloads: [] }],
  ['allow --reload a=b,c=d:reload', { reloads: [{ name: 'a' }, { name: 'c', action: 'reload' }] }],
  ['allow srv/a', /^DIR: expected an absolute path, got "srv\/a"$/],
  ['allow /srv/a\nb', /^DIR: expected an absolute path/],
  ['allow --remove', /^--remove: say what/],
  ['allow --reload a', /^--reload: expected NAME=UNIT/],
] as const) {
  t.test(`certlet ${JSON.stringify(line)}`, async (t) => {
    const parsed = await parseCommandLine(line.split(' '));
    if (expected instanceof RegExp) t.match(parsed, { kind: 'wrong', problems: [expected] });
    else t.match((parsed as { readonly command: AllowArguments }).command, expected);
  });
}
