import { parseForbidden } from '../../adapters/api/api-errors.ts';
import { type CertletError, isCertletError } from '../../errors.ts';
import { minorOf } from '../../kubelet/facts.ts';
import type { ApiConnection } from '../../ports.ts';
import type { CheckContext, Facts, Step, StepOutcome, Target } from '../facts.ts';
import { type Finding, finding, good } from '../finding.ts';
import {
  clientApprovalFinding,
  CSR_VERBS,
  type CsrVerb,
  csrRightsFindings,
  entryApprovalFindings,
  servingApprovalFindings,
} from '../rules/authorization.ts';
import { lifetimeFindings, signersFindings } from '../rules/signers.ts';
import { askerOf, lostRoles, weightOf, withApi } from '../targets.ts';
import { NO_SETTINGS } from './host.ts';

const CSRS = { group: 'certificates.k8s.io', resource: 'certificatesigningrequests' } as const;

/** Why steps that need somebody whom the API server knows are not taken without. */
export const nobodyAccepted = ({ settings }: Facts): string =>
  settings === undefined ? NO_SETTINGS : 'no credential is accepted';

/** Which versions of the API there are. */
export const versionsStep: Step = {
  id: 'versions',
  title: 'API versions',
  async run(context): Promise<StepOutcome | string> {
    const asker = askerOf(context.facts);
    if (asker === undefined) return nobodyAccepted(context.facts);
    return withApi(context, asker, async (api) => {
      const apiVersion = await api.discover(context.signal);
      const gitVersion = await serverVersion(api, context.signal);
      const serverMinor = minorOf(gitVersion);
      const server = gitVersion === undefined ? 'the API server' : `the API server (${gitVersion})`;
      const evidence = { version: gitVersion, certificates: apiVersion };
      const findings =
        apiVersion === 'v1'
          ? [good('versions', `${server} serves certificates.k8s.io/v1`, evidence)]
          : [
              finding(
                'note',
                'versions.v1beta1',
                `${server} serves certificates.k8s.io/v1beta1 only; certlet uses that, kubelets need 1.21 or older`,
                { evidence },
              ),
            ];
      const specs = context.facts.settings?.specs ?? [];
      const served = { version: apiVersion, minor: serverMinor };
      findings.push(...signersFindings(specs, served), ...lifetimeFindings(specs, served));
      return { findings, facts: { apiVersion, ...(serverMinor === undefined ? {} : { serverMinor }) } };
    });
  },
};

async function serverVersion(api: ApiConnection, signal: AbortSignal): Promise<string | undefined> {
  try {
    const answer = await api.request('GET', '/version', undefined, signal);
    const version =
      typeof answer === 'object' && answer !== null && 'gitVersion' in answer ? answer.gitVersion : undefined;
    return typeof version === 'string' ? version : undefined;
  } catch (error) {
    // Hardened clusters hide it.
    if (isCertletError(error)) return undefined;
    throw error;
  }
}

/** May each accepted identity work with signing requests? */
export const rightsStep: Step = {
  id: 'authorization',
  title: 'Permissions',
  async run(context): Promise<StepOutcome | string> {
    const { accepted = [] } = context.facts;
    if (accepted.length === 0) return nobodyAccepted(context.facts);
    const findings: Finding[] = [];
    for (const target of accepted) findings.push(...(await rightsOf(context, target, accepted)));
    return { findings };
  },
};

async function rightsOf(
  context: CheckContext,
  target: Target,
  accepted: readonly Target[],
): Promise<readonly Finding[]> {
  return withApi(context, target, async (api) => {
    const refused: CsrVerb[] = [];
    for (const verb of CSR_VERBS) {
      const allowed = await ask(api, { verb, ...CSRS }, context.signal);
      if (allowed === undefined) return [noReviews(target)];
      if (!allowed) refused.push(verb);
    }
    const refusal = refused.length === 0 ? undefined : await refusalOf(context, api, refused);
    const weight = weightOf(target, lostRoles(context.facts, accepted));
    return csrRightsFindings(target, refused, { refusal, user: refusal && namedIn(refusal), weight });
  });
}

const noReviews = (target: Target): Finding =>
  finding(
    'skipped',
    `authorization.${target.role}-unknown`,
    `the ${target.label} may not ask what it may do (SelfSubjectAccessReview)`,
    {
      remedy:
        'kubectl create clusterrolebinding system:basic-user --clusterrole=system:basic-user --group=system:authenticated',
    },
  );

/** Undefined when reviews are forbidden. */
async function ask(
  api: ApiConnection,
  attributes: Parameters<ApiConnection['mayI']>[0],
  signal: AbortSignal,
): Promise<boolean | undefined> {
  try {
    return await api.mayI(attributes, signal);
  } catch (error) {
    if (isCertletError(error, 'ERR_API_FORBIDDEN')) return undefined;
    throw error;
  }
}

/** A read that is refused: the server's words then name the identity as roles must name it. */
async function refusalOf(
  context: CheckContext,
  api: ApiConnection,
  refused: readonly CsrVerb[],
): Promise<CertletError | undefined> {
  if (!refused.includes('list')) return undefined;
  try {
    const version = context.facts.apiVersion ?? 'v1';
    await api.request(
      'GET',
      `/apis/certificates.k8s.io/${version}/certificatesigningrequests?limit=1`,
      undefined,
      context.signal,
    );
    return undefined;
  } catch (error) {
    if (!isCertletError(error)) throw error;
    return error.code === 'ERR_API_FORBIDDEN' ? error : undefined;
  }
}

/** Will requests be approved without a person? Asked as the approver of kube-controller-manager asks. */
export const approvalStep: Step = {
  id: 'approval',
  title: 'Approval',
  async run(context): Promise<StepOutcome | string> {
    const { accepted = [], settings, serverMinor } = context.facts;
    if (accepted.length === 0) return nobodyAccepted(context.facts);
    const findings: Finding[] = [];
    let automatic: boolean | undefined;
    let legacy: boolean | undefined;
    for (const target of accepted) {
      const answers = await withApi(context, target, (api) => approvalAnswers(context, api, target));
      findings.push(clientApprovalFinding({ target, automatic: answers.client, user: answers.user }));
      // The one in use comes first.
      automatic ??= answers.client;
      legacy ??= answers.legacy;
    }
    if (settings?.rotateServerCertificates === true) findings.push(...servingApprovalFindings(legacy, serverMinor));
    findings.push(...entryApprovalFindings(settings?.specs ?? []));
    return { findings, facts: automatic === undefined ? {} : { automatic } };
  },
};

interface ApprovalSeen {
  readonly client: boolean | undefined;
  readonly legacy: boolean | undefined;
  readonly user: string | undefined;
}

async function approvalAnswers(context: CheckContext, api: ApiConnection, target: Target): Promise<ApprovalSeen> {
  const { signal } = context;
  const may = (subresource: string): Promise<boolean | undefined> =>
    ask(api, { verb: 'create', ...CSRS, subresource }, signal);
  if (target.role === 'node') {
    return { client: await may('selfnodeclient'), legacy: await may('selfnodeserver'), user: undefined };
  }
  const client = await may('nodeclient');
  return { client, legacy: undefined, user: client === false ? await nameOf(api, signal) : undefined };
}

/** No role allows this path, and the refusal has the name that roles must be bound to. Whoever may everything is not told. */
const NOWHERE = '/certlet-whoami';

async function nameOf(api: ApiConnection, signal: AbortSignal): Promise<string | undefined> {
  try {
    await api.request('GET', NOWHERE, undefined, signal);
    return undefined;
  } catch (error) {
    if (!isCertletError(error)) throw error;
    return namedIn(error);
  }
}

/** Whom a refusal of the API server names. */
function namedIn(refusal: CertletError): string | undefined {
  const { user } = parseForbidden(refusal.message);
  return user === '' ? undefined : user;
}
