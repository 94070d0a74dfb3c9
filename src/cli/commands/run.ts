import { stopOptimizing } from '../../adapters/engine.ts';
import { settingsOnceNamed } from '../../name-wait.ts';
import type { Settings } from '../../config/settings.ts';
import { EXIT } from '../../errors.ts';
import type { Logger } from '../../ports.ts';
import type { RunArguments } from '../command.ts';
import type { CommandContext } from '../command-context.ts';
import { earlyReloads } from '../early-reloads.ts';
import { VERSION } from '../version.ts';

/** `certlet run`: keeps the certificates until the signal aborts. Waits for the host's name. Throws `ERR_CONFIG_INVALID` and, where no service manager started it, `ERR_LOCK_HELD`; everything else it waits out. */
export async function runRun(context: CommandContext, _args: RunArguments): Promise<number> {
  const { environment: env } = context.edge;
  const onReload = earlyReloads(context.onReload);
  const settings = await settingsOnceNamed({ ...context, environment: env, pid: process.pid });
  if (settings === undefined) return EXIT.ok;
  const log = await context.openLog(settings.log);
  sayStart(log, settings);
  const { edge, signal, settingsPath, carried, loadSettings } = context;
  const { environment, userId } = edge;
  // Late: most of the program is in there, and whoever waits for the first line need not wait for it.
  const { Daemon } = await import('../../daemon.ts');
  stopOptimizing();
  const daemon = new Daemon(
    { environment, userId, pid: process.pid, version: VERSION, settingsPath, carried, loadSettings, onReload, signal },
    settings,
    log,
  );
  await daemon.run();
  log.log('info', 'Stopped');
  return EXIT.ok;
}

function sayStart(log: Logger, settings: Settings): void {
  const { nodeName: node, certDir, kubeconfig, bootstrapKubeconfig, source = 'defaults' } = settings;
  log.log('info', 'Starting certlet', {
    version: VERSION,
    node,
    certDir,
    kubeconfig,
    bootstrapKubeconfig,
    settings: source,
  });
}
