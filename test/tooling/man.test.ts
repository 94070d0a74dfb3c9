import { spawnSync } from 'node:child_process';
import t from 'tap';
import { programPage, settingsPage } from '../../config/tooling/man.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { settingFlags } from '../../src/cli/flags.ts';
import { DESCRIPTIONS } from '../../src/config/descriptions.ts';

const groff = spawnSync('groff', ['--version']).error === undefined;

const pages = [
  { name: 'certlet(8)', text: programPage() },
  { name: 'certlet-config(5)', text: settingsPage() },
];
for (const { name, text } of pages) {
  t.test(`${name} is clean for groff`, { skip: groff ? false : 'no groff here' }, async (t) => {
    const { status, stderr } = spawnSync('groff', ['-man', '-Tutf8', '-ww', '-z'], { input: text, encoding: 'utf8' });
    t.equal(stderr, '');
    t.equal(status, 0);
  });
}

/** As printed, on one line, without the formatter's hyphens. */
function printed(text: string): string {
  const { stdout } = spawnSync('groff', ['-man', '-Tascii', '-P-c', '-rLL=500n'], { input: text, encoding: 'utf8' });
  // oxlint-disable-next-line no-control-regex -- overstriking is how a terminal of old prints bold
  return stdout.replace(/.\u0008/g, '').replace(/\s+/g, ' ');
}

t.test('certlet(8) tells every command and flag', { skip: groff ? false : 'no groff here' }, async (t) => {
  const page = printed(programPage());
  for (const command of COMMANDS) {
    t.ok(page.includes(command.summary), command.name);
    for (const flag of command.flags) t.ok(page.includes(`--${flag.name}`), flag.name);
  }
  for (const flag of settingFlags()) t.ok(page.includes(`--${flag.name}`), flag.name);
});

t.test('certlet-config(5) tells every setting', { skip: groff ? false : 'no groff here' }, async (t) => {
  const page = printed(settingsPage());
  for (const [path, { text }] of Object.entries(DESCRIPTIONS)) {
    t.ok(page.includes(path), path);
    t.ok(page.includes(text), text);
  }
});
