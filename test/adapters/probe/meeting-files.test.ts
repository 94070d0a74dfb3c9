import { linkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { NodeFileSystem } from '../../../src/adapters/file-system.ts';
import { type FileOfSetting, meetingFiles } from '../../../src/adapters/probe/meeting-files.ts';

const of = (path: string, setting: string, certificate?: string): FileOfSetting => ({ path, setting, certificate });

for (const row of [
  {
    name: 'two folders that are one by a link, before any file is there',
    given: (at: string) => symlinkSync(join(at, 'a'), join(at, 'link')),
    files: ['a/tls.crt', 'link/tls.crt'],
    met: true,
  },
  { name: 'two folders', given: () => undefined, files: ['a/tls.crt', 'b/tls.crt'], met: false },
  {
    name: 'another name in the same folder',
    given: (at: string) => symlinkSync(join(at, 'a'), join(at, 'link')),
    files: ['a/tls.crt', 'link/other.crt'],
    met: false,
  },
  {
    name: 'one path twice is for the rules of the settings to tell',
    given: () => undefined,
    files: ['a/tls.crt', 'a/tls.crt'],
    met: false,
  },
  {
    name: 'one file of two names, as a mount shows it',
    given: (at: string) => {
      writeFileSync(join(at, 'a/tls.crt'), 'x');
      linkSync(join(at, 'a/tls.crt'), join(at, 'b/other.crt'));
    },
    files: ['a/tls.crt', 'b/other.crt'],
    met: true,
  },
  {
    name: 'a link in the place of a file: a file replaces it',
    given: (at: string) => symlinkSync(join(at, 'a/tls.crt'), join(at, 'b/tls.crt')),
    files: ['a/tls.crt', 'b/tls.crt'],
    met: false,
  },
  {
    name: 'a loop of links and folders that are not there',
    given: (at: string) => symlinkSync('loop', join(at, 'loop')),
    files: ['loop/tls.crt', 'absent/tls.crt', 'a/tls.crt'],
    met: false,
  },
]) {
  t.test(`files that meet: ${row.name}`, async (t) => {
    const at = t.testdir({ a: {}, b: {} });
    row.given(at);
    const files = row.files.map((name, index) => of(join(at, name), `setting ${String(index)}`, String(index)));
    const met = await meetingFiles(new NodeFileSystem(), files);
    t.strictSame(
      met.map(({ file, other }) => [file.setting, other.setting]),
      row.met ? [['setting 1', 'setting 0']] : [],
    );
  });
}

t.test('two files of which none is written for a certificate are not told', async (t) => {
  const at = t.testdir({ a: {} });
  symlinkSync(join(at, 'a'), join(at, 'link'));
  symlinkSync(join(at, 'a'), join(at, 'again'));
  const named = [of(join(at, 'a/conf'), 'bootstrapKubeconfig'), of(join(at, 'link/conf'), 'kubeconfig')];
  t.strictSame(await meetingFiles(new NodeFileSystem(), named), []);
  const more = [...named, of(join(at, 'again/conf'), 'certificates[0].kubeconfig (kube-proxy)', 'kube-proxy')];
  const met = await meetingFiles(new NodeFileSystem(), more);
  t.strictSame(
    met.map(({ other }) => other.setting),
    ['bootstrapKubeconfig', 'kubeconfig'],
    'an entry meets both',
  );
  t.match(
    met[0]?.remedy,
    /^# Set another file in certificates\[0\]\.kubeconfig \(kube-proxy\), .* {3}# namei -l .* shows it; then systemctl reload certlet$/,
  );
});

t.test('what the system does not say is thrown on: a defect', async (t) => {
  const broken = {
    stat: () => Promise.reject(new TypeError('a mistake')),
    lstat: () => Promise.resolve(undefined),
  };
  await t.rejects(meetingFiles(broken, [of('/a/b', 'x', 'y')]), TypeError);
});
