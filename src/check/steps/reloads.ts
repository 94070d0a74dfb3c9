import type { Settings } from '../../config.ts';
import type { RootReloads, Step, StepOutcome } from '../facts.ts';
import { reloadFindings } from '../rules/reloads.ts';
import { NO_SETTINGS } from './host.ts';

/** `reload` of the settings against what root has said and the units of this host. */
export const reloadsStep: Step = {
  id: 'reloads',
  title: 'Units to reload after a renewal',
  async run({ ports, facts: { settings } }): Promise<StepOutcome | string> {
    if (settings === undefined) return NO_SETTINGS;
    const named = namedReloads(settings);
    const root = await ports.reloads();
    return { findings: reloadFindings({ ...root, named, guesses: await unitsOfThatName([...named.keys()], root) }) };
  },
};

function namedReloads({ specs }: Settings): ReadonlyMap<string, readonly string[]> {
  const named = new Map<string, readonly string[]>();
  for (const { name, after } of specs) {
    if (after.reload !== undefined) named.set(after.reload, [...(named.get(after.reload) ?? []), name]);
  }
  return named;
}

async function unitsOfThatName(
  names: readonly string[],
  { hasUnit }: RootReloads,
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const name of names) if (await hasUnit(`${name}.service`)) found.set(name, `${name}.service`);
  return found;
}
