import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openNotifier } from '../../../src/adapters/systemd/notifier.ts';
import { openDatagramSender, unixSocketAddress } from '../../../src/adapters/systemd/notify-socket.ts';
import { spawnSync } from 'node:child_process';
import { DatagramReceiver } from './datagram-receiver.ts';

const missing = (program: string): string | false =>
  spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined ? false : `${program} is not installed`;
const noPerl = missing('perl');
const noFfi = await openDatagramSender(Buffer.alloc(4)).then(
  () => false,
  () => 'this Node has no node:ffi',
);

/** A socket's path has room for 107 bytes only, which the test's own folder may exceed. */
function shortFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'notify-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const sockets = (t: Test): readonly { readonly kind: string; readonly socket: string }[] => [
  { kind: 'a path', socket: join(shortFolder(t), 'socket') },
  { kind: 'an abstract name', socket: `@certlet-test-${randomBytes(8).toString('hex')}` },
];

async function everyMessage(t: Test, socket: string, open: typeof openDatagramSender): Promise<readonly string[]> {
  const receiver = await DatagramReceiver.bind(socket);
  t.teardown(() => receiver.close());
  const notifier = await openNotifier({ NOTIFY_SOCKET: socket }, open);
  const seen: string[] = [];
  for (const tell of [
    () => notifier.ready('client until 2027\nserving waits'),
    () => notifier.status('zwölf → 12'),
    () => notifier.reloading(),
    () => notifier.watchdog(),
    () => notifier.stopping(),
  ]) {
    tell();
    seen.push(await receiver.next());
  }
  return seen;
}

const expected = [
  'READY=1|STATUS=client until 2027; serving waits',
  'STATUS=zwölf → 12',
  'RELOADING=1|MONOTONIC_USEC=0',
  'WATCHDOG=1',
  'STOPPING=1',
];
const normal = (lines: readonly string[]): readonly string[] =>
  lines.map((line) =>
    line
      .trimEnd()
      .replace(/\|$/, '')
      .replace(/USEC=\d+/, 'USEC=0'),
  );

t.test('through node:ffi every message arrives as one datagram', { skip: noPerl || noFfi }, async (t) => {
  for (const { kind, socket } of sockets(t))
    t.same(normal(await everyMessage(t, socket, openDatagramSender)), expected, kind);
});

t.test('without node:ffi systemd-notify sends the same', { skip: noPerl || missing('systemd-notify') }, async (t) => {
  const noLibrary = async (): Promise<never> => {
    throw new Error('ERR_UNKNOWN_BUILTIN_MODULE');
  };
  for (const { kind, socket } of sockets(t)) t.same(normal(await everyMessage(t, socket, noLibrary)), expected, kind);
});

t.test(
  'a sender that fails hands the message to systemd-notify',
  { skip: noPerl || missing('systemd-notify') },
  async (t) => {
    for (const { name, sender } of [
      { name: 'refused', sender: () => false },
      {
        name: 'thrown',
        sender: (): boolean => {
          throw new Error('no trampoline');
        },
      },
    ]) {
      const socket = `@certlet-test-${randomBytes(8).toString('hex')}`;
      t.same(normal(await everyMessage(t, socket, async () => sender)), expected, name);
    }
  },
);

t.test('without NOTIFY_SOCKET, or with one it cannot use, nothing is opened and nothing throws', async (t) => {
  let opened = 0;
  const open = async (): Promise<() => boolean> => {
    opened += 1;
    return () => true;
  };
  for (const env of [
    {},
    { NOTIFY_SOCKET: '' },
    { NOTIFY_SOCKET: 'vsock:2:1234' },
    { NOTIFY_SOCKET: `/${'x'.repeat(200)}` },
  ]) {
    const notifier = await openNotifier(env, open);
    notifier.ready('x');
    notifier.status('x');
    notifier.reloading();
    notifier.watchdog();
    notifier.stopping();
  }
  t.equal(opened, 0);
});

t.test('a socket that is gone does not throw', { skip: noFfi }, async (t) => {
  const notifier = await openNotifier({ NOTIFY_SOCKET: join(shortFolder(t), 'gone') });
  notifier.ready('x');
  notifier.stopping();
  t.pass('still here');
});

t.test('unixSocketAddress: a path ends with a zero byte, an abstract name begins with one', async (t) => {
  t.same(Buffer.from(unixSocketAddress('/run/n') ?? []).toString('latin1'), '\u0001\u0000/run/n\u0000');
  t.same(Buffer.from(unixSocketAddress('@n') ?? []).toString('latin1'), '\u0001\u0000\u0000n');
  t.equal(unixSocketAddress('@'), undefined);
  t.equal(unixSocketAddress(`/${'x'.repeat(106)}`)?.length, 110, 'the longest path');
  t.equal(unixSocketAddress(`/${'x'.repeat(107)}`), undefined);
});
