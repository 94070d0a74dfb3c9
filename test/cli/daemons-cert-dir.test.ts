/** A daemon whose cert-dir stands on its unit's command line alone, and commands of somebody who names none. */
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { runProgram } from '../../src/cli/program.ts';
import type { Dispatch } from '../../src/cli/session.ts';
import { encodeStatus } from '../../src/status/codec.ts';
import { statusDocument } from '../../src/status/document.ts';
import { CommandHost } from '../fixtures/command-host.ts';
import { NOW, sampleManager, sampleSnapshot } from '../fixtures/snapshots.ts';

const DEFAULT = '/var/lib/kubelet/pki';
const KNOWN = encodeStatus(
  statusDocument(sampleSnapshot({ managers: [sampleManager()] }), {
    command: 'run',
    pid: process.pid,
    version: '0',
    now: NOW,
    hooks: [],
  }),
);

/** A host whose settings name no cert-dir, unless `settings` do. */
const hostOf = (t: Test, settings: Readonly<Record<string, unknown>> = {}): CommandHost =>
  new CommandHost(t, { certDir: undefined, ...settings });

async function typed(host: CommandHost, words: readonly string[], dispatch?: Dispatch) {
  const { context, stdout, stderr } = host.session({ argv: [...words, '--config', host.settingsPath] });
  const status = await runProgram(context.edge, dispatch);
  return { status, stdout: stdout.text, stderr: stderr.text };
}

/** What the command that was typed works with. */
async function seenBy(host: CommandHost, words: readonly string[]) {
  const seen = { certDir: '', stateDir: '', carried: '' };
  await typed(host, words, async (_command, { loadSettings, carried }) => {
    const { certDir, stateDir } = await loadSettings();
    Object.assign(seen, { certDir, stateDir, carried: carried.map(({ options }) => options).join() });
    return 0;
  });
  return seen;
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
  t.equal((await typed(host, ['status', '-o', 'json'])).stderr, '', 'beside a document nothing');
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
