/** Every text of the sources that says what a person does: a command first, what is to be known of it behind `   # `. Sentences hold no command. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { commandsOf, commandsOfSources } from './fixtures/remedies/commands-of-sources.ts';
import { patternOf, REMEDIES } from './fixtures/remedies/registry.ts';

const SOURCES = join(import.meta.dirname, '../src');
/** Texts of help, of completion, of printed manifests and of reports about what is to be done next, which are no remedies. */
const NO_REMEDIES =
  /^(?:cli\/(?:commands|cluster-commands|completion|flags|adopt|allow-report|join|reset|renewal-plan|command-line|help)|config\/|kubelet\/|error-rules|token\/roles)/;

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

t.test(
  'a command that mends nothing before something was changed by hand is no fix: it stands behind what is to be changed',
  async (t) => {
    for (const name of readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.ts'),
    ))
      t.strictSame(
        literalsOf(readFileSync(join(SOURCES, name), 'utf8')).filter((text) =>
          /^.(?:certlet|systemctl|kubectl) [^#]* {3}# (?:after|once the) /.test(text),
        ),
        [],
        name,
      );
  },
);

t.test('commands are found in every way that a source writes them', async (t) => {
  t.strictSame(
    commandsOf(
      "const a = 'chmod 600 FILE'; // 'chmod 1'\nconst b = /'chmod 2/;\nconst c = `rm ${word(`mv ${x} ${y}`)}   # why`;",
    ),
    ['mv {} {}', 'chmod 600 FILE', 'rm {}'],
  );
  t.strictSame(commandsOf("x('install -D A && ' +\n  'systemctl daemon-reload   # and ' + why)"), [
    'install -D A && systemctl daemon-reload',
  ]);
  t.strictSame(commandsOf('y(`${look} | openssl x509 -noout   # ${why}`)'), ['{} | openssl x509 -noout']);
  t.strictSame(commandsOf("z('certlet runs on this host', 'the file is gone')"), []);
});

t.test(
  'a command that certlet prints has somebody who runs it, and whatever nobody prints any more has nobody',
  async (t) => {
    const printed = commandsOfSources().map(({ file, command }) => `${file}: ${command}`);
    t.ok(printed.length > 200, 'the sources were searched');
    const known = rows().map(({ source, command }) => `${source}: ${command}`);
    const missing = printed.filter((each) => !known.includes(each));
    t.strictSame(
      missing,
      [],
      'a new remedy: paste it in a test of test/systemd, or say in test/fixtures/remedies who runs it',
    );
    t.strictSame(
      known.filter((each) => !printed.includes(each)),
      [],
    );
  },
);

interface Row {
  readonly source: string;
  readonly command: string;
  readonly by: string;
}

const rows = (): readonly Row[] =>
  Object.entries(REMEDIES).flatMap(([source, commands]) =>
    Object.entries(commands).map(([command, by]) => ({ source, command, by })),
  );

/** Of a host in test/systemd, of single files beside this one. */
function testThatPastes(by: string): string {
  const file = ['systemd', '.']
    .map((folder) => join(import.meta.dirname, folder, `${by}.test.ts`))
    .find((path) => existsSync(path));
  return file === undefined ? '' : readFileSync(file, 'utf8');
}

const isPasted = (by: string): boolean => testThatPastes(by) !== '';

/** In capitals, and no column of findmnt, no variable and no part of a quoted program. */
const WORDS = /(?<=[ :])(?!SOURCE\b|TARGET\b)[A-Z][A-Z:]{2,}(?![\w=])/;
/** Listed in their order, and done by several people. */
const STEPS_OF_ADOPT = ['cli/adopted-kube-proxy.ts'];

/** Whether the source hands the command to this function of remedy.ts. */
const isGivenTo = (name: string, source: string, command: string): boolean =>
  readFileSync(join(SOURCES, source), 'utf8')
    .split(`${name}(`)
    .slice(1)
    .some((text) => commandsOf(text.slice(0, 400)).includes(command));

t.test('words to fill in are found', async (t) => {
  for (const command of ['certlet join ENDPOINT --token-file {}', 'x sha256:HASH', 'chgrp GROUP {}', 'cat > FILE'])
    t.match(command, WORDS);
  for (const command of [
    'findmnt -n -o SOURCE {}',
    'echo KUBELET_UNIT={} > x',
    '${EDITOR:-vi} {}',
    'systemctl show -p LimitNOFILE',
  ])
    t.notMatch(command, WORDS);
});

t.test('what the list says of a command holds', async (t) => {
  const kinds = ['shows', 'cluster', 'control plane', 'person', 'text'];
  for (const { source, command, by } of rows()) {
    const what = `${source}: ${command}`;
    if (isPasted(by)) {
      const text = testThatPastes(by);
      t.match(text, new RegExp(String.raw`new Paste[sd]\('${by}'\)`), what);
      t.match(text, 'pastes.all(t)', what);
    } else if (by.startsWith('as ')) {
      const other = rows().filter((row) => row.source === by.slice('as '.length) && isPasted(row.by));
      t.ok(
        other.some((row) => patternOf(row.command).test(command)),
        what,
      );
    } else t.ok(kinds.includes(by), `${what}: ${by}`);
    if (/\bkubectl\b/.test(command)) t.equal(by, 'cluster', what);
    if (command.startsWith('kubeadm ')) t.equal(by, 'control plane', what);
    // A `fix:` works as it is pasted, here.
    if (by === 'control plane') t.ok(isGivenTo('onControlPlane', source, command), `${what} is run elsewhere`);
    const wantsWords = by !== 'text' && WORDS.test(command) && !STEPS_OF_ADOPT.includes(source);
    if (wantsWords) t.ok(isGivenTo('filledIn', source, command), `${what} has words to fill in`);
  }
});
