import type { Environment } from './proxy-choice.ts';

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
