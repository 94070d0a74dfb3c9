import t from 'tap';
import { adviceOf, remedyFor, shellWord } from '../src/remedy.ts';

t.test('a remedy is a command, and behind it what is to be known', async (t) => {
  t.strictSame(adviceOf('kubeadm token create   # on a control plane node # really'), {
    fix: 'kubeadm token create',
    why: 'on a control plane node # really',
  });
  t.strictSame(adviceOf('certlet check'), { fix: 'certlet check', why: undefined });
  t.strictSame(adviceOf("grep '# x' FILE"), { fix: "grep '# x' FILE", why: undefined });
});

const DAEMON = { byTimer: false, uid: 0 };
const TIMER = { byTimer: true, uid: 0 };
const OWN_USER = { byTimer: false, uid: 812 };
const TIMER_OF_OWN_USER = { byTimer: true, uid: 812 };

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
]) {
  t.test(`${JSON.stringify(row.how)}: ${row.remedy}`, async (t) => {
    t.equal(remedyFor(row.remedy, row.how), row.told);
    t.equal(remedyFor(remedyFor(row.remedy, row.how), row.how), row.told, 'told twice, told the same');
  });
}

t.test('a word of a shell', async (t) => {
  t.equal(shellWord('/etc/a.b'), '/etc/a.b');
  t.equal(shellWord("it's"), "'it'\\''s'");
});
