import { caPinOf } from '../../discovery/ca-pin.ts';
import { isCertletError } from '../../errors.ts';
import { bundleOf, caName, type TrustedCa } from '../../kubeconfig/trusted-ca.ts';
import { parseChain } from '../../pki/certificate.ts';
import { type Remedy, explained, followSetting, inSettings } from '../../remedy.ts';
import { additionsOf, goingOf, withoutCas } from '../../rotation/rules/cluster-ca.ts';
import type { CaFile, PublishedCas } from '../facts.ts';
import { type Finding, finding, good } from '../finding.ts';
import { fromError } from '../walk.ts';
import { caMarks, clientCaFindings, namesAndEnds } from './client-ca.ts';

/** How this node comes by another CA of its cluster. */
export interface Following {
  readonly source: 'cluster-info' | 'clusterTrustBundle' | 'off';
  /** Root writes the kubeconfig: certlet changes no CA in it. */
  readonly byRoot: boolean;
  /** What root runs for CAs with these pins; without pins a word stands for one. */
  readonly rootCommand: (pins: readonly string[]) => Remedy;
  /** The CA file that the kubeconfig names and certlet did not make, so does not write; undefined where there is none. */
  readonly foreignFile: string | undefined;
}

/** What is known of the CAs around this node. */
export interface ClusterCaQuestion {
  readonly now: Date;
  readonly following: Following;
  /** The node's kubeconfig. */
  readonly node: CaFile;
  readonly published: PublishedCas;
  readonly clientCa: CaFile | string | undefined;
}

type Read = PublishedCas & { readonly kind: 'read' };

/** Whether this node would trust what its cluster publishes, and whether kubelet and kubeconfig go by the same CAs. */
export function clusterCaFindings(question: ClusterCaQuestion): readonly Finding[] {
  const { node, published } = question;
  if (node.cas.length === 0) return [];
  const read = published.kind === 'read' ? publishedFindings(question, published) : [];
  return [...followFindings(question), ...read, ...clientCa(question)];
}

/** What the node's kubeconfig trusts, and what the cluster publishes besides and may be trusted. */
export function wantedCas({
  node,
  published,
  now,
}: Omit<ClusterCaQuestion, 'following' | 'clientCa'>): readonly TrustedCa[] {
  return published.kind === 'read' ? [...node.cas, ...additionsOf(node.cas, published.cas, now).added] : node.cas;
}

/** What makes this node follow, given what it may read; root's command where the kubeconfig is root's. */
export function followRemedy({ byRoot, rootCommand }: Following, published: PublishedCas): Remedy {
  if (byRoot) return rootCommand(published.kind === 'read' ? pinsOf(published.cas) : []);
  if (published.kind === 'read') return followSetting(published.source, 'docs/ca-rotation.md');
  if (published.kind === 'failed' && isCertletError(published.error, 'ERR_API_FORBIDDEN'))
    return explained(
      published.error.remedy ?? followSetting(published.source, 'docs/ca-rotation.md'),
      `as an administrator of the cluster; then followClusterCA: ${published.source} in the settings`,
    );
  return followSetting('cluster-info', 'where the cluster publishes it; docs/ca-rotation.md');
}

/** Pins of CAs, as `join` takes them. */
export const pinsOf = (cas: readonly TrustedCa[]): readonly string[] =>
  cas.length === 0 ? [] : parseChain(bundleOf(cas)).certificates.map(caPinOf);

function followFindings({ following, node, published }: ClusterCaQuestion): readonly Finding[] {
  const id = 'cluster-ca.follow';
  const { source, byRoot } = following;
  if (published.kind === 'unasked') return [];
  if (source !== 'off') {
    if (published.kind === 'failed') return [fromError(id, published.error, 'warning')];
    const what = `what the cluster publishes of its CAs (${source}) is followed, and can be read`;
    return [good(id, what, { cas: caMarks(published.cas) })];
  }
  const remedy: Remedy = followRemedy(following, published);
  if (byRoot) {
    const what = `root writes ${node.path}: another CA of the cluster is trusted once root has put it there`;
    return [finding('note', id, what, { remedy })];
  }
  const why = published.kind === 'read' ? `${published.source} could be read` : published.error.message;
  const what = `followClusterCA is off, so another CA of the cluster is trusted once somebody has put it into ${node.path}; ${why}`;
  return [finding('note', id, what, { remedy })];
}

function publishedFindings(question: ClusterCaQuestion, { cas }: Read): readonly Finding[] {
  const { node, now } = question;
  const { added, refused } = additionsOf(node.cas, cas, now);
  const going = goingOf(node.cas, cas);
  return [
    ...(added.length === 0 ? [] : [untrustedFinding(question, added)]),
    ...refused.map(({ ca, why }) =>
      finding(
        'warning',
        'cluster-ca.refused',
        `the cluster publishes ${caName(ca)}, which is not to be trusted: ${why}`,
        {
          evidence: { cas: caMarks([ca]) },
        },
      ),
    ),
    ...(going.length === 0 ? [] : [goneFinding(question, going)]),
  ];
}

function untrustedFinding({ following, node, published }: ClusterCaQuestion, added: readonly TrustedCa[]): Finding {
  const id = 'cluster-ca.untrusted';
  const evidence = { cas: caMarks(added) };
  const what = `the cluster publishes CAs that ${node.path} does not trust: ${namesAndEnds(added)}`;
  const { source, byRoot, rootCommand, foreignFile } = following;
  if (byRoot || source === 'off') {
    const remedy = byRoot ? rootCommand(pinsOf([...node.cas, ...added])) : followRemedy(following, published);
    return finding('warning', id, `${what}; once the API servers have certificates of them, this node is lost`, {
      remedy,
      evidence,
    });
  }
  if (foreignFile !== undefined) {
    const remedy: Remedy = inSettings(
      'caFile: true',
      'then systemctl reload certlet; the CAs go into a file of their own',
    );
    return finding('warning', id, `${what}, and certlet does not write ${foreignFile}, which it did not make`, {
      remedy,
      evidence,
    });
  }
  return finding('note', id, `${what} yet; certlet adds them when it looks next`, { evidence });
}

function goneFinding({ following, node }: ClusterCaQuestion, going: readonly TrustedCa[]): Finding {
  const id = 'cluster-ca.gone';
  const what = `${node.path} trusts CAs that the cluster publishes no more: ${namesAndEnds(going)}`;
  const evidence = { cas: caMarks(going) };
  const { source, byRoot, rootCommand } = following;
  if (byRoot) {
    const remedy = explained(rootCommand(pinsOf(withoutCas(node.cas, going))), 'once no API server needs them');
    return finding('note', id, what, { remedy, evidence });
  }
  if (source === 'off')
    return finding('note', id, `${what}; once no API server needs them, take them out`, { evidence });
  return finding(
    'note',
    id,
    `${what}; certlet takes them out once every known server was verified without them for a day`,
    { evidence },
  );
}

function clientCa(question: ClusterCaQuestion): readonly Finding[] {
  const { clientCa: file, node, published } = question;
  const id = 'cluster-ca.client-ca';
  if (file === undefined) return [];
  if (typeof file === 'string') return [finding('skipped', id, file, { denied: true, remedy: 'sudo certlet check' })];
  const whose = published.kind === 'read' ? `${node.path} and of what the cluster publishes` : node.path;
  return clientCaFindings({ id, outlook: '', file, wanted: wantedCas(question), whose });
}
