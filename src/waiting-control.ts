import type { OpenServer } from './adapters/control/http-server.ts';
import { openControlServer } from './adapters/control/server.ts';
import { NodeFileSystem } from './adapters/file-system.ts';
import type { Settings } from './config.ts';
import type { CertletError } from './errors.ts';
import type { DaemonControl } from './surroundings.ts';

/**
 * The control socket of a daemon that cannot use its cert-dir: what is asked is answered with the `trouble` of that moment, and settings can be
 * read anew. Nothing is written: the status file is that of whoever has the lock. Throws what `openControlServer` throws.
 */
export async function openWaitingControl(
  { runtimeDir, specs }: Settings,
  control: DaemonControl,
  trouble: () => CertletError,
): Promise<OpenServer> {
  const refuse = (): never => {
    throw trouble();
  };
  return openControlServer(new NodeFileSystem(), runtimeDir, {
    ...control,
    status: refuse,
    metrics: () => '',
    health: () => ({ healthy: false, reasons: [trouble().message] }),
    purposes: () => specs.map(({ name }) => name),
    renew: async () => refuse(),
  });
}
