import { type ClientHttp2Session, connect } from 'node:http2';
import t, { type Test } from 'tap';
import { type FakeCluster, startFakeCluster } from '../fixtures/cluster/fake-cluster.ts';
import { asNode, requestsPath, submission } from '../fixtures/cluster/scenario.ts';

interface Streamed {
  readonly status: number | undefined;
  readonly text: string;
  readonly end: 'end' | 'cut';
}

async function started(t: Test): Promise<{ cluster: FakeCluster; session: ClientHttp2Session }> {
  const cluster = await startFakeCluster({ http2: true, approval: 'manual' });
  t.teardown(() => cluster.close());
  const { ca, cert, key } = asNode(cluster);
  const session = connect(cluster.url, { ca, ...(cert === undefined ? {} : { cert, key }) });
  session.on('error', () => undefined);
  t.teardown(() => session.destroy());
  return { cluster, session };
}

function get(session: ClientHttp2Session, path: string, body?: string): Promise<Streamed> {
  const method = body === undefined ? 'GET' : 'POST';
  const stream = session.request({ ':path': path, ':method': method, 'content-type': 'application/json' });
  stream.setEncoding('utf8');
  return new Promise((resolve) => {
    let status: number | undefined;
    let text = '';
    let ended = false;
    stream.on('response', (headers) => {
      status = headers[':status'];
    });
    stream.on('data', (part: string) => {
      text += part;
    });
    stream.on('end', () => {
      ended = true;
    });
    stream.on('error', () => undefined);
    stream.on('close', () => resolve({ status, text, end: ended && stream.rstCode === 0 ? 'end' : 'cut' }));
    stream.end(body);
  });
}

t.test('a node with its certificate, several requests on one connection', async (t) => {
  const { cluster, session } = await started(t);
  const answers = await Promise.all([get(session, requestsPath(), submission()), get(session, '/version')]);
  t.strictSame(
    answers.map((one) => one.status),
    [201, 200],
  );
  t.strictSame(
    cluster.requests.map((one) => [one.user, one.connectionId]),
    [
      ['system:node:n1', 1],
      ['system:node:n1', 1],
    ],
  );
});

t.test('a watch gets its events and its end', async (t) => {
  const { cluster, session } = await started(t);
  await get(session, requestsPath(), submission());
  const watching = get(session, `${requestsPath()}?watch=1`);
  await cluster.until(() => cluster.watches.count === 1);
  cluster.deny('request');
  cluster.watches.end();
  const { text, end } = await watching;
  t.strictSame(
    [
      text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).type),
      end,
    ],
    [['ADDED', 'MODIFIED'], 'end'],
  );
});

for (const at of ['request', 'answer', 'body'] as const)
  t.test(`reset at ${at}`, async (t) => {
    const { cluster, session } = await started(t);
    cluster.faults.add({ kind: 'reset', at }, { times: 1 });
    t.equal((await get(session, requestsPath(), submission())).end, 'cut');
    t.equal(cluster.csrs.length, at === 'request' ? 0 : 1);
  });

t.test('idle connections are closed', async (t) => {
  const { cluster, session } = await started(t);
  await get(session, '/version');
  const closed = new Promise<void>((resolve) => session.once('close', resolve));
  cluster.closeIdleConnections();
  await closed;
});
