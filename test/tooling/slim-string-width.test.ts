import { globSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { bundle } from '../../config/tooling/bundle.ts';
import { lateWidths } from '../../config/tooling/slim-string-width.ts';

type Width = (text: string) => number;

const root = resolve(import.meta.dirname, '../..');
const modules = globSync('node_modules/{,**/node_modules/}string-width/index.js', { cwd: root }).filter((path) =>
  readFileSync(join(root, path), 'utf8').includes('Intl.Segmenter'),
);
const TEXTS = [
  '',
  'plain',
  'bücher',
  '古',
  '👩‍👩‍👧 family',
  '❤️',
  '1️⃣',
  'e\u0301',
  '\u001B[31mred\u001B[39m',
  '각',
  '\u200B',
];

t.test('what ships measures every text as the whole module does', async (t) => {
  t.ok(modules.length > 1, modules.join());
  for (const [index, path] of modules.entries()) {
    const file = join(root, path);
    const folder = t.testdir({ 'entry.ts': `export { default as width } from ${JSON.stringify(file)};\n` });
    const output = join(folder, `slim-${String(index)}.cjs`);
    await bundle(join(folder, 'entry.ts'), output);
    const { default: whole } = (await import(pathToFileURL(file).href)) as { readonly default: Width };
    const { width } = createRequire(import.meta.url)(output) as { readonly width: Width };
    for (const text of TEXTS) t.equal(width(text), whole(text), `${path}: ${JSON.stringify(text)}`);
    const late = lateWidths(readFileSync(file, 'utf8'), path);
    t.notMatch(late, /^const .*(?:Segmenter|RGI_Emoji)/m, `${path}: neither is made when it is loaded`);
  }
});

t.test('a module that makes them in another way stops the build', async (t) => {
  t.throws(() => lateWidths('const cut = new Intl.Segmenter();', 'a.js'), { message: /^a\.js: what it makes/ });
});
