/** The roles that `certlet rbac` prints, and the manifests in config/rbac. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { parseAllDocuments } from 'yaml';
import { parseCommandLine } from '../../src/cli/command-line.ts';
import { dispatch } from '../../src/cli/dispatch.ts';
import { CommandHost } from '../fixtures/command-host.ts';
import type { Test } from 'tap';

interface RoleObject {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly subjects?: readonly { readonly name: string }[];
}

const objectsIn = (text: string): readonly RoleObject[] =>
  parseAllDocuments(text).map((document) => document.toJS() as RoleObject);
const shipped = (name: string): readonly RoleObject[] =>
  objectsIn(readFileSync(new URL(`../../config/rbac/${name}.yaml`, import.meta.url), 'utf8'));

async function printed(t: Test, ...words: readonly string[]): Promise<string> {
  const line = await parseCommandLine(['rbac', ...words]);
  if (line.kind !== 'command') throw new Error(JSON.stringify(line));
  const { context, stdout } = new CommandHost(t).session();
  t.equal(await dispatch(line.command, context), 0);
  return stdout.text;
}

for (const row of [
  { words: ['bootstrap'], files: ['bootstrap-token'] },
  { words: ['approve'], files: ['auto-approve'] },
  { words: ['serving'], files: ['serving'] },
  { words: [], files: ['bootstrap-token', 'auto-approve', 'serving'] },
]) {
  t.test(`certlet rbac ${row.words.join(' ')} prints what config/rbac has: ${row.files.join(', ')}`, async (t) => {
    const expected = row.files.flatMap(shipped);
    t.strictSame(objectsIn(await printed(t, ...row.words)), expected);
    t.strictSame(JSON.parse(await printed(t, ...row.words, '-o', 'json')), {
      apiVersion: 'v1',
      kind: 'List',
      items: expected,
    });
  });
}

t.test('bootstrap-token.yaml bound the group of kubeadm alone, and auto-approve.yaml another', async (t) => {
  const groupsOf = (objects: readonly RoleObject[]) => objects[0]?.subjects?.map(({ name }) => name);
  t.strictSame(groupsOf(shipped('bootstrap-token')), ['system:bootstrappers']);
  for (const file of ['static-token', 'auto-approve']) t.strictSame(groupsOf(shipped(file)), ['system:bootstrappers']);
});

t.test('for groups of their own', async (t) => {
  const objects = objectsIn(await printed(t, '--group', 'system:kubelet-bootstrap,b', '--approvers', 'admins'));
  const subjects = objects.map(({ subjects = [] }) => subjects.map(({ name }) => name).join());
  t.strictSame(subjects, ['system:kubelet-bootstrap,b', 'system:kubelet-bootstrap,b', 'system:nodes', '', 'admins']);
});

for (const row of [
  { words: ['serving', '--group', 'x'], problem: /--group: goes with bootstrap and approve/ },
  { words: ['bootstrap', '--approvers', 'x'], problem: /--approvers: goes with serving/ },
  { words: ['bootstrap', '--group', 'a b'], problem: /"a b" is not the name of a group/ },
  { words: ['bootstrap', '--group', ''], problem: /--group/ },
  { words: ['everything'], problem: /TOPIC|topic/ },
]) {
  t.test(`certlet rbac ${row.words.join(' ')} is refused`, async (t) => {
    const line = await parseCommandLine(['rbac', ...row.words]);
    t.equal(line.kind, 'wrong');
    t.match(line.kind === 'wrong' ? line.problems.join('\n') : '', row.problem);
  });
}
