import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { isIP } from 'node:net';
import { unlessDefect } from '../errors.ts';
import { bareHost } from '../pki/ip-address.ts';
import type { RouteProbe } from '../ports.ts';

export interface RouteProbeOptions {
  /** Name resolution has no limit of its own that an edge host could wait for. */
  readonly lookupTimeoutMs: number;
  /** Addresses of a name in the system's order; `dns.lookup` unless told. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
}

/**
 * Finds the address from which packets to the API server leave, by connecting a UDP socket: the kernel chooses route and source address
 * and sends nothing.
 */
export function createRouteProbe(options: RouteProbeOptions = { lookupTimeoutMs: 5000 }): RouteProbe {
  const resolve = options.resolve ?? systemAddresses;
  return {
    async localAddress(server) {
      const host = hostOf(server);
      if (host === undefined) return undefined;
      const addresses = isIP(host) === 0 ? await within(resolve(host), options.lookupTimeoutMs) : [host];
      for (const address of addresses ?? []) {
        const local = await sourceFor(address);
        if (local !== undefined) return local;
      }
      return undefined;
    },
  };
}

function hostOf(server: string): string | undefined {
  return URL.canParse(server) ? bareHost(new URL(server).hostname) : undefined;
}

async function systemAddresses(host: string): Promise<readonly string[]> {
  // Not before a name is to be looked up: it reads the settings of a resolver of its own.
  const { lookup } = await import('node:dns/promises');
  const found = await lookup(host, { all: true, order: 'verbatim' });
  return found.map(({ address }) => address);
}

/** Undefined when the work fails or takes too long; its late end is nobody's business then. */
async function within<T>(work: Promise<T>, timeoutMs: number): Promise<T | undefined> {
  const limit = AbortSignal.timeout(timeoutMs);
  const late = new Promise<undefined>((resolve) => {
    limit.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  return Promise.race([work.catch(unlessDefect(undefined)), late]);
}

function sourceFor(address: string): Promise<string | undefined> {
  const socket = createSocket(isIP(address) === 6 ? 'udp6' : 'udp4');
  return new Promise((resolve) => {
    const end = (local: string | undefined): void => {
      socket.close();
      resolve(local);
    };
    socket.once('error', () => end(undefined));
    // Any port does: connecting a datagram socket sends nothing.
    socket.connect(443, address, () => end(addressOf(socket)));
  });
}

/** Without the zone of a link-local address; undefined for the unspecified address. */
function addressOf(socket: Socket): string | undefined {
  const address = socket.address().address.replace(/%.*$/, '');
  return address === '0.0.0.0' || address === '::' ? undefined : address;
}
