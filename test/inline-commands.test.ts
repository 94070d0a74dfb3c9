/** Commands in the running text and the tables of the pages: certlet takes its own, and those of tables have somebody who types them. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import t from 'tap';
import { parseCommandLine } from '../src/cli/command-line.ts';
import { unlessDefect } from '../src/errors.ts';
import { commandBlocks } from './fixtures/page.ts';
import { patternOf, REMEDIES } from './fixtures/remedies/registry.ts';
import { TYPED_IN_TABLES, typedInTables } from './fixtures/typed-tables.ts';

const root = resolve(import.meta.dirname, '..');
const PAGES = ['README.md', 'README.zh-CN.md', 'SECURITY.md', ...globSync('docs/*.md', { cwd: root }).sort()].map(
  (page) => ({ page, text: readFileSync(resolve(root, page), 'utf8') }),
);

const codesOf = (text: string): readonly string[] =>
  [...text.matchAll(/(?<!`)`([^`\n]+)`/g)].map(([, code = '']) => code);

/** Words in the place of what each reader has others of. */
const FILLED: Readonly<Record<string, string>> = { DIR: '/srv/certlet', NAME: 'client' };
/** What stands for a family of commands, or for a flag without its value: as one of them is typed. */
const MENTIONED: Readonly<Record<string, string>> = {
  'certlet completion': 'certlet completion bash',
  'certlet once --every': 'certlet once --every 1h',
  'certlet token': 'certlet token list',
};

function wordsOf(code: string): readonly string[] {
  const [line = ''] = (MENTIONED[code] ?? code).split(' | ');
  return line
    .replaceAll(/[[\]]/g, '')
    .split(' ')
    .slice(1)
    .map((word) => FILLED[word] ?? word);
}

for (const { page, text } of PAGES) {
  const own = [...new Set(codesOf(text))].filter((code) => code.startsWith('certlet '));
  if (own.length === 0) continue;
  t.test(`${page} named commands and flags that certlet does not have`, async (t) => {
    for (const code of own) {
      const parsed = await parseCommandLine(wordsOf(code)).catch(unlessDefect(undefined));
      t.ok(parsed !== undefined && parsed.kind !== 'wrong', code);
    }
  });
}

const PROGRAMS =
  /^(?:apt|cat|chgrp|chmod|chown|cp|curl|date|df|dnf|findmnt|getent|hostnamectl|install|ip|journalctl|kubeadm|kubectl|ls|mkdir|mount|mv|namei|nc|npm|openssl|promtool|rm|runuser|sed|ss|sudo|systemctl|systemd-\S+|timedatectl|touch) \S/;
const inTables = new Set(
  PAGES.flatMap(({ text }) => text.split('\n').filter((line) => line.startsWith('|')))
    .flatMap(codesOf)
    .filter((code) => PROGRAMS.test(code)),
);
const inBlocks = PAGES.flatMap(({ text }) => commandBlocks(text).flatMap(({ commands }) => commands));
const remedies = Object.values(REMEDIES).flatMap((commands) =>
  Object.entries(commands).flatMap(([command, by]) => (by === 'text' ? [] : [command])),
);

/** A beginning is enough: the block goes on with what that reader has. */
const isTypedElsewhere = (code: string): boolean => {
  const words = code.replace(/ …$/, '');
  return (
    inBlocks.some((command) => command.includes(words)) ||
    remedies.some((command) => command.includes(words) || patternOf(command).test(words))
  );
};

t.test('a command of a table had nobody who types it', async (t) => {
  t.ok(inTables.size > 20, 'the tables were read');
  const left = [...inTables].filter((code) => !isTypedElsewhere(code) || Object.hasOwn(TYPED_IN_TABLES, code));
  t.strictSame(
    left.toSorted(),
    Object.keys(TYPED_IN_TABLES).toSorted(),
    'test/fixtures/typed-tables.ts: a row for each that is of no command block and no remedy, and for nothing else',
  );
});

t.test('who is named for a command of a table types it', async (t) => {
  for (const [command, typist] of Object.entries(TYPED_IN_TABLES))
    if (typeof typist === 'string') {
      t.ok(typedInTables(typist).includes(command));
      t.match(readFileSync(resolve(root, typist), 'utf8'), 'typedInTables(FILE)', command);
    } else if ('file' in typist) {
      const path = resolve(root, typist.file);
      t.ok(existsSync(path) && readFileSync(path, 'utf8').includes(typist.says), command);
    } else t.ok(typist.nobody !== '' && typist.who !== '', command);
});
