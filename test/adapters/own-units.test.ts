import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { readOwnUnits, readUnitCertDirs } from '../../src/adapters/own-units.ts';

function host(t: Test, files: Readonly<Record<string, string>>, enabled: readonly string[]): string {
  const root = t.testdir({});
  const place = (path: string): string => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    return join(root, path);
  };
  for (const [path, text] of Object.entries(files)) writeFileSync(place(path), text);
  for (const path of enabled) symlinkSync('/nowhere', place(`/etc/systemd/system/${path}`));
  return root;
}

t.test('a host without certlet', async (t) => {
  t.strictSame(await readOwnUnits(host(t, {}, [])), {
    service: false,
    timer: false,
    calendar: [],
    spans: [],
    delay: '0',
    fixedDelay: false,
    command: undefined,
    sandbox: undefined,
    uid: undefined,
  });
});

t.test('the shipped units, enabled', async (t) => {
  const files = {
    '/usr/lib/systemd/system/certlet-once.timer':
      '[Timer]\nOnCalendar=hourly\nRandomizedDelaySec=30min\nFixedRandomDelay=yes\n',
    '/usr/lib/systemd/system/certlet-once.service': '[Service]\nExecStart=/usr/bin/certlet once --every 1h\n',
  };
  const enabled = [
    'timers.target.wants/certlet-once.timer',
    'kubelet.service.requires/certlet.service',
    'a.d/certlet.service',
  ];
  t.strictSame(await readOwnUnits(host(t, files, enabled)), {
    service: true,
    timer: true,
    calendar: ['hourly'],
    spans: [],
    delay: '30min',
    fixedDelay: true,
    command: '/usr/bin/certlet once --every 1h',
    // That of the daemon, whose unit is not there.
    sandbox: undefined,
    uid: undefined,
  });
});

t.test('a drop-in takes the place of the timer: an empty value forgets every time before', async (t) => {
  const files = {
    '/usr/lib/systemd/system/certlet-once.timer': '[Timer]\nOnCalendar=hourly\nOnUnitActiveSec=5min\n',
    '/etc/systemd/system/certlet-once.timer.d/a.conf':
      '[Timer]\nOnCalendar=\nOnUnitActiveSec=6h\nPersistent=\n[Unit]\nOnCalendar=daily\n',
  };
  t.match(await readOwnUnits(host(t, files, [])), { calendar: [], spans: ['6h'] });
});

for (const [enabled, path] of [
  [[], '/srv/daemon'],
  [['timers.target.wants/certlet-once.timer'], '/srv/once'],
  [['timers.target.wants/certlet-once.timer', 'multi-user.target.wants/certlet.service'], '/srv/daemon'],
] as const) {
  t.test(`the sandbox of what is started: ${enabled.join(' and ') || 'nothing is enabled'}`, async (t) => {
    const unit = (folder: string): string =>
      `[Service]\nProtectSystem=strict\nReadWritePaths=/srv/none\nReadWritePaths=\nReadWritePaths=-${folder}/\nUser=x\nRuntimeDirectory=certlet\n`;
    const files = {
      '/usr/lib/systemd/system/certlet.service': unit('/srv/daemon'),
      '/usr/lib/systemd/system/certlet-once.service': unit('/srv/once'),
    };
    const { sandbox } = await readOwnUnits(host(t, files, enabled));
    t.match(sandbox, { strict: true, user: 'x', closed: [] });
    t.strictSame(
      sandbox?.writable.map((each) => each.path),
      [path, '/run/certlet'],
    );
  });
}

for (const { name, line, found } of [
  { name: 'none', line: '/usr/bin/certlet run', found: [] },
  { name: 'the last of two', line: '/usr/bin/certlet run --cert-dir /a --cert-dir="/b c" -v', found: ['/b c'] },
  { name: 'by a variable', line: '-/usr/bin/certlet run $MORE --cert-dir ${DIR}', found: ['/srv/pki'] },
  { name: 'by a variable that nobody reads here', line: '/usr/bin/certlet run $ELSEWHERE', found: [] },
  { name: 'without a value', line: '/usr/bin/certlet run --cert-dir', found: [] },
  { name: 'a variable as it stands', line: ':/usr/bin/certlet run --cert-dir ${DIR}', found: [] },
  { name: 'no whole path', line: '/usr/bin/certlet run --cert-dir pki', found: [] },
]) {
  t.test(`the cert-dir on the command line of a unit: ${name}`, async (t) => {
    const files = {
      '/usr/lib/systemd/system/certlet.service': '[Service]\nExecStart=/usr/bin/certlet run --cert-dir /old\n',
      '/etc/systemd/system/certlet.service.d/a.conf': `[Service]\nEnvironment=DIR=/srv/pki\nExecStart=\nExecStart=${line}\n`,
      '/usr/lib/systemd/system/certlet-once.service': '[Service]\nExecStart=/usr/bin/certlet once\n',
    };
    t.strictSame(await readUnitCertDirs(host(t, files, [])), found);
  });
}
