/** CertificateSigningRequests as an approver reads them, lists of them, and what it asks the API server about them. */
import t from 'tap';
import { Cluster } from '../../src/approve/cluster.ts';
import type { ClusterApi } from '../../src/approve/ports.ts';
import { decodeSigningRequest, isUsageSet, sameSet } from '../../src/approve/request.ts';
import { CLIENT_SIGNER, SERVING_SIGNER } from '../../src/approve/settings.ts';
import { CertletError } from '../../src/errors.ts';
import { CLIENT_USAGES, requestObject, type RequestParts, requestOf, SERVING_USAGES } from './requests.ts';

const OLD = { signerName: undefined };
const LEGACY = 'kubernetes.io/legacy-unknown';

for (const row of [
  { name: 'a kubelet’s serving request', parts: { spec: OLD }, signer: SERVING_SIGNER },
  { name: 'a kubelet’s client request', parts: { spec: { ...OLD, usages: CLIENT_USAGES } }, signer: CLIENT_SIGNER },
  { name: 'usages of both', parts: { spec: { ...OLD, usages: [...CLIENT_USAGES, 'server auth'] } }, signer: LEGACY },
  { name: 'no usages', parts: { spec: { ...OLD, usages: null } }, signer: LEGACY },
  { name: 'another common name', parts: { content: { commonName: 'web' }, spec: OLD }, signer: LEGACY },
  { name: 'no common name', parts: { content: { commonName: '' }, spec: OLD }, signer: LEGACY },
  { name: 'no PKCS#10 at all', parts: { pem: 'x', spec: OLD }, signer: LEGACY },
]) {
  t.test(`the signer of a request without one (before 1.18), with ${row.name}`, async (t) => {
    t.equal(requestOf(row.parts).signerName, row.signer);
  });
}

const condition = (type: string, lastUpdateTime?: unknown) => ({ type, lastUpdateTime });
const CREATED = '2030-01-01T11:00:00.000Z';

for (const row of [
  { name: 'no condition', conditions: undefined, decided: undefined, approvedAt: undefined },
  { name: 'conditions of null', conditions: null, decided: undefined, approvedAt: undefined },
  { name: 'a condition of another type', conditions: [condition('Seen')], decided: undefined, approvedAt: undefined },
  { name: 'a denial', conditions: [condition('Denied')], decided: 'Denied', approvedAt: undefined },
  { name: 'a failure', conditions: [condition('Failed')], decided: 'Failed', approvedAt: undefined },
  {
    name: 'an approval with its time',
    conditions: [condition('Approved', '2030-01-01T11:30:00Z')],
    decided: 'Approved',
    approvedAt: '2030-01-01T11:30:00.000Z',
  },
  { name: 'an approval without a time', conditions: [condition('Approved')], decided: 'Approved', approvedAt: CREATED },
  {
    name: 'an approval at no time',
    conditions: [condition('Approved', 'noon')],
    decided: 'Approved',
    approvedAt: CREATED,
  },
  {
    name: 'an approval whose signer failed',
    conditions: [condition('Failed'), condition('Approved', '2030-01-01T11:30:00.5Z')],
    decided: 'Approved',
    approvedAt: '2030-01-01T11:30:00.500Z',
  },
]) {
  t.test(`what was decided about a request with ${row.name}`, async (t) => {
    const { decided, approvedAt } = decodeSigningRequest({
      ...requestObject(),
      status: { conditions: row.conditions },
    });
    t.equal(decided, row.decided);
    t.equal(approvedAt?.toISOString(), row.approvedAt);
  });
}

t.test('what a request need not have', async (t) => {
  const bare = requestOf({
    metadata: { creationTimestamp: null },
    spec: { username: undefined, groups: null, usages: null, uid: null, extra: null },
  });
  t.has(bare, { username: '', groups: [], usages: [], createdAt: new Date(0), expirationSeconds: undefined });
  t.strictSame(bare.identity, { uid: undefined, extra: undefined });
  const full = requestOf({ spec: { expirationSeconds: 600, uid: 'u', extra: { scopes: ['a'] } } });
  t.strictSame(full.identity, { uid: 'u', extra: { scopes: ['a'] } });
  t.equal(full.expirationSeconds, 600);
  const { status: _, ...unseen } = requestObject();
  t.equal(decodeSigningRequest(unseen).decided, undefined, 'no status at all');
});

for (const [parts, field] of [
  [{ metadata: { name: '' } }, 'metadata.name: empty'],
  [{ metadata: { uid: undefined } }, 'metadata.uid: expected text, found nothing'],
  [{ metadata: { resourceVersion: '' } }, 'metadata.resourceVersion: empty'],
  [{ metadata: { creationTimestamp: 7 } }, 'metadata.creationTimestamp: expected text, found a number'],
  [{ spec: { request: 'AAA' } }, 'spec.request: no base64'],
  [{ spec: { request: null } }, 'spec.request: expected text, found nothing'],
  [{ spec: { usages: 'client auth' } }, 'spec.usages: expected a list, found text'],
  [{ spec: { groups: [7] } }, 'spec.groups[0]: expected text, found a number'],
  [{ spec: { expirationSeconds: 0.5 } }, 'spec.expirationSeconds: expected a whole number, found a number'],
  [{ conditions: [{}] }, 'status.conditions[0].type: expected text, found nothing'],
] as const satisfies readonly (readonly [RequestParts, string])[]) {
  t.test(`what is no request: ${field}`, async (t) => {
    const message = `CertificateSigningRequest.${field}`;
    t.throws(() => requestOf(parts), { code: 'ERR_API_PROTOCOL', message });
  });
}

for (const [usages, auth, is] of [
  [SERVING_USAGES, 'server auth', true],
  [SERVING_USAGES.toReversed(), 'server auth', true],
  [[...SERVING_USAGES, 'server auth'], 'server auth', true],
  [['digital signature', 'server auth'], 'server auth', true],
  [['server auth'], 'server auth', false],
  [[], 'server auth', false],
  [SERVING_USAGES, 'client auth', false],
  [[...SERVING_USAGES, 'client auth'], 'server auth', false],
  [[...CLIENT_USAGES, 'any'], 'client auth', false],
] as const) {
  t.test(`usages ${usages.join(', ') || 'none'} are ${is ? '' : 'not '}those for ${auth}`, async (t) => {
    t.equal(isUsageSet(usages, auth), is);
    t.equal(sameSet(usages, [...usages].toReversed()), true);
  });
}

interface Call {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
}

/** An API server that answers by a function, and what it was asked. */
function serverOf(answer: (call: Call) => unknown): { readonly cluster: Cluster; readonly calls: Call[] } {
  const calls: Call[] = [];
  const api: Pick<ClusterApi, 'request'> = {
    request: async (method, path, body) => {
      const call = { method, path, body };
      calls.push(call);
      return answer(call);
    },
  };
  return { cluster: new Cluster(api as ClusterApi, 'v1'), calls };
}

const { signal } = new AbortController();
const REQUESTS = '/apis/certificates.k8s.io/v1/certificatesigningrequests';

async function pagesOf(cluster: Cluster): Promise<readonly unknown[]> {
  const items: unknown[] = [];
  for await (const page of cluster.requestPages(SERVING_SIGNER, signal))
    items.push(...page.items, page.resourceVersion);
  return items;
}

t.test('a list in pages is asked for with the place where the last one ended', async (t) => {
  const pages = [
    { metadata: { continue: 'a&b', resourceVersion: '5' }, items: [1, 2] },
    { metadata: { continue: '', resourceVersion: '5' }, items: null },
  ];
  const { cluster, calls } = serverOf(() => pages.shift());
  t.strictSame(await pagesOf(cluster), [1, 2, '5', '5']);
  const selector = 'fieldSelector=spec.signerName%3Dkubernetes.io%2Fkubelet-serving&limit=200';
  t.strictSame(
    calls.map(({ path }) => path),
    [`${REQUESTS}?${selector}`, `${REQUESTS}?${selector}&continue=a%26b`],
  );
  t.equal(cluster.selectsBySigner, true);
});

t.test(
  'a few requests of a megabyte each kept all others from being read: pages get smaller until they fit',
  async (t) => {
    const all = Array.from({ length: 9 }, (_, index) => index);
    const { cluster, calls } = serverOf(({ path }) => {
      const query = new URLSearchParams(path.split('?')[1]);
      const [limit, from] = [Number(query.get('limit')), Number(query.get('continue'))];
      // The big ones come second.
      if (from >= 3 && limit > 2)
        throw new CertletError('ERR_API_PROTOCOL', 'the answer is larger than 8 MiB', { reason: 'too large' });
      const to = Math.min(from === 0 ? 3 : from + limit, all.length);
      return {
        metadata: { resourceVersion: '5', continue: to < all.length ? String(to) : '' },
        items: all.slice(from, to),
      };
    });
    const items = await pagesOf(cluster);
    t.strictSame(
      items.filter((item) => item !== '5'),
      all,
    );
    t.equal(calls.length, 11, 'the first, four that are too large, six of one each');
  },
);

t.test('one request that is too large by itself is told', async (t) => {
  const fault = new CertletError('ERR_API_PROTOCOL', 'the answer is larger than 8 MiB', { reason: 'too large' });
  const { cluster, calls } = serverOf(() => {
    throw fault;
  });
  await t.rejects(pagesOf(cluster), fault);
  t.match(calls.at(-1)?.path, /limit=1$/);
});

t.test('a server that knows no selector by signer (before 1.18) is asked for all, and remembered', async (t) => {
  const { cluster, calls } = serverOf(({ path }) => {
    if (path.includes('fieldSelector')) throw new CertletError('ERR_API_REJECTED', 'bad selector', { status: 400 });
    return { metadata: {}, items: ['a'] };
  });
  t.strictSame(await pagesOf(cluster), ['a', '']);
  t.strictSame(await pagesOf(cluster), ['a', '']);
  t.strictSame(
    calls.map(({ path }) => path.includes('fieldSelector')),
    [true, false, false],
  );
  t.strictSame(cluster.requestsOf(SERVING_SIGNER), { path: REQUESTS, query: {} });
});

for (const fault of [
  new CertletError('ERR_API_REJECTED', 'conflict', { status: 409 }),
  new CertletError('ERR_API_FORBIDDEN', 'no', { status: 403 }),
  new TypeError('x'),
]) {
  t.test(`a list that fails with ${fault.message} is not asked for another way`, async (t) => {
    const { cluster, calls } = serverOf(() => {
      throw fault;
    });
    await t.rejects(pagesOf(cluster), fault);
    t.equal(calls.length, 1);
  });
}

t.test('a server that refuses the plain list, too, is not asked forever', async (t) => {
  const { cluster, calls } = serverOf(() => {
    throw new CertletError('ERR_API_REJECTED', 'bad', { status: 400 });
  });
  await t.rejects(pagesOf(cluster), { code: 'ERR_API_REJECTED', status: 400 });
  t.equal(calls.length, 2);
});

for (const [answer, message] of [
  ['x', 'list: expected an object, found text'],
  [{ items: [] }, 'list.metadata: expected an object, found nothing'],
  [{ metadata: {}, items: {} }, 'list.items: expected a list'],
  [{ metadata: { continue: 7 }, items: [] }, 'list.metadata.continue: expected text, found a number'],
] as const) {
  t.test(`what is no list: ${message}`, async (t) => {
    await t.rejects(pagesOf(serverOf(() => answer).cluster), { code: 'ERR_API_PROTOCOL', message });
  });
}

t.test('an object that is gone is none; another failure goes on', async (t) => {
  const faulty = (code: 'ERR_API_NOT_FOUND' | 'ERR_API_FORBIDDEN') =>
    serverOf(() => {
      throw new CertletError(code, 'no');
    });
  const gone = faulty('ERR_API_NOT_FOUND');
  t.equal(await gone.cluster.requestObject('a/b', signal), undefined);
  t.equal(gone.calls[0]?.path, `${REQUESTS}/a%2Fb`);
  await t.rejects(faulty('ERR_API_FORBIDDEN').cluster.requestObject('a', signal), { code: 'ERR_API_FORBIDDEN' });
});

for (const row of [
  { name: 'no status', status: undefined, before: [] },
  { name: 'a status of null', status: null, before: [] },
  { name: 'conditions of null', status: { conditions: null }, before: [] },
  { name: 'a condition of another', status: { conditions: [{ type: 'Seen' }], x: 1 }, before: [{ type: 'Seen' }] },
]) {
  t.test(`a decision on an object with ${row.name} loses nothing of it`, async (t) => {
    const { cluster, calls } = serverOf(({ body }) => body);
    const object = { ...requestObject({ metadata: { labels: { a: 'b' } } }), status: row.status, extra: 1 };
    const at = new Date('2030-01-01T00:00:00.789Z');
    const decided = await cluster.decide(object, { type: 'Approved', reason: 'R', message: 'M', at }, signal);
    t.equal(decided.decided, 'Approved');
    t.equal(decided.approvedAt?.toISOString(), '2030-01-01T00:00:00.000Z');
    const added = {
      type: 'Approved',
      status: 'True',
      reason: 'R',
      message: 'M',
      lastUpdateTime: '2030-01-01T00:00:00Z',
    };
    t.strictSame(calls, [
      {
        method: 'PUT',
        path: `${REQUESTS}/csr-1/approval`,
        body: {
          ...object,
          apiVersion: 'certificates.k8s.io/v1',
          kind: 'CertificateSigningRequest',
          status: { ...row.status, conditions: [...row.before, added] },
        },
      },
    ]);
  });
}

for (const [status, gives] of [
  [
    { allowed: true, reason: 'RBAC: allowed by x' },
    { allowed: true, reason: 'RBAC: allowed by x' },
  ],
  [{ allowed: false }, { allowed: false, reason: '' }],
  [{}, { allowed: false, reason: '' }],
  [
    { allowed: null, reason: null },
    { allowed: false, reason: '' },
  ],
] as const) {
  t.test(`a SubjectAccessReview with the status ${JSON.stringify(status)}`, async (t) => {
    const { cluster, calls } = serverOf(() => ({ status }));
    t.strictSame(await cluster.mayCreate(requestOf({ spec: { uid: 'u' } }), 'selfnodeserver', signal), gives);
    t.match(calls[0], {
      body: { spec: { user: 'system:node:n1', uid: 'u', resourceAttributes: { subresource: 'selfnodeserver' } } },
    });
  });
}

for (const [answer, message] of [
  [null, 'SubjectAccessReview: expected an object, found nothing'],
  [{}, 'SubjectAccessReview.status: expected an object, found nothing'],
  [{ status: { allowed: 'true' } }, 'SubjectAccessReview.status.allowed: expected true or false, found text'],
] as const) {
  t.test(`an answer that is no review allows nothing: ${message}`, async (t) => {
    const asked = serverOf(() => answer).cluster.mayCreate(requestOf(), 'selfnodeserver', signal);
    await t.rejects(asked, { code: 'ERR_API_PROTOCOL', message });
  });
}
