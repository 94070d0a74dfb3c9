import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { HIDDEN_BESIDES } from '../../src/kubelet/opened-pki.ts';
import { isSharedFolder } from '../../src/kubelet/shared-folders.ts';
import { attempt, installDropIn, noLab, put, reset, run, shell } from './fixtures/lab.ts';

const UNITS = join(import.meta.dirname, '../../systemd');
const units = readdirSync(UNITS).filter((name) => /\.(service|path|timer)$/.test(name));
const text = (name: string): string => readFileSync(join(UNITS, name), 'utf8');
const directives = (content: string): readonly string[] =>
  content.split('\n').filter((line) => /^[A-Z]\w*=/.test(line));
const values = (content: string, key: string): readonly string[] =>
  directives(content)
    .filter((line) => line.startsWith(`${key}=`))
    .flatMap((line) => line.slice(key.length + 1).split(/\s+/));

t.test('systemd finds nothing wrong with any unit', { skip: noLab }, async (t) => {
  await reset();
  const names = units.map((name) => name.replace('@.', '@example.'));
  // Newer versions miss the program of a privileged hook too, which the host's admin brings.
  put('/etc/certlet/hooks/example', '#!/bin/sh\n', '755');
  // The exit code is 0 for unknown keys and bad values: any output counts.
  const { stdout, stderr } = attempt('systemd-analyze', 'verify', '--man=no', ...names);
  t.equal(`${stdout}${stderr}`, '');
  for (const name of readdirSync(join(UNITS, 'drop-ins/certlet.service.d')).filter((name) => name.endsWith('.conf'))) {
    shell('rm -rf /etc/systemd/system/certlet.service.d');
    installDropIn(name);
    const found = attempt('systemd-analyze', 'verify', '--man=no', 'certlet.service');
    t.equal(`${found.stdout}${found.stderr}`, '', name);
  }
});

t.test('exposure', { skip: noLab }, async (t) => {
  await reset();
  const score = (unit: string): number =>
    Number(
      /exposure level for \S+: (\d+\.\d)/.exec(attempt('systemd-analyze', 'security', '--no-pager', unit).stdout)?.[1],
    );
  t.ok(score('certlet.service') <= 1.6, `certlet.service ${String(score('certlet.service'))}`);
  t.ok(score('certlet-once.service') <= 1.6, `certlet-once.service ${String(score('certlet-once.service'))}`);
  t.ok(score('certlet-kubelet-restart.service') <= 2, `restart ${String(score('certlet-kubelet-restart.service'))}`);
  installDropIn('own-user.conf');
  shell('systemd-sysusers');
  t.ok(score('certlet.service') <= 1.3, `own user ${String(score('certlet.service'))}`);
});

t.test('both services have the same sandbox', async (t) => {
  const sandbox = (name: string): string =>
    text(name).slice(text(name).indexOf('RuntimeDirectory=')).split('\n[Install]')[0]?.trimEnd() ?? '';
  t.ok(sandbox('certlet.service').length > 1000);
  t.equal(sandbox('certlet-once.service'), sandbox('certlet.service'));
});

t.test('the drop-in that opens the PKI folder hides all else as the unit does', async (t) => {
  const hidden = values(text('certlet.service'), 'InaccessiblePaths').filter((path) => path !== '-/etc/kubernetes/pki');
  const kept = values(text('drop-ins/certlet.service.d/kubernetes-pki.conf'), 'InaccessiblePaths');
  t.same(
    hidden.filter((path) => !kept.includes(path)),
    [],
  );
});

t.test('what adopt writes for a cert-dir in the PKI folder hides all else as the unit does', async (t) => {
  const hidden = values(text('certlet.service'), 'InaccessiblePaths').map((path) => path.replace(/^-/, ''));
  t.strictSame([...HIDDEN_BESIDES, '/etc/kubernetes/pki'].sort(), hidden.sort());
});

t.test('SECURITY.md lists what the units hide, and nothing else', async (t) => {
  const page = readFileSync(join(UNITS, '../SECURITY.md'), 'utf8');
  const list = page.slice(page.indexOf('the list is closed')).split('\n\n')[1] ?? '';
  const named = [...list.matchAll(/`(\/(?:etc|var\/lib)[^`]*)`/g)].map(([, path]) => path);
  const hidden = values(text('certlet.service'), 'InaccessiblePaths').map((path) => path.replace(/^-/, ''));
  t.strictSame(named.sort(), hidden.sort());
  for (const path of values(text('certlet.service'), 'BindReadOnlyPaths'))
    t.match(page, `\`${path.replace(/^-/, '')}\``, path);
});

t.test("no shipped drop-in opens a folder that is not the service's alone", async (t) => {
  const folder = join(UNITS, 'drop-ins/certlet.service.d');
  const opened = readdirSync(folder)
    .filter((name) => name.endsWith('.conf'))
    .flatMap((name) => values(readFileSync(join(folder, name), 'utf8'), 'ReadWritePaths'))
    .map((path) => path.replace(/^-/, ''))
    .filter((path) => path !== '');
  t.ok(opened.length > 0);
  t.strictSame(opened.filter(isSharedFolder), []);
});

t.test('what the units must have, whatever else changes', async (t) => {
  for (const name of ['certlet.service', 'certlet-once.service'])
    t.match(text(name), /^RuntimeDirectoryPreserve=yes$/m, name);
  for (const name of units) {
    t.notMatch(directives(text(name)).join('\n'), /network-online/, name);
    if (name !== 'certlet-once.timer') t.match(text(name), /^StartLimitIntervalSec=0$/m, name);
  }
  t.notMatch(directives(text('certlet.service')).join('\n'), /LoadCredential|kubelet.*Requires/);
  t.match(text('certlet-once.service'), /^SuccessExitStatus=75$/m);
  t.match(text('certlet.service'), /^ExecStart=\/usr\/bin\/certlet run$/m);
});

const FLAGGED = ['certlet-kubelet-restart.service', 'certlet-hook@.service'];

t.test('a flag is removed before it is served, or one raised meanwhile would be lost', async (t) => {
  for (const name of FLAGGED) {
    const [note, first] = directives(text(name)).filter((line) => line.startsWith('ExecStart='));
    // Whatever becomes of the note, the flag is served.
    t.equal(note, `ExecStart=-sh -c 'PHASE=running; eval "$$NOTE"'`, name);
    t.match(first, /^ExecStart=rm -f \/run\/certlet\//, name);
  }
});

t.test('a flag that cannot be removed is tried again at a slow pace', async (t) => {
  const pace =
    /^ExecStopPost=sh -c 'test "\$\$SERVICE_RESULT" = success \|\| test ! -e \/run\/certlet\/\S+ \|\| sleep 20'$/m;
  for (const name of FLAGGED) t.match(text(name), pace, name);
});

t.test('the staged program runs outside a unit too', { skip: noLab }, async (t) => {
  await reset();
  t.match(run('/usr/bin/certlet', '--version'), /^certlet \d/);
  t.match(
    run('env', 'NODE_OPTIONS=--nonsense', '/usr/bin/certlet', '--version'),
    /^certlet \d/,
    'whatever NODE_OPTIONS says',
  );
});
