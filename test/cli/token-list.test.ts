/** `certlet token list` and `delete`: what is made of the Secrets and requests of a cluster, and of what strangers wrote into them. */
import t from 'tap';
import { deleteToken, listTokens, type TokenRow, tokenTable } from '../../src/cli/token-list.ts';
import { CertletError } from '../../src/errors.ts';
import { requestObject } from '../approve/requests.ts';
import { FakeClusterApi } from '../fixtures/fakes/cluster-api.ts';

const NOW = new Date('2030-01-01T12:00:00Z');
const { signal } = new AbortController();
const ROW: TokenRow = {
  id: 'abcdef',
  expiresAt: undefined,
  usages: [],
  groups: [],
  description: '',
  nodeName: undefined,
  once: false,
  requests: [],
};

const after = (ms: number): Date => new Date(NOW.getTime() + ms);

for (const { name, row, line } of [
  { name: 'nothing but an id', row: {}, line: 'abcdef|<forever>|<never>|<none>|<none>|<none>|-|-' },
  {
    name: 'everything',
    row: {
      expiresAt: after(90 * 60_000),
      usages: ['authentication', 'signing'],
      groups: ['a', 'b'],
      description: 'd',
      nodeName: 'n1',
      once: true,
      requests: ['csr-1', 'csr-2'],
    },
    line: 'abcdef|90 minutes|2030-01-01T13:30:00.000Z|authentication,signing|d|a,b|n1 (once)|csr-1, csr-2',
  },
  {
    name: 'the moment of its end is past it',
    row: { expiresAt: NOW },
    line: 'abcdef|<expired>|2030-01-01T12:00:00.000Z|<none>|<none>|<none>|-|-',
  },
  {
    name: 'the last millisecond is not',
    row: { expiresAt: after(1) },
    line: 'abcdef|0 seconds|2030-01-01T12:00:00.001Z|<none>|<none>|<none>|-|-',
  },
  {
    name: 'a time that nobody can read',
    row: { expiresAt: new Date(0) },
    line: 'abcdef|<expired>|1970-01-01T00:00:00.000Z|<none>|<none>|<none>|-|-',
  },
  {
    name: 'once without a node',
    row: { once: true },
    line: 'abcdef|<forever>|<never>|<none>|<none>|<none>|- (once)|-',
  },
  {
    name: 'a description that would make rows of its own',
    row: { description: 'a\nbcdefg\t<forever>\r\u2028x' },
    line: 'abcdef|<forever>|<never>|<none>|a bcdefg <forever>  x|<none>|-|-',
  },
]) {
  t.test(`a row: ${name}`, async (t) => {
    const text = tokenTable([{ ...ROW, ...row }], NOW);
    t.match(text, /\n$/);
    const [headings = '', found = '', ...rest] = text.split('\n');
    t.strictSame(rest, [''], 'one row and no more');
    const starts = ['TOKEN', 'TTL', 'EXPIRES', 'USAGES', 'DESCRIPTION', 'EXTRA GROUPS', 'NODE', 'REQUESTS'].map(
      (word) => headings.indexOf(word),
    );
    const cells = starts.map((start, index) => found.slice(start, starts[index + 1]).trimEnd());
    t.equal(cells.join('|'), line);
  });
}

t.test('columns are as wide as their longest text, and no line ends in spaces', async (t) => {
  const text = tokenTable(
    [
      { ...ROW, nodeName: 'a-node-with-a-long-name.example' },
      { ...ROW, id: 'b', requests: ['r'] },
    ],
    NOW,
  );
  const lines = text.trimEnd().split('\n');
  t.equal(new Set(lines.map((line) => line.lastIndexOf('  '))).size, 1, text);
  for (const line of lines) t.notMatch(line, / $/);
  t.match(tokenTable([], NOW), /^TOKEN {2}TTL {2}EXPIRES.*REQUESTS\n$/);
});

const token = (id: string, more: object = {}): object => ({
  metadata: { name: `bootstrap-token-${id}` },
  data: { 'token-id': Buffer.from(id).toString('base64') },
  ...more,
});

t.test('tokens come by id, whatever page they were on, each with the requests that were made with it', async (t) => {
  const ofToken = (name: string, id: string): object =>
    requestObject({ metadata: { name }, spec: { username: `system:bootstrap:${id}` } });
  const api = new FakeClusterApi(({ path }) => {
    if (path.includes('/secrets') && path.includes('continue=more')) return { metadata: {}, items: [token('aaaaaa')] };
    if (path.includes('/secrets')) return { metadata: { continue: 'more' }, items: [token('cccccc'), token('bbbbbb')] };
    return {
      metadata: {},
      items: [
        ofToken('csr-1', 'bbbbbb'),
        { metadata: { name: 'no request' } },
        ofToken('csr-2', 'bbbbbb'),
        ofToken('csr-3', 'gone00'),
        requestObject({ metadata: { name: 'csr-4' } }),
      ],
    };
  });
  const rows = await listTokens(api, signal);
  t.strictSame(
    rows.map(({ id, requests }) => [id, ...requests]),
    [['aaaaaa'], ['bbbbbb', 'csr-1', 'csr-2'], ['cccccc']],
  );
  t.match(
    api.asked.find(({ path }) => path.includes('/secrets'))?.path,
    '/api/v1/namespaces/kube-system/secrets?fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken&limit=200',
  );
});

for (const { answer, message } of [
  { answer: undefined, message: 'list: expected an object, found nothing' },
  { answer: { metadata: {}, items: 'all' }, message: 'list.items: expected a list' },
  { answer: { metadata: {}, items: [7] }, message: 'Secret: expected an object, found a number' },
]) {
  t.test(`a list that is none: ${message}`, async (t) => {
    await t.rejects(listTokens(new FakeClusterApi(() => answer), signal), { code: 'ERR_API_PROTOCOL', message });
  });
}

for (const { text, id } of [
  { text: 'abcdef', id: 'abcdef' },
  { text: '012345.0123456789abcdef', id: '012345' },
]) {
  t.test(`delete ${text} asks for the id alone`, async (t) => {
    const api = new FakeClusterApi(() => ({}));
    t.equal(await deleteToken(api, text, signal), id);
    t.strictSame(api.asked, [
      { method: 'DELETE', path: `/api/v1/namespaces/kube-system/secrets/bootstrap-token-${id}`, body: undefined },
    ]);
  });
}

for (const text of [
  '',
  'abcde',
  'abcdefg',
  'ABCDEF',
  'abcde/',
  '../../',
  'abcdef\n',
  'abcdef.',
  'abcdef.0123456789abcde',
  'abcdef.0123456789abcdefg',
  'abcdef.0123456789ABCDEF',
  'bootstrap-token-abcdef',
]) {
  t.test(`delete ${JSON.stringify(text)} asks nothing, and does not repeat what may be a token`, async (t) => {
    const api = new FakeClusterApi(() => ({}));
    const error: unknown = await deleteToken(api, text, signal).catch((thrown: unknown) => thrown);
    t.match(error, {
      code: 'ERR_USAGE',
      message: 'expected the id of a token, six of a-z and 0-9; see certlet token list',
    });
    t.strictSame(api.asked, []);
  });
}

for (const { code, told } of [
  { code: 'ERR_API_NOT_FOUND', told: { message: 'there is no token abcdef', remedy: 'certlet token list' } },
  { code: 'ERR_API_FORBIDDEN', told: { message: 'said the server', remedy: undefined } },
  { code: 'ERR_API_UNREACHABLE', told: { message: 'said the server', remedy: undefined } },
] as const) {
  t.test(`delete of a token that meets ${code}`, async (t) => {
    const cause = new CertletError(code, 'said the server');
    const api = new FakeClusterApi(() => {
      throw cause;
    });
    await t.rejects(deleteToken(api, 'abcdef', signal), { code, ...told });
  });
}
