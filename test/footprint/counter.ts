/** Loaded before the program: notes what is synced, and writes down at SIGUSR2 what the process holds. */
import { renameSync, writeFileSync } from 'node:fs';
import disk from 'node:fs/promises';

const syncs: string[] = [];
const { open } = disk;
disk.open = async (...place: Parameters<typeof open>) => {
  const handle = await open(...place);
  const sync = handle.sync.bind(handle);
  handle.sync = () => {
    syncs.push(String(place[0]));
    return sync();
  };
  return handle;
};

const { moduleLoadList } = process as unknown as { readonly moduleLoadList: readonly string[] };
process.on('SIGUSR2', () => {
  const modules = moduleLoadList.filter((name) => /^NativeModule (?!internal\/)/.test(name));
  const facts = { syncs, resources: process.getActiveResourcesInfo().sort(), modules };
  const path = process.env['FOOTPRINT'] ?? '';
  writeFileSync(`${path}.new`, JSON.stringify(facts));
  renameSync(`${path}.new`, path);
});
