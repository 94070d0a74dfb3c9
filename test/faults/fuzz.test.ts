/** Damaged input of every kind: an error that names the place, never a crash, a hang or memory without bound. */
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { isCertletError } from '../../src/errors.ts';
import { material } from './fixtures/fuzz-material.ts';
import { type Mutation, mutated, mutations } from './fixtures/fuzz-mutations.ts';
import type { FuzzTarget } from './fixtures/fuzz-target.ts';
import { fuzzTargets } from './fixtures/fuzz-targets.ts';

const RUNS = Number(process.env['CERTLET_FUZZ_RUNS'] ?? 600);
const SEED = Number(process.env['CERTLET_FUZZ_SEED'] ?? Math.trunc(Math.random() * 2 ** 31));
/** Processor time of one input of some kilobytes; a machine that is busy with other things does not count. */
const CPU_LIMIT_MS = 2_000;
const CORPUS = new URL('../fixtures/corpus/', import.meta.url);

const targets = fuzzTargets(await material());
let inputs = 0;

/** What is wrong with how a target took an input; undefined when nothing is. */
async function complaint(target: FuzzTarget, input: Buffer): Promise<string | undefined> {
  inputs += 1;
  const before = process.cpuUsage();
  let told: string | undefined;
  try {
    await target.read(input);
  } catch (error) {
    if (!isCertletError(error))
      told = `threw ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
    else if (error.code === 'ERR_INTERNAL') told = `called itself defective: ${error.message}`;
    else if (!target.place.test(error.message)) told = `names no place: ${error.message}`;
    else if (error.message.length > 20_000) told = `a message of ${String(error.message.length)} characters`;
  }
  const { user, system } = process.cpuUsage(before);
  const ms = (user + system) / 1000;
  return told ?? (ms > CPU_LIMIT_MS ? `took ${String(Math.round(ms))} ms of processor time` : undefined);
}

/** Undefined when `property` held, else what the smallest input that breaks it did, and that input. */
async function broken<T>(
  inputs: fc.Arbitrary<T>,
  runs: number,
  target: FuzzTarget,
  bytesOf: (value: T) => Buffer,
): Promise<string | undefined> {
  const property = fc.asyncProperty(inputs, async (value) => (await complaint(target, bytesOf(value))) === undefined);
  const { counterexample } = await fc.check(property, { numRuns: runs, seed: SEED });
  if (counterexample === null) return undefined;
  const input = bytesOf(counterexample[0]);
  return `${(await complaint(target, input)) ?? 'not again'}\ninput (base64): ${input.subarray(0, 8000).toString('base64')}`;
}

t.comment(`seed ${String(SEED)}, ${String(RUNS)} runs of each kind (CERTLET_FUZZ_SEED, CERTLET_FUZZ_RUNS)`);

for (const target of targets) {
  t.test(`valid input of the kind ${target.name} is read`, async (t) => {
    for (const seed of target.seeds) t.equal(await complaint(target, Buffer.from(seed)), undefined);
  });

  t.test(`damaged input: ${target.name}`, async (t) => {
    const damaged = fc.tuple(fc.constantFrom(...target.seeds), mutations);
    const bytesOf = ([seed, changes]: [string, readonly Mutation[]]): Buffer => mutated(Buffer.from(seed), changes);
    t.equal(await broken(damaged, RUNS, target, bytesOf), undefined, 'valid input, damaged');
    const foreign = fc.oneof(fc.string({ unit: 'binary', maxLength: 300 }), fc.json({ maxDepth: 6 }), fc.lorem());
    t.equal(await broken(foreign, Math.ceil(RUNS / 4), target, (text) => Buffer.from(text)), undefined, 'anything');
  });

  t.test(`corpus: ${target.name}`, async (t) => {
    for (const row of corpusOf(target.name))
      t.equal(await complaint(target, readFileSync(row.url)), undefined, row.name);
  });
}

interface CorpusRow {
  readonly name: string;
  readonly url: URL;
}

/** `test/fixtures/corpus/<kind>/<symptom>`: inputs that once did harm. */
function corpusOf(kind: string): readonly CorpusRow[] {
  const folder = new URL(`${kind.replaceAll(/[^A-Za-z]+/g, '-')}/`, CORPUS);
  try {
    return readdirSync(folder).map((name) => ({ name: name.replaceAll('-', ' '), url: new URL(name, folder) }));
  } catch {
    return [];
  }
}

t.teardown(() => console.log(`# figure inputs fuzzed: ${String(inputs)}`));
