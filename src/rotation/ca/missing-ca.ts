import { type Remedy, rejoinRemedy } from '../../remedy.ts';
import { CertletError, isCertletError } from '../../errors.ts';
import { hostPort } from '../../kubeconfig/url-host.ts';
import type { ClusterAccess } from '../../kubeconfig/client-config.ts';
import { readTrustedCas } from '../../kubeconfig/trusted-ca.ts';
import type { ApiConnector, ServerGlimpse } from '../../ports.ts';
import { caNames } from '../rules/cluster-ca.ts';

/**
 * What to say where a server's certificate is signed by no CA in hand: which CA that would be, as far as the certificate tells, and how the node comes by
 * it with its identity and key. The certificate is not verified, so nothing is done with it. `error` is what the connection came to; one that says
 * anything else comes back as it is. `byRoot`: root writes the node's kubeconfig.
 */
export async function missingCa(
  connector: Pick<ApiConnector, 'glimpse'>,
  cluster: ClusterAccess,
  { error, byRoot }: { readonly error: CertletError; readonly byRoot: boolean },
  signal: AbortSignal,
): Promise<CertletError> {
  const { code, reason } = error;
  if (code !== 'ERR_API_TLS' || reason !== 'not signed') return error;
  const seen = await connector.glimpse(cluster, signal).catch((thrown: unknown): ServerGlimpse => {
    if (!isCertletError(thrown) && !signal.aborted) throw thrown;
    return {};
  });
  const cas = readTrustedCas(cluster.caPem);
  const trusted = cas.length === 0 ? 'the roots of this host alone' : caNames(cas);
  const message = `the certificate of ${seen.server ?? cluster.server} is signed by ${signerOf(seen)}, which this node does not trust; it trusts ${trusted}`;
  return new CertletError(code, message, { cause: error, reason, remedy: joinAgain(cluster, byRoot) });
}

/** Identity and key stay: the pair is shown to the cluster under the new CA, and what it accepts is taken over. */
export const joinAgain = ({ server }: Pick<ClusterAccess, 'server'>, byRoot: boolean): Remedy =>
  rejoinRemedy(
    { endpoint: hostPort(new URL(server)), byRoot },
    'a token and the new hash are shown by kubeadm token create --print-join-command on a control plane node; the node keeps its identity and key',
  );

/** The CA that a server's certificate says it is of: name, and what tells it from others of that name. */
export function signerOf({ certificate }: ServerGlimpse): string {
  if (certificate === undefined) return 'another CA';
  const { issuer, issuerFingerprint, issuerKeyId } = certificate;
  const marks = [
    ...(issuerKeyId === undefined ? [] : [`key id ${issuerKeyId}`]),
    ...(issuerFingerprint === undefined ? [] : [`sha256 ${issuerFingerprint}`]),
  ];
  return marks.length === 0 ? issuer : `${issuer} (${marks.join(', ')})`;
}
