/** Remedies for files and folders, pasted from the journal line or from `certlet check` into a shell: the trouble is gone. */
import t, { type Test } from 'tap';
import {
  attempt,
  BOOTSTRAP,
  installDropIn,
  noLab,
  PKI,
  put,
  reset,
  run,
  shell,
  show,
  start,
  untilSaid,
} from './fixtures/lab.ts';
import { findingsOf, fixBelow, fixOf, Pastes, saidSinceStart } from './fixtures/paste.ts';

const pastes = new Pastes('remedies-of-files');

const LINK = '/etc/kubernetes/link';
const PLANTED = `${PKI}/.certlet.lock`;

/** Folders and files that the daemon cannot use: what is made before its start, what its journal line says, and who says so. */
const TROUBLES: readonly {
  readonly what: string;
  readonly made: string;
  readonly said: string | RegExp;
  readonly by: string;
  readonly settings?: string;
}[] = [
  {
    what: 'a file in place of the cert-dir',
    made: `mkdir -p /var/lib/kubelet; echo x > ${PKI}`,
    said: 'is no folder',
    by: 'adapters/files.ts',
  },
  {
    what: 'a cert-dir of another user',
    made: `mkdir -p ${PKI}; chown 7 ${PKI}`,
    said: 'it belongs to user',
    by: 'adapters/store/folders.ts',
  },
  {
    what: 'a cert-dir that its owner cannot use',
    made: `mkdir -p ${PKI}; chmod 500 ${PKI}`,
    said: 'is closed to its owner',
    by: 'adapters/store/folders.ts',
  },
  {
    what: 'a cert-dir that others can write',
    made: `mkdir -p ${PKI}; chmod 777 ${PKI}`,
    said: 'other users can write it',
    by: 'adapters/store/folders.ts',
  },
  {
    what: 'a folder above that everybody can write',
    made: `mkdir -p ${PKI}; chmod 777 /var/lib/kubelet`,
    said: 'everybody can write it',
    by: 'adapters/store/folders.ts',
  },
  {
    what: 'a pipe in place of the lock',
    made: `mkdir -p ${PKI}; mkfifo ${PLANTED}`,
    said: "not a file of certlet's own",
    by: 'adapters/lock.ts',
  },
  {
    what: 'a lock that is no lock',
    made: `mkdir -p ${PKI}; (echo; seq 400) > ${PLANTED}`,
    said: /lock .*not a database/,
    by: 'adapters/lock.ts',
  },
  {
    what: 'a lock with a second name where others write',
    made: `mkdir -p ${PKI}; chmod 1777 ${PKI}; echo x > ${PKI}/other; ln ${PKI}/other ${PLANTED}`,
    said: /lock .*/,
    by: 'adapters/lock.ts',
  },
  {
    what: 'a link of another user on the way',
    made: `mkdir -p /etc/kubernetes/real; ln -s real ${LINK}; chown -h 7 ${LINK}`,
    said: 'is a link of user',
    by: 'adapters/files.ts',
    settings: `certDir: ${LINK}/pki\n`,
  },
  {
    what: 'a folder that the sandbox keeps closed',
    made: 'mkdir -p /srv/certificates',
    said: 'EROFS',
    by: 'adapters/file-errors.ts',
    settings: 'certDir: /srv/certificates\n',
  },
  {
    what: 'a file in place of the control socket',
    made: 'mkdir -p /run/certlet; echo x > /run/certlet/control.sock',
    said: 'is in the way: it is no socket',
    by: 'adapters/control/socket-file.ts',
  },
  {
    what: 'a bootstrap kubeconfig that others can write',
    made: `mkdir -p /etc/kubernetes; echo 'kind: Config' > ${BOOTSTRAP}; chmod 666 ${BOOTSTRAP}`,
    said: 'can be written by others',
    by: 'adapters/kubeconfig-safety.ts',
  },
];

for (const { what, made, said, by, settings } of TROUBLES) {
  t.test(`journal: ${what}`, { skip: noLab }, async (t) => {
    await reset();
    if (settings !== undefined) put('/etc/certlet/config.yaml', settings);
    shell(made);
    start('certlet');
    const line = await untilSaid('certlet', said);
    pastes.paste(by, fixOf(line));
    run('systemctl', 'restart', 'certlet');
    t.notMatch(saidSinceStart(), said, line);
    t.match(saidSinceStart(), 'Starting certlet');
  });
}

t.test('journal: settings that others could change keep it from starting', { skip: noLab }, async (t) => {
  for (const [made, said] of [
    ['chown 7 /etc/certlet/config.yaml', 'belongs to user'],
    ['chmod 666 /etc/certlet/config.yaml', 'can be changed by other users'],
    ['chmod 777 /etc/certlet', 'every user may write'],
  ] as const) {
    await reset();
    put('/etc/certlet/config.yaml', 'log: { level: info }\n');
    shell(made);
    t.not(attempt('systemctl', 'start', 'certlet').status, 0, made);
    await untilSaid('certlet', said);
    pastes.paste('adapters/settings-file.ts', fixOf(await untilSaid('certlet', ' fix: ')));
    shell('systemctl reset-failed certlet; systemctl start certlet');
    t.equal(show('certlet', 'ActiveState'), 'active', made);
  }
});

/** Follows each finding, and what comes to light behind it, until there is none. */
function follow(t: Test, source: string, kind: string): readonly string[] {
  const told: string[] = [];
  for (let round = 0; round < 4; round += 1) {
    const found = findingsOf(kind);
    if (found.length === 0) break;
    for (const { id, what, remedy = '' } of found) {
      told.push(id);
      t.not(remedy, '', what);
      pastes.paste(source, remedy);
    }
  }
  t.strictSame(findingsOf(kind), [], 'nothing is left of it');
  return [...new Set(told)].toSorted();
}

const FILES = 'check/rules/files.ts';

t.test('check: modes and owners of files and folders, all at once', { skip: noLab }, async (t) => {
  await reset();
  shell(`
    mkdir -p ${PKI} /etc/kubernetes /var/lib
    echo 'kind: Config' > ${BOOTSTRAP}; chmod 644 ${BOOTSTRAP}
    chown 7 /etc/kubernetes; chmod 777 /etc/kubernetes
    chmod 500 ${PKI}
    echo x > ${PKI}/.certlet; chmod 600 ${PKI}/.certlet`);
  t.strictSame(follow(t, FILES, 'files.'), [
    'files.no-folder',
    'files.owner',
    'files.readable-by-others',
    'files.shut-out',
    'files.writable-by-others',
  ]);
});

t.test('check: a file system that is mounted read-only', { skip: noLab }, async (t) => {
  await reset();
  shell(`mkdir -p ${PKI}; mount -t tmpfs -o ro,mode=755 certs ${PKI}`);
  try {
    t.strictSame(follow(t, FILES, 'files.'), ['files.read-only']);
  } finally {
    shell(`umount ${PKI}`);
  }
});

t.test('check: what the service of a user of its own cannot read', { skip: noLab }, async (t) => {
  await reset();
  installDropIn('own-user.conf');
  const bootstrap = '/etc/certlet/bootstrap-kubelet.conf';
  shell(`
    systemd-sysusers
    cp /usr/share/certlet/drop-ins/certlet.service.d/own-user.yaml /etc/certlet/config.yaml
    install -d -o certlet -m 750 /var/lib/certlet /var/lib/certlet/pki
    echo 'kind: Config' > ${bootstrap}; chmod 600 ${bootstrap}`);
  t.strictSame(follow(t, FILES, 'files.'), ['files.shut-out']);
  shell(`chown root ${bootstrap}; chmod 644 ${bootstrap}`);
  t.strictSame(follow(t, FILES, 'files.'), ['files.readable-by-others']);
  t.equal(run('stat', '-c', '%U %a', bootstrap), 'certlet 600');
});

t.test('certlet allow: folders that others could turn', { skip: noLab }, async (t) => {
  await reset();
  const REFUSAL = 'cli/folder-refusal.ts';
  const refused = (folder: string): string => fixBelow(attempt('certlet', 'allow', folder).stderr);
  shell('mkdir -p /srv/real /srv/theirs /srv/open; ln -s real /srv/link; chown 7 /srv/theirs; chmod 777 /srv/open');
  pastes.paste(REFUSAL, refused('/srv/link'));
  t.match(run('certlet', 'allow'), '  /srv/real  ');
  for (const folder of ['/srv/theirs', '/srv/open']) {
    pastes.paste(REFUSAL, refused(folder));
    t.equal(attempt('certlet', 'allow', folder).status, 0, folder);
  }
});

t.test('every remedy that the registry names this file for was pasted', { skip: noLab }, async (t) => pastes.all(t));
