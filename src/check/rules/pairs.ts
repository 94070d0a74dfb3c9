import { onControlPlane, type Remedy, shellWord } from '../../remedy.ts';
import { spanText, timestamp } from '../../timestamp.ts';
import type { PairView } from '../../adapters/probe/store-view.ts';
import type { RequestHistory } from '../../csr/pending.ts';
import { type CertificateSpec, withNodeName } from '../../csr/spec.ts';
import type { CertificateFacts } from '../../pki/certificate.ts';
import { unfitReasons } from '../../rotation/disk/pair-in-use.ts';
import { dueAt } from '../../rotation/rules/schedule.ts';
import { relativeText } from '../../status/times.ts';
import { type Finding, finding, good } from '../finding.ts';
import { type Looker, unreadable } from './kubeconfigs.ts';
import { reserveFindings } from './reserve.ts';

export interface PairQuestion {
  readonly spec: CertificateSpec;
  readonly view: PairView;
  /** What is noted of earlier requests. */
  readonly history: RequestHistory;
  readonly foreign?: boolean;
  readonly nodeName: string;
  readonly now: Date;
  readonly looker: Looker;
}

/** What lies behind the link of one certificate: nothing, something broken, a pair that does not do, or a good one. */
export function pairFindings(question: PairQuestion): readonly Finding[] {
  const { view, looker } = question;
  const { name: purpose } = question.spec;
  const { reading, link, linkKind } = view;
  const id = `certificate.${purpose}`;
  const word = shellWord(link);
  const form: readonly Finding[] =
    linkKind === 'file' || linkKind === 'folder'
      ? [
          finding('problem', `${id}-no-link`, `${link} is no link, so certlet does not replace it`, {
            remedy: `mv ${word} ${word}.old   # certlet adopts its pair if it is good`,
          }),
        ]
      : [];
  switch (reading.kind) {
    case 'absent':
      return [...form, absentFinding(question)];
    case 'unreadable':
      return [...form, unreadable(`${id}-unreadable`, link, looker)];
    case 'unsafe':
      return [
        ...form,
        finding('problem', `${id}-unsafe`, `${link} is not trusted: ${reading.reason}`, {
          remedy: `chown root ${word} && chmod 600 ${word}`,
        }),
      ];
    case 'broken':
      return [
        ...form,
        finding(
          'problem',
          `${id}-broken`,
          `${link} holds no usable pair (${reading.reason}); a kubelet that reads it does not start`,
          {
            remedy: 'systemctl restart certlet   # moves it aside and goes back to the newest whole pair, or asks anew',
          },
        ),
      ];
    case 'whole':
      if (question.foreign === true) return [...form, foreignFinding(question)];
      return [...form, ...leafFindings(question, reading.pair.chain.leaf), ...plainFindings(question)];
  }
}

/** What it says is the other program's affair: a life, a name or a signer that does not do is no fault of certlet's. */
function foreignFinding({ spec: { name: purpose }, view: { link, file } }: PairQuestion): Finding {
  const what = `${link} names ${file ?? 'a file'}, which another program made: certlet leaves the ${purpose} certificate alone`;
  return finding('problem', `certificate.${purpose}-foreign`, what, { remedy: takeOver(purpose) });
}

/** How certlet comes to manage a certificate whose files another program writes. */
export const takeOver = (purpose: string): Remedy =>
  `certlet renew ${purpose}   # takes the folder over; stop what else writes there before`;

/** A program that reads two files goes on with an older pair, and nobody but this tells before that expires. */
function plainFindings({ spec: { name: purpose }, view: { plainBehind: plain } }: PairQuestion): readonly Finding[] {
  if (plain === undefined) return [];
  const what = `${plain.certFile} and ${plain.keyFile} are not the current ${purpose} pair`;
  const remedy: Remedy = `systemctl restart certlet   # writes them; where it cannot, the journal says why: journalctl -u certlet`;
  return [finding('warning', `certificate.${purpose}-plain-files`, what, { remedy })];
}

function absentFinding({ spec, view, history }: PairQuestion): Finding {
  const { name: purpose } = spec;
  const id = `certificate.${purpose}-absent`;
  if (view.linkKind === 'link') {
    const what = `${view.link} names ${view.file ?? 'a file'}, which is not there`;
    return finding('problem', id, what, { remedy: 'systemctl restart certlet   # mends the link' });
  }
  if (history.lastIssuedAt !== undefined) {
    const what = `the ${purpose} certificate, issued ${timestamp(history.lastIssuedAt)}, is not there any more (${view.link})`;
    const remedy: Remedy =
      view.files.length > 0 ? 'systemctl restart certlet   # goes back to the newest whole pair' : lostRemedy(spec);
    return finding('problem', id, what, { remedy });
  }
  return finding('note', id, `there is no ${purpose} certificate yet (${view.link})`);
}

function leafFindings(question: PairQuestion, leaf: CertificateFacts): readonly Finding[] {
  const { spec, nodeName, now, view } = question;
  const { name: purpose } = spec;
  const id = `certificate.${purpose}`;
  const commonName = withNodeName(spec.commonName, nodeName);
  const evidence = {
    file: view.file ?? view.link,
    subject: leaf.subject,
    issuer: leaf.issuer,
    serial: leaf.serial,
    notBefore: timestamp(leaf.notBefore),
    notAfter: timestamp(leaf.notAfter),
  };
  const problem = (kind: string, what: string, remedy: Remedy): readonly Finding[] => [
    finding('problem', `${id}-${kind}`, `the ${purpose} certificate ${what}`, { evidence, remedy }),
  ];
  if (spec.placeholder && leaf.selfSigned) {
    const what = `the ${purpose} certificate is a self-signed one that stands in until the first one is issued`;
    return [finding('warning', `${id}-placeholder`, what, { evidence })];
  }
  if (now > leaf.notAfter) {
    const age = spanText(now.getTime() - leaf.notAfter.getTime());
    return problem('expired', `expired ${age} ago (${timestamp(leaf.notAfter)})`, lostRemedy(spec));
  }
  if (leaf.commonName !== commonName)
    return problem(
      'name',
      `is for ${leaf.commonName}, not for ${commonName}`,
      spec.isIdentity ? NAME_REMEDY : lostRemedy(spec),
    );
  const reasons = unfitReasons(leaf, { commonName, usages: spec.usages, now });
  if (reasons.length > 0) return problem('unfit', `does not do: ${reasons.join(', ')}`, 'systemctl restart certlet');
  if (now < leaf.notBefore) {
    const what = `is not valid before ${timestamp(leaf.notBefore)} by this host's clock`;
    return problem('early', what, 'timedatectl set-ntp true   # compare with: date -u');
  }
  return [lifeFinding(question, leaf, evidence), ...reserveFindings({ ...question, leaf })];
}

/** Which node this is stands in its client certificate; any other is asked for again under that name. */
const NAME_REMEDY =
  'kubectl get nodes   # then set hostnameOverride to the name of the Node object; if this host has become another node: certlet renew client';
const lostRemedy = ({ name, isIdentity }: CertificateSpec): Remedy =>
  isIdentity
    ? onControlPlane(
        'kubeadm token create',
        'then certlet join on this node; certlet asks with the bootstrap credential by itself',
      )
    : `certlet renew ${name} --wait   # then approve the request that it names`;

/** kubelet and certlet renew between 70 and 90 % of the life; what is older than its deadline has been tried in vain. */
function lifeFinding(
  { spec, history, nodeName, now }: PairQuestion,
  leaf: CertificateFacts,
  evidence: Finding['evidence'] & object,
): Finding {
  const { name: purpose } = spec;
  const deadline = dueAt(leaf, { ...spec, nodeName }, history, now) ?? leaf.notAfter;
  const graceMs = (leaf.notAfter.getTime() - deadline.getTime()) / 4;
  const id = `certificate.${purpose}`;
  if (now.getTime() > deadline.getTime() + graceMs) {
    const what = `the ${purpose} certificate expires ${relativeText(leaf.notAfter, now)}, and its renewal was due ${relativeText(deadline, now)}`;
    return finding('warning', `${id}-overdue`, what, { evidence, remedy: `certlet renew ${purpose} --wait` });
  }
  return good(id, `the ${purpose} certificate is valid until ${timestamp(leaf.notAfter)}`, evidence);
}
