import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  adviceOf,
  editing,
  explained,
  filledIn,
  inSettings,
  onControlPlane,
  PROGRAMS,
  type Remedy,
  remedyFor,
  shellWord,
  withCarried,
} from '../src/remedy.ts';
import { adviceLines } from '../src/status/rows.ts';

t.test('a remedy is a command, and behind it what is to be known', async (t) => {
  t.strictSame(adviceOf('certlet check   # on a control plane node # really'), {
    kind: 'command',
    fix: 'certlet check',
    why: 'on a control plane node # really',
  });
  t.strictSame(adviceOf('certlet check'), { kind: 'command', fix: 'certlet check', why: undefined });
  t.strictSame(adviceOf("grep '# x' FILE"), { kind: 'command', fix: "grep '# x' FILE", why: undefined });
});

t.test('what no command does was called a fix, and a shell refused it', async (t) => {
  t.strictSame(adviceOf('# Put a kubeconfig there.'), {
    kind: 'instruction',
    todo: 'Put a kubeconfig there.',
    why: undefined,
  });
  t.strictSame(adviceOf(inSettings('caFile: true')), {
    kind: 'instruction',
    todo: 'Set caFile: true in the settings.',
    why: 'then systemctl reload certlet',
  });
  // @ts-expect-error A sentence is no remedy without its sign.
  const sentence: Remedy = 'Put a kubeconfig there.';
  // @ts-expect-error Nor is a program that nobody has named yet.
  const stranger: Remedy = 'emacs FILE';
  // @ts-expect-error Nor what works on another machine alone.
  const elsewhere: Remedy = 'kubeadm token create';
  t.strictSame(adviceOf(onControlPlane('kubeadm token create', 'then join')), {
    kind: 'instruction',
    todo: 'Run on a control plane node: kubeadm token create',
    why: 'then join',
  });
  const [line, ...more] = adviceLines(filledIn(`certlet join ENDPOINT ${'x'.repeat(80)} FILE`), 60);
  t.match(line, /^do: .*: certlet join ENDPOINT x+ FILE$/, 'in one line, to be copied');
  t.strictSame(more, []);
  t.notOk([sentence, stranger, elsewhere].some((text) => PROGRAMS.some((program) => text.startsWith(`${program} `))));
});

t.test('more that is to be known stands behind what is known', async (t) => {
  t.equal(explained('certlet check', 'as root'), 'certlet check   # as root');
  t.equal(explained('# Mend it.   # it is broken', 'and old'), '# Mend it.   # it is broken; and old');
});

t.test('an editor opens the place that is to be mended', async (t) => {
  t.equal(editing("/etc/it's", 'Mend it.', 3), "${EDITOR:-vi} +3 '/etc/it'\\''s'   # Mend it.");
  t.equal(editing('/etc/x', 'Mend it.'), '${EDITOR:-vi} /etc/x   # Mend it.');
  t.equal(editing('https://api data.kubeconfig', 'Mend it.', 3), '# Mend it.', 'nothing that an editor opens');
  const folder = t.testdir({ 'a file': 'one\ntwo\nthree\n', mend: '#!/bin/sh\nsed -i "${1#+}s/.*/mended/" "$2"\n' });
  chmodSync(join(folder, 'mend'), 0o755);
  const line = editing(join(folder, 'a file'), 'Mend it.', 2);
  execFileSync('sh', ['-c', line], { env: { EDITOR: join(folder, 'mend'), PATH: process.env['PATH'] } });
  t.equal(readFileSync(join(folder, 'a file'), 'utf8'), 'one\nmended\nthree\n');
});

const carried = [{ commands: ['certlet renew', 'certlet reset', 'certlet check'], options: '--config /srv/c.yaml' }];
const DAEMON = { byTimer: false, uid: 0, carried: [] };
const TIMER = { byTimer: true, uid: 0, carried: [] };
const OWN_USER = { byTimer: false, uid: 812, carried: [] };
const TIMER_OF_OWN_USER = { byTimer: true, uid: 812, carried: [] };

for (const row of [
  {
    how: DAEMON,
    remedy: 'systemctl restart certlet   # mends the link',
    told: 'systemctl restart certlet   # mends the link',
  },
  {
    how: TIMER,
    remedy: 'systemctl restart certlet   # mends the link',
    told: 'systemctl start certlet-once.service   # mends the link',
  },
  { how: TIMER, remedy: 'systemctl reload certlet', told: 'systemctl start certlet-once.service' },
  {
    how: TIMER,
    remedy: 'systemctl start certlet   # why: journalctl -u certlet -e',
    told: 'systemctl start certlet-once.service   # why: journalctl -u certlet-once -e',
  },
  {
    how: TIMER,
    remedy: 'systemctl stop kubelet certlet && certlet reset && systemctl start certlet kubelet',
    told: 'systemctl stop kubelet certlet-once.timer certlet-once.service && certlet reset && systemctl start certlet-once.service certlet-once.timer kubelet',
  },
  {
    how: TIMER,
    remedy: 'certlet allow /srv && systemctl daemon-reload && systemctl restart certlet',
    told: 'certlet allow /srv && systemctl daemon-reload && systemctl start certlet-once.service',
  },
  // The choice between the two is nobody's but the person's.
  {
    how: TIMER,
    remedy: 'systemctl disable --now certlet-once.timer && systemctl enable --now certlet',
    told: 'systemctl disable --now certlet-once.timer && systemctl enable --now certlet',
  },
  { how: TIMER, remedy: 'systemctl restart kubelet', told: 'systemctl restart kubelet' },
  { how: TIMER, remedy: 'systemctl restart certlet-approver', told: 'systemctl restart certlet-approver' },
  { how: OWN_USER, remedy: 'certlet renew client', told: 'certlet renew client' },
  {
    how: OWN_USER,
    remedy: 'certlet reset && certlet check',
    told: 'runuser -u "$(id -nu 812)" -- certlet reset && certlet check',
  },
  {
    how: TIMER_OF_OWN_USER,
    remedy: 'certlet renew client',
    told: 'runuser -u "$(id -nu 812)" -- certlet renew client',
  },
  {
    how: { ...TIMER_OF_OWN_USER, carried },
    remedy: 'certlet renew client',
    told: 'runuser -u "$(id -nu 812)" -- certlet renew --config /srv/c.yaml client',
  },
]) {
  t.test(`${JSON.stringify(row.how)}: ${row.remedy}`, async (t) => {
    t.equal(remedyFor(row.remedy, row.how), row.told);
    t.equal(remedyFor(remedyFor(row.remedy, row.how), row.how), row.told, 'told twice, told the same');
  });
}

for (const { text, told } of [
  { text: 'certlet check', told: 'certlet check --config /srv/c.yaml' },
  { text: 'sudo certlet check', told: 'sudo certlet check --config /srv/c.yaml' },
  {
    text: 'systemctl stop certlet && certlet reset && systemctl start certlet   # then certlet check.',
    told: 'systemctl stop certlet && certlet reset --config /srv/c.yaml && systemctl start certlet   # then certlet check --config /srv/c.yaml.',
  },
  {
    text: "certlet renew 'a; certlet check' --wait; certlet check",
    told: "certlet renew --config /srv/c.yaml 'a; certlet check' --wait; certlet check --config /srv/c.yaml",
  },
  { text: 'certlet reset --config=/other.yaml; certlet check' },
  { text: 'certlet check --help', told: 'certlet check --help' },
  { text: 'certlet checks, certlet-check and /usr/bin/x.certlet check', told: undefined },
  { text: 'systemctl restart certlet', told: undefined },
]) {
  t.test(`a command that is printed acts on the settings of this run: ${text}`, async (t) => {
    const expected = told ?? text.replace(/; certlet check$/, '; certlet check --config /srv/c.yaml');
    t.equal(withCarried(text, carried), expected);
    t.equal(withCarried(expected, carried), expected, 'told twice, told the same');
  });
}

t.test('a word of a shell', async (t) => {
  t.equal(shellWord('/etc/a.b'), '/etc/a.b');
  t.equal(shellWord("it's"), "'it'\\''s'");
});
