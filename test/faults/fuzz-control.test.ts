/** The control socket under fire: whatever is written to it, the daemon goes on answering and does nothing that was not asked. */
import { connect } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { callControl } from '../../src/adapters/control/client.ts';
import type { ControlHandlers } from '../../src/adapters/control/routes.ts';
import { controlSocketPath, openControlServer } from '../../src/adapters/control/server.ts';
import { NodeFileSystem } from '../../src/adapters/file-system.ts';
import { mutated, mutations } from './fixtures/fuzz-mutations.ts';

const RUNS = Math.ceil(Number(process.env['CERTLET_FUZZ_RUNS'] ?? 600) / 2);
const SEED = Number(process.env['CERTLET_FUZZ_SEED'] ?? Math.trunc(Math.random() * 2 ** 31));

const request = (head: string, body = ''): string =>
  `${head}\r\nhost: certlet\r\ncontent-length: ${String(body.length)}\r\n\r\n${body}`;
const SEEDS = [
  request('GET /status HTTP/1.1'),
  request('POST /renew HTTP/1.1', '{"purposes":["client"]}'),
  request('PUT /log-level HTTP/1.1', '{"level":"debug"}'),
  request('POST /restart-kubelet HTTP/1.1', '{}'),
  'POST /reload HTTP/1.1\r\nhost: c\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n',
];

/** Which orders the daemon took. */
const taken = new Set<string>();
const handlers: ControlHandlers = {
  status: () => '{}\n',
  metrics: () => '',
  health: () => ({ healthy: true, reasons: [] }),
  purposes: () => ['client', 'serving'],
  renew: async (purposes) => {
    for (const purpose of purposes) taken.add(purpose);
  },
  restartNow: () => [],
  reload: async () => void taken.add('reload'),
  logLevel: () => 'info',
  setLogLevel: (level) => void taken.add(level),
};

/** Addresses of sockets have at most 107 bytes, and tap's own folders have long names. */
function shortFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'certlet-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Sends bytes, ends, and waits until the far end has closed: what it answered. */
function sent(path: string, bytes: Uint8Array): Promise<string> {
  return new Promise((done) => {
    let answer = '';
    const socket = connect(path, () => socket.end(bytes));
    socket.setTimeout(20_000, () => socket.destroy());
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => done(answer));
  });
}

t.comment(`seed ${String(SEED)}, ${String(RUNS)} runs`);

t.test('damaged requests to the control socket are answered or closed, and the daemon lives', async (t) => {
  const folder = shortFolder(t);
  const server = await openControlServer(new NodeFileSystem(), folder, handlers);
  t.teardown(() => server.close());
  const path = controlSocketPath(folder);
  for (const seed of SEEDS) t.match(await sent(path, Buffer.from(seed)), /^HTTP\/1\.1 20\d /);
  const before = process.memoryUsage().rss;
  let count = 0;
  const property = fc.asyncProperty(fc.constantFrom(...SEEDS), mutations, async (seed, changes) => {
    count += 1;
    const answer = await sent(path, mutated(Buffer.from(seed), changes));
    return answer === '' || (/^HTTP\/1\.1 (20\d|4\d\d|503) /.test(answer) && !/ 500 /.test(answer.slice(0, 20)));
  });
  await fc.assert(property, { numRuns: RUNS, seed: SEED });
  t.ok(process.memoryUsage().rss - before < 300 * 1024 * 1024, 'memory');
  const reply = await callControl(path, { method: 'GET', path: '/status' });
  t.match(reply, { kind: 'answer', status: 200 });
  t.teardown(() => console.log(`# figure requests to the control socket fuzzed: ${String(count)}`));
});

t.test('a body is read up to its limit and half an order is no order', async (t) => {
  const folder = shortFolder(t);
  const server = await openControlServer(new NodeFileSystem(), folder, handlers);
  t.teardown(() => server.close());
  const path = join(folder, 'control.sock');
  taken.clear();
  t.match(await sent(path, Buffer.from(request('POST /renew HTTP/1.1', ' '.repeat(1_000_000)))), /^HTTP\/1\.1 413/);
  t.match(
    await sent(path, Buffer.from(request('POST /renew HTTP/1.1', '{"purposes":['.repeat(1000)))),
    /^HTTP\/1\.1 400/,
  );
  await sent(path, Buffer.from('POST /renew HTTP/1.1\r\nhost: c\r\ncontent-length: 50\r\n\r\n{"purposes":["client"]}'));
  await sent(path, Buffer.from(`GET /${'a'.repeat(100_000)} HTTP/1.1\r\n\r\n`));
  t.strictSame([...taken], []);
});
