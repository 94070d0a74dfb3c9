/** The table and the rows of `certlet approve`, with whatever a stranger puts into a request. */
import t from 'tap';
import type { Judgement } from '../../src/approve/judge.ts';
import { type RequestRow, requestRow, requestTable } from '../../src/cli/approve-report.ts';
import { NOW, requestOf, type RequestParts } from './requests.ts';

function judged(parts: RequestParts, nodeName: string | undefined = 'n1'): Judgement {
  return {
    request: requestOf(parts),
    policy: { kind: 'serving', nodeName, entry: undefined },
    decision: { verdict: 'approve', passed: ['form'], failures: [] },
  };
}

for (const { name, judgement, row } of [
  {
    name: 'names and addresses in this order',
    judgement: judged({ content: { dnsNames: ['b', 'a'], ipAddresses: ['192.0.2.1', '2001:db8::1'] } }),
    row: { node: 'n1', names: ['b', 'a', '192.0.2.1', '2001:db8::1'] },
  },
  {
    name: 'a PKCS#10 that cannot be read asks for nothing',
    judgement: judged({ pem: 'no request' }),
    row: { node: 'n1', names: [] },
  },
]) {
  t.test(`a row: ${name}`, async (t) => {
    t.match(requestRow(judgement), { name: 'csr-1', requester: 'system:node:n1', verdict: 'approve', ...row });
    t.strictSame(requestRow(judgement).names, row.names);
  });
}

t.test(
  'a row of a request that is nobody’s node has no node, and the reasons without what is only for the loop',
  async (t) => {
    const request = requestOf({ metadata: { creationTimestamp: undefined } });
    const row = requestRow({
      request,
      policy: { kind: 'certificate', nodeName: undefined, entry: undefined },
      decision: { verdict: 'wait', passed: [], failures: [{ rule: 'pace', reason: 'too many', later: true }] },
    });
    t.notOk('node' in row);
    t.strictSame(row.reasons, [{ rule: 'pace', reason: 'too many' }]);
    t.equal(row.createdAt.getTime(), 0, 'no time is the oldest');
  },
);

const ROW: RequestRow = {
  name: 'csr-1',
  createdAt: new Date(NOW.getTime() - 3_600_000),
  requester: 'system:node:n1',
  signerName: 'kubernetes.io/kubelet-serving',
  names: [],
  verdict: 'approve',
  reasons: [],
};
const LONG = 'x'.repeat(200);

for (const { name, row, cells, below } of [
  { name: 'nothing known', row: {}, cells: ['csr-1', '60 minutes', 'system:node:n1', '-', '-', 'approve'], below: [] },
  {
    name: 'all known',
    row: { node: 'n1', names: ['n1', '192.0.2.1'], verdict: 'wait' },
    cells: ['csr-1', '60 minutes', 'system:node:n1', 'n1', 'n1, 192.0.2.1', 'wait'],
    below: [],
  },
  {
    name: 'a requester that would push the verdict off the screen',
    row: { requester: LONG },
    cells: ['csr-1', '60 minutes', `${'x'.repeat(47)}…`, '-', '-', 'approve'],
    below: [],
  },
  {
    name: '48 letters are still shown whole',
    row: { requester: 'y'.repeat(48) },
    cells: ['csr-1', '60 minutes', 'y'.repeat(48), '-', '-', 'approve'],
    below: [],
  },
  {
    name: 'names that would make rows and columns of their own',
    row: { names: ['a\ncsr-2', 'b\tapprove\r\u2028c'] },
    cells: ['csr-1', '60 minutes', 'system:node:n1', '-', 'a csr-2, b approve  c', 'approve'],
    below: [],
  },
  {
    name: 'reasons, whole and on one line each',
    row: {
      verdict: 'refuse',
      reasons: [
        { rule: 'own-names', reason: `a\n${LONG}` },
        { rule: 'pace', reason: 'b' },
      ],
    },
    cells: ['csr-1', '60 minutes', 'system:node:n1', '-', '-', 'refuse'],
    below: [`    own-names: a ${LONG}`, '    pace: b'],
  },
] as const) {
  t.test(`the table: ${name}`, async (t) => {
    const [headings = '', line = '', ...rest] = requestTable([{ ...ROW, ...row }], NOW).split('\n');
    const starts = ['NAME', 'AGE', 'REQUESTER', 'NODE', 'ASKS FOR', 'VERDICT'].map((word) => headings.indexOf(word));
    t.strictSame(
      starts.map((start, index) => line.slice(start, starts[index + 1]).trimEnd()),
      cells,
    );
    t.strictSame(rest, [...below, '']);
  });
}

t.test('rows stand below one another, each with its own reasons', async (t) => {
  const rows = ['csr-1', 'csr-with-a-longer-name'].map((name) => ({
    ...ROW,
    name,
    reasons: [{ rule: 'form', reason: name }],
  }));
  const lines = requestTable(rows, NOW).split('\n');
  t.equal(new Set([0, 1, 3].map((index) => lines[index]?.search(/AGE|60 minutes/))).size, 1);
  t.strictSame([lines[2], lines[4]], ['    form: csr-1', '    form: csr-with-a-longer-name']);
  t.equal(requestTable([], NOW), 'NAME  AGE  REQUESTER  NODE  ASKS FOR  VERDICT\n');
});
