import t from 'tap';
import type { HostReload } from '../../../src/adapters/host-reloads.ts';
import { reloadFindings, type ReloadQuestion } from '../../../src/check/rules/reloads.ts';

const FILE: HostReload = {
  name: 'proxy',
  path: '/etc/certlet/reload/proxy.env',
  choice: { name: 'proxy', unit: 'kube-proxy.service', action: 'reload' },
  owner: { uid: 0, mode: 0o644 },
  unit: { exists: true, reloadable: true },
};
const QUESTION: ReloadQuestion = {
  named: new Map([['proxy', ['kube-proxy']]]),
  files: [FILE],
  wanted: new Set(['certlet-reload@proxy.path']),
  guesses: new Map(),
};
const ENABLE = 'systemctl enable --now certlet-reload@proxy.path';

for (const { name, change = {}, file = {}, found } of [
  { name: 'all fits', found: { id: 'reload', verdict: 'ok', what: /proxy: reload kube-proxy\.service$/ } },
  {
    name: 'root has said nothing',
    change: { files: [] },
    found: { id: 'reload.unnamed', remedy: `certlet allow --reload proxy=UNIT && ${ENABLE}` },
  },
  {
    name: 'root has said nothing, and a unit has that name',
    change: { files: [], guesses: new Map([['proxy', 'proxy.service']]) },
    found: { id: 'reload.unnamed', remedy: `certlet allow --reload proxy=proxy.service && ${ENABLE}` },
  },
  {
    name: 'nothing waits for the flag',
    change: { wanted: new Set<string>() },
    found: { id: 'reload.not-enabled', verdict: 'problem', remedy: ENABLE },
  },
  {
    name: 'the settings know no such name',
    change: { named: new Map<string, readonly string[]>() },
    found: { id: 'reload.unused', verdict: 'note', remedy: 'certlet allow --remove --reload proxy' },
  },
  {
    name: 'the file says nothing that can be used',
    file: { choice: 'UNIT= is missing' },
    found: { id: 'reload.broken', what: /UNIT= is missing$/, remedy: 'certlet allow --reload proxy=UNIT' },
  },
  {
    name: 'no such unit',
    file: { unit: { exists: false, reloadable: true } },
    found: { id: 'reload.no-unit', what: /kube-proxy\.service, and systemd has no such unit/ },
  },
  {
    name: 'a unit that cannot be reloaded',
    file: { unit: { exists: true, reloadable: false } },
    found: { id: 'reload.not-reloadable', remedy: 'certlet allow --reload proxy=kube-proxy.service:try-restart' },
  },
  {
    name: 'others can change it',
    file: { owner: { uid: 0, mode: 0o664 } },
    found: { id: 'reload.unsafe', remedy: /^chown root \/etc\/certlet\/reload\/proxy\.env && chmod go-w / },
  },
  { name: 'it may not be read', file: { choice: undefined }, found: { id: 'reload.unreadable', verdict: 'skipped' } },
]) {
  t.test(`reload: ${name}`, async (t) => {
    const findings = reloadFindings({ ...QUESTION, files: [{ ...FILE, ...file }], ...change });
    t.equal(findings.length, 1);
    t.match(findings[0], found);
  });
}

t.test('reload: neither side has anything', async (t) => {
  t.strictSame(reloadFindings({ ...QUESTION, named: new Map(), files: [] }), []);
});

for (const { name, file, ids } of [
  { name: 'its owner cannot be looked at', file: { owner: undefined }, ids: ['reload'] },
  { name: 'what a generator made, which no file tells of', file: { unit: undefined }, ids: ['reload'] },
  {
    name: 'a unit that cannot be reloaded is restarted',
    file: {
      choice: { name: 'proxy', unit: 'kube-proxy.service', action: 'try-restart' },
      unit: { exists: true, reloadable: false },
    },
    ids: ['reload'],
  },
  { name: "a user's file", file: { owner: { uid: 1000, mode: 0o600 } }, ids: ['reload.unsafe'] },
  {
    name: "a user's broken file: both",
    file: { owner: { uid: 1000, mode: 0o600 }, choice: 'UNIT= is missing' },
    ids: ['reload.unsafe', 'reload.broken'],
  },
] as const) {
  t.test(`reload: ${name}`, async (t) => {
    const findings = reloadFindings({ ...QUESTION, files: [{ ...FILE, ...file }] });
    t.strictSame(
      findings.map(({ id }) => id),
      ids,
    );
  });
}

t.test('reload: a name of which a shell would make more is quoted in every remedy', async (t) => {
  const name = 'a b; rm $HOME';
  const named = new Map([[name, ['one', 'two']]]);
  const [missing] = reloadFindings({ ...QUESTION, named, files: [], guesses: new Map([[name, "it's.service"]]) });
  t.match(missing, {
    what: /after a renewal of one and two: /,
    remedy: `certlet allow --reload 'a b; rm $HOME=it'\\''s.service' && systemctl enable --now 'certlet-reload@a b; rm $HOME.path'`,
  });
  const [unused] = reloadFindings({ ...QUESTION, named: new Map(), files: [{ ...FILE, name }] });
  t.match(unused, { id: 'reload.unused', remedy: "certlet allow --remove --reload 'a b; rm $HOME'" });
});
