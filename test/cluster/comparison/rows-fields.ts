/** Kubeconfigs by their fields: empty ones, and names. */
import { fieldsRow, TOKEN } from './config-text.ts';
import type { Fields, Parts } from './config-text.ts';
import type { Row, Scene } from './row.ts';

const cluster = (kind: string, name: string, fields: Fields | ((scene: Scene) => Fields), more?: Partial<Row>): Row =>
  fieldsRow(kind, name, (scene) => ({ cluster: typeof fields === 'function' ? fields(scene) : fields }), more);
const user = (kind: string, name: string, fields: Fields): Row => fieldsRow(kind, name, { user: fields });
const top = (kind: string, name: string, fields: Fields | ((scene: Scene) => Fields)): Row =>
  fieldsRow(kind, name, (scene) => ({ top: typeof fields === 'function' ? fields(scene) : fields }));

/** Present, but nothing in it. */
function emptyFields(): readonly Row[] {
  const kind = 'empty field';
  const clusterKeys = [
    'certificate-authority',
    'tls-server-name',
    'proxy-url',
    'insecure-skip-tls-verify',
    'extensions',
  ];
  const userKeys = [
    'tokenFile',
    'client-certificate',
    'client-certificate-data',
    'client-key-data',
    'username',
    'password',
    'as',
    'as-uid',
  ];
  return [
    ...clusterKeys.map((key) => cluster(kind, `cluster ${key}: null`, { [key]: null })),
    ...clusterKeys.slice(0, 3).map((key) => cluster(kind, `cluster ${key}: ""`, { [key]: '' })),
    ...userKeys.map((key) => user(kind, `user ${key}: ""`, { [key]: '' })),
    cluster(kind, 'cluster certificate-authority-data: ""', { 'certificate-authority-data': '' }),
    cluster(kind, 'cluster server: ""', { server: '' }),
    cluster(kind, 'cluster server: null', { server: null }),
    cluster(kind, 'cluster extensions: []', { extensions: [] }),
    cluster(kind, 'cluster extensions: {}', { extensions: {} }),
    user(kind, 'user token: ""', { token: '' }),
    user(kind, 'user token: null', { token: null }),
    user(kind, 'user exec: null', { exec: null }),
    user(kind, 'user exec: {}', { exec: {} }),
    user(kind, 'user auth-provider: null', { 'auth-provider': null }),
    user(kind, 'user auth-provider: {}', { 'auth-provider': {} }),
    user(kind, 'user as-groups: []', { 'as-groups': [] }),
    user(kind, 'user as-user-extra: {}', { 'as-user-extra': {} }),
    top(kind, 'preferences: {}', { preferences: {} }),
    top(kind, 'preferences: null', { preferences: null }),
    top(kind, 'extensions: []', { extensions: [] }),
    top(kind, 'users: null', { users: null }),
    top(kind, 'users: []', { users: [] }),
    top(kind, 'users: {}', { users: {} }),
    top(kind, 'clusters: null', { clusters: null }),
    top(kind, 'contexts: []', { contexts: [] }),
    top(kind, 'current-context: ""', { 'current-context': '' }),
    top(kind, 'kind: ""', { kind: '' }),
    top(kind, 'apiVersion: ""', { apiVersion: '' }),
    fieldsRow(kind, 'context user: ""', { context: { user: '' } }),
    fieldsRow(kind, 'context namespace: ""', { context: { namespace: '' } }),
    fieldsRow(kind, 'context cluster: ""', { context: { cluster: '' } }),
    top(kind, 'user entry without user', { users: [{ name: 'u' }] }),
    top(kind, 'user entry: null', { users: [{ name: 'u', user: null }] }),
    top(kind, 'cluster entry: null', { clusters: [{ name: 'c', cluster: null }] }),
    top(kind, 'context entry: null', { contexts: [{ name: 'x', context: null }] }),
    top(kind, 'a null among the users', { users: [null, { name: 'u', user: { token: TOKEN } }] }),
  ];
}

/** Everything named `name`. */
function allNamed(name: string): Parts {
  return { top: { contexts: [{ name, context: { cluster: 'c', user: 'u' } }], 'current-context': name } };
}

function names(): readonly Row[] {
  const kind = 'name';
  const token = { token: TOKEN };
  const other = { token: 'other' };
  const odd = [
    'with blank',
    'ümläut',
    'a/b',
    'a@b',
    'kubernetes-admin@kubernetes',
    ' x ',
    '__proto__',
    'constructor',
    'toString',
    'x'.repeat(300),
    '\u0000',
    '\n',
    '💥',
  ];
  return [
    ...odd.map((name) => fieldsRow(kind, `context ${JSON.stringify(name.slice(0, 30))}`, allNamed(name))),
    top(kind, 'two users of one name', {
      users: [
        { name: 'u', user: token },
        { name: 'u', user: other },
      ],
    }),
    top(kind, 'two other users of one name', {
      users: [
        { name: 'u', user: token },
        { name: 'v', user: other },
        { name: 'v', user: other },
      ],
    }),
    top(kind, 'two contexts of one name', {
      contexts: [1, 2].map(() => ({ name: 'x', context: { cluster: 'c', user: 'u' } })),
    }),
    top(kind, 'users without names', { users: [{ user: other }, { name: 'u', user: token }] }),
    top(kind, 'two users without names', { users: [{ user: other }, { user: other }, { name: 'u', user: token }] }),
    top(kind, 'current-context is missing', { 'current-context': undefined }),
    top(kind, 'current-context is not there', { 'current-context': 'y' }),
    top(kind, 'current-context in other case', { 'current-context': 'X' }),
    top(kind, 'current-context is a number', { 'current-context': 1 }),
    fieldsRow(kind, 'the user is not there', { context: { user: 'v' } }),
    fieldsRow(kind, 'the user is missing', { context: { user: undefined } }),
    fieldsRow(kind, 'the cluster is not there', { context: { cluster: 'd' } }),
    fieldsRow(kind, 'the cluster is missing', { context: { cluster: undefined } }),
    fieldsRow(kind, 'a namespace that is none', { context: { namespace: 'NOT A NAMESPACE' } }),
    top(kind, 'another context is broken', (scene) => ({
      contexts: [
        { name: 'x', context: { cluster: 'c', user: 'u' } },
        { name: 'y', context: { cluster: 'nowhere', user: scene.port } },
      ],
    })),
    top(kind, 'another context leads nowhere', {
      contexts: [
        { name: 'x', context: { cluster: 'c', user: 'u' } },
        { name: 'y', context: { cluster: 'nowhere', user: 'nobody' } },
      ],
    }),
    top(kind, 'another user has a broken certificate', {
      users: [
        { name: 'u', user: token },
        { name: 'v', user: { 'client-certificate-data': '*' } },
      ],
    }),
    top(kind, 'another user has a wrong type', {
      users: [
        { name: 'u', user: token },
        { name: 'v', user: { token: 7 } },
      ],
    }),
    top(kind, 'kind: config', { kind: 'config' }),
    top(kind, 'kind: Pod', { kind: 'Pod' }),
    top(kind, 'kind is missing', { kind: undefined }),
    top(kind, 'apiVersion is missing', { apiVersion: undefined }),
    top(kind, 'kind and apiVersion are missing', { apiVersion: undefined, kind: undefined }),
    top(kind, 'apiVersion: v2', { apiVersion: 'v2' }),
    top(kind, 'apiVersion: V1', { apiVersion: 'V1' }),
    top(kind, 'apiVersion: client.config/v1', { apiVersion: 'client.config/v1' }),
    top(kind, 'fields of other case', { Kind: 'Pod', Users: [] }),
  ];
}

/** All of this file. */
export function fieldRows(): readonly Row[] {
  return [...emptyFields(), ...names()];
}
