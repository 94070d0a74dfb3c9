/** What printed commands need of the command line that prints them. */
import { resolve } from 'node:path';
import t from 'tap';
import { carriedBy, typedLine } from '../../src/cli/carried.ts';
import { parseCommandLine } from '../../src/cli/command-line.ts';
import { withCarried } from '../../src/remedy.ts';

for (const { typed, printed, told } of [
  { typed: ['check'], printed: 'certlet renew client', told: 'certlet renew client' },
  {
    typed: ['check', '--config', '/etc/certlet/config.yaml', '--log-level', 'debug'],
    printed: 'certlet renew client',
    told: 'certlet renew client',
  },
  {
    typed: ['check', '--config', '/srv/a b.yaml', '--cert-dir', '/srv/pki', '--rotate-server-certificates=false'],
    printed: 'certlet renew client',
    told: "certlet renew --config '/srv/a b.yaml' --cert-dir /srv/pki --rotate-server-certificates=false client",
  },
  {
    typed: ['status', '--config', 'node.yaml'],
    printed: 'certlet check',
    told: `certlet check --config ${resolve('node.yaml')}`,
  },
  {
    typed: ['run', '--node-ip', '192.0.2.7,2001:db8::7'],
    printed: 'certlet once; certlet run',
    told: 'certlet once --node-ip 192.0.2.7,2001:db8::7; certlet run',
  },
  {
    typed: ['approve', '--config', '/srv/a.yaml', '--kubeconfig', '/root/admin.conf', '--context', 'site one'],
    printed: 'certlet approve --print-rbac | kubectl apply -f -',
    told: "certlet approve --config /srv/a.yaml --kubeconfig /root/admin.conf --context 'site one' --print-rbac | kubectl --kubeconfig /root/admin.conf --context 'site one' apply -f -",
  },
  {
    typed: ['approve', '--watch', '--config', '/srv/a.yaml', '--kubeconfig', '/srv/approver.conf'],
    printed: 'certlet approve --print-rbac | kubectl apply -f -',
    told: 'certlet approve --config /srv/a.yaml --print-rbac | kubectl apply -f -',
  },
  {
    typed: ['token', 'delete', 'abcdef', '--kubeconfig', '/root/admin.conf'],
    printed: 'certlet token list',
    told: 'certlet token list --kubeconfig /root/admin.conf',
  },
]) {
  t.test(`certlet ${typed.join(' ')} prints: ${told}`, async (t) => {
    const line = await parseCommandLine(typed);
    if (line.kind !== 'command') throw new Error(JSON.stringify(line));
    t.equal(withCarried(printed, carriedBy(line.command, line.settings)), told);
  });
}

t.test('what was typed is typed again', async (t) => {
  t.equal(typedLine(['reset', '--cert-dir', '/a b'], '--yes'), "certlet reset --cert-dir '/a b' --yes");
});
