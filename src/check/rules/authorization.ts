import { filledIn, type Remedy, shellWord } from '../../remedy.ts';
import { whoApproves } from '../../csr/signer-names.ts';
import { type CertificateSpec, KUBELET_SERVING } from '../../csr/spec.ts';
import type { CertletError } from '../../errors.ts';
import type { Target } from '../facts.ts';
import { type Finding, finding, good } from '../finding.ts';

/** What certlet does with signing requests; a kubelet needs all four. */
export const CSR_VERBS = ['create', 'get', 'list', 'watch'] as const;
export type CsrVerb = (typeof CSR_VERBS)[number];

/** Without these there is no certificate; without the others certlet asks again and again where it would have watched. */
const NEEDED: readonly CsrVerb[] = ['create', 'get'];

/** Group of every bootstrap token, and of every node (kube-apiserver's bootstraptoken and x509 authenticators); else the user by name. */
function subjectOf({ credential, role }: Target, user: string | undefined): string {
  if (role === 'node') return '--group=system:nodes';
  const isBootstrapToken =
    user?.startsWith('system:bootstrap:') === true ||
    (credential.kind === 'token' && /^[a-z0-9]{6}\.[a-z0-9]{16}$/.test(credential.token.reveal()));
  if (isBootstrapToken) return '--group=system:bootstrappers';
  return user === undefined ? '--user=USER   # its name: kubectl auth whoami' : `--user=${shellWord(user)}`;
}

/** The binding that lets an identity ask for certificates. `refusal`: a 403 that names the identity, where one was seen. */
function bindingFor(target: Target, refusal: CertletError | undefined): Remedy {
  if (refusal?.reason === 'no requests' && refusal.remedy !== undefined) return refusal.remedy;
  const name = target.role === 'node' ? 'certlet-nodes' : 'certlet-bootstrap';
  return `kubectl create clusterrolebinding ${name} --clusterrole=system:node-bootstrapper ${subjectOf(target, undefined)}`;
}

/** Which of the four verbs an accepted identity lacks, with the binding that gives them. */
export function csrRightsFindings(
  target: Target,
  refused: readonly CsrVerb[],
  about: {
    readonly refusal: CertletError | undefined;
    /** What the API server calls the identity, where it told. */
    readonly user: string | undefined;
    readonly weight: 'problem' | 'warning';
  },
): readonly Finding[] {
  const id = `authorization.${target.role}`;
  if (refused.length === 0) {
    return [good(id, `the ${target.label} may create, get, list and watch signing requests`)];
  }
  const needed = refused.some((verb) => NEEDED.includes(verb));
  const effect = needed ? '' : '; certlet polls instead, a kubelet would fail';
  const { user } = about;
  const who = user === undefined ? `the ${target.label}` : `the ${target.label} (${user})`;
  return [
    finding(
      needed ? about.weight : 'warning',
      `${id}-forbidden`,
      `${who} may not ${refused.join(', ')} signing requests: no role allows it${effect}`,
      {
        remedy: bindingFor(target, about.refusal),
        evidence: { refused, user },
      },
    ),
  ];
}

export interface ApprovalAnswers {
  readonly target: Target;
  /** Whether the stock approver would approve a client request of this identity; undefined when it could not be asked. */
  readonly automatic: boolean | undefined;
  /** What the API server calls this identity, where it told. */
  readonly user: string | undefined;
}

const APPROVING = 'system:certificates.k8s.io:certificatesigningrequests';

/** Whether client requests are approved by kube-controller-manager, for the first certificate (bootstrap) and for renewals (node). */
export function clientApprovalFinding({ target, automatic, user }: ApprovalAnswers): Finding {
  const sub = target.role === 'node' ? 'selfnodeclient' : 'nodeclient';
  const which = target.role === 'node' ? 'renewals of the client certificate' : 'the first client certificate';
  const id = `approval.${target.role}`;
  if (automatic === undefined) {
    return finding(
      'skipped',
      id,
      `cannot ask whether ${which} would be approved automatically: the ${target.label} may not ask about itself`,
    );
  }
  // Whatever node name it asks for: only binding tokens to nodes changes that.
  const any = target.role === 'node' ? '' : '; any such token gets the certificate of any node, see docs/tokens.md';
  if (automatic) {
    return good(id, `${which}: kube-controller-manager approves it by itself (create ${sub} is allowed)${any}`);
  }
  const binding = target.role === 'node' ? 'certlet-approve-renewal' : 'certlet-approve-first';
  const bound =
    target.role === 'node'
      ? ''
      : ', or for certlet approve where tokens are bound to nodes: the role would void that, see docs/tokens.md';
  return finding(
    'warning',
    `${id}-manual`,
    `${which}: nobody approves automatically, each request waits for a person (create certificatesigningrequests/${sub} is not allowed)${bound}`,
    {
      remedy: `kubectl create clusterrolebinding ${binding} --clusterrole=${APPROVING}:${sub} ${subjectOf(target, user)}`,
    },
  );
}

/** The word on serving requests. `legacyBound`: somebody has bound the role of old guides. */
export function servingApprovalFindings(
  legacyBound: boolean | undefined,
  serverMinor: number | undefined,
): readonly Finding[] {
  const stillWorks = serverMinor !== undefined && serverMinor <= 10;
  return [
    finding(
      'note',
      'approval.serving',
      'serving certificates: no controller of Kubernetes approves them since 1.11; a person does, or a separate approver',
      {
        remedy: filledIn('kubectl certificate approve NAME', 'with checks, and as a service, certlet approve does it'),
      },
    ),
    ...(legacyBound === true && !stillWorks
      ? [
          finding(
            'note',
            'approval.selfnodeserver',
            'the role selfnodeserver of old guides is bound here; nothing in Kubernetes looks at it since 1.11, but certlet approve does',
            {
              remedy: `kubectl get clusterrolebindings -o wide | grep selfnodeserver   # without certlet approve it can go`,
            },
          ),
        ]
      : []),
  ];
}

/** The word on the certificates of the settings: who approves, and the right that it takes (`approve` on the signer, since 1.18). */
export function entryApprovalFindings(specs: readonly CertificateSpec[]): readonly Finding[] {
  return specs.flatMap(({ name, signerName, approval, isIdentity }) => {
    if (isIdentity || name === KUBELET_SERVING || approval.by === 'subresource') return [];
    const remedy: Remedy = filledIn(
      'kubectl certificate approve NAME',
      `takes the verb approve on signers, resourceNames: ${signerName}`,
    );
    const what = `the ${name} certificate: ${whoApproves(signerName, approval.by)}, each time that it is renewed`;
    return [finding('note', `approval.${name}`, what, { remedy, evidence: { signer: signerName } })];
  });
}
