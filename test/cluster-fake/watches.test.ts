import type { ClientRequest } from 'node:http';
import { request } from 'node:https';
import { createInterface } from 'node:readline';
import t, { type Test } from 'tap';
import { type FakeCluster, type FakeClusterOptions, startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { send } from '../fixtures/cluster/plain-client.ts';
import { asBootstrap, requestsPath, submit } from '../fixtures/cluster/scenario.ts';

interface Watching {
  readonly next: () => Promise<string>;
  /** How the stream ended. */
  readonly ended: Promise<'end' | 'cut'>;
  readonly outgoing: ClientRequest;
}

async function started(t: Test, options: FakeClusterOptions = {}): Promise<FakeCluster> {
  const cluster = await startFakeCluster({ approval: 'manual', ...options });
  t.teardown(() => cluster.close());
  return cluster;
}

function watch(cluster: FakeCluster, query = ''): Promise<Watching> {
  const target = asBootstrap(cluster);
  const headers = { authorization: `Bearer ${target.token ?? ''}` };
  const url = new URL(`${requestsPath()}?watch=true&${query}`, cluster.url);
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { headers, ca: target.ca, agent: false }, (incoming) => {
      const ended = new Promise<'end' | 'cut'>((done) => {
        incoming.on('end', () => done('end'));
        incoming.on('error', () => done('cut'));
      });
      const lines = createInterface({ input: incoming })[Symbol.asyncIterator]();
      const next = async (): Promise<string> => String((await lines.next()).value);
      resolve({ next, ended, outgoing });
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}

function brief(line: string): string {
  const event = JSON.parse(line);
  const { name, resourceVersion } = event.object.metadata;
  return [event.type, name ?? resourceVersion, event.object.code].filter((part) => part !== undefined).join(' ');
}

t.test('from the version of the POST come the changes after it', async (t) => {
  const cluster = await started(t);
  const created = JSON.parse((await submit(asBootstrap(cluster))).text);
  await submit(asBootstrap(cluster), { name: 'other' });
  const query = `fieldSelector=metadata.name%3Drequest&resourceVersion=${created.metadata.resourceVersion}`;
  const watching = await watch(cluster, query);
  cluster.approve('request');
  const approved = JSON.parse(await watching.next());
  t.equal(approved.object.status.conditions[0].type, 'Approved');
  t.equal(approved.object.status.certificate, undefined);
  const issued = JSON.parse(await watching.next());
  t.match(Buffer.from(issued.object.status.certificate, 'base64').toString(), /^-----BEGIN CERTIFICATE/);
  cluster.recreate('request');
  t.strictSame([brief(await watching.next()), brief(await watching.next())], ['DELETED request', 'ADDED request']);
  t.equal(cluster.watches.count, 1);
  watching.outgoing.destroy();
  await cluster.until(() => cluster.watches.count === 0);
});

t.test('from a version in the past comes the history', async (t) => {
  const cluster = await started(t);
  const created = JSON.parse((await submit(asBootstrap(cluster))).text);
  cluster.deny('request');
  const watching = await watch(cluster, `resourceVersion=${created.metadata.resourceVersion}`);
  t.equal(brief(await watching.next()), 'MODIFIED request');
});

for (const goneAs of ['event', 'status'] as const)
  t.test(`from a compacted version comes 410 as ${goneAs}`, async (t) => {
    const cluster = await started(t, { goneAs });
    await submit(asBootstrap(cluster));
    cluster.compact();
    const query = { path: `${requestsPath()}?watch=1&resourceVersion=1` };
    const answer = await send(asBootstrap(cluster), query);
    t.equal(answer.status, goneAs === 'event' ? 200 : 410);
    const body = JSON.parse(answer.text);
    t.match(goneAs === 'event' ? body.object : body, {
      code: 410,
      reason: 'Expired',
      message: /^too old resource version: 1 \(\d+\)$/,
    });
    const fresh = await watch(cluster, `resourceVersion=${String(cluster.csrs[0]?.resourceVersion ?? 0)}0`);
    cluster.deny('request');
    t.equal(cluster.watches.count, 1, 'a version in the future waits');
    fresh.outgoing.destroy();
  });

t.test('bookmarks for those who asked', async (t) => {
  const cluster = await started(t);
  const [asked, silent] = [await watch(cluster, 'allowWatchBookmarks=true'), await watch(cluster)];
  cluster.watches.bookmark();
  await submit(asBootstrap(cluster));
  t.match(brief(await asked.next()), /^BOOKMARK \d+$/);
  t.equal(brief(await silent.next()), 'ADDED request');
});

t.test('endings', async (t) => {
  const cluster = await started(t, { secondMs: 1 });
  const clean = await watch(cluster);
  cluster.watches.end();
  t.equal(await clean.ended, 'end', 'the time limit of the server');
  const timed = await watch(cluster, 'timeoutSeconds=1');
  t.equal(await timed.ended, 'end', 'the time limit of the client');
  const cut = await watch(cluster);
  cluster.watches.reset();
  t.equal(await cut.ended, 'cut', 'a broken connection');
  const truncated = await watch(cluster);
  cluster.watches.send('{"type":"MODIFIED","obj');
  cluster.watches.end();
  t.equal(await truncated.next(), '{"type":"MODIFIED","obj', 'in the middle of a line');
});

t.test('faults', async (t) => {
  const cluster = await started(t);
  await submit(asBootstrap(cluster));
  const pieces = cluster.faults.add({ kind: 'pieces', bytes: 11 });
  t.equal(brief(await (await watch(cluster)).next()), 'ADDED request', 'split lines');
  pieces.remove();
  const half = cluster.faults.add({ kind: 'half' });
  t.equal(await (await watch(cluster)).ended, 'end', 'ends after its headers');
  half.remove();
  const reset = cluster.faults.add({ kind: 'reset', at: 'body' });
  t.equal(await (await watch(cluster)).ended, 'cut', 'breaks after its headers');
  reset.remove();
  const stall = cluster.faults.add({ kind: 'stall', at: 'body' }, { verb: 'watch' });
  const dead = await watch(cluster);
  let line: string | undefined;
  const reading = dead.next().then(
    (text) => {
      line = text;
    },
    () => undefined,
  );
  cluster.deny('request');
  await send(asBootstrap(cluster), { path: '/version' });
  t.equal(line, undefined, 'a dead link says nothing');
  stall.remove();
  dead.outgoing.destroy();
  await reading;
});
