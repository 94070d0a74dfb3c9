/** Secrets of bootstrap tokens, written and read: what a wish becomes, and what anybody may have put into one. */
import t from 'tap';
import { Secret } from '../../src/secret.ts';
import { bindingGroup } from '../../src/token/binding.ts';
import {
  decodeToken,
  letters,
  tokenCsvLine,
  tokenSecret,
  type TokenWish,
} from '../../src/token/bootstrap-token-object.ts';
import { groupsFor, isTokenGroup } from '../../src/token/groups.ts';

const KUBEADM = 'system:bootstrappers:kubeadm:default-node-token';
const TOKEN = { id: 'abcdef', secret: new Secret('0123456789abcdef') };
const ANY: TokenWish = {
  nodeName: undefined,
  once: false,
  expiresAt: undefined,
  groups: [KUBEADM],
  description: undefined,
};

const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');
const dataOf = (object: object): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries((object as { data: Record<string, string> }).data).map(([key, text]) => [
      key,
      Buffer.from(text, 'base64').toString('utf8'),
    ]),
  );

/** A Secret as an API server tells it, with these texts as data. */
const secretWith = (data: Readonly<Record<string, string>>, metadata: object = {}): object => ({
  metadata: { name: 'bootstrap-token-abcdef', ...metadata },
  data: Object.fromEntries(Object.entries(data).map(([key, text]) => [key, base64(text)])),
});

for (const { name, wish, data, metadata } of [
  {
    name: 'for any node and without end: no expiration, no description, no annotations',
    wish: {},
    data: { 'auth-extra-groups': KUBEADM },
    metadata: {},
  },
  {
    name: 'whole seconds, since Go reads no more',
    wish: { expiresAt: new Date('2030-01-01T12:00:00.987Z') },
    data: { 'auth-extra-groups': KUBEADM, expiration: '2030-01-01T12:00:00Z' },
    metadata: {},
  },
  {
    name: 'a node is an annotation',
    wish: { nodeName: 'n1' },
    data: { 'auth-extra-groups': KUBEADM },
    metadata: { annotations: { 'certlet/node': 'n1' } },
  },
  {
    name: 'once without a node',
    wish: { once: true },
    data: { 'auth-extra-groups': KUBEADM },
    metadata: { annotations: { 'certlet/once': 'true' } },
  },
  {
    name: 'no groups and an empty description leave their keys out, for the API server reads empty ones as texts',
    wish: { groups: [], description: '' },
    data: {},
    metadata: {},
  },
  {
    name: 'a description of any letters',
    wish: { description: 'Zürich, Gestell 4 🗄' },
    data: { 'auth-extra-groups': KUBEADM, description: 'Zürich, Gestell 4 🗄' },
    metadata: {},
  },
]) {
  t.test(`the Secret of a token: ${name}`, async (t) => {
    const object = tokenSecret(TOKEN, { ...ANY, ...wish });
    t.strictSame(object, {
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'bootstrap.kubernetes.io/token',
      metadata: { name: 'bootstrap-token-abcdef', namespace: 'kube-system', ...metadata },
      data: (object as { data: object }).data,
    });
    t.strictSame(dataOf(object), {
      'token-id': 'abcdef',
      'token-secret': '0123456789abcdef',
      'usage-bootstrap-authentication': 'true',
      'usage-bootstrap-signing': 'true',
      ...data,
    });
    const listed = decodeToken(object);
    t.notMatch(JSON.stringify(listed), '0123456789abcdef', 'a list never has the other half');
    t.strictSame(listed.groups, wish.groups ?? [KUBEADM]);
    t.equal(listed.description, wish.description ?? '');
    t.equal(listed.nodeName, wish.nodeName);
    t.equal(listed.once, wish.once ?? false);
  });
}

const PLAIN = { groups: [], description: '', nodeName: undefined, once: false, expiresAt: undefined, usages: [] };

for (const { name, json, listed } of [
  { name: 'without data: the id is in its name', json: { metadata: { name: 'bootstrap-token-abcdef' } }, listed: {} },
  { name: 'with data that is null', json: { metadata: { name: 'bootstrap-token-abcdef' }, data: null }, listed: {} },
  {
    name: 'the id of the data goes before the name',
    json: secretWith({ 'token-id': 'other1' }),
    listed: { id: 'other1' },
  },
  {
    name: 'a name that is no token’s',
    json: { metadata: { name: 'x-bootstrap-token-1' } },
    listed: { id: 'x-bootstrap-token-1' },
  },
  {
    name: 'only what says true is a usage',
    json: secretWith({ 'usage-bootstrap-authentication': 'True', 'usage-bootstrap-signing': 'true' }),
    listed: { usages: ['signing'] },
  },
  {
    name: 'empty groups between commas',
    json: secretWith({ 'auth-extra-groups': ',a,,b,' }),
    listed: { groups: ['a', 'b'] },
  },
  {
    name: 'once is true and nothing else',
    json: secretWith({}, { annotations: { 'certlet/once': 'yes', 'certlet/node': 'n1' } }),
    listed: { nodeName: 'n1' },
  },
  { name: 'annotations that are null', json: secretWith({}, { annotations: null }), listed: {} },
  {
    name: 'a time with an offset',
    json: secretWith({ expiration: '2030-01-01T12:00:00+02:00' }),
    listed: { expiresAt: new Date('2030-01-01T10:00:00Z') },
  },
  { name: 'an empty time is none, as for the API server', json: secretWith({ expiration: '' }), listed: {} },
  ...['tomorrow', '2030', '2030-01-01', '2030-01-01 12:00:00Z', '2030-13-01T00:00:00Z', '1 Jan 2030'].map((text) => ({
    name: `"${text}" is no RFC 3339, and the API server takes the token for expired`,
    json: secretWith({ expiration: text }),
    listed: { expiresAt: new Date(0) },
  })),
]) {
  t.test(`a token as its Secret tells it: ${name}`, async (t) => {
    t.strictSame(decodeToken(json), { id: 'abcdef', ...PLAIN, ...listed });
  });
}

for (const { json, message } of [
  { json: undefined, message: 'Secret: expected an object, found nothing' },
  { json: [], message: 'Secret: expected an object, found a list' },
  { json: 'bootstrap-token-abcdef', message: 'Secret: expected an object, found text' },
  { json: {}, message: 'Secret.metadata: expected an object, found nothing' },
  { json: { metadata: {} }, message: 'Secret.metadata.name: expected text, found nothing' },
  { json: { metadata: { name: '' } }, message: 'Secret.metadata.name: empty' },
  { json: { metadata: { name: 7 } }, message: 'Secret.metadata.name: expected text, found a number' },
  { json: { metadata: { name: 'x' }, data: 'x' }, message: 'Secret.data: expected an object, found text' },
  {
    json: { metadata: { name: 'x' }, data: { 'token-id': 5 } },
    message: 'Secret.data.token-id: expected text, found a number',
  },
  { json: { metadata: { name: 'x' }, data: { 'token-id': 'a*b' } }, message: 'Secret.data.token-id: no base64' },
  { json: { metadata: { name: 'x' }, data: { description: '%%%%' } }, message: 'Secret.data.description: no base64' },
  {
    json: { metadata: { name: 'x', annotations: ['certlet/once'] } },
    message: 'Secret.metadata.annotations: expected an object, found a list',
  },
  {
    json: { metadata: { name: 'x', annotations: { 'certlet/node': true } } },
    message: 'Secret.metadata.annotations.certlet/node: expected text, found a boolean',
  },
]) {
  t.test(`a Secret that cannot be read: ${message}`, async (t) => {
    t.throws(() => decodeToken(json), { code: 'ERR_API_PROTOCOL', message });
  });
}

for (const { node, more, groups } of [
  { node: undefined, more: [], groups: [KUBEADM] },
  { node: undefined, more: ['system:bootstrappers:own'], groups: ['system:bootstrappers:own'] },
  { node: 'n1', more: [], groups: ['system:bootstrappers:certlet-bound', bindingGroup('n1')] },
  {
    node: 'n1',
    more: [KUBEADM, KUBEADM, bindingGroup('n1')],
    groups: ['system:bootstrappers:certlet-bound', bindingGroup('n1'), KUBEADM],
  },
]) {
  t.test(`groups of a token for ${node ?? 'any node'} with ${JSON.stringify(more)} besides`, async (t) => {
    t.strictSame(groupsFor(node, more), groups);
    for (const group of groups) t.ok(isTokenGroup(group), group);
  });
}

t.test('the binding of a name is that name’s alone, as text of the alphabet of groups', async (t) => {
  const names = ['n1', 'n1.', 'N1', 'n1.example', 'n1\n', 'ｎ1', ''];
  const bound = names.map(bindingGroup);
  t.equal(new Set(bound).size, names.length);
  for (const group of bound) t.match(group, /^system:bootstrappers:certlet-node:[0-9a-f]{32}$/);
});

for (const group of [
  'system:bootstrappers:a\n',
  '\nsystem:bootstrappers:a',
  'system:bootstrappers:a,system:masters',
  'system:bootstrappers:a.b',
  'system:bootstrappers:a b',
  'system:bootstrappers::',
  `system:bootstrappers:${'a'.repeat(257)}`,
  'System:bootstrappers:a',
]) {
  t.test(`no group of a token: ${JSON.stringify(group).slice(0, 48)}`, async (t) => t.notOk(isTokenGroup(group)));
}

t.test('letters ask for bytes until there are enough, and skip those that would favour some', async (t) => {
  const given = [Uint8Array.of(252, 253, 254, 255), Uint8Array.of(), Uint8Array.of(251, 0), Uint8Array.of(1, 2, 3)];
  const text = letters(3, (count) => {
    t.equal(count, 3);
    return given.shift() ?? Uint8Array.of(7);
  });
  t.equal(text, '9ab');
  t.equal(given.length, 0);
  t.equal(
    letters(0, () => t.fail('nothing is needed') as unknown as Uint8Array),
    '',
  );
});

t.test('each of the 36 letters comes of seven bytes', async (t) => {
  const every = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  const count = Map.groupBy(
    letters(252, () => every),
    (letter) => letter,
  );
  t.equal(count.size, 36);
  for (const [letter, found] of count) t.equal(found.length, 7, letter);
});

t.test('a line of a static token file is a secret with its groups as one field', async (t) => {
  const line = tokenCsvLine(new Secret('0123456789abcdef'), 'certlet-bootstrap', ['a', 'b']);
  t.equal(line.reveal(), '0123456789abcdef,certlet-bootstrap,certlet-bootstrap,"a,b"');
  t.equal(String(line), '[secret]');
  t.equal(JSON.stringify({ line }), '{"line":"[secret]"}');
});
