import t from 'tap';
import { type FilesOf, type ManagedFiles, nextManaged } from '../../../src/adapters/store/left-files.ts';

const entry = (name: string, ...files: readonly string[]): FilesOf => ({ name, files });
const NONE: ManagedFiles = { managed: [], left: [] };
const A = entry('a', '/certs/a/a-current.pem', '/etc/a.conf');
const B = entry('b', '/certs/b/b-current.pem');

const rows: readonly {
  readonly name: string;
  readonly before: ManagedFiles;
  readonly managed: readonly FilesOf[];
  readonly left: readonly FilesOf[];
  readonly news: readonly FilesOf[];
}[] = [
  { name: 'the first settings', before: NONE, managed: [A], left: [], news: [] },
  { name: 'nothing changed', before: { managed: [A], left: [] }, managed: [A], left: [], news: [] },
  { name: 'one is dropped', before: { managed: [A, B], left: [] }, managed: [B], left: [A], news: [A] },
  { name: 'the start after that', before: { managed: [B], left: [A] }, managed: [B], left: [A], news: [] },
  { name: 'it comes back', before: { managed: [B], left: [A] }, managed: [A, B], left: [], news: [] },
  {
    name: 'its kubeconfig alone is dropped',
    before: { managed: [A], left: [] },
    managed: [entry('a', '/certs/a/a-current.pem')],
    left: [entry('a', '/etc/a.conf')],
    news: [entry('a', '/etc/a.conf')],
  },
  {
    name: 'then the rest of it',
    before: { managed: [entry('a', '/certs/a/a-current.pem')], left: [entry('a', '/etc/a.conf')] },
    managed: [],
    left: [entry('a', '/etc/a.conf', '/certs/a/a-current.pem')],
    news: [entry('a', '/certs/a/a-current.pem')],
  },
  {
    name: 'another certificate takes its kubeconfig over',
    before: { managed: [A, B], left: [] },
    managed: [entry('b', '/certs/b/b-current.pem', '/etc/a.conf')],
    left: [entry('a', '/certs/a/a-current.pem')],
    news: [entry('a', '/certs/a/a-current.pem')],
  },
];
for (const { name, before, managed, left, news } of rows) {
  t.test(`what settings leave behind: ${name}`, async (t) =>
    t.strictSame(nextManaged(before, managed), { next: { managed, left }, news }),
  );
}
