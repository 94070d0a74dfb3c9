import { globSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import t from 'tap';

const root = resolve(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** Event texts that the sources log at warn or error. */
function loudEvents(): ReadonlySet<string> {
  const events = new Set<string>();
  const call = /\blog\(\s*(?:'(?:warn|error)'|[^,]*'(?:warn|error)'[^,]*),\s*'([^']+)'/g;
  for (const file of globSync('src/**/*.ts', { cwd: root })) {
    const text = read(file);
    for (const [, event] of text.matchAll(call)) if (event !== undefined) events.add(event);
    for (const [, event] of text.matchAll(/context\.warn\(\s*'([A-Z][^']+)'/g))
      if (event !== undefined) events.add(event);
  }
  return events;
}

t.test('every line at warn or error has a row in the troubleshooting page', async (t) => {
  const page = read('docs/troubleshoot.md');
  const events = [...loudEvents()];
  t.ok(events.length > 20, 'the sources were searched');
  for (const event of events) t.ok(page.includes(`| \`${event}\` |`), event);
});

t.test('links between documents lead to files', async (t) => {
  for (const page of [
    'README.md',
    'README.zh-CN.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    ...globSync('docs/**/*.md', { cwd: root }),
  ]) {
    for (const [, target = ''] of read(page).matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g)) {
      t.not(globSync(join(root, dirname(page), target)).length, 0, `${page} -> ${target}`);
    }
  }
});

t.test('what the README names in the repository is there', async (t) => {
  for (const [, script] of read('README.md').matchAll(/npm run (?:-s )?([a-z:]+)/g)) {
    t.ok(script !== undefined && read('package.json').includes(`"${script}":`), `npm run ${String(script)}`);
  }
});
