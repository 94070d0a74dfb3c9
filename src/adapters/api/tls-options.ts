import { getCACertificates } from 'node:tls';
import type { ProxyUrl } from '../../kubeconfig/proxy-url.ts';
import { bareHost } from '../../pki/ip-address.ts';
import type { Secret } from '../../secret.ts';
import { serverNameIndication } from './server-identity.ts';

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

/** How one peer is to be believed. */
export interface PeerTls {
  /** Nobody is refused. */
  readonly insecure: boolean;
  /** Whom OpenSSL is told to trust. */
  readonly ca: string | readonly string[];
  /** The CAs of the kubeconfig, which may be tried one by one; undefined where the host's roots decide alone. */
  readonly bundlePem: string | undefined;
  /** The name or address that its certificate must have. */
  readonly name: string;
  /** For SNI; empty for none. */
  readonly servername: string;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/**
 * As client-go verifies: only the given CAs where there are any, an intermediate or leaf among them is enough
 * (Go's RootCAs), else the host's roots. `host` is the one connected to, where no `tlsServerName` stands for it.
 */
export function serverTls(trust: TlsTrust, host: string): PeerTls {
  const { caPem, pair, tlsServerName } = trust;
  return {
    ...peerNames(tlsServerName ?? host),
    insecure: trust.insecureSkipTlsVerify,
    ca: caPem ?? hostRoots(trust),
    bundlePem: caPem,
    cert: pair?.chainPem,
    key: pair?.keyPem.reveal(),
  };
}

/**
 * For the connection to an https proxy. Go trusts there what the kubeconfig trusts; a proxy that the host's own roots vouch for is taken
 * too. No certificate and no server name of ours: those are for the API server.
 */
export function proxyTls(proxy: ProxyUrl, trust: TlsTrust): PeerTls {
  return {
    ...peerNames(proxy.host),
    insecure: trust.insecureSkipTlsVerify,
    ca: [...(trust.caPem === undefined ? [] : [trust.caPem]), ...hostRoots(trust)],
    bundlePem: trust.caPem,
    cert: undefined,
    key: undefined,
  };
}

function peerNames(name: string): Pick<PeerTls, 'name' | 'servername'> {
  return { name: bareHost(name), servername: serverNameIndication(name) };
}

/**
 * The roots that the host's admin installed, as Go takes them; Node's own list where the host has none. Each once: hosts have them in a file and
 * twice in a folder, and OpenSSL reads for each connection what it is given. None where nobody is refused.
 */
function hostRoots({ insecureSkipTlsVerify }: TlsTrust): string[] {
  if (insecureSkipTlsVerify) return [];
  const system = getCACertificates('system');
  return [...new Set(system.length > 0 ? system : getCACertificates('bundled'))];
}
