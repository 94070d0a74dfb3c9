import { getCACertificates } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import type { ProxyUrl } from '../../kubeconfig/proxy-url.ts';
import type { Secret } from '../../secret.ts';
import { serverIdentity } from './server-identity.ts';

/** A client certificate as presented in the TLS handshake. */
export interface ClientPair {
  readonly chainPem: string;
  readonly keyPem: Secret;
}

/** Whom to trust, and what to show. */
export interface TlsTrust {
  readonly caPem: string | undefined;
  readonly insecureSkipTlsVerify: boolean;
  readonly tlsServerName: string | undefined;
  readonly pair: ClientPair | undefined;
}

export type TlsOptions = Pick<
  ConnectionOptions,
  | 'ecdhCurve'
  | 'allowPartialTrustChain'
  | 'ca'
  | 'cert'
  | 'key'
  | 'rejectUnauthorized'
  | 'servername'
  | 'checkServerIdentity'
>;

/**
 * Groups for the key exchange. OpenSSL would send a key share of the post-quantum one, and so a first packet of 1580 bytes that some middleboxes
 * drop; a star marks those whose share is sent. A server that wants another of the list asks for it.
 */
export const KEY_EXCHANGE = { ecdhCurve: '*X25519/*P-256:P-384:P-521:X448:X25519MLKEM768' } as const;

/**
 * As client-go verifies: only the given CAs where there are any, an intermediate or leaf among them is enough
 * (Go's RootCAs), else the host's roots. `host` is the one connected to, where no `tlsServerName` stands for it.
 */
export function serverTls(trust: TlsTrust, host: string): TlsOptions {
  const { caPem, pair, tlsServerName } = trust;
  return {
    ...KEY_EXCHANGE,
    allowPartialTrustChain: true,
    rejectUnauthorized: !trust.insecureSkipTlsVerify,
    ca: caPem ?? hostRoots(),
    ...(pair === undefined ? {} : { cert: pair.chainPem, key: pair.keyPem.reveal() }),
    ...serverIdentity(tlsServerName ?? host, host),
  };
}

/**
 * For the connection to an https proxy. Go trusts there what the kubeconfig trusts; a proxy that the host's own roots vouch for is taken
 * too. No certificate and no server name of ours: those are for the API server.
 */
export function proxyTls(proxy: ProxyUrl, trust: TlsTrust): TlsOptions {
  if (proxy.scheme !== 'https') return {};
  return {
    ...KEY_EXCHANGE,
    allowPartialTrustChain: true,
    rejectUnauthorized: !trust.insecureSkipTlsVerify,
    ca: [...(trust.caPem === undefined ? [] : [trust.caPem]), ...hostRoots()],
    // undici would send an address as SNI, which Node refuses.
    ...serverIdentity(proxy.host, undefined),
  };
}

/** The roots that the host's admin installed, as Go takes them; Node's own list where the host has none. */
function hostRoots(): string[] {
  const system = getCACertificates('system');
  return system.length > 0 ? system : getCACertificates('default');
}
