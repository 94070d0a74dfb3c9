/** What `certlet allow` says, for a person and for a program. */
import t from 'tap';
import type { HostReload } from '../../src/adapters/host-reloads.ts';
import { allowanceAnswer, allowanceText, allowedText } from '../../src/cli/allow-report.ts';

const reload = (name: string, choice: HostReload['choice']): HostReload => ({
  name,
  path: `/etc/certlet/reload/${name}.env`,
  choice,
  owner: undefined,
  unit: undefined,
});
const GOOD = reload('a', { name: 'a', unit: 'a.service', action: 'reload' });
const WRONG = reload('b', 'it names no unit');
const CLOSED = reload('c', undefined);
const HEAD = 'folders that the service may write, and the file that says so:\n';
const RELOADS = 'units that a renewed certificate reloads:\n';
const folder = (path: string, file: string, unit = 'certlet.service') => ({ path, file, unit });

for (const { name, list, text } of [
  {
    name: 'nothing on this host',
    list: { folders: [], reloads: [] },
    text: `${HEAD}  none: certlet has no unit on this host\n${RELOADS}  none\n`,
  },
  {
    name: 'paths by name, in one column; each file of a path once, whatever the units',
    list: {
      folders: [
        folder('/var/lib/certlet', 'certlet.service'),
        folder('/etc/x', 'certlet.service'),
        folder('/etc/x', 'certlet.service', 'certlet-once.service'),
        folder('/etc/x', 'zz-allowed-folders.conf'),
      ],
      reloads: [],
    },
    text: `${HEAD}  /etc/x            certlet.service, zz-allowed-folders.conf\n  /var/lib/certlet  certlet.service\n${RELOADS}  none\n`,
  },
  {
    name: 'reloads that are good, wrong and closed to this user',
    list: { folders: [], reloads: [GOOD, WRONG, CLOSED] },
    text:
      `${HEAD}  none: certlet has no unit on this host\n${RELOADS}  a  reload a.service\n` +
      '  b  /etc/certlet/reload/b.env cannot be used: it names no unit\n' +
      '  c  /etc/certlet/reload/c.env may not be read by this user\n',
  },
]) {
  t.test(`for a person: ${name}`, async (t) => t.equal(allowanceText(list), text));
}

t.test('for a program: each unit’s folders, and for a reload either what it does or what is wrong', async (t) => {
  const folders = [folder('/etc/x', 'f', 'certlet.service'), folder('/etc/x', 'f', 'certlet-once.service')];
  t.strictSame(allowanceAnswer({ folders, reloads: [GOOD, WRONG, CLOSED] }), {
    folders: [
      { path: '/etc/x', unit: 'certlet.service', file: 'f' },
      { path: '/etc/x', unit: 'certlet-once.service', file: 'f' },
    ],
    reloads: [
      { name: 'a', file: '/etc/certlet/reload/a.env', unit: 'a.service', action: 'reload' },
      { name: 'b', file: '/etc/certlet/reload/b.env', problem: 'it names no unit' },
      { name: 'c', file: '/etc/certlet/reload/c.env', problem: 'may not be read by this user' },
    ],
  });
  t.strictSame(allowanceAnswer({ folders: [], reloads: [] }), { folders: [], reloads: [] });
});

for (const { done, warnings, next, text } of [
  { done: ['a'], warnings: [], next: [], text: 'a\n' },
  { done: ['a', 'b'], warnings: ['w'], next: [], text: 'a\nb\nwarning: w\n' },
  { done: ['a'], warnings: [], next: ['c', 'd'], text: 'a\nnext:\n  c\n  d\n' },
  { done: [], warnings: ['w'], next: ['c'], text: 'warning: w\nnext:\n  c\n' },
]) {
  t.test(`what was done: ${JSON.stringify(text)}`, async (t) => t.equal(allowedText({ done, warnings, next }), text));
}
