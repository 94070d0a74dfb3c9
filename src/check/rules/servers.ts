import type { Remedy } from '../../remedy.ts';
import type { CertletError } from '../../errors.ts';
import { type Finding, finding, good } from '../finding.ts';
import { faultOf } from '../../rotation/rules/servers.ts';

/** One further API server of the settings, asked under the CA and with the credential of the kubeconfig; `error` is what came in place of an answer. */
export function serverFinding(server: string, error: CertletError | undefined): Finding {
  if (error === undefined || error.code === 'ERR_API_FORBIDDEN')
    return good('servers', `${server} answers, and is verified by the CA of the kubeconfig`, { server });
  const evidence = { server, code: error.code };
  const { message, remedy } = error;
  if (faultOf(error) === 'untrusted')
    return finding('problem', 'servers.untrusted', `${server} of the settings is never asked: ${message}`, {
      remedy,
      evidence,
    });
  if (error.code === 'ERR_API_UNAUTHORIZED') {
    const what = `${server} of the settings refuses the credential that the kubeconfig's server accepts: ${message}`;
    const compare: Remedy =
      '# Compare its --client-ca-file with that of the other API servers; it may be the server of another cluster.';
    return finding('problem', 'servers.refused', what, { remedy: compare, evidence });
  }
  return finding('warning', 'servers.silent', `${server} of the settings does not answer: ${message}`, {
    remedy,
    evidence,
  });
}
