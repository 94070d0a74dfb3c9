/** Where a status comes from: socket, file, disk; and what a daemon that answers something else is taken for. */
import { createServer } from 'node:http';
import { once } from 'node:events';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type FoundStatus, findStatus } from '../../src/cli/status-source.ts';
import { encodeStatus } from '../../src/status/codec.ts';
import { statusDocument } from '../../src/status/document.ts';
import { CertletError } from '../../src/errors.ts';
import { takenBy } from '../../src/foreign-daemon.ts';
import { CommandHost } from '../fixtures/command-host.ts';
import { SAMPLE_CERT_DIR, sampleManager, sampleSnapshot } from '../fixtures/snapshots.ts';

const AT = new Date('2026-11-21T04:11:00Z');
/** No process has it: Linux gives no number so high. */
const NOBODY = 2 ** 22 + 1;

const text = (pid: number): string =>
  encodeStatus(
    statusDocument(sampleSnapshot({ managers: [sampleManager()] }), {
      command: 'run',
      pid,
      version: '0',
      now: AT,
      hooks: [],
    }),
  );
const refusal = (error: object): string => JSON.stringify({ error });

interface Answered {
  readonly status: number;
  readonly body: string;
}

/** Whatever answers on the socket. */
async function answering(t: Test, host: CommandHost, { status, body }: Answered): Promise<void> {
  const server = createServer((_request, response) => response.writeHead(status).end(host.own(body))).listen(
    host.socket,
  );
  await once(server, 'listening');
  t.teardown(() => void server.close());
}

async function lookAt(host: CommandHost, userId: number, hostRoot = '/nonexistent'): Promise<FoundStatus> {
  const settings = await host.session().context.loadSettings();
  return await findStatus(settings, { argv: ['status', '-v'], userId, now: () => AT, hostRoot });
}

const ORDINARY = 65_534;

const rows: readonly {
  readonly name: string;
  readonly answer?: Answered;
  readonly file?: string;
  readonly userId?: number;
  readonly found?: object;
  readonly thrown?: {
    readonly code: string;
    readonly message: string | RegExp;
    readonly remedy?: string | RegExp | undefined;
  };
}[] = [
  {
    name: 'a daemon that answers',
    answer: { status: 200, body: text(1) },
    file: 'never read',
    found: { source: { kind: 'socket' }, missing: false, trouble: undefined },
  },
  {
    name: 'a daemon of another version',
    answer: { status: 200, body: '{"version": 7}' },
    thrown: { code: 'ERR_CONTROL', message: /has format 7, this program reads format 1/ },
  },
  {
    name: 'a daemon that starts, beside the file of the one before',
    answer: { status: 503, body: refusal({ code: 'STARTING', message: 'not yet' }) },
    file: text(NOBODY),
    found: { source: { kind: 'file', running: true }, missing: false, trouble: undefined },
  },
  {
    name: 'a daemon that starts, without a file: it was called not running, with a command to start it',
    answer: { status: 503, body: refusal({ code: 'STARTING', message: 'not yet' }) },
    userId: 0,
    found: { source: { kind: 'disk', starting: true }, missing: false, trouble: undefined },
  },
  {
    name: 'a daemon in trouble, beside a file; its words cannot move the cursor of a terminal',
    answer: { status: 500, body: refusal({ code: 'ERR_LOCK_HELD', message: 'held\u001b[2J', remedy: 'wait\r\n' }) },
    file: text(NOBODY),
    found: {
      source: { kind: 'file', running: true },
      trouble: { message: 'held\\u001b[2J', remedy: 'wait\\r\\n' },
    },
  },
  {
    name: 'a daemon that tells nothing of its trouble',
    answer: { status: 500, body: 'null' },
    thrown: { code: 'ERR_CONTROL', message: 'the daemon tells no reason', remedy: undefined },
  },
  {
    name: 'a daemon in trouble, without a file',
    answer: { status: 500, body: refusal({ code: 'X', message: 'no folder', remedy: 'make it' }) },
    thrown: { code: 'ERR_CONTROL', message: 'no folder', remedy: 'make it' },
  },
  {
    name: 'the same for root, who reads the disk',
    answer: { status: 500, body: refusal({ code: 'X', message: 'no folder', remedy: 'make it' }) },
    userId: 0,
    found: {
      source: { kind: 'disk' },
      missing: false,
      trouble: { message: 'no folder', remedy: 'make it' },
      document: { certificates: [{ purpose: 'client' }, { purpose: 'serving' }] },
    },
  },
  {
    name: 'what is no certlet',
    answer: { status: 404, body: '<html>' },
    thrown: { code: 'ERR_CONTROL', message: 'what answers on the control socket is no certlet' },
  },
  {
    name: 'the file of a daemon that has ended',
    file: text(NOBODY),
    found: { source: { kind: 'file', running: false }, missing: false, trouble: undefined },
  },
  { name: 'a file that is no JSON', file: 'x', thrown: { code: 'ERR_CONTROL', message: /status\.json is no JSON$/ } },
  {
    name: 'a file that is no status',
    file: '{"version": 1, "process": {}}',
    thrown: { code: 'ERR_CONTROL', message: /status\.json is no status document$/ },
  },
  {
    name: 'nothing at all',
    thrown: {
      code: 'ERR_CONTROL',
      message: /^nothing to read: no daemon listens at .*control\.sock, and there is no .*status\.json$/,
      remedy: /^sudo certlet status -v {3}# root reads the cert-dir itself/,
    },
  },
  { name: 'nothing at all, for root', userId: 0, found: { source: { kind: 'disk' }, missing: false } },
];
for (const { name, answer, file, userId = ORDINARY, found, thrown } of rows) {
  t.test(`a status from: ${name}`, async (t) => {
    const host = new CommandHost(t);
    if (answer !== undefined) await answering(t, host, answer);
    if (file !== undefined) writeFileSync(join(host.runtimeDir, 'status.json'), host.own(file));
    if (thrown === undefined) t.match(await lookAt(host, userId), found ?? {});
    else await t.rejects(lookAt(host, userId), thrown);
  });
}

for (const { name, userId, file, answer, missing } of [
  { name: 'the file of a dead daemon', userId: ORDINARY, file: true, answer: false, missing: true },
  { name: 'the disk', userId: 0, file: false, answer: false, missing: true },
  { name: 'the file beside a daemon that starts', userId: ORDINARY, file: true, answer: true, missing: false },
  { name: 'the disk beside a daemon that starts', userId: 0, file: false, answer: true, missing: false },
]) {
  t.test(`where the units start a daemon at boot, ${name} ${missing ? 'misses' : 'does not miss'} it`, async (t) => {
    const hostRoot = t.testdir({ etc: { systemd: { system: { 'multi-user.target.wants': {} } } } });
    mkdirSync(join(hostRoot, 'etc/systemd/system/multi-user.target.wants/certlet.service'));
    const host = new CommandHost(t);
    if (answer) await answering(t, host, { status: 503, body: refusal({ code: 'STARTING' }) });
    if (file) writeFileSync(join(host.runtimeDir, 'status.json'), host.own(text(NOBODY)));
    t.match(await lookAt(host, userId, hostRoot), { missing, trouble: undefined });
  });
}

const ELSEWHERE = '/nonexistent/b/pki';

for (const { name, settings, file, thrown } of [
  {
    name: 'the file of a node with another cert-dir',
    settings: { certDir: ELSEWHERE, hostnameOverride: 'n2' },
    file: true,
    thrown: {
      message: /status\.json is of node n1 with the cert-dir .*; these settings are of node n2/,
      remedy: /runtimeDir/,
    },
  },
  {
    name: 'the daemon of the same name with another cert-dir',
    settings: { certDir: ELSEWHERE },
    file: false,
    thrown: { message: /with the cert-dir \/nonexistent\/b\/pki$/, remedy: /runtimeDir/ },
  },
]) {
  t.test(`${name} was shown as this node`, async (t) => {
    const host = new CommandHost(t, settings);
    if (file) writeFileSync(join(host.runtimeDir, 'status.json'), host.own(text(NOBODY)));
    else await answering(t, host, { status: 200, body: text(1) });
    await t.rejects(lookAt(host, ORDINARY), { code: 'ERR_CONTROL', ...thrown });
  });
}

t.test('root was refused, or shown another folder, by the file that a once by hand had left', async (t) => {
  const host = new CommandHost(t, { certDir: ELSEWHERE });
  writeFileSync(join(host.runtimeDir, 'status.json'), host.own(text(NOBODY)));
  t.match(await lookAt(host, 0), { source: { kind: 'disk', certDir: ELSEWHERE } });
  await answering(t, host, { status: 503, body: refusal({ code: 'STARTING' }) });
  await t.rejects(lookAt(host, 0), { code: 'ERR_CONTROL' }, 'a daemon is there');
});

t.test(
  'a daemon that has its name from its own command line, or from before the host was renamed, is this one',
  async (t) => {
    const host = new CommandHost(t, { hostnameOverride: 'n2' });
    await answering(t, host, { status: 200, body: text(1) });
    t.match(await lookAt(host, ORDINARY), { document: { node: { name: 'n1' } } });
  },
);

t.test('a cert-dir under two names is one', async (t) => {
  const host = new CommandHost(t);
  const other = join(host.folder, 'link');
  symlinkSync(host.certDir, other);
  await answering(t, host, { status: 200, body: text(1).replaceAll(SAMPLE_CERT_DIR, other) });
  t.match(await lookAt(host, ORDINARY), { source: { kind: 'socket' } });
});

t.test('whoever has the runtime folder is told with what to set, where it has another cert-dir', async (t) => {
  const host = new CommandHost(t);
  const settings = await host.session().context.loadSettings();
  const held = new CertletError('ERR_LOCK_HELD', 'held', { remedy: 'certlet status' });
  t.equal(await takenBy(held, settings), held, 'nothing is known of it');
  writeFileSync(join(host.runtimeDir, 'status.json'), 'x');
  t.equal(await takenBy(held, settings), held, 'what it wrote cannot be read');
  writeFileSync(join(host.runtimeDir, 'status.json'), host.own(text(1)));
  t.equal(await takenBy(held, settings), held, 'it is of this cert-dir');
  const told = await takenBy(held, { ...settings, nodeName: 'n2', certDir: ELSEWHERE });
  t.match(told, { code: 'ERR_LOCK_HELD', message: /^held; that one is of node n1 /, remedy: /^# Set runtimeDir:/ });
});
