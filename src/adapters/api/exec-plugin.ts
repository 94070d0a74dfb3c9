import { byHand } from '../../remedy.ts';
import { isAbsolute } from 'node:path';
import { CertletError } from '../../errors.ts';
import type { ClusterAccess } from '../../kubeconfig/client-config.ts';
import type { ExecPlugin } from '../../kubeconfig/model.ts';
import { runPluginProcess, type PluginEnd } from './plugin-process.ts';
import type { Environment } from './proxy-choice.ts';
import { plainText } from './response-headers.ts';
import { Secret } from '../../secret.ts';
import type { ClientPair } from './tls-options.ts';

export interface ExecLimits {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Gets the end of a failed plugin's error output, on one line. */
  readonly onOutput: (plugin: string, text: string) => void;
}

/** An ExecCredential is some kilobytes. */
const MAX_OUTPUT_BYTES = 1024 * 1024;

/**
 * Runs a credential plugin: no shell, no terminal, a process group of its own, what `execEnvironment` lets through plus the plugin's variables and KUBERNETES_EXEC_INFO.
 * Throws `ERR_EXEC_PLUGIN` with exit status. Errors end up in documents that everybody reads, and a plugin's error output may hold anything:
 * its end goes to `onOutput` alone, for the journal, and whatever looks like a token is blotted out even there.
 */
export async function runExecPlugin(
  plugin: ExecPlugin,
  cluster: ClusterAccess,
  environment: Environment,
  limits: ExecLimits,
): Promise<ExecCredential> {
  const { variables, withheld } = execEnvironment(environment);
  const env = {
    ...variables,
    ...Object.fromEntries(plugin.env.map(({ name, value }) => [name, value])),
    KUBERNETES_EXEC_INFO: execInfo(plugin, cluster).reveal(),
  };
  const missing = withheld.filter((name) => !(name in env));
  return parseExecCredential(await outputOf({ plugin, env, withheld: missing }, limits), plugin);
}

interface ExecCall {
  readonly plugin: ExecPlugin;
  readonly env: Readonly<Record<string, string>>;
  readonly withheld: readonly string[];
}

async function outputOf({ plugin, env, withheld }: ExecCall, limits: ExecLimits): Promise<string> {
  const call = { command: plugin.command, args: plugin.args, env };
  // A name would be looked up anew, over the plugin's own PATH even: only a path that was judged is run.
  if (!isAbsolute(plugin.command)) throw pluginError({ plugin, withheld }, { kind: 'failed', code: 'ENOENT' });
  const end = await runPluginProcess(call, { ...limits, maxBytes: MAX_OUTPUT_BYTES });
  if (end.kind === 'exited' && end.code === 0) return end.stdout;
  const words = end.kind === 'failed' ? '' : wordsOf(end.stderr);
  if (words !== '') limits.onOutput(plugin.command, words);
  throw pluginError({ plugin, withheld }, end);
}

function pluginError({ plugin, withheld }: Pick<ExecCall, 'plugin' | 'withheld'>, end: PluginEnd): CertletError {
  const problem = `exec plugin ${plugin.command} ${causeOf(end)}`;
  const absent = end.kind === 'failed' && end.code === 'ENOENT';
  const hint = absent && plugin.installHint !== undefined ? plainText(plugin.installHint, 500) : undefined;
  return new CertletError('ERR_EXEC_PLUGIN', problem, {
    remedy:
      (hint === undefined ? undefined : byHand(hint)) ??
      `journalctl -u certlet   # has what it said; run it by hand, as the user of the service and with its environment.${withheld.map(withheldHint).join('')}`,
  });
}

function wordsOf(stderr: string): string {
  return plainText(stderr.slice(-2000).replaceAll(/[\w+/=.~-]{24,}/g, '[…]'), 300);
}

function withheldHint(name: string): string {
  return ` ${name} holds a password and is not passed on: where the plugin needs it, name it in the env of the exec entry.`;
}

function causeOf(end: PluginEnd): string {
  switch (end.kind) {
    case 'exited':
      return `failed with exit status ${String(end.code)}`;
    case 'killed':
      return `was ended by ${end.signal}`;
    case 'timedOut':
      return 'did not end in time and was killed';
    case 'tooLong':
      return 'printed more than 1 MiB';
    case 'failed':
      return NOT_STARTED[end.code ?? ''] ?? `could not be started (${end.code ?? 'unknown reason'})`;
  }
}

const NOT_STARTED: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  EACCES: 'may not be executed',
  E2BIG:
    'could not be started: its arguments and variables are too long for this system (E2BIG); with provideClusterInfo the whole CA bundle is among them',
  ERR_INVALID_ARG_VALUE: 'could not be started: there is a zero byte in its arguments or variables',
};

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
      '# Run it by hand, as the user of the service, and compare with the ExecCredential of client.authentication.k8s.io.',
  });
}

/** What the service manager and our launcher tell this process alone. A plugin that had NOTIFY_SOCKET could speak for the service. */
const OURS =
  /^(NOTIFY_SOCKET|WATCHDOG_(PID|USEC)|LISTEN_(PID|PIDFDID|FDS|FDNAMES)|MAINPID|MANAGERPID(FDID)?|SYSTEMD_EXEC_PID|INVOCATION_ID|JOURNAL_STREAM|MEMORY_PRESSURE_(WATCH|WRITE)|NODE_OPTIONS|NODE_COMPILE_CACHE|NODE_V8_COVERAGE|MALLOC_ARENA_MAX|MALLOC_TRIM_THRESHOLD_|UV_THREADPOOL_SIZE)$/;
const PROXY = /^(https?|all)_proxy$/i;

export interface ExecEnvironment {
  readonly variables: Readonly<Record<string, string>>;
  /** Proxy variables that were left out because they hold a password; the plugin's own `env` may name them. */
  readonly withheld: readonly string[];
}

/**
 * What a credential plugin inherits: client-go gives it the whole environment, and so an admin's AWS_PROFILE or HOME arrives here too. Left
 * out are the service's own variables and proxies with a password.
 */
export function execEnvironment(environment: Environment): ExecEnvironment {
  const variables: Record<string, string> = {};
  const withheld: string[] = [];
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined || OURS.test(name)) continue;
    if (PROXY.test(name) && value.includes('@')) withheld.push(name);
    else variables[name] = value;
  }
  return { variables, withheld };
}
