/**
 * Each sync of a bootstrap guards a promise: one is left out, power cuts take what it would have kept, and the replay must find that. What each
 * guards is the table of docs/decisions/0026.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import t from 'tap';
import { type Recording, recordBootstrap } from './fixtures/crash-machine.ts';
import { durableLinks, momentsAt, problemsOfRestart } from './fixtures/crash-replay.ts';
import { violations } from './fixtures/disk-checks.ts';
import {
  type Change,
  digestOf,
  type Image,
  listing,
  replay,
  type Survival,
  unsyncedChanges,
} from './fixtures/disk-image.ts';

const MINUTE_MS = 60_000;
const page = resolve(import.meta.dirname, '../../docs/decisions/0026-which-sync-guards-what.md');

type Sync = Extract<Change, { readonly kind: 'fsync' | 'syncFolder' }>;

const isSync = (change: Change): change is Sync => change.kind === 'fsync' || change.kind === 'syncFolder';

/** Times in names of pairs are left out. */
function labelOf(recording: Recording, index: number): string {
  const sync = recording.changes[index] as Sync;
  const image = replay(recording.start, recording.changes.slice(0, index + 1));
  const [path = '?'] = [...listing(image)].find(([, inode]) => inode === image.get(sync.inode)) ?? [];
  const named = path.replace(/\/\.([^/]+)\.[0-9a-f]{16}\.certlet-tmp$/, '/$1').replace(/-\d{4}(-\d\d){5}/, '-TIME');
  return sync.kind === 'fsync' ? `file ${named}` : `folder ${named}`;
}

const without = <T>(list: readonly T[], index: number): readonly T[] => list.filter((_one, at) => at !== index);

/** What a power cut can leave only where this sync is missing, after so many changes. */
function newStates(recording: Recording, dropped: number, count: number): readonly Image[] {
  const all = recording.changes.slice(0, count);
  const kept = without(all, dropped);
  const before = new Set(unsyncedChanges(all).map((index) => all[index]));
  const unsynced = unsyncedChanges(kept);
  const fresh = unsynced.filter((index) => !before.has(kept[index]));
  if (fresh.length === 0) return [];
  const states = (lost: readonly number[], how: Survival): Image =>
    replay(recording.start, kept, new Map(lost.map((index) => [index, how])));
  return [states(fresh, 'lost'), states(fresh, 'half'), states(unsynced, 'lost')];
}

async function firstProblem(recording: Recording, dropped: number): Promise<string | undefined> {
  const seen = new Set<string>();
  for (let count = dropped + 1; count <= recording.changes.length; count += 1) {
    const durable = durableLinks(recording, count);
    for (const image of newStates(recording, dropped, count)) {
      const digest = digestOf(image);
      if (seen.has(digest)) continue;
      seen.add(digest);
      const [found] = violations(image, durable);
      if (found !== undefined) return found;
      for (const moment of momentsAt(recording, count)) {
        const [problem] = await problemsOfRestart(recording, image, moment);
        if (problem !== undefined) return problem;
      }
    }
  }
  return undefined;
}

t.setTimeout(10 * MINUTE_MS);

t.test('a sync that is left out breaks a promise, and the table names each', async (t) => {
  t.setTimeout(10 * MINUTE_MS);
  const recording = await recordBootstrap({});
  const found = new Map<string, string | undefined>();
  for (const [index, change] of recording.changes.entries()) {
    if (!isSync(change)) continue;
    const label = labelOf(recording, index);
    found.set(label, found.get(label) ?? (await firstProblem(recording, index)));
  }
  for (const [label, problem] of found) t.comment(`${label}: ${problem ?? 'nothing'}`);
  const text = readFileSync(page, 'utf8');
  const rows = [...text.matchAll(/^\| `((?:file|folder) [^`]+)` \|.*\| (replay|reason) \|$/gm)];
  t.strictSame(rows.map(([, label]) => label).sort(), [...found.keys()].sort(), 'the table has a row for each sync');
  for (const [, label = '', proof] of rows)
    t.equal(
      found.get(label) === undefined ? 'reason' : 'replay',
      proof,
      `${label}: ${found.get(label) ?? 'nothing breaks without it'}`,
    );
});

t.test('a first issuance costs no more syncs than promises', async (t) => {
  const { changes } = await recordBootstrap({});
  const syncs = changes.filter(isSync).length;
  t.comment(`${String(syncs)} syncs with two plain files for each pair`);
  t.ok(syncs <= 47, String(syncs));
});
