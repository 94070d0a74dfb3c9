import { existsSync, globSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import t from 'tap';
import { commandBlocks } from './fixtures/page.ts';
import { TYPED_BLOCKS, type TypedBlock, typistOf } from './fixtures/typed-pages.ts';

const root = resolve(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(resolve(root, path), 'utf8');
/** Its commands are those of the page in English: test/systemd/binary-install.test.ts compares them. */
const TRANSLATED = 'docs/binary-install.zh-CN.md';

const found = ['README.md', 'README.zh-CN.md', 'SECURITY.md', ...globSync('docs/*.md', { cwd: root }).sort()]
  .filter((page) => page !== TRANSLATED)
  .flatMap((page) => commandBlocks(read(page)).map((block) => ({ page, ...block })));

t.test('every command block of the pages has somebody who types it, and nobody types what is not there', async (t) => {
  t.strictSame(
    found.map(({ page, section, commands: [begins] }) => ({ page, section, begins })),
    TYPED_BLOCKS.map(({ page, section, begins }) => ({ page, section, begins })),
    'test/fixtures/typed-pages.ts: a row for each block, in the order of the pages',
  );
  t.ok(found.length > 40, 'the pages were read');
});

const commandsOf = ({ page, section, begins }: TypedBlock): readonly string[] =>
  found.find((block) => block.page === page && block.section === section && block.commands[0] === begins)?.commands ??
  [];

t.test('who is named for a command types it', async (t) => {
  for (const block of TYPED_BLOCKS)
    for (const command of commandsOf(block)) {
      const typist = typistOf(block, command);
      const name = `${block.page}, ${block.section}: ${command}`;
      if (typeof typist === 'string') {
        const text = read(typist);
        t.match(text, new RegExp(`= typedBy\\([^)]*'${block.page}'\\)`), `${name}: ${typist} reads the page`);
        t.ok(text.includes(quoted(block.section)), `${name}: ${typist} types the section`);
      } else if ('file' in typist) {
        t.ok(existsSync(resolve(root, typist.file)) && read(typist.file).includes(typist.says), name);
      } else t.ok(typist.nobody !== '' && typist.who !== '', name);
    }
});

/** As Biome writes it. */
const quoted = (text: string): string => (text.includes("'") ? `"${text}"` : `'${text}'`);

t.test('each exception of the table is one of a command that is there', async (t) => {
  for (const block of TYPED_BLOCKS)
    for (const begins of Object.keys(block.except))
      t.ok(
        commandsOf(block).some((command) => command.startsWith(begins)),
        `${block.page}: ${begins}`,
      );
});
