/** Every text of the sources that says what a person does: a command first, what is to be known of it behind `   # `. Sentences hold no command. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';

const SOURCES = join(import.meta.dirname, '../src');
/** Texts of help, of completion, of printed manifests and of reports about what is to be done next, which are no remedies. */
const NO_REMEDIES =
  /^(?:cli\/(?:commands|cluster-commands|completion|flags|adopt|allow-report|join|reset|renewal-plan|command-line)|config\/|kubelet\/|error-rules|token\/roles)/;

const PROGRAMS =
  'kubectl|kubeadm|certlet|systemctl|openssl|journalctl|namei|chown|chmod|date -u|timedatectl|hostnamectl|findmnt|mount|curl|nc|getent|runuser|rm|mv|ls|ss|fuser|df|find|iconv|install';
/** A command in the middle of a sentence: behind a colon, in brackets, or after such a verb. */
const EMBEDDED = new RegExp(String.raw`[a-z](?:: | \(|, or | then run:? |, then )(?:${PROGRAMS}) [a-z$-]`);
/** What goes on is no command. */
const PROSE =
  /[:,(] ?(?:or )?certlet (?:notices|goes|asks|waits|tries|will|keeps|writes|uses|leaves|polls|takes|calls|rewrites|moves|makes|adopts|has|compares)\b/;

/** String and template literals of one line each; comments are left out. */
function literalsOf(source: string): readonly string[] {
  const code = source.replaceAll(/^\s*(?:\/\/|\/?\*).*$/gm, '');
  return [...code.matchAll(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g)].map(([text]) => text);
}

const isMixed = (text: string): boolean => {
  const [first = ''] = text.split('   # ');
  // A heading of status.
  return EMBEDDED.test(first) && !PROSE.test(first) && !first.includes('Last warnings');
};

t.test('what must be found is found', async (t) => {
  t.ok(isMixed("'if the sandbox is the reason: certlet allow /x'"));
  t.ok(isMixed("'renew it (kubeadm certs renew apiserver)'"));
  t.ok(isMixed("'stop it, then: systemctl start certlet'") || isMixed("'stop it: systemctl start certlet'"));
  t.notOk(isMixed("'systemctl stop certlet && certlet reset   # needs a token: kubeadm token create'"));
  t.notOk(isMixed("'there is none yet; certlet writes it'"));
});

for (const name of readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))) {
  if (NO_REMEDIES.test(name)) continue;
  t.test(`no command hides in a sentence of ${name}`, async (t) => {
    t.strictSame(literalsOf(readFileSync(join(SOURCES, name), 'utf8')).filter(isMixed), []);
  });
}
