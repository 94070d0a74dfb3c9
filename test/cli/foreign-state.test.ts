/** Root leaves alone what belongs to a service with a user of its own. */
import { chownSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { exitCodeOf } from '../../src/cli/exit-code.ts';
import { refuseForeignState } from '../../src/cli/foreign-state.ts';
import { asCertletError } from '../../src/errors.ts';

const ROOT = 0;
const SELF = process.geteuid?.() ?? ROOT;
/** Somebody who is not root: whoever runs this, or whom root can give things to. */
const SERVICE = SELF === ROOT ? 4711 : SELF;

/** `service` folders are the service's user's; others are missing, a link to one of its folders, or whoever's runs this. */
function foldersFor(t: Test, kinds: { readonly certDir: Kind; readonly stateDir: Kind }) {
  const folder = t.testdir({});
  const made = { certDir: join(folder, 'pki'), stateDir: join(folder, 'state') };
  const behind = join(folder, 'behind');
  mkdirSync(behind);
  if (SELF === ROOT) chownSync(behind, SERVICE, SERVICE);
  for (const key of ['certDir', 'stateDir'] as const) {
    const kind = kinds[key];
    if (kind === 'link') symlinkSync(behind, made[key]);
    if (kind === 'service') {
      mkdirSync(made[key]);
      if (SELF === ROOT) chownSync(made[key], SERVICE, SERVICE);
    }
  }
  return made;
}
type Kind = 'service' | 'missing' | 'link';

t.test('both folders are the service’s: told with the line as that user, and exit code 77', async (t) => {
  const folders = foldersFor(t, { certDir: 'service', stateDir: 'service' });
  const error = asCertletError(
    await refuseForeignState(folders, { argv: ['reset', '--yes', '--config', '/srv/a b.yaml'], userId: ROOT }).catch(
      (thrown: unknown) => thrown,
    ),
  );
  t.match(error, {
    code: 'ERR_STORE_UNSAFE',
    message: `${folders.stateDir} belongs to user ${String(SERVICE)}, who runs the service`,
    remedy: `runuser -u "$(id -nu ${String(SERVICE)})" -- certlet reset --yes --config '/srv/a b.yaml'`,
  });
  t.equal(exitCodeOf(error), 77);
});

for (const { name, certDir, stateDir } of [
  { name: 'neither is there yet', certDir: 'missing', stateDir: 'missing' },
  { name: 'only the certificates are', certDir: 'service', stateDir: 'missing' },
  { name: 'only the state is', certDir: 'missing', stateDir: 'service' },
  { name: 'a link is nobody’s word on who owns what is behind it', certDir: 'service', stateDir: 'link' },
] as const) {
  t.test(`root is let through: ${name}`, async (t) => {
    await t.resolves(refuseForeignState(foldersFor(t, { certDir, stateDir }), { argv: ['reset'], userId: ROOT }));
  });
}

t.test('who is not root is not asked: the disk will tell', async (t) => {
  const folders = foldersFor(t, { certDir: 'service', stateDir: 'service' });
  await t.resolves(refuseForeignState(folders, { argv: ['reset'], userId: SERVICE + 1 }));
});
