import { type Remedy, shellWord, byHand, onControlPlane } from '../../remedy.ts';
import { refusedRemedy, requestOutcome } from '../../csr/outcome.ts';
import { isStockSigner } from '../../csr/signer-names.ts';
import { type CertificateSpec, NODE_NAME, withNodeName, servesWith } from '../../csr/spec.ts';
import type { CertificateSigningRequest } from '../../csr/wire.ts';
import { spanText } from '../../timestamp.ts';
import { type Cause, type Finding, finding, good } from '../finding.ts';
import { requestCommonName } from './request-subject.ts';

/** The signing requests of the cluster as they are now. */
export interface RequestsSeen {
  readonly all: readonly CertificateSigningRequest[];
  /** The server has more than it gave. */
  readonly truncated: boolean;
  readonly nodeName: string;
  /** The request that certlet's own record of a certificate holds, by the name of the certificate. */
  readonly ownNames: ReadonlyMap<string, string>;
  /** Now, by the server's clock. */
  readonly now: Date;
  /** The stock approver would approve this node's client requests; undefined when nobody could be asked. */
  readonly automatic: boolean | undefined;
}

/** Approver and signer answer within a second; what is older than this waits for somebody. */
const PROMPT_MS = 10_000;
/** So many undecided requests are no chance any more. */
const MANY = 100;

const DOWN: Cause = {
  what: 'kube-controller-manager does not run, or runs without its csrapproving controller',
  sure: 'likely',
  remedy: 'kubectl -n kube-system get pods -l component=kube-controller-manager   # and its log',
};

/** What has become of this node's requests, and whether approver and signer are at work at all. */
export function requestsFindings(seen: RequestsSeen, specs: readonly CertificateSpec[]): readonly Finding[] {
  // Two certificates may have one signer and one subject: what is on record for one is no other's.
  const recordedNames = new Set(seen.ownNames.values());
  return [
    ...specs.flatMap((spec) => {
      const recorded = seen.all.find((csr) => csr.name === seen.ownNames.get(spec.name));
      const likely = seen.all.filter((csr) => isFor(csr, spec) && isOwn(csr, spec, seen.nodeName));
      const own = recorded ?? newest(likely.filter(({ name }) => !recordedNames.has(name)));
      return own === undefined ? [] : [ownFinding(own, spec, seen)];
    }),
    ...clusterFindings(seen, specs),
  ];
}

/** Whether it asks, for whatever node, for what this spec asks for. Servers before 1.18 know no signer names: usages and subject tell then. */
export function isFor(csr: CertificateSigningRequest, spec: CertificateSpec): boolean {
  if (csr.signerName !== undefined && csr.signerName !== 'kubernetes.io/legacy-unknown') {
    return csr.signerName === spec.signerName;
  }
  const [beforeName = ''] = spec.commonName.split(NODE_NAME);
  const serves = csr.usages.includes('server auth');
  if (requestCommonName(csr.requestPem)?.startsWith(beforeName) !== true || serves !== servesWith(spec)) return false;
  return serves || csr.usages.includes('client auth');
}

/** A subject without the name of the node is that of every node: who has asked tells then. */
function isOwn(csr: CertificateSigningRequest, { commonName }: CertificateSpec, nodeName: string): boolean {
  if (requestCommonName(csr.requestPem) !== withNodeName(commonName, nodeName)) return false;
  return commonName.includes(NODE_NAME) || csr.username === `system:node:${nodeName}`;
}

function newest(csrs: readonly CertificateSigningRequest[]): CertificateSigningRequest | undefined {
  return [...csrs].sort((a, b) => createdMs(b) - createdMs(a))[0];
}

const createdMs = (csr: CertificateSigningRequest): number => Date.parse(csr.creationTimestamp) || 0;
const ageMs = (csr: CertificateSigningRequest, now: Date): number => Math.max(0, now.getTime() - createdMs(csr));

function ownFinding(csr: CertificateSigningRequest, spec: CertificateSpec, seen: RequestsSeen): Finding {
  const { name: purpose } = spec;
  const id = `requests.${purpose}`;
  const word = shellWord(csr.name);
  const evidence = { name: csr.name, created: csr.creationTimestamp, requester: csr.username };
  const outcome = requestOutcome(csr, undefined);
  switch (outcome.kind) {
    case 'denied': {
      const what = `the ${purpose} request ${csr.name} was denied: ${words(outcome)}`;
      const remedy: Remedy = byHand(
        `Mend what the approver names.   # then kubectl delete csr ${word}; certlet renew ${purpose}`,
      );
      return finding('problem', `${id}-denied`, what, {
        remedy,
        evidence: { ...evidence, reason: outcome.reason, message: outcome.message },
      });
    }
    case 'failed': {
      const what = `the signer refused the ${purpose} request ${csr.name}: ${words(outcome)}`;
      const remedy: Remedy = failedRemedy(spec, outcome);
      return finding('problem', `${id}-failed`, what, {
        remedy,
        evidence: { ...evidence, reason: outcome.reason, message: outcome.message },
      });
    }
    case 'pending':
      return outcome.approved ? unissuedFinding(csr, spec, seen) : unapprovedFinding(csr, spec, seen);
    case 'issued':
    case 'changed uid':
      return good(id, `the last ${purpose} request, ${csr.name}, was issued`, evidence);
  }
}

/** The kubelet's signers want one of two sets of usages; what another signer wants stands in the settings. */
function failedRemedy(spec: CertificateSpec, { usages, message }: { usages: boolean; message: string }): Remedy {
  const { name, usagesNegotiable, expirationSeconds } = spec;
  if (usages && usagesNegotiable)
    return '# Nothing must be done: certlet asks once with the other set of usages; keyEncipherment in the settings makes it the default.';
  if (usages)
    return byHand(`Set usages of ${name} in the settings to what the signer takes.   # then systemctl reload certlet`);
  return refusedRemedy({ purpose: name, expirationSeconds }, message);
}

const words = ({ reason, message }: { readonly reason: string; readonly message: string }): string =>
  [reason, message].filter((part) => part !== '').join(': ') || 'no reason given';

function unapprovedFinding(csr: CertificateSigningRequest, spec: CertificateSpec, seen: RequestsSeen): Finding {
  const { name: purpose } = spec;
  const id = `requests.${purpose}-unapproved`;
  const age = ageMs(csr, seen.now);
  const evidence = {
    name: csr.name,
    created: csr.creationTimestamp,
    requester: csr.username,
    ageSeconds: Math.round(age / 1000),
  };
  const approve: Remedy = `kubectl certificate approve ${shellWord(csr.name)}`;
  const what = `the ${purpose} request ${csr.name} has waited ${spanText(age)} for approval`;
  if (spec.approval.by !== 'subresource') {
    const who = spec.approval.by === 'approver' ? 'a person or a separate approver' : 'a person';
    return finding('warning', id, `${what}, which ${who} must give`, { remedy: approve, evidence });
  }
  if (age < PROMPT_MS)
    return finding('note', id, `the ${purpose} request ${csr.name} was made ${spanText(age)} ago and is undecided`, {
      evidence,
    });
  if (seen.automatic !== true) {
    const sure = seen.automatic === false ? 'certain' : 'likely';
    return finding('problem', id, `${what}, which a person must give: nobody approves it automatically`, {
      sure,
      remedy: approve,
      evidence,
    });
  }
  const works = seen.all.some(
    (other) => createdMs(other) >= createdMs(csr) && other.conditions.some(({ reason }) => reason === 'AutoApproved'),
  );
  const late: Cause = {
    what: 'the role was bound after the request: the approver looks at it again after up to 17 minutes',
    sure: works ? 'likely' : 'possible',
    remedy: approve,
  };
  return finding('problem', id, `${what}, although kube-controller-manager should approve it by itself`, {
    sure: 'certain',
    causes: works ? [late] : [DOWN, late],
    remedy: works ? approve : DOWN.remedy,
    evidence: { ...evidence, approverSeenAtWork: works },
  });
}

function unissuedFinding(csr: CertificateSigningRequest, spec: CertificateSpec, seen: RequestsSeen): Finding {
  const { name: purpose } = spec;
  const id = `requests.${purpose}-unissued`;
  const age = ageMs(csr, seen.now);
  const evidence = {
    name: csr.name,
    created: csr.creationTimestamp,
    signer: csr.signerName,
    ageSeconds: Math.round(age / 1000),
  };
  if (age < PROMPT_MS)
    return finding('note', id, `the ${purpose} request ${csr.name} is approved and not issued yet`, { evidence });
  const causes = isStockSigner(spec.signerName) ? stockCauses(spec) : ownSignerCauses(spec);
  return finding(
    'problem',
    id,
    `the ${purpose} request ${csr.name} was approved and has waited ${spanText(age)} for its certificate`,
    {
      causes,
      remedy: causes[0]?.remedy,
      evidence,
    },
  );
}

/** A signer of somebody's own: nothing is known of it but its name. */
const ownSignerCauses = ({ signerName }: CertificateSpec): readonly Cause[] => [
  {
    what: `the signer ${signerName} does not run, or refuses without a word`,
    sure: 'likely',
    remedy: `kubectl get csr --field-selector spec.signerName=${signerName}   # whoever runs it must look at its log`,
  },
];

function stockCauses({ isIdentity, signerName }: CertificateSpec): readonly Cause[] {
  // The flags of kube-controller-manager have one name for both signers of client certificates.
  const signer = isIdentity ? 'kube-apiserver-client' : signerName.replace('kubernetes.io/', '');
  return [
    { ...DOWN, what: 'kube-controller-manager does not run, or runs without its csrsigning controller' },
    {
      what: `kube-controller-manager has no --cluster-signing-cert-file and --cluster-signing-key-file (nor --cluster-signing-${signer}-cert-file)`,
      sure: 'likely',
      remedy:
        'kubectl -n kube-system get pod -l component=kube-controller-manager -o yaml | grep cluster-signing   # its log says: skipping CSR signer controller',
    },
    {
      what: 'the CA that signs has expired: its log says "the signer has expired"',
      sure: 'possible',
      remedy: onControlPlane('openssl x509 -noout -enddate -in /etc/kubernetes/pki/ca.crt'),
    },
  ];
}

/** Requests of every node: one that waits may be chance, several show that nobody is at work. */
function clusterFindings(seen: RequestsSeen, specs: readonly CertificateSpec[]): readonly Finding[] {
  const automatic = specs.filter(({ approval }) => approval.by === 'subresource');
  const old = seen.all.filter((csr) => ageMs(csr, seen.now) >= PROMPT_MS);
  const pending = old.filter((csr) => isPending(csr, false));
  const clients = pending.filter((csr) => automatic.some((spec) => isFor(csr, spec)));
  // Other signers are other programs, each with its own hours; servers before 1.18 have the one alone.
  const unissued = old.filter((csr) => isPending(csr, true) && isStockSigner(csr.signerName ?? 'kubernetes.io/'));
  const total = seen.all.length;
  const evidence = {
    pendingClient: clients.length,
    pendingAll: pending.length,
    approvedUnissued: unissued.length,
    total,
  };
  const findings: Finding[] = [];
  if (clients.length >= 2 && seen.automatic === true) {
    const what = `${String(clients.length)} client requests of nodes pile up undecided, although they should be approved automatically`;
    findings.push(finding('problem', 'requests.piling-up', what, { causes: [DOWN], remedy: DOWN.remedy, evidence }));
  }
  if (unissued.length >= 2) {
    const what = `${String(unissued.length)} approved requests have no certificate: no signer is at work`;
    findings.push(finding('problem', 'requests.nobody-signs', what, { sure: 'likely', remedy: DOWN.remedy, evidence }));
  }
  if (pending.length >= MANY || seen.truncated) {
    const amount = `${seen.truncated ? 'more than ' : ''}${String(total)}`;
    const what = `${amount} signing requests are in the cluster, ${String(pending.length)} of those seen undecided`;
    const remedy: Remedy =
      'kubectl get csr   # who makes them? kubelets whose serving requests nobody approves ask every 15 minutes';
    findings.push(finding('warning', 'requests.many', what, { remedy, evidence }));
  }
  return findings;
}

function isPending(csr: CertificateSigningRequest, approved: boolean): boolean {
  const outcome = requestOutcome(csr, undefined);
  return outcome.kind === 'pending' && outcome.approved === approved;
}
