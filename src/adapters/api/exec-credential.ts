import { CertletError } from '../../errors.ts';
import type { ClusterAccess, ExecPlugin } from '../../kubeconfig/client-config.ts';
import { Secret } from '../../secret.ts';
import type { ClientPair } from './tls-options.ts';

/** What a plugin gave: at least one of token and pair. */
export interface ExecCredential {
  readonly token: Secret | undefined;
  readonly pair: ClientPair | undefined;
  /** Undefined: good until the API server refuses it. */
  readonly expiresAt: Date | undefined;
}

/** The JSON that the plugin finds in KUBERNETES_EXEC_INFO (client.authentication.k8s.io). Holds no credential but a proxy's. */
export function execInfo(plugin: ExecPlugin, cluster: ClusterAccess): Secret {
  const caData = cluster.caPem === undefined ? undefined : Buffer.from(cluster.caPem, 'utf8').toString('base64');
  const info = {
    server: cluster.server,
    'tls-server-name': cluster.tlsServerName,
    'insecure-skip-tls-verify': cluster.insecureSkipTlsVerify ? true : undefined,
    'certificate-authority-data': caData,
    'proxy-url': cluster.proxyUrl?.reveal(),
    config: plugin.clusterConfig,
  };
  const spec = { interactive: false, ...(plugin.provideClusterInfo ? { cluster: info } : {}) };
  return new Secret(JSON.stringify({ kind: 'ExecCredential', apiVersion: plugin.apiVersion, spec }));
}

/** Checks what a plugin printed, as client-go does. Throws `ERR_EXEC_PLUGIN`; nothing of the output is quoted. */
export function parseExecCredential(output: string, plugin: ExecPlugin): ExecCredential {
  const fields = readObject(output, plugin);
  if (fields['kind'] !== 'ExecCredential') throw invalid(plugin, 'printed no ExecCredential');
  if (fields['apiVersion'] !== plugin.apiVersion) {
    throw invalid(plugin, `did not print the version ${plugin.apiVersion} that the kubeconfig asks for`);
  }
  const status = fields['status'];
  if (typeof status !== 'object' || status === null) throw invalid(plugin, 'printed an ExecCredential without status');
  const values = status as Readonly<Record<string, unknown>>;
  const token = text(values['token'], 'token', plugin);
  const certificate = text(values['clientCertificateData'], 'clientCertificateData', plugin);
  const key = text(values['clientKeyData'], 'clientKeyData', plugin);
  if ((certificate === undefined) !== (key === undefined)) {
    throw invalid(plugin, 'printed only one of clientCertificateData and clientKeyData');
  }
  if (token === undefined && certificate === undefined) throw invalid(plugin, 'printed neither token nor certificate');
  return {
    token: token === undefined ? undefined : new Secret(token),
    pair:
      certificate === undefined || key === undefined ? undefined : { chainPem: certificate, keyPem: new Secret(key) },
    expiresAt: expiry(text(values['expirationTimestamp'], 'expirationTimestamp', plugin), plugin),
  };
}

function readObject(output: string, plugin: ExecPlugin): Readonly<Record<string, unknown>> {
  let json: unknown;
  try {
    json = JSON.parse(output);
  } catch {
    // The parser's message quotes the output, which may be a token.
    throw invalid(plugin, 'printed something that is no JSON');
  }
  if (typeof json !== 'object' || json === null) throw invalid(plugin, 'printed no ExecCredential');
  return json as Readonly<Record<string, unknown>>;
}

function text(value: unknown, field: string, plugin: ExecPlugin): string | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value !== 'string') throw invalid(plugin, `printed a ${field} that is no text`);
  return value;
}

function expiry(value: string | undefined, plugin: ExecPlugin): Date | undefined {
  if (value === undefined) return undefined;
  const date = new Date(value);
  if (Number.isNaN(date.getTime())) throw invalid(plugin, 'printed an expirationTimestamp that is no RFC 3339 time');
  return date;
}

function invalid(plugin: ExecPlugin, problem: string): CertletError {
  return new CertletError('ERR_EXEC_PLUGIN', `exec plugin ${plugin.command} ${problem}`, {
    remedy:
      'Run it by hand, as the user of the service, and compare with the ExecCredential of client.authentication.k8s.io.',
  });
}
