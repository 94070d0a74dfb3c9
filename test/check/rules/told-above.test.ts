import t from 'tap';
import type { FileFacts } from '../../../src/adapters/file-system.ts';
import { type Evidence, finding, type Finding } from '../../../src/check/finding.ts';
import {
  fullFinding,
  modeFindings,
  noFolderFinding,
  readOnlyFinding,
  shutOutFindings,
} from '../../../src/check/rules/files.ts';
import { rootsFacts } from '../../fixtures/roots-facts.ts';
import { referring } from '../../../src/check/rules/told-above.ts';

const FILES = 'File modes and owners';
const PKI = '/var/lib/kubelet/pki';
const REMEDY = `certlet allow ${PKI} && systemctl daemon-reload && systemctl restart certlet`;

const daemon = (code: string, message: string, about: Evidence = {}): Finding =>
  finding('problem', 'daemon.trouble', `the daemon can renew nothing: ${message}`, {
    remedy: REMEDY,
    evidence: { code, ...about },
  });
/** As the daemon tells of a file that the system refused. */
const refused = (code: string, errno: string, path: string): Finding =>
  daemon(code, `open ${path}: some words (${errno})`, { path, errno });
const CLOSED = refused('ERR_STORE_READ_ONLY', 'EROFS', `${PKI}/x`);
const UNSAFE = daemon('ERR_STORE_UNSAFE', `${PKI} is not safe for keys: other users can write it (mode 777)`, {
  path: PKI,
});

const facts = (mode: number): FileFacts => rootsFacts({ kind: 'folder', size: 0, mode });
const writable = (path: string): readonly Finding[] =>
  modeFindings({ path, kind: 'folder', facts: facts(0o777) }, [], 0);
const shutOut = (path: string): readonly Finding[] => shutOutFindings(path, facts(0o500), 'write', 0);

const rows: readonly {
  readonly name: string;
  readonly before: readonly Finding[];
  readonly found: Finding;
  readonly refers: boolean;
}[] = [
  { name: 'a mount that takes nothing', before: [readOnlyFinding(PKI)], found: CLOSED, refers: true },
  { name: 'the mount above', before: [readOnlyFinding('/var/lib')], found: CLOSED, refers: true },
  { name: 'another mount', before: [readOnlyFinding('/etc/kubernetes')], found: CLOSED, refers: false },
  { name: 'one that begins alike', before: [readOnlyFinding('/var/lib/kube')], found: CLOSED, refers: false },
  { name: 'another trouble of that folder', before: [fullFinding(PKI)], found: CLOSED, refers: false },
  { name: 'nothing before', before: [], found: CLOSED, refers: false },
  {
    name: 'a full disk',
    before: [fullFinding(PKI)],
    found: refused('ERR_STORE_FULL', 'ENOSPC', `${PKI}/x`),
    refers: true,
  },
  {
    name: 'the whole disk',
    before: [fullFinding('/')],
    found: refused('ERR_STORE_FULL', 'ENOSPC', '/x'),
    refers: true,
  },
  {
    name: 'a quota',
    before: [fullFinding(PKI)],
    found: refused('ERR_STORE_FULL', 'EDQUOT', `${PKI}/x`),
    refers: false,
  },
  { name: 'a folder that others may write', before: writable(PKI), found: UNSAFE, refers: true },
  { name: 'same code, a folder above', before: writable('/var/lib/kubelet'), found: UNSAFE, refers: false },
  {
    name: 'same folder, a link in it',
    before: writable(PKI),
    found: daemon('ERR_STORE_UNSAFE', `${PKI}/.certlet/client.key is a link`),
    refers: false,
  },
  {
    name: 'same folder, no group handed on',
    before: writable(PKI),
    found: daemon('ERR_STORE_UNSAFE', `${PKI} does not hand its group on: a new file there gets group 0, not 7`),
    refers: false,
  },
  {
    name: 'a path in the middle of another',
    before: [readOnlyFinding('/run')],
    found: refused('ERR_STORE_READ_ONLY', 'EROFS', '/mnt/run/x'),
    refers: false,
  },
  { name: 'a closed folder', before: shutOut(PKI), found: refused('ERR_STORE_IO', 'EACCES', PKI), refers: true },
  {
    name: 'a closed folder, by certlet’s own judgement',
    before: shutOut(PKI),
    found: daemon('ERR_STORE_IO', `${PKI} is closed to its owner (mode 500)`, { path: PKI }),
    refers: true,
  },
  {
    name: 'same folder, a disk that fails',
    before: shutOut(PKI),
    found: refused('ERR_STORE_IO', 'EIO', PKI),
    refers: false,
  },
  {
    name: 'a disk that fails below a closed folder',
    before: shutOut('/var/lib'),
    found: refused('ERR_STORE_IO', 'EIO', `${PKI}/x`),
    refers: false,
  },
  {
    name: 'a file in the place of a folder',
    before: [noFolderFinding(PKI)],
    found: daemon('ERR_STORE_IO', `${PKI} is no folder`, { path: PKI }),
    refers: true,
  },
  {
    name: 'a daemon that tells no path',
    before: [readOnlyFinding(PKI)],
    found: daemon('ERR_STORE_READ_ONLY', `open ${PKI}/x: read-only file system (EROFS)`),
    refers: false,
  },
  ...[
    {
      name: 'a kubeconfig in the middle of another’s path',
      told: '/etc/kubelet.conf',
      failed: '/mnt/etc/kubelet.conf',
    },
    { name: 'a kubeconfig, in the same words', told: '/etc/kubelet.conf', failed: '/etc/kubelet.conf' },
  ].map(({ name, told, failed }) => ({
    name,
    before: [
      finding('problem', 'kubeconfig.node-unusable', `${told}: no YAML`, {
        remedy: `\${EDITOR:-vi} ${told}`,
        evidence: { code: 'ERR_KUBECONFIG_INVALID' },
      }),
    ],
    found: daemon('ERR_KUBECONFIG_INVALID', `${failed}: no YAML`),
    refers: told === failed,
  })),
];

for (const { name, before, found, refers } of rows) {
  const symptom = refers ? 'one trouble in two steps had two remedies' : 'another trouble had lost its remedy';
  t.test(`${symptom}: ${name}`, async (t) => {
    const told = referring(found, [{ step: 'files', title: FILES, findings: before }]);
    if (refers) {
      t.equal(told.remedy, undefined);
      t.equal(told.what, `${found.what}; what mends it stands above, under ${FILES}`);
      t.equal(told.verdict, 'problem');
    } else t.strictSame(told, found);
  });
}
