import { spawn, spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { kubeletSpecs } from '../fixtures/specs.ts';
import { NodeFileSystem } from '../../src/adapters/file-system.ts';
import { acquireLock } from '../../src/adapters/lock.ts';
import { PUBLISHER_LOCK } from '../../src/adapters/status-file.ts';
import { removeEmptyFolder, removeFiles } from '../../src/adapters/made-files.ts';
import { FileCertificateStore } from '../../src/adapters/store/file-certificate-store.ts';
import { type ResetAnswer, resetNode } from '../../src/cli/reset.ts';
import { encodeNodeKubeconfig } from '../../src/kubeconfig/client-config.ts';
import { parsePair } from '../../src/pki/certificate.ts';
import { Secret } from '../../src/secret.ts';
import { createAuthority } from '../fixtures/cluster/authority.ts';
import { certletCommand, quoted } from '../fixtures/program.ts';

const authority = createAuthority({ name: 'kubernetes' });
const NOW = new Date('2030-01-01T00:00:00Z');

function pairPem(node = 'n1'): string {
  const { chainPem, keyPem } = authority.issue({ commonName: `system:node:${node}`, organizations: ['system:nodes'] });
  return chainPem + keyPem;
}

interface Host {
  readonly root: string;
  readonly certDir: string;
  readonly stateDir: string;
  readonly kubeconfig: string;
  readonly bootstrapKubeconfig: string;
  readonly plain: { readonly certFile: string; readonly keyFile: string };
}

/** A node that certlet has worked on: two client pairs, one serving pair, plain files, state, kubeconfigs. */
async function host(t: Test): Promise<Host> {
  const root = t.testdir({ 'bootstrap.conf': 'x', pki: {} });
  const certDir = join(root, 'pki');
  const stateDir = join(certDir, '.certlet');
  const plain = { certFile: join(root, 'plain', 'client.crt'), keyFile: join(root, 'plain', 'client.key') };
  const store = new FileCertificateStore({
    specs: kubeletSpecs({ certDir, plainFiles: { client: plain } }),
    stateDir,
    pruneGraceMs: 0,
    fs: new NodeFileSystem(),
  });
  await store.install('client', parsePair(new Secret(pairPem())), NOW);
  await store.install('client', parsePair(new Secret(pairPem())), NOW);
  await store.install('serving', parsePair(new Secret(pairPem())), NOW);
  await store.writeHistory('client', { lastRequestAt: NOW });
  const kubeconfig = join(root, 'kubelet.conf');
  const cluster = { server: 'https://a:1', caPem: authority.pem, insecureSkipTlsVerify: false };
  writeFileSync(kubeconfig, encodeNodeKubeconfig(cluster, store.currentPath('client')).reveal());
  return { root, certDir, stateDir, kubeconfig, bootstrapKubeconfig: join(root, 'bootstrap.conf'), plain };
}

/** Settings for the program itself: without a runtime folder of its own it would remove what the host's certlet publishes. */
function settingsOf(at: Host): string {
  const path = join(at.root, 'config.yaml');
  const { certDir, kubeconfig } = at;
  writeFileSync(path, JSON.stringify({ certDir, kubeconfig, runtimeDir: join(at.root, 'run') }), { mode: 0o600 });
  return path;
}

interface Options {
  readonly yes?: boolean;
  readonly withBootstrap?: boolean;
  readonly answer?: string;
}

async function reset(
  at: Host,
  options: Options = {},
): Promise<{
  readonly code: number;
  readonly text: string;
  readonly questions: readonly string[];
  readonly answers: readonly ResetAnswer[];
}> {
  let text = '';
  const answers: ResetAnswer[] = [];
  const questions: string[] = [];
  const { answer } = options;
  const ask = async (question: string): Promise<string> => {
    questions.push(question);
    return answer ?? '';
  };
  const code = await resetNode(
    {
      yes: options.yes ?? false,
      again: 'certlet reset --with-bootstrap-kubeconfig --yes',
      runtimeDir: join(at.root, 'run'),
      files: {
        fs: new NodeFileSystem(),
        certDir: at.certDir,
        stateDir: at.stateDir,
        specs: kubeletSpecs({
          certDir: at.certDir,
          kubeconfigPath: at.kubeconfig,
          plainFiles: { client: at.plain },
        }),
        bootstrapKubeconfig: options.withBootstrap ? at.bootstrapKubeconfig : undefined,
        leftovers: [at.bootstrapKubeconfig],
        published: [join(at.root, 'status.json'), join(at.root, 'certlet.prom')],
        uid: process.geteuid?.() ?? 0,
      },
    },
    {
      print: (part) => (text += part),
      answer: (told) => answers.push(told),
      ask: answer === undefined ? undefined : ask,
    },
  );
  return { code, text, questions, answers };
}

t.test('everything that certlet made goes, and nothing else', async (t) => {
  const at = await host(t);
  const { code, text } = await reset(at, { yes: true });
  t.equal(code, 0);
  t.strictSame(readdirSync(at.certDir), [], 'links, pairs, state folder and lock are gone, the folder stays');
  t.notOk(existsSync(at.kubeconfig));
  t.notOk(existsSync(at.plain.certFile));
  t.notOk(existsSync(at.plain.keyFile));
  t.ok(existsSync(at.bootstrapKubeconfig), 'the bootstrap kubeconfig stays unless asked for');
  t.match(text, `  ${at.kubeconfig}   (the node's kubeconfig)\n`);
  t.match(text, `  ${join(at.certDir, 'kubelet-client-current.pem')}   (link of the client pair)\n`);
  t.match(text, /kubelet-server-\S+\.pem {3}\(serving pair\)/);
  t.match(text, 'Removed 11 files.\n');
});

t.test('reset listed the kubeconfig that it removed under what it leaves alone, too', async (t) => {
  const at = await host(t);
  const { text, answers } = await reset(at, { yes: true });
  t.notMatch(text, 'Left alone:');
  t.strictSame(
    answers.map(({ keep }) => keep),
    [[]],
  );
});

t.test('the status of files that are gone goes with them', async (t) => {
  const at = await host(t);
  const statusFile = join(at.root, 'status.json');
  writeFileSync(statusFile, '{}');
  const { code, text } = await reset(at, { yes: true });
  t.equal(code, 0);
  t.notOk(existsSync(statusFile));
  t.match(text, `  ${statusFile}   (told about these files)\n`);
  t.notMatch(text, 'certlet.prom', 'what is not there is not listed');
});

t.test('the bootstrap kubeconfig goes by option', async (t) => {
  const at = await host(t);
  t.equal((await reset(at, { yes: true, withBootstrap: true })).code, 0);
  t.notOk(existsSync(at.bootstrapKubeconfig));
});

t.test('files that certlet did not write are listed and left', async (t) => {
  const at = await host(t);
  const others = [
    'kubelet-client-2020-01-01-00-00-00.pem',
    'kubelet-client.crt',
    'kubelet-client.key',
    'kubelet.crt',
    'kubelet-client.key.tmp',
  ];
  for (const name of others) writeFileSync(join(at.certDir, name), pairPem());
  writeFileSync(join(at.stateDir, 'note'), 'x');
  writeFileSync(at.plain.certFile, pairPem('other'));
  writeFileSync(at.kubeconfig, 'apiVersion: v1\nkind: Config\n');
  const { text } = await reset(at, { yes: true });
  t.strictSame(readdirSync(at.certDir), ['.certlet', ...others].sort());
  t.strictSame(readdirSync(at.stateDir), ['note']);
  t.ok(existsSync(at.plain.keyFile));
  t.ok(existsSync(at.kubeconfig));
  const left = text.slice(text.indexOf('Left alone:'));
  for (const path of [
    ...others.filter((name) => name !== 'kubelet.crt').map((name) => join(at.certDir, name)),
    at.plain.certFile,
    at.plain.keyFile,
  ]) {
    t.match(left, `  ${path}   (certlet did not write it; while it is valid, certlet uses it again)\n`);
  }
  t.match(left, `${at.kubeconfig}   (it does not name certlet's pair, so certlet did not write it)`);
  t.match(left, 'note   (certlet knows no such file)');
});

t.test('plain files and pairs that hold no certificate any more', async (t) => {
  const at = await host(t);
  writeFileSync(at.plain.certFile, 'cut off');
  const [pair = ''] = readdirSync(at.certDir).filter((name) => name.startsWith('kubelet-server-2'));
  writeFileSync(join(at.certDir, pair), 'cut off');
  const { code, text } = await reset(at, { yes: true });
  t.equal(code, 0);
  t.ok(existsSync(at.plain.certFile), 'nobody can tell whose it is');
  t.match(text.slice(text.indexOf('Left alone:')), at.plain.keyFile);
  t.notOk(existsSync(join(at.certDir, pair)), 'the ledger has it');
});

t.test('a file that cannot be removed is named, and the rest waits for the next time', async (t) => {
  const at = await host(t);
  const fs = new Proxy(new NodeFileSystem(), {
    get(target, name: keyof NodeFileSystem) {
      if (name !== 'unlink') return (target[name] as (...words: unknown[]) => unknown).bind(target);
      return async (path: string) => {
        throw Object.assign(new Error(`EROFS: read-only file system, unlink '${path}'`), { code: 'EROFS', path });
      };
    },
  });
  await t.rejects(removeFiles(fs, [{ path: at.kubeconfig, remark: 'x' }]), {
    code: 'ERR_STORE_READ_ONLY',
    message: new RegExp(at.kubeconfig),
  });
});

t.test('a folder is removed when nothing is in it, and gone is gone', async (t) => {
  const folder = t.testdir({ empty: {}, full: { x: '' } });
  t.equal(await removeEmptyFolder(join(folder, 'empty')), true);
  t.equal(await removeEmptyFolder(join(folder, 'empty')), true);
  t.equal(await removeEmptyFolder(join(folder, 'full')), false);
  t.equal(await removeEmptyFolder(join(folder, 'full', 'x')), false);
  await t.rejects(removeEmptyFolder(join(folder, 'x'.repeat(300))), { code: /^ERR_STORE_/ });
});

t.test('a folder that a kubelet alone filled is left whole', async (t) => {
  const at = await host(t);
  const certDir = join(at.root, 'kubelet');
  mkdirSync(certDir);
  writeFileSync(join(certDir, 'kubelet-client-2020-01-01-00-00-00.pem'), pairPem());
  spawnSync('ln', ['-s', 'kubelet-client-2020-01-01-00-00-00.pem', join(certDir, 'kubelet-client-current.pem')]);
  writeFileSync(at.kubeconfig, 'no: [yaml');
  const { code, text } = await reset({ ...at, certDir, stateDir: join(certDir, '.certlet') }, { yes: true });
  t.equal(code, 0);
  t.match(text, 'certlet made nothing here.\nLeft alone:');
  t.ok(lstatSync(join(certDir, 'kubelet-client-current.pem')).isSymbolicLink());
  t.ok(existsSync(join(certDir, 'kubelet-client-2020-01-01-00-00-00.pem')));
});

t.test('what an interrupted write left is swept', async (t) => {
  const at = await host(t);
  for (const folder of [at.certDir, at.stateDir]) writeFileSync(join(folder, '.x.fedcba9876543210.certlet-tmp'), 'x');
  await reset(at, { yes: true });
  t.strictSame(readdirSync(at.certDir), []);
});

t.test('what was noted of several API servers and of the CAs that were followed stayed behind', async (t) => {
  const at = await host(t);
  for (const name of ['servers.json', 'cluster-ca.json']) writeFileSync(join(at.stateDir, name), '{}');
  t.equal((await reset(at, { yes: true })).code, 0);
  t.notOk(existsSync(at.stateDir));
});

t.test('without --yes it asks, and only a yes removes', async (t) => {
  const at = await host(t);
  for (const answer of ['', 'n', 'maybe']) {
    const { code, text, questions, answers } = await reset(at, { answer });
    t.equal(code, 1);
    t.strictSame(questions, ['Remove 11 files? [y/N] ']);
    t.match(text, 'Nothing was removed.\n');
    t.ok(existsSync(at.kubeconfig));
    t.match(answers, [{ removed: false, remove: { length: 11 } }]);
  }
  const { code, answers } = await reset(at, { answer: ' Yes' });
  t.equal(code, 0);
  t.match(answers, [{ removed: true, remove: { length: 11 }, keep: [] }]);
  t.notOk(existsSync(at.kubeconfig));
});

t.test('where nobody can be asked the list is shown and nothing removed', async (t) => {
  const at = await host(t);
  await t.rejects(reset(at), { code: 'ERR_USAGE', remedy: 'certlet reset --with-bootstrap-kubeconfig --yes' });
  t.ok(existsSync(at.kubeconfig));
});

t.test('it refuses while a daemon has the cert-dir', async (t) => {
  const at = await host(t);
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', '-e', HOLDER, at.certDir], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  await t.rejects(reset(at, { yes: true }), { code: 'ERR_LOCK_HELD', message: /certlet run/ });
  t.ok(existsSync(at.kubeconfig));
});

t.test('reset of another cert-dir took the status and the kubeconfig of a daemon that runs', async (t) => {
  const at = await host(t);
  const runtimeDir = join(at.root, 'run');
  mkdirSync(runtimeDir);
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '-e', HOLDER, runtimeDir, PUBLISHER_LOCK],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  t.teardown(() => child.kill('SIGKILL'));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const certDir = join(at.root, 'other');
  mkdirSync(certDir);
  const other = { ...at, certDir, stateDir: join(certDir, '.certlet') };
  await t.rejects(reset(other, { yes: true }), { code: 'ERR_LOCK_HELD', message: /certlet run/ });
  t.ok(existsSync(at.kubeconfig));
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
  t.equal((await reset(at, { yes: true })).code, 0, 'once it is stopped');
  t.notOk(existsSync(at.kubeconfig));
});

const HOLDER = `import('${new URL('../../src/adapters/lock.ts', import.meta.url).href}').then(async (m) => { await m.acquireLock(process.argv[1], { label: 'certlet run', file: process.argv[2] }); console.log('held'); setInterval(() => {}, 1000); });`;

t.test('twice is fine, and a host without a cert-dir gets none', async (t) => {
  const at = await host(t);
  await reset(at, { yes: true });
  const again = await reset(at, { yes: true });
  t.equal(again.code, 0);
  t.match(again.text, 'certlet made nothing here.');
  const certDir = join(at.root, 'absent');
  t.equal((await reset({ ...at, certDir, stateDir: join(certDir, '.certlet') }, { yes: true })).code, 0);
  t.notOk(existsSync(certDir));
  const lock = await acquireLock(at.certDir, { label: 'test' });
  await lock.release();
});

const hasScript = spawnSync('script', ['--version']).status === 0;
for (const row of [
  { name: 'yes removes', input: 'y\n', code: 0, gone: true },
  { name: 'no leaves', input: 'n\n', code: 1, gone: false },
  { name: 'the end of input leaves', input: '\u0004', code: 1, gone: false },
  { name: 'an interrupt leaves', input: '\u0003', code: 1, gone: false },
]) {
  t.test(`at a real terminal: ${row.name}`, { skip: !hasScript && 'no script(1) here' }, async (t) => {
    const at = await host(t);
    const command = certletCommand(['reset', '--config', settingsOf(at)]);
    const child = spawn('script', ['-qec', command.map(quoted).join(' '), '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let text = '';
    child.stdout.on('data', (part) => {
      const asked = text.includes('[y/N]');
      text += String(part);
      if (!asked && text.includes('[y/N]')) child.stdin.write(row.input);
    });
    const code = await new Promise((resolve) => child.once('exit', resolve));
    t.equal(code, row.code);
    t.match(text, row.gone ? 'Removed 9 files.' : 'Nothing was removed.');
    t.equal(existsSync(at.kubeconfig), !row.gone);
  });
}

t.test('reset left private keys in the quarantine, also in the one beside files on another file system', async (t) => {
  const at = await host(t);
  const folders = [join(at.stateDir, 'quarantine'), join(at.certDir, '.certlet-quarantine')];
  for (const folder of folders) {
    mkdirSync(folder);
    writeFileSync(join(folder, 'kubelet-client-2030-01-01-00-00-00.pem.000001'), pairPem());
  }
  const { code, text } = await reset(at, { yes: true });
  t.equal(code, 0);
  for (const folder of folders) t.notOk(existsSync(folder), folder);
  t.match(text, /kubelet-client-2030-01-01-00-00-00\.pem\.000001 {3}\(moved aside/);
  t.notOk(existsSync(at.stateDir));
});

t.test('what is no file of the quarantine stays in it', async (t) => {
  const at = await host(t);
  const folder = join(at.stateDir, 'quarantine');
  mkdirSync(join(folder, 'folder.000002'), { recursive: true });
  writeFileSync(join(folder, 'notes'), 'x');
  const { text } = await reset(at, { yes: true });
  t.strictSame(readdirSync(folder).sort(), ['folder.000002', 'notes']);
  t.match(text, `  ${join(folder, 'notes')}   (certlet knows no such file)\n`);
});

t.test('reset left what interrupted writes of kubeconfigs, plain files and published files had left', async (t) => {
  const at = await host(t);
  const beside = (path: string): string => path.replace(/([^/]+)$/, '.$1.0123456789abcdef.certlet-tmp');
  const named = [at.kubeconfig, at.bootstrapKubeconfig, at.plain.certFile, at.plain.keyFile];
  const left = [...named, join(at.root, 'status.json'), join(at.root, 'certlet.prom')].map(beside);
  const others = [beside(join(at.root, 'x.bootstrap.conf')), join(at.root, '.bootstrap.conf.swp')];
  for (const path of [...left, ...others]) writeFileSync(path, 'token');
  const { code } = await reset(at, { yes: true });
  t.equal(code, 0);
  t.strictSame(
    left.filter((path) => existsSync(path)),
    [],
  );
  t.strictSame(
    others.filter((path) => !existsSync(path)),
    [],
    'files of others stay',
  );
  t.ok(existsSync(at.bootstrapKubeconfig));
});
