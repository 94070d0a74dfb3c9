import t from 'tap';
import { finding, type Finding } from '../../../src/check/finding.ts';
import { fullFinding, readOnlyFinding } from '../../../src/check/rules/files.ts';
import { referring } from '../../../src/check/rules/told-above.ts';

const FILES = 'File modes and owners';
const PKI = '/var/lib/kubelet/pki';
const REMEDY = `certlet allow ${PKI} && systemctl daemon-reload && systemctl restart certlet`;

const daemon = (code: string, message: string): Finding =>
  finding('problem', 'daemon.trouble', `the daemon can renew nothing: ${message}`, {
    remedy: REMEDY,
    evidence: { code },
  });
const CLOSED = daemon('ERR_STORE_READ_ONLY', `open ${PKI}/x: read-only file system (EROFS)`);

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
    found: daemon('ERR_STORE_FULL', `write ${PKI}/x: no space left on device (ENOSPC)`),
    refers: true,
  },
  {
    name: 'a kubeconfig, in the same words',
    before: [
      finding('problem', 'kubeconfig.node-unusable', '/etc/kubernetes/kubelet.conf: no YAML', {
        remedy: '${EDITOR:-vi} /etc/kubernetes/kubelet.conf',
        evidence: { code: 'ERR_KUBECONFIG_INVALID' },
      }),
    ],
    found: daemon('ERR_KUBECONFIG_INVALID', '/etc/kubernetes/kubelet.conf: no YAML'),
    refers: true,
  },
];

for (const { name, before, found, refers } of rows) {
  t.test(`one trouble in two steps had two remedies: ${name}`, async (t) => {
    const told = referring(found, [{ step: 'files', title: FILES, findings: before }]);
    if (refers) {
      t.equal(told.remedy, undefined);
      t.equal(told.what, `${found.what}; what mends it stands above, under ${FILES}`);
      t.equal(told.verdict, 'problem');
    } else t.strictSame(told, found);
  });
}
