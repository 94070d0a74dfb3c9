import { isAbsolute } from 'node:path';
import { CertletError } from '../../errors.ts';
import type { ClusterAccess, ExecPlugin } from '../../kubeconfig/client-config.ts';
import { execEnvironment } from './exec-environment.ts';
import { execInfo, parseExecCredential } from './exec-credential.ts';
import type { ExecCredential } from './exec-credential.ts';
import { runPluginProcess } from './plugin-process.ts';
import type { PluginEnd } from './plugin-process.ts';
import type { Environment } from './proxy-choice.ts';
import { plainText } from './response-headers.ts';

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
      hint ??
      `Run the command by hand, as the user of the service and with its environment; the journal has what it said (journalctl -u certlet).${withheld.map(withheldHint).join('')}`,
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
