/** Loaded before the program: notes what is synced, and writes down at SIGUSR2 what the process holds. */
import fs, { renameSync, writeFileSync } from 'node:fs';
import disk from 'node:fs/promises';

const syncs: string[] = [];

const paths = new Map<number, string>();
const { openSync, fsync, fsyncSync, fdatasync, fdatasyncSync } = fs;
const noted = (descriptor: number): void => {
  syncs.push(paths.get(descriptor) ?? `descriptor ${String(descriptor)}`);
};
fs.openSync = (...place) => {
  const descriptor = openSync(...place);
  paths.set(descriptor, String(place[0]));
  return descriptor;
};
/** Each way that Node has to sync counts, so that a change of ways cannot hide one. */
const counted =
  <Args extends readonly [number, ...unknown[]], Result>(sync: (...args: Args) => Result) =>
  (...args: Args): Result => {
    noted(args[0]);
    return sync(...args);
  };
Object.assign(fs, {
  fsync: counted(fsync),
  fsyncSync: counted(fsyncSync),
  fdatasync: counted(fdatasync),
  fdatasyncSync: counted(fdatasyncSync),
});

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
