import { readInventoryFile, readSettingsFile } from '../adapters/settings-file.ts';
import { type Inventory, parseInventory } from '../approve/inventory.ts';
import type { ApproverSettings } from '../config.ts';
import type { ProcessEdge } from './command-context.ts';

/** Settings for commands of the cluster's side: the same file as the node's, where there is one. Throws `ERR_CONFIG_INVALID`. */
export async function readApproverSettings(
  settingsPath: string | undefined,
  { userId }: Pick<ProcessEdge, 'userId'>,
): Promise<ApproverSettings> {
  const { DEFAULT_SETTINGS_PATH, loadApproverSettings } = await import('../config.ts');
  const path = settingsPath ?? DEFAULT_SETTINGS_PATH;
  const text = await readSettingsFile({ path, mustExist: settingsPath !== undefined, userId });
  return loadApproverSettings(text, path);
}

/** The inventory that the settings name; undefined where they name none. Throws `ERR_CONFIG_INVALID`. */
export async function readInventory(
  path: string | undefined,
  { userId }: Pick<ProcessEdge, 'userId'>,
): Promise<Inventory | undefined> {
  if (path === undefined) return undefined;
  return parseInventory(await readInventoryFile({ path, userId }), path);
}
