import { execFile } from 'node:child_process';
import type { ExecFileException } from 'node:child_process';
import { CertletError } from '../../errors.ts';
import type { ClusterAccess, ExecPlugin } from '../../kubeconfig/client-config.ts';
import { execEnvironment } from './exec-environment.ts';
import { execInfo, parseExecCredential } from './exec-credential.ts';
import type { ExecCredential } from './exec-credential.ts';
import type { Environment } from './proxy-choice.ts';
import { plainText } from './response-headers.ts';

export interface ExecLimits {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** An ExecCredential is some kilobytes. */
const MAX_OUTPUT_BYTES = 1024 * 1024;

/**
 * Runs a credential plugin: no shell, no terminal, what `execEnvironment` lets through plus the plugin's variables and KUBERNETES_EXEC_INFO.
 * Throws `ERR_EXEC_PLUGIN` with exit status and the end of its error output, in which whatever looks like a token is blotted out.
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

function outputOf({ plugin, env, withheld }: ExecCall, limits: ExecLimits): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      env,
      encoding: 'utf8',
      timeout: limits.timeoutMs,
      killSignal: 'SIGKILL',
      maxBuffer: MAX_OUTPUT_BYTES,
      signal: limits.signal,
      shell: false,
    } as const;
    const child = execFile(plugin.command, [...plugin.args], options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else if (limits.signal.aborted) reject(limits.signal.reason as Error);
      else reject(pluginError({ plugin, withheld }, error, stderr));
    });
    // A plugin that asks a question gets an end of file instead of waiting for its time limit.
    child.stdin?.on('error', () => undefined).end();
  });
}

function pluginError(
  { plugin, withheld }: Pick<ExecCall, 'plugin' | 'withheld'>,
  error: ExecFileException,
  stderr: string,
): CertletError {
  const words = plainText(stderr.slice(-2000).replaceAll(/[\w+/=.~-]{24,}/g, '[…]'), 300);
  const problem = `exec plugin ${plugin.command} ${causeOf(error)}${words === '' ? '' : `: ${words}`}`;
  const hint =
    error.code === 'ENOENT' && plugin.installHint !== undefined ? plainText(plugin.installHint, 500) : undefined;
  return new CertletError('ERR_EXEC_PLUGIN', problem, {
    remedy:
      hint ??
      `Run the command by hand, as the user of the service and with its environment.${withheld.map(withheldHint).join('')}`,
  });
}

function withheldHint(name: string): string {
  return ` ${name} holds a password and is not passed on: where the plugin needs it, name it in the env of the exec entry.`;
}

function causeOf(error: ExecFileException): string {
  if (error.code === 'ENOENT') return 'does not exist';
  if (error.code === 'EACCES') return 'may not be executed';
  if (error.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') return 'printed more than 1 MiB';
  if (error.killed === true) return 'did not end in time and was killed';
  return typeof error.code === 'number'
    ? `failed with exit status ${String(error.code)}`
    : `was ended by ${error.signal ?? 'an error'}`;
}
