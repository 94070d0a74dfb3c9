/**
 * Each request of an agent with everything that a network, a proxy or an API server can do to it: real adapters over real TLS against the fake
 * cluster, on a fake clock. State, log lines and next attempt of each cell are in the table of `fixtures/api-cells.ts`.
 */
import t from 'tap';
import { cellOf, cellText, FAULTS, REQUESTS, type RequestKind } from './fixtures/api-cells.ts';
import { differences, problemsAfter } from './fixtures/api-differences.ts';
import { ApiWorld, IMPATIENT } from './fixtures/api-world.ts';

const MINUTE_MS = 60_000;
let cells = 0;

t.setTimeout(10 * MINUTE_MS);

const isSilent = (name: string): boolean => name.startsWith('silence');

/** An agent whose next requests include the one that is to go wrong. */
async function worldFor(request: RequestKind, name: string): Promise<ApiWorld> {
  const options = isSilent(name) ? { timeouts: IMPATIENT } : {};
  if (request !== 'get') return await ApiWorld.open({}, options);
  // The object is read when an agent comes back to a request that it had posted.
  const world = await ApiWorld.open({ approval: 'never' }, options);
  world.node.start();
  await world.settle();
  await world.node.stop();
  world.cluster.settings.approval = 'automatic';
  world.cluster.sync();
  return world;
}

async function problemsOf(request: RequestKind, name: string): Promise<readonly string[]> {
  const wanted = cellOf(request, name);
  const world = await worldFor(request, name);
  try {
    const fault = world.cluster.faults.add(FAULTS[name]!.fault(), REQUESTS[request]);
    world.connector.calls = 0;
    if (request === 'get') await world.restart();
    else world.node.start();
    // A fresh certificate is refused for good after five minutes, and a silent server costs real time at each attempt.
    const refused = wanted.lines.some(([, code]) => code === 'ERR_ISSUED_UNPROVEN');
    await world.pass(isSilent(name) ? 15_000 : (refused ? 4 : 10) * MINUTE_MS, 2_000);
    const found = differences(world, wanted, request === 'serving' ? 'serving' : 'client');
    const hit = fault.hits.length > 0 ? [] : ['no request was hit'];
    fault.release();
    return [...found, ...hit, ...(await problemsAfter(world, name === '404' && request === 'get' ? 3 : 2))];
  } finally {
    await world.close();
  }
}

for (const request of Object.keys(REQUESTS) as RequestKind[]) {
  t.test(`${request} goes wrong in every way`, async (t) => {
    t.setTimeout(5 * MINUTE_MS);
    for (const name of Object.keys(FAULTS)) {
      cells += 1;
      t.strictSame(await problemsOf(request, name), [], `${name}: ${cellText(cellOf(request, name))}`);
    }
  });
}

t.teardown(() => console.log(`# figure API cells tried: ${String(cells)}`));
