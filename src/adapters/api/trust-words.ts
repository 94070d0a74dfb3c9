import { onControlPlane, type Remedy } from '../../remedy.ts';

/** Who named a server and the CAs that it is judged by: what messages and remedies call them. */
export interface TrustWords {
  /** Where the CAs stand, as in "a CA of …". */
  readonly place: string;
  /** What a certificate is where none of them has signed it, and, as the end of a sentence, what to do. */
  readonly unsigned: { readonly problem: string; readonly mend: string };
  /** The same for the certificate of an https proxy, which the host's roots may vouch for, too. */
  readonly unsignedProxy: string;
  /** What to do about a certificate for other names. */
  readonly otherNames: Remedy;
  /** What to do about a CA that has ended or is none. */
  readonly presentCa: Remedy;
  /** What to check where something else than the server answers. */
  readonly address: string;
  /** Where user and password of a proxy are set. */
  readonly proxySetting: string;
}

const PRESENT_CA =
  'into the kubeconfig as certificate-authority-data, in base64: /etc/kubernetes/pki/ca.crt of a control plane node.';

/** A kubeconfig with a CA. */
export const KUBECONFIG: TrustWords = {
  place: 'the kubeconfig',
  unsigned: {
    problem: 'is not signed by the CA that the kubeconfig gives',
    mend: "compare certificate-authority in the kubeconfig with the cluster's CA",
  },
  unsignedProxy: 'is signed neither by the CA of the kubeconfig nor by one that this host trusts',
  otherNames: "# Set server in the kubeconfig to one of the certificate's names, or tls-server-name to one of them.",
  presentCa: `# Put the cluster's present CA ${PRESENT_CA}`,
  address: 'host and port of server in the kubeconfig',
  proxySetting: 'proxy-url, or in HTTPS_PROXY where that names the proxy',
};

/** A kubeconfig that gives no CA, so the host's own roots decide. */
export const KUBECONFIG_WITHOUT_CA: TrustWords = {
  ...KUBECONFIG,
  unsigned: {
    problem: 'is not signed by a CA that this host trusts, and the kubeconfig gives none',
    mend: `put the cluster's CA ${PRESENT_CA}`,
  },
};

/** The endpoint of `join`, judged by what is pinned of the CAs in cluster-info: there is no kubeconfig yet. */
export const JOIN_ENDPOINT: TrustWords = {
  place: 'cluster-info',
  unsigned: {
    problem: 'is not signed by a CA of cluster-info that is pinned',
    mend: 'compare ENDPOINT and CA hash with what kubeadm token create --print-join-command shows on a control plane node',
  },
  unsignedProxy: 'is signed neither by a pinned CA of cluster-info nor by one that this host trusts',
  otherNames: "# Give join one of the certificate's names or addresses as ENDPOINT.",
  presentCa: onControlPlane('kubeadm init phase bootstrap-token', "publishes the cluster's present CA"),
  address: 'host and port of ENDPOINT',
  proxySetting: 'HTTPS_PROXY',
};

/** The server of a discovery file, judged by the host's own roots. */
export const DISCOVERY_URL: TrustWords = {
  place: 'this host',
  unsigned: {
    problem: 'is not signed by a CA that this host trusts',
    mend: 'add its CA to those that this host trusts, or fetch the file in another way and give --discovery-file its path',
  },
  unsignedProxy: 'is not signed by a CA that this host trusts',
  otherNames: "# Write one of the certificate's names into the URL of --discovery-file.",
  presentCa: '# Renew that CA among those that this host trusts.',
  address: 'host and port in the URL of --discovery-file',
  proxySetting: 'HTTPS_PROXY',
};
