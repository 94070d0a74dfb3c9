import {
  alternativeNames,
  authority,
  authorityKeyId,
  identifierOf,
  keyUsage,
  noAuthority,
  purposes,
  subjectKeyId,
} from './extensions.ts';
import type { Names } from './extensions.ts';
import { mint, rsaKey } from './mint.ts';
import type { CertificateSpec, Minted } from './mint.ts';
import type { Served } from './row.ts';

/** What many rows share, made once. */
export interface Materials {
  /** The cluster's authority. */
  readonly ca: Minted;
  /** Another cluster's. */
  readonly otherCa: Minted;
  /** The one among the host's roots. */
  readonly hostCa: Minted;
  /** By `ca`, for every name and address in use here. */
  readonly served: Served;
  /** By `hostCa`. */
  readonly servedByHost: Served;
  /** A client certificate by `ca`. */
  readonly client: Minted;
  /** Keys that take long to make. */
  readonly rsa2048: Minted['key'];
  readonly rsa1024: Minted['key'];
}

/** Names that rows reach their server by, or ask for. */
export const SERVER_NAMES: Names = {
  dns: ['localhost', 'kubernetes', 'api.example.test', '*.wild.example.test'],
  ip: ['127.0.0.1', '127.0.0.8', '::1'],
};

/** An authority as kubeadm makes it. */
export function makeCa(subject: string, more: Partial<CertificateSpec> = {}): Minted {
  const key = more.key ?? mint({ subject }).key;
  const extensions = [
    keyUsage('digitalSignature', 'keyEncipherment', 'keyCertSign'),
    authority(),
    subjectKeyId(identifierOf(key)),
  ];
  return mint({ subject, extensions, ...more, key });
}

/** A server certificate as kubeadm makes it. */
export function makeServer(issuer: Minted, more: Partial<CertificateSpec> = {}): Minted {
  const extensions = [
    keyUsage('digitalSignature', 'keyEncipherment'),
    purposes('serverAuth'),
    noAuthority,
    authorityKeyId(identifierOf(issuer.key)),
    alternativeNames(SERVER_NAMES),
  ];
  return mint({ subject: 'kube-apiserver', issuer, extensions, ...more });
}

/** Leaf first, then what a server sends along. */
export function serving(leaf: Minted, ...chain: readonly Minted[]): Served {
  return { chain: [leaf, ...chain].map(({ pem }) => pem).join(''), key: leaf.keyPem };
}

export function makeMaterials(): Materials {
  const [ca, otherCa, hostCa] = [makeCa('kubernetes'), makeCa('another'), makeCa('host-root')];
  const clientExtensions = [keyUsage('digitalSignature', 'keyEncipherment'), purposes('clientAuth'), noAuthority];
  return {
    ca,
    otherCa,
    hostCa,
    served: serving(makeServer(ca)),
    servedByHost: serving(makeServer(hostCa)),
    client: mint({ subject: 'system:node:n1', issuer: ca, extensions: clientExtensions }),
    rsa2048: rsaKey(2048),
    rsa1024: rsaKey(1024),
  };
}
