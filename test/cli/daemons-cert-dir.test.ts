/** A daemon whose cert-dir stands on its unit's command line alone, and commands of somebody who names none. */
import { join } from 'node:path';
import { chmodSync, chownSync, writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { runProgram } from '../../src/cli/program.ts';
import type { Dispatch } from '../../src/cli/session.ts';
import { type StatusDocument } from '../../src/status/document.ts';
import { CommandHost, KNOWN } from '../fixtures/command-host.ts';

/** No process has it: Linux gives no number so high. */
const NOBODY = 2 ** 22 + 1;
const SUPERUSER = process.geteuid?.() === 0;
const DEFAULT = '/var/lib/kubelet/pki';
/** A host whose settings name no cert-dir, unless `settings` do. */
const hostOf = (t: Test, settings: Readonly<Record<string, unknown>> = {}): CommandHost =>
  new CommandHost(t, { certDir: undefined, ...settings });

async function typed(host: CommandHost, words: readonly string[], dispatch?: Dispatch, hostRoot = '/nonexistent') {
  const { context, stdout, stderr } = host.session({ argv: [...words, '--config', host.settingsPath], hostRoot });
  const status = await runProgram(context.edge, dispatch);
  return { status, stdout: stdout.text, stderr: stderr.text };
}

/** What the command that was typed works with. */
async function seenBy(host: CommandHost, words: readonly string[], hostRoot?: string) {
  const seen = { certDir: '', stateDir: '', carried: '' };
  const dispatch: Dispatch = async (_command, { loadSettings, carried }) => {
    const { certDir, stateDir } = await loadSettings();
    Object.assign(seen, { certDir, stateDir, carried: carried.map(({ options }) => options).join() });
    return 0;
  };
  const { stderr } = await typed(host, words, dispatch, hostRoot);
  return { ...seen, stderr };
}

for (const words of [['status'], ['history'], ['check'], ['renew', '--dry-run']]) {
  t.test(`${words.join(' ')} is about the cert-dir of the daemon, and so is what it prints to be pasted`, async (t) => {
    const host = hostOf(t);
    await host.daemon({ status: () => KNOWN });
    const { certDir, stateDir, carried } = await seenBy(host, words);
    t.equal(certDir, host.certDir);
    t.equal(stateDir, join(host.certDir, '.certlet'));
    t.match(carried, `--cert-dir ${host.certDir}`);
  });
}

t.test('the status file tells it to whom the socket is closed', async (t) => {
  const host = hostOf(t);
  writeFileSync(join(host.runtimeDir, 'status.json'), host.own(KNOWN));
  t.equal((await seenBy(host, ['status'])).certDir, host.certDir);
});

/** Folders of a host with one unit of certlet's, and what its drop-in puts in place of its command. */
const unitsOf = (t: Test, unit: string, execStart: string): string =>
  t.testdir({
    etc: {
      systemd: {
        system: {
          [unit]: '[Service]\nExecStart=/usr/bin/certlet run\nUser=certlet\n',
          [`${unit}.d`]: { 'a.conf': `[Service]\nEnvironment=MORE=-v\nExecStart=\nExecStart=${execStart}\n` },
        },
      },
    },
  });

/** What anybody may have put there who may write in the runtime folder. */
const lay = (host: CommandHost, text: string): void => writeFileSync(join(host.runtimeDir, 'status.json'), text);
const changed = (more: (document: StatusDocument) => object): string => {
  const document = JSON.parse(KNOWN) as StatusDocument;
  return JSON.stringify({ ...document, ...more(document) });
};
const ofProcess = (process: object): string =>
  changed((document) => ({ process: { ...document.process, ...process } }));

for (const { name, text } of [
  { name: 'a once by hand', text: ofProcess({ command: 'once' }) },
  { name: 'a daemon that has ended', text: ofProcess({ pid: NOBODY }) },
]) {
  t.test(`the file that ${name} has left led every later look elsewhere`, async (t) => {
    const host = hostOf(t);
    lay(host, host.own(text));
    t.match(await seenBy(host, ['history']), { certDir: DEFAULT, carried: /^(?!.*--cert-dir)/, stderr: '' });
    t.notMatch((await typed(host, ['status'])).stdout, host.certDir);
  });
}

t.test('the file that somebody has left elsewhere counted beside the daemon that answers', async (t) => {
  const host = hostOf(t);
  lay(host, KNOWN);
  await host.daemon({ status: () => KNOWN });
  t.equal((await seenBy(host, ['history'])).certDir, host.certDir);
});

for (const { unit, execStart, process } of [
  { unit: 'certlet.service', execStart: '/usr/bin/certlet run $MORE --cert-dir=DIR', process: {} },
  { unit: 'certlet-once.service', execStart: '-/usr/bin/certlet once --cert-dir "DIR"', process: { command: 'once' } },
]) {
  t.test(`root's own words in a drop-in of ${unit} count, whoever wrote the document`, async (t) => {
    const host = hostOf(t);
    lay(host, host.own(ofProcess({ pid: NOBODY, ...process })));
    // Others may write there.
    chmodSync(host.runtimeDir, 0o777);
    const root = unitsOf(t, unit, execStart.replace('DIR', host.certDir));
    t.match(await seenBy(host, ['history'], root), {
      certDir: host.certDir,
      stderr: `certlet: certlet's unit has the cert-dir ${host.certDir}, and the settings name none`,
    });
  });
}

for (const by of ['socket', 'file'] as const) {
  t.test(`whoever may write in the runtime folder chose what root was told to hand over: ${by}`, async (t) => {
    const host = hostOf(t);
    if (by === 'file') lay(host, host.own(KNOWN));
    else await host.daemon({ status: () => KNOWN });
    chmodSync(host.runtimeDir, 0o777);
    // The unit names another.
    const root = unitsOf(t, 'certlet.service', '/usr/bin/certlet run --cert-dir /nonexistent/b/pki');
    for (const words of [['check'], ['history'], ['renew', '--dry-run']]) {
      t.match(await seenBy(host, words, root), {
        certDir: DEFAULT,
        carried: /^(?!.*--cert-dir)/,
        stderr: / tells of the cert-dir .*\n {2}do: Give --cert-dir .* if that is the cert-dir of this node\.\n/,
      });
    }
    const { status, stderr } = await typed(host, ['status', '-o', 'json'], undefined, root);
    // Root looks at the disk where nobody answers.
    if (by === 'socket') t.equal(status, 6);
    t.equal(stderr.split('\n  do: Give --cert-dir ').length, 2, stderr);
    t.notMatch(stderr, 'fix:');
  });
}

t.test(
  'the same for root, by the user who has the runtime folder',
  { skip: !SUPERUSER && 'files of another user' },
  async (t) => {
    const host = hostOf(t);
    await host.daemon({ status: () => KNOWN });
    chownSync(host.runtimeDir, 997, 997);
    t.match(await seenBy(host, ['check']), { certDir: DEFAULT, stderr: 'do: Give --cert-dir' });
    chownSync(host.runtimeDir, 0, 0);
    chownSync(host.socket, 997, 997);
    t.match(await seenBy(host, ['check']), { certDir: DEFAULT, stderr: 'do: Give --cert-dir' });
    chownSync(host.socket, 0, 0);
    t.match(await seenBy(host, ['check']), { certDir: host.certDir });
  },
);

for (const path of [5, 'kubelet-client-current.pem', './a/../kubelet-client-current.pem']) {
  t.test(
    `a document with the path ${String(path)} ended commands with a stack, or by a flag that nobody typed`,
    async (t) => {
      const host = hostOf(t);
      lay(
        host,
        changed(({ certificates }) => ({ certificates: certificates.map((one) => ({ ...one, path })) })),
      );
      for (const words of [['history'], ['check'], ['renew', '--dry-run']])
        t.match(await seenBy(host, words), { certDir: DEFAULT, stderr: '' });
      t.notMatch((await typed(host, ['status'])).stderr, /internal|--cert-dir|\n +at /);
    },
  );
}

for (const words of [['once'], ['reset'], ['renew'], ['join', '--discovery-file', '/f']]) {
  t.test(`${words.join(' ')} writes nowhere by the word of a daemon`, async (t) => {
    const host = hostOf(t);
    await host.daemon({ status: () => KNOWN });
    t.equal((await seenBy(host, words)).certDir, DEFAULT);
  });
}

t.test('status was refused, and shows the daemon with one line that says so', async (t) => {
  const host = hostOf(t);
  await host.daemon({ status: () => KNOWN });
  const { stdout, stderr } = await typed(host, ['status']);
  t.match(stdout, /^certlet on n1|client/);
  t.equal(
    stderr,
    `certlet: the daemon has the cert-dir ${host.certDir}, and the settings name none: it is about that one\n`,
  );
  t.equal((await typed(host, ['status', '-o', 'json'])).stderr, stderr, 'beside a document, too');
});

t.test('renew was refused, and asks the daemon', async (t) => {
  const host = hostOf(t);
  const asked: string[] = [];
  await host.daemon({ status: () => KNOWN, renew: async () => void asked.push('renew') });
  const { status, stdout, stderr } = await typed(host, ['renew', 'client']);
  t.equal(status, 0, stderr);
  t.strictSame(asked, ['renew']);
  t.match(stdout, `the daemon has the cert-dir ${host.certDir}, and the settings name none`);
});

t.test('check found another daemon, and finds its own', async (t) => {
  const host = hostOf(t);
  await host.daemon({ status: () => KNOWN });
  const { stdout } = await typed(host, ['check', '-o', 'json']);
  const { findings } = JSON.parse(stdout) as { readonly findings: readonly { readonly id: string }[] };
  t.notOk(findings.some(({ id }) => id === 'daemon.elsewhere'));
});

for (const { name, settings, words } of [
  { name: 'the settings name another cert-dir', settings: { certDir: '/nonexistent/b/pki' }, words: [] },
  { name: 'the command line names another cert-dir', settings: {}, words: ['--cert-dir', '/nonexistent/b/pki'] },
  { name: 'the settings name another node', settings: { hostnameOverride: 'n2' }, words: [] },
]) {
  t.test(`refused as before: ${name}`, async (t) => {
    const host = hostOf(t, settings);
    const asked: string[] = [];
    await host.daemon({ status: () => KNOWN, renew: async () => void asked.push('renew') });
    const told = /is of node n1 with the cert-dir .* these settings are of node/;
    t.match(await typed(host, ['status', ...words]), { status: 6, stderr: told });
    t.match((await typed(host, ['renew', ...words])).stderr, told);
    t.strictSame(asked, []);
  });
}
