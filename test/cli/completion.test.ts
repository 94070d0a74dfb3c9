import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { runCompletion } from '../../src/cli/commands/completion.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { completionScript } from '../../src/cli/completion.ts';
import { CommandHost } from '../fixtures/command-host.ts';

/** A path of the shell; undefined (and a skipped test) where it is not installed. */
function shell(name: string): string | undefined {
  const found = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).stdout.trim();
  return found === '' ? undefined : found;
}

const bash = shell('bash');
const folder = t.testdir({ 'a.yaml': '', 'with blank.yaml': '', sub: {} });

/** What bash itself would offer, by its own way of splitting words. In place of certlet stands a function that knows two entries, and a third with --config. */
function offered(line: string): readonly string[] {
  const script = `
    ${completionScript('bash')}
    certlet() {
      [[ "$1 $2" == 'completion certificates' ]] || return 1
      printf 'kube-proxy\\nexporter\\n'
      [[ $3 != --config ]] || echo "of-$4"
      echo broken settings >&2
    }
    cd "$1"
    line=$2
    # As readline does: = is a word of its own.
    read -ra words <<< "\${line//=/ = }"
    [[ $line == *' ' || $line == *= ]] && words+=('')
    [[ $line == *= ]] && unset 'words[-1]'
    COMP_WORDS=("\${words[@]}")
    COMP_CWORD=$((\${#words[@]} - 1))
    _certlet
    printf '%s\\n' "\${COMPREPLY[@]}"
  `;
  const { stdout, stderr } = spawnSync(bash ?? '', ['-c', script, 'bash', folder, line], { encoding: 'utf8' });
  if (stderr !== '') throw new Error(stderr);
  return stdout.split('\n').filter((word) => word !== '');
}

const skipBash = bash === undefined ? 'no bash here' : false;

t.test('bash: the script is bash', { skip: skipBash }, async (t) => {
  const { status, stderr } = spawnSync(bash ?? '', ['-n'], { input: completionScript('bash'), encoding: 'utf8' });
  t.equal(stderr, '');
  t.equal(status, 0);
});

for (const row of [
  { line: 'certlet ', words: COMMANDS.map(({ name }) => name) },
  { line: 'certlet r', words: ['run', 'renew', 'reset', 'rbac'] },
  { line: 'certlet --h', words: ['--help'] },
  { line: 'certlet renew ', words: ['client', 'serving', 'all', 'kube-proxy', 'exporter'] },
  { line: 'certlet renew s', words: ['serving'] },
  { line: 'certlet renew k', words: ['kube-proxy'] },
  { line: 'certlet status e', words: ['exporter'] },
  { line: 'certlet renew --config x o', words: ['of-x'] },
  { line: 'certlet renew --config=x o', words: ['of-x'] },
  { line: 'certlet renew --wait --timeout=5m k', words: ['kube-proxy'] },
  { line: 'certlet allow s', words: ['sub'] },
  { line: 'certlet renew --w', words: ['--wait'] },
  { line: 'certlet renew --wait c', words: ['client'] },
  { line: 'certlet status --output ', words: ['text', 'json', 'yaml'] },
  { line: 'certlet status --output=y', words: ['yaml'] },
  { line: 'certlet check --output=', words: ['text', 'json', 'yaml'] },
  { line: 'certlet reset --output j', words: ['json'] },
  { line: 'certlet run --log-level d', words: ['debug'] },
  { line: 'certlet run --kubeconfig a', words: ['a.yaml'] },
  { line: 'certlet run --kubeconfig=w', words: ['with blank.yaml'] },
  { line: 'certlet run --cert-dir ', words: ['sub'] },
  { line: 'certlet run --node-ip ', words: [] },
  { line: 'certlet run ', words: [] },
  { line: 'certlet run --rotation-k', words: ['--rotation-keep-old-files'] },
  { line: 'certlet completion f', words: ['fish'] },
  { line: 'certlet join --token-file w', words: ['with blank.yaml'] },
]) {
  t.test(`bash: after "${row.line}"`, { skip: skipBash }, async (t) => {
    t.strictSame(offered(row.line).toSorted(), row.words.toSorted());
  });
}

for (const name of ['zsh', 'fish'] as const) {
  const path = shell(name);
  t.test(`${name}: the shell takes the script`, { skip: path === undefined ? `no ${name} here` : false }, async (t) => {
    const file = join(t.testdir(), `script.${name}`);
    writeFileSync(file, completionScript(name));
    const { status, stderr } = spawnSync(path ?? '', ['-n', file], { encoding: 'utf8' });
    t.equal(stderr, '');
    t.equal(status, 0);
  });
  t.test(`${name}: every command and flag is there, quotes balanced`, async (t) => {
    const script = completionScript(name);
    for (const command of COMMANDS) {
      t.ok(script.includes(command.name), command.name);
      for (const flag of command.flags) t.match(script, new RegExp(`(--|-l )${flag.name}\\b`));
    }
    for (const line of script.split('\n')) {
      const bare = line.replaceAll(String.raw`\'`, '').replaceAll(String.raw`'\''`, '');
      t.equal(bare.split("'").length % 2, 1, line);
    }
  });
}

for (const { name, text, names, mode = 0o600 } of [
  {
    name: 'two entries',
    text: 'certificates: [{name: kube-proxy}, {name: exporter}]',
    names: 'kube-proxy\nexporter\n',
  },
  { name: 'settings that certlet would refuse elsewhere', text: 'certDri: x\ncertificates: [{name: a}]', names: 'a\n' },
  {
    name: 'words that a shell would run',
    text: 'certificates: [{name: "$(id)"}, {name: "a b"}, {name: [x]}, x]',
    names: '',
  },
  { name: 'no YAML', text: 'certificates: {', names: '' },
  { name: 'no entries', text: '', names: '' },
  { name: 'settings that others can change', text: 'certificates: [{name: a}]', names: '', mode: 0o666 },
]) {
  t.test(`names for a shell: ${name}`, async (t) => {
    const { context, stdout, stderr } = new CommandHost(t).session();
    const settingsPath = join(t.testdir(), 'config.yaml');
    writeFileSync(settingsPath, text);
    chmodSync(settingsPath, mode);
    t.equal(await runCompletion(context, { name: 'completion', wanted: 'certificates', settingsPath }), 0);
    t.equal(stdout.text, names);
    t.equal(stderr.text, '');
  });
}

t.test('names for a shell: no settings file', async (t) => {
  const { context, stdout } = new CommandHost(t).session();
  const settingsPath = join(t.testdir(), 'none.yaml');
  t.equal(await runCompletion(context, { name: 'completion', wanted: 'certificates', settingsPath }), 0);
  t.equal(stdout.text, '');
});
