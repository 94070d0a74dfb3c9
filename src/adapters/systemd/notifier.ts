import type { ServiceNotifier } from '../../ports.ts';
import { NotifyCommand, notifySpawner } from './notify-command.ts';
import { readyLines, reloadingLines, statusLine, type NotifyLines } from './notify-message.ts';
import { openDatagramSender, unixSocketAddress, type DatagramSender } from './notify-socket.ts';

/** Makes the sender of datagrams to an address; rejects where this Node cannot. */
export type SenderOpener = (address: Uint8Array) => Promise<DatagramSender>;

interface Channel {
  send(lines: NotifyLines): void;
  sendNow(lines: NotifyLines): void;
}

/** Tells nobody: what a process outside systemd gets. */
const SILENCE: Channel = { send: () => undefined, sendNow: () => undefined };

/**
 * The notifier of this process: silent without `NOTIFY_SOCKET`, by the C library's `sendto` where Node has `node:ffi`, else by spawning
 * `systemd-notify` (then the unit needs `NotifyAccess=all`). Never rejects; no method of the notifier throws.
 */
export async function openNotifier(
  env: Readonly<Record<string, string | undefined>>,
  open: SenderOpener = openDatagramSender,
): Promise<ServiceNotifier> {
  return notifierOver(await openChannel(env['NOTIFY_SOCKET'], open));
}

async function openChannel(socket: string | undefined, open: SenderOpener): Promise<Channel> {
  const address = socket === undefined ? undefined : unixSocketAddress(socket);
  if (socket === undefined || address === undefined) return SILENCE;
  const command = new NotifyCommand(notifySpawner(socket));
  try {
    return datagramChannel(await open(address), command);
  } catch {
    // No node:ffi in this Node, or it may not be used: the command does the same, slower.
    return command;
  }
}

function datagramChannel(sender: DatagramSender, fallback: Channel): Channel {
  const attempt = (lines: NotifyLines): boolean => {
    try {
      return sender(Buffer.from(lines.join('\n')));
    } catch {
      // A foreign function that cannot be called is no reason to fail the service.
      return false;
    }
  };
  return {
    send: (lines) => void (attempt(lines) || fallback.send(lines)),
    sendNow: (lines) => void (attempt(lines) || fallback.sendNow(lines)),
  };
}

function notifierOver(channel: Channel): ServiceNotifier {
  return {
    ready: (status) => channel.send(readyLines(status)),
    status: (text) => channel.send([statusLine(text)]),
    reloading: () => channel.send(reloadingLines(process.hrtime.bigint() / 1000n)),
    stopping: () => channel.sendNow(['STOPPING=1']),
    watchdog: () => channel.send(['WATCHDOG=1']),
  };
}
