import { byHand, shellWord } from '../../remedy.ts';
import { takeOver } from '../rules/pairs.ts';
import { timestamp } from '../../timestamp.ts';
import { type CertletError, isCertletError } from '../../errors.ts';
import { parseBootstrapToken } from '../../discovery/bootstrap-token.ts';
import { CLUSTER_INFO_PATH, readClusterInfo } from '../../discovery/cluster-info.ts';
import { parseChain } from '../../pki/certificate.ts';
import type { CheckContext, Role, Step, StepOutcome, Target } from '../facts.ts';
import { type Cause, type Evidence, type Finding, finding, good } from '../finding.ts';
import { certificateCauses, OTHER_TOKEN_CAUSES } from '../rules/authentication.ts';
import { bootstrapTokenCauses, type TokenTrace, tokenTrace, traceText } from '../rules/bootstrap-token.ts';
import { lostRoles, weightOf, withApi } from '../targets.ts';
import { NO_SETTINGS } from './host.ts';
import { fromError } from '../walk.ts';

/** What each credential may ask about itself; the answer shows that the API server knows who asks. */
const QUESTION = { verb: 'create', group: 'certificates.k8s.io', resource: 'certificatesigningrequests' } as const;

/** Shows each credential to the API server. */
export const authenticationStep: Step = {
  id: 'authentication',
  title: 'Credential',
  async run(context): Promise<StepOutcome | string> {
    const { settings, trusted = [] } = context.facts;
    if (settings === undefined) return NO_SETTINGS;
    if (trusted.length === 0) return 'no server is reached with trust';
    const findings: Finding[] = [];
    const accepted: Target[] = [];
    const lost: Role[] = [...lostRoles(context.facts, trusted)];
    for (const target of trusted) {
      const error = await show(context, target);
      if (error === undefined) {
        accepted.push(target);
        findings.push(good(`authentication.${target.role}`, `the API server accepts the ${target.label}`));
        continue;
      }
      findings.push(await refused(context, target, error, weightOf(target, lost)));
      if (target.inUse) lost.push(target.role);
    }
    return { findings, facts: { accepted } };
  },
};

/** A 403 is an acceptance: the server knew who asked, and said no. */
async function show(context: CheckContext, target: Target): Promise<CertletError | undefined> {
  try {
    await withApi(context, target, (api) => api.mayI(QUESTION, context.signal));
    return undefined;
  } catch (error) {
    if (!isCertletError(error)) throw error;
    return error.code === 'ERR_API_FORBIDDEN' ? undefined : error;
  }
}

async function refused(
  context: CheckContext,
  target: Target,
  error: CertletError,
  weight: 'problem' | 'warning',
): Promise<Finding> {
  const { role, label, cluster } = target;
  const id = `authentication.${role}`;
  const evidence = { server: cluster.server, source: target.source, code: error.code };
  if (error.code === 'ERR_API_ANONYMOUS') {
    return finding(weight, `${id}-stripped`, error.message, { remedy: error.remedy, evidence });
  }
  if (error.code !== 'ERR_API_UNAUTHORIZED') return fromError(`${id}-failed`, error, weight);
  const { causes, seen } = await whyRefused(context, target);
  const what = `the API server rejects the ${label} (401)${seen.text}`;
  // A used-up bootstrap token beside a good client certificate is the normal end of a bootstrap.
  const verdict = weight === 'warning' && role === 'bootstrap' ? 'note' : weight;
  return finding(verdict, `${id}-refused`, what, {
    causes,
    remedy: causes[0]?.remedy,
    evidence: { ...evidence, ...seen.evidence },
  });
}

interface Why {
  readonly causes: readonly Cause[];
  readonly seen: { readonly text: string; readonly evidence: Evidence };
}

/** What another program put there says nothing of this cluster. */
const foreignPair = (name: string): Cause => ({
  what: "the pair in use is another program's",
  sure: 'certain',
  remedy: takeOver(name),
});

async function whyRefused(context: CheckContext, target: Target): Promise<Why> {
  const { credential, cluster, source } = target;
  if (credential.kind === 'certificate') {
    const chain = parseChain(credential.chainPem);
    const serverNow = new Date(context.ports.now().getTime() - (context.facts.skewMs ?? 0));
    const { leaf } = chain;
    const { caPem } = cluster;
    const evidence = { issuer: leaf.issuer, serial: leaf.serial, notAfter: timestamp(leaf.notAfter) };
    const kubeletUnit = context.facts.settings?.kubelet.unit ?? 'kubelet.service';
    const theirs = context.facts.pairs?.find(({ spec, foreign }) => spec.isIdentity && foreign === true);
    if (theirs !== undefined) return { causes: [foreignPair(theirs.spec.name)], seen: { text: '', evidence } };
    return {
      causes: certificateCauses({ leaf, chain, caPem, serverNow, source, kubeletUnit }),
      seen: { text: '', evidence },
    };
  }
  if (credential.kind === 'exec') {
    const what = `the credential that ${credential.plugin.command} printed is not valid here`;
    return {
      causes: [
        {
          what,
          sure: 'likely',
          remedy: byHand(
            `Run ${shellWord(credential.plugin.command)} by hand, with the arguments and the env of the exec entry.`,
          ),
        },
      ],
      seen: NOTHING_SEEN,
    };
  }
  const text = credential.kind === 'token' ? credential.token.reveal() : await readToken(context, credential.path);
  const token = bootstrapTokenOf(text);
  if (token === undefined) return { causes: OTHER_TOKEN_CAUSES, seen: NOTHING_SEEN };
  const trace = await readTrace(context, target, token);
  return {
    causes: bootstrapTokenCauses(token.id, trace),
    seen: { text: `; ${traceText(trace)}`, evidence: { tokenId: token.id, clusterInfo: trace.kind } },
  };
}

const NOTHING_SEEN = { text: '', evidence: {} } as const;

function bootstrapTokenOf(text: string): ReturnType<typeof parseBootstrapToken> | undefined {
  try {
    return parseBootstrapToken(text, 'the token');
  } catch (error) {
    if (isCertletError(error, 'ERR_USAGE')) return undefined;
    throw error;
  }
}

async function readToken({ ports }: CheckContext, path: string): Promise<string> {
  return Buffer.from(await ports.fs.read(path, 64 * 1024)).toString('utf8');
}

/** cluster-info over the verified connection, without a credential: kubeadm lets everybody read it. */
async function readTrace(
  context: CheckContext,
  target: Target,
  token: NonNullable<ReturnType<typeof bootstrapTokenOf>>,
): Promise<TokenTrace> {
  try {
    const anonymous = { cluster: target.cluster, credential: { kind: 'none' } } as const;
    const body = await withApi(context, anonymous, (api) =>
      api.request('GET', CLUSTER_INFO_PATH, undefined, context.signal),
    );
    return tokenTrace(readClusterInfo(JSON.stringify(body), 'cluster-info'), token);
  } catch (error) {
    if (!isCertletError(error)) throw error;
    const why = error.code === 'ERR_API_NOT_FOUND' ? 'there is none' : 'anonymous users may not read it';
    return { kind: 'unknown', why: error.code === 'ERR_DISCOVERY' ? 'it cannot be read' : why };
  }
}
