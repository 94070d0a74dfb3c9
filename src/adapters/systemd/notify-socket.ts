/** Linux numbers, the same on every architecture that systemd runs Node on. */
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;
/** Bytes of `sun_path`, unix(7). */
const SUN_PATH_BYTES = 108;

/** Sends one datagram; false when the kernel refused it. */
export type DatagramSender = (bytes: Uint8Array) => boolean;

/**
 * A sockaddr_un for `NOTIFY_SOCKET`: an absolute path, or `@name` for an abstract socket (unix(7)). Undefined for what is neither, such as
 * the vsock addresses that virtual machines get, or is too long.
 */
export function unixSocketAddress(socket: string): Uint8Array | undefined {
  if (!socket.startsWith('/') && !socket.startsWith('@')) return undefined;
  // An abstract name begins with a zero byte and has no end mark; a path ends with one.
  const name = socket.startsWith('@') ? Buffer.from(`\0${socket.slice(1)}`) : Buffer.from(`${socket}\0`);
  if (name.length > SUN_PATH_BYTES || name.length < 2) return undefined;
  const family = Buffer.alloc(2);
  // The family is in the host's byte order; every platform that Node is shipped for here is little-endian.
  family.writeUInt16LE(AF_UNIX);
  return Buffer.concat([family, name]);
}

/** Node has no datagram sockets of the unix family, so this calls the C library. Rejects where `node:ffi` is missing (Node before 26.1). */
export async function openDatagramSender(address: Uint8Array): Promise<DatagramSender> {
  const { dlopen } = await import('node:ffi');
  const { functions } = dlopen(null, {
    socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
    sendto: { arguments: ['int32', 'buffer', 'uint64', 'int32', 'buffer', 'uint32'], return: 'int64' },
    close: { arguments: ['int32'], return: 'int32' },
  });
  return (bytes) => {
    const fd = functions.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    try {
      return functions.sendto(fd, bytes, BigInt(bytes.length), MSG_NOSIGNAL, address, address.length) >= 0n;
    } finally {
      functions.close(fd);
    }
  };
}
