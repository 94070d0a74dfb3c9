import { serviceUser } from '../adapters/probe/store-view.ts';
import type { Settings } from '../config.ts';
import type { CheckPorts } from './facts.ts';

const ROOT = 0;

/**
 * Whom root has the service run as: what its unit says, else who owns its folders. Anybody else looks for himself: what he may not use is what
 * keeps him from it.
 */
export async function userOfService(
  ports: Pick<CheckPorts, 'fs' | 'uid' | 'ownUnits'>,
  settings: Pick<Settings, 'certDir' | 'stateDir'>,
): Promise<number> {
  if (ports.uid !== ROOT) return ports.uid;
  return (await ports.ownUnits()).uid ?? (await serviceUser(ports.fs, settings, ports.uid));
}
