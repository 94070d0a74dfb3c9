import t from 'tap';
import { checkJsonType, parseJson, readText } from '../../../src/adapters/api/body.ts';
import type { PoolResponse } from '../../../src/adapters/api/dispatcher.ts';
import { decodeNode, decodeReview, servesCsrs } from '../../../src/adapters/api/objects.ts';

t.test('servesCsrs looks for the resource', async (t) => {
  t.equal(
    servesCsrs({ kind: 'APIResourceList', resources: [{ name: 'x' }, { name: 'certificatesigningrequests' }] }),
    true,
  );
  t.equal(servesCsrs({ kind: 'APIResourceList', resources: [{ name: 'clustertrustbundles' }, null] }), false);
  for (const bad of [null, [], 'x', { kind: 'Status' }, { kind: 'APIResourceList' }]) {
    t.throws(() => servesCsrs(bad), { code: 'ERR_API_PROTOCOL' });
  }
});

t.test('decodeReview', async (t) => {
  t.equal(decodeReview({ kind: 'SelfSubjectAccessReview', status: { allowed: true } }), true);
  t.equal(decodeReview({ kind: 'SelfSubjectAccessReview', status: { allowed: false, reason: 'x' } }), false);
  for (const bad of [{}, { status: {} }, { status: { allowed: 'yes' } }, { kind: 'X', status: { allowed: true } }]) {
    t.throws(() => decodeReview(bad), { code: 'ERR_API_PROTOCOL' });
  }
});

t.test('decodeNode reads addresses and version; a fresh Node has none', async (t) => {
  const node = {
    kind: 'Node',
    metadata: { uid: 'u' },
    status: { addresses: [{ type: 'InternalIP', address: '10.0.0.1' }], nodeInfo: { kubeletVersion: 'v1.20.2' } },
  };
  t.same(decodeNode(node), {
    addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
    kubeletVersion: 'v1.20.2',
  });
  const told = (Port: unknown) =>
    decodeNode({ ...node, status: { daemonEndpoints: { kubeletEndpoint: { Port } } } }).kubeletPort;
  t.equal(told(10_350), 10_350);
  for (const odd of [0, -1, 70_000, '10250', 1.5, undefined]) t.equal(told(odd), undefined, String(odd));
  t.same(decodeNode({ kind: 'Node', metadata: {} }), { addresses: [], kubeletVersion: '' });
  const key = 'node.cloudprovider.kubernetes.io/uninitialized';
  const taints = (...keys: readonly string[]) => ({
    kind: 'Node',
    metadata: {},
    spec: { taints: keys.map((k) => ({ key: k })) },
  });
  t.equal(decodeNode(taints('other', key)).uninitialized, true, 'the cloud provider has not come yet');
  t.equal(decodeNode(taints('other')).uninitialized, undefined);
  for (const bad of [
    { kind: 'Node' },
    { kind: 'Node', metadata: 1 },
    { kind: 'Node', metadata: {}, status: 'x' },
    { kind: 'Node', metadata: {}, status: { addresses: {} } },
    { kind: 'Node', metadata: {}, spec: 'x' },
    { kind: 'Node', metadata: {}, spec: { taints: {} } },
    { kind: 'Node', metadata: {}, status: { addresses: [{ type: 'x' }] } },
    { kind: 'Node', metadata: {}, status: { addresses: ['x'] } },
    { kind: 'Node', metadata: {}, status: { nodeInfo: { kubeletVersion: 7 } } },
  ]) {
    t.throws(() => decodeNode(bad), { code: 'ERR_API_PROTOCOL' });
  }
});

t.test('parseJson bounds nesting, but not brackets inside text', async (t) => {
  t.same(parseJson('{"a":"[[{{\\"[","b":[1]}', 'w'), { a: '[[{{"[', b: [1] });
  t.throws(() => parseJson(`${'['.repeat(101)}${']'.repeat(101)}`, 'w'), { message: /nests too deeply/ });
  t.same(
    parseJson(`[${'{},'.repeat(500)}1]`, 'w'),
    [...Array.from({ length: 500 }, () => ({})), 1],
    'width is no depth',
  );
  t.throws(() => parseJson('{"token":hidden', 'w'), {
    code: 'ERR_API_PROTOCOL',
    message: 'w: the answer is broken JSON',
  });
});

function response(type: string | undefined, parts: readonly Uint8Array[] = []): PoolResponse & { discarded: boolean } {
  return {
    status: 200,
    header: () => (type === undefined ? [] : [type]),
    body: (async function* () {
      yield* parts;
    })(),
    discarded: false,
    discard() {
      this.discarded = true;
    },
  };
}

for (const type of [
  'application/json',
  'application/json; charset=utf-8',
  'application/json;stream=watch',
  'application/vnd.x+json',
]) {
  t.test(`content type ${type} is JSON`, async (t) => {
    checkJsonType(response(type), 'w');
    t.pass();
  });
}
for (const type of ['text/html; charset=utf-8', 'application/jsonp', undefined]) {
  t.test(`content type ${String(type)} is not JSON`, async (t) => {
    t.throws(() => checkJsonType(response(type), 'w'), { code: 'ERR_API_PROTOCOL', message: /instead of JSON/ });
  });
}

t.test('readText joins characters that are cut and refuses what is too large', async (t) => {
  const bytes = Buffer.from('grün');
  t.equal(await readText(response('x', [bytes.subarray(0, 3), bytes.subarray(3)]), 'w'), 'grün');
  const huge = response(
    'x',
    Array.from({ length: 9 }, () => Buffer.alloc(1024 * 1024)),
  );
  await t.rejects(readText(huge, 'w'), { code: 'ERR_API_PROTOCOL', message: /larger than 8 MiB/, reason: 'too large' });
  t.equal(huge.discarded, true);
});
