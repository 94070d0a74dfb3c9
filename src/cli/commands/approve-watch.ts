import { monotonicMs, SystemChance } from '../../adapters/system-clock.ts';
import { APPROVER } from '../../approve/rbac.ts';
import { ApproverService } from '../../approver-service.ts';
import { EXIT } from '../../errors.ts';
import { readApproverSettings, readInventory } from '../approver-settings.ts';
import { clientConfigFor, openCluster } from '../cluster-access.ts';
import type { ApproveArguments } from '../command.ts';
import type { CommandContext } from '../command-context.ts';
import { addressesOf } from '../name-addresses.ts';
import { RenewingApi } from '../renewing-api.ts';
import { VERSION } from '../version.ts';

/** `certlet approve --watch`: approves until the signal aborts. Throws what is wrong with settings and kubeconfig at the start; the rest is waited out. */
export async function runApproveWatch(context: CommandContext, args: ApproveArguments): Promise<number> {
  const { edge, signal, onReload } = context;
  const load = async () => {
    const settings = await readApproverSettings(args.settingsPath, edge);
    return { settings, inventory: await readInventory(settings.approve.inventory, edge) };
  };
  const files = await load();
  const log = await context.openLog(files.settings.log);
  const read = () => clientConfigFor(args.access, edge);
  const config = await read();
  for (const warning of config.warnings) log.log('warn', 'About the kubeconfig', { file: config.source, warning });
  const warn = (text: string): void => log.log('warn', 'The API server warns', { warning: text });
  const api = new RenewingApi({ read, open: (found) => openCluster(found, edge, warn), ticks: monotonicMs }, config);
  const { environment } = edge;
  const lookUp = addressesOf;
  const own = { environment, pid: process.pid, version: VERSION, identity: identityOf(edge.hostname()), lookUp };
  const service = new ApproverService({ ...own, api, load, onReload, signal }, files, log);
  try {
    await service.run();
  } finally {
    await api.close();
  }
  log.log('info', 'Stopped');
  return EXIT.ok;
}

/** The host's name for people, and chance, since two processes of one host are two approvers. */
function identityOf(hostname: string): string {
  const unlike = Math.floor(new SystemChance().roll() * 36 ** 8).toString(36);
  return `${hostname || APPROVER}_${unlike}`;
}
