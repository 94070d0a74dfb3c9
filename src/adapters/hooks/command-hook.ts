import { shellWord } from '../../remedy.ts';
import { CertletError } from '../../errors.ts';
import type { Logger } from '../../ports.ts';
import { runCommand, type CommandEnd } from './command-process.ts';
import type { Hook, HookEvent } from './hook.ts';

/** A configured command. */
export interface CommandSettings {
  readonly name: string;
  /** Argument vector; the first is an absolute path. */
  readonly command: readonly string[];
  readonly on: readonly string[];
  readonly timeoutMs: number;
}

/** Where a command finds programs that it names without a path; nothing of the service's own environment reaches it. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Runs a configured command after rotations of the certificates that it names, its output going to the log line by line. */
export function commandHook(settings: CommandSettings, log: Logger): Hook {
  const { name, command, on, timeoutMs } = settings;
  return {
    id: `command ${name}`,
    exclusive: true,
    reasons: ({ purpose, cause }) =>
      cause === undefined && on.includes(purpose) ? [`runs after each ${purpose} rotation`] : [],
    async run(event, _attempt, _done, signal) {
      const env = hookEnvironment(event);
      const onLine = (stream: string, line: string): void =>
        log.log('info', 'Hook output', { hook: name, stream, line });
      const end = await runCommand({ command, env, timeoutMs, onLine }, signal);
      if (end.kind === 'exited' && end.code === 0) return;
      const words = Object.entries(env)
        .map(([key, value]) => shellWord(`${key}=${value}`))
        .join(' ');
      throw new CertletError('ERR_HOOK', `hook ${name} ${endText(end, timeoutMs)}`, {
        // Everybody reads the status, and an argument may be a secret: the settings file alone has the command.
        remedy: `env -i ${words} sh   # a shell with its environment: run the command of the hook ${name} in the settings there`,
      });
    },
  };
}

/** What a command is told: the name of the certificate (under two names, the older one as in 0.1.0), the link that always names the newest pair, the file behind it now, the node's kubeconfig. */
export function hookEnvironment(event: HookEvent): Readonly<Record<string, string>> {
  return {
    PATH,
    LANG: 'C.UTF-8',
    CERTLET_PURPOSE: event.purpose,
    CERTLET_CERTIFICATE: event.purpose,
    CERTLET_CERT_FILE: event.currentPath,
    CERTLET_PAIR_FILE: event.pairPath,
    CERTLET_KUBECONFIG: event.kubeconfigPath,
  };
}

function endText(end: CommandEnd, timeoutMs: number): string {
  switch (end.kind) {
    case 'exited':
      return `ended with exit code ${String(end.code)}`;
    case 'killed':
      return `was killed by ${end.signal}`;
    case 'timedOut':
      return `was ended after ${String(timeoutMs / 1000)} s, its time limit`;
    case 'aborted':
      return 'was ended because certlet stops';
    case 'notStarted':
      return `could not be started: ${end.reason}`;
  }
}
