/** `certlet join --seal`: what is written, and what it refuses before anybody is asked. */
import { chmodSync, existsSync, lstatSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { NodeFileSystem } from '../../src/adapters/file-system.ts';
import { createSealer } from '../../src/adapters/systemd/sealer.ts';
import { joinPlan } from '../../src/cli/join-plan.ts';
import { refuseUnopened, sealedPlaces, writeSealed } from '../../src/cli/sealed-bootstrap.ts';
import { Secret } from '../../src/secret.ts';

/** A folder with a systemd-creds that does this. */
function tool(t: Test, script: string): string {
  const folder = t.testdir({ bin: {}, etc: {} });
  writeFileSync(join(folder, 'bin/systemd-creds'), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, 'bin/systemd-creds'), 0o755);
  return folder;
}

const pathOf = (folder: string): string => `${join(folder, 'bin')}:/usr/bin:/bin`;
const content = new Secret('token: abcdef.0123456789abcdef\n');

t.test('a link to what is opened, and the sealed text for root alone; the plain file is gone', async (t) => {
  const folder = tool(t, 'echo "$@"; tr a-z n-za-m');
  const places = {
    sealed: join(folder, 'etc/bootstrap-kubelet.cred'),
    opened: join(folder, 'run/bootstrap-kubelet.conf'),
    bootstrapPath: join(folder, 'etc/bootstrap-kubelet.conf'),
  };
  writeFileSync(places.bootstrapPath, content.reveal());
  await writeSealed(new NodeFileSystem(), createSealer(pathOf(folder)), content, places);
  t.equal(
    readFileSync(places.sealed, 'utf8'),
    'encrypt --name=bootstrap-kubeconfig - -\ngbxra: nopqrs.0123456789nopqrs\n',
  );
  t.equal(statSync(places.sealed).mode & 0o777, 0o600);
  t.ok(lstatSync(places.bootstrapPath).isSymbolicLink());
  t.equal(readlinkSync(places.bootstrapPath), places.opened);
  t.notOk(existsSync(places.bootstrapPath), 'nothing is opened yet');
});

t.test('a tool that fails changes nothing, and its words are told', async (t) => {
  const folder = tool(t, 'echo "no key here" >&2; exit 3');
  const places = { sealed: join(folder, 'etc/x.cred'), opened: '/nowhere', bootstrapPath: join(folder, 'etc/x.conf') };
  writeFileSync(places.bootstrapPath, 'as it was');
  await t.rejects(writeSealed(new NodeFileSystem(), createSealer(pathOf(folder)), content, places), {
    code: 'ERR_STORE_IO',
    message: /systemd-creds ended with 3: no key here/,
  });
  t.equal(readFileSync(places.bootstrapPath, 'utf8'), 'as it was');
  t.notOk(existsSync(places.sealed));
});

for (const row of [
  {
    name: 'systemd 249, which a backport gave the tool',
    script: 'echo "systemd 249 (249.1)"',
    words: /needs systemd 250 or later, and this host has 249/,
  },
  { name: 'a tool that says something else', script: 'echo hello', words: /needs systemd 250/ },
])
  t.test(`a host that cannot seal is refused: ${row.name}`, async (t) => {
    await t.rejects(createSealer(pathOf(tool(t, row.script))).check(), {
      code: 'ERR_USAGE',
      message: row.words,
      remedy: /without --seal/,
    });
  });

t.test('a host that cannot seal is refused: no systemd-creds at all', async (t) => {
  const folder = t.testdir({ bin: {} });
  await t.rejects(createSealer(join(folder, 'bin')).check(), {
    code: 'ERR_USAGE',
    message: /no systemd-creds on this host.*250/,
  });
});

t.test('a host that can is not', async (t) => {
  await createSealer(pathOf(tool(t, 'echo "systemd 252 (252.39-1~deb12u2)"'))).check();
});

t.test('where the unit looks elsewhere, or the service may not read what it opens, nothing is sealed', async (t) => {
  refuseUnopened(sealedPlaces('/etc/certlet/config.yaml', '/run/certlet'), 0);
  for (const [settings, runtime, uid, words] of [
    ['/srv/config.yaml', '/run/certlet', 0, /another settings file/],
    ['/etc/certlet/config.yaml', '/run/other', 0, /another settings file or runtimeDir/],
    ['/etc/certlet/config.yaml', '/run/certlet', 998, /for root alone/],
  ] as const)
    t.throws(() => refuseUnopened(sealedPlaces(settings, runtime), uid), { code: 'ERR_USAGE', message: words });
});

t.test('without an endpoint there is nothing to seal', async (t) => {
  const line = {
    caCertHashes: [],
    unsafeSkipCaVerification: false,
    timeoutMs: 1,
    force: false,
    writeKubeconfig: true,
    seal: true,
  };
  t.throws(() => joinPlan(line), { code: 'ERR_USAGE', message: /nothing to seal/ });
});
