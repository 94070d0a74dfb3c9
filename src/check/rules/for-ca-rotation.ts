import { isCertletError } from '../../errors.ts';
import { minorOf } from '../../kubelet/facts.ts';
import type { RestartSetting } from '../../kubelet/restart.ts';
import { type CommandText, type Remedy, explained, inSettings, rejoinRemedy } from '../../remedy.ts';
import { withoutCas } from '../../rotation/rules/cluster-ca.ts';
import { spanText } from '../../timestamp.ts';
import type { CaFile, PublishedCas } from '../facts.ts';
import { type Finding, finding, good, unitWord } from '../finding.ts';
import { caMarks, clientCaFindings, namesAndEnds } from './client-ca.ts';
import { type Following, followRemedy, wantedCas } from './cluster-ca.ts';

/** What a kubeconfig trusts. */
export interface TrustedBy extends CaFile {
  /** The file that it names; undefined where they stand in it. */
  readonly caPath: string | undefined;
}

/** What a change of the cluster's CA would meet on this node. */
export interface CaRotationQuestion {
  readonly now: Date;
  readonly node: TrustedBy | undefined;
  readonly bootstrap: TrustedBy | undefined;
  readonly kubeletVersion: string | undefined;
  readonly kubeletUnit: string;
  readonly kubeletRestart: RestartSetting;
  /** What the kubelet verifies its callers by, and what is in it; undefined where it names none, or nobody can tell. */
  readonly clientCa: CaFile | undefined;
  readonly following: Following;
  readonly published: PublishedCas;
}

/** From here on a running kubelet reads the CA file of its kubeconfig again (kubernetes pull request 132922). */
const FIRST_MINOR_THAT_REREADS = 36;
/** An old CA and a new one, each with a spare: more is a bundle that was never cleaned up. */
const MANY_CAS = 4;
/** A change of the CA takes weeks on a fleet: it is planned before that. */
const SOON_MS = 180 * 86_400_000;

/** Which CAs this node trusts, by what it takes up new ones, and what a person has to do beside. */
export function caRotationFindings(question: CaRotationQuestion): readonly Finding[] {
  const { node } = question;
  if (node === undefined || node.cas.length === 0) {
    const what = "the node's kubeconfig names no CA of its own, so nothing can be said of a change";
    return [finding('skipped', 'ca-rotation.trusted', what)];
  }
  return [
    ...trustedFindings(question, node),
    followFinding(question, node),
    ...foreignFindings(question),
    rereadFinding(question, node),
    ...bootstrapFindings(question, node),
    ...clientCa(question, node),
  ];
}

function trustedFindings({ now }: CaRotationQuestion, { cas, caPath, path }: TrustedBy): readonly Finding[] {
  const where = caPath === undefined ? `inside ${path}` : `in ${caPath}, which ${path} names`;
  const count = cas.length === 1 ? 'one CA' : `${String(cas.length)} CAs`;
  const findings = [good('ca-rotation.trusted', `this node trusts ${count}, ${where}`, { cas: caMarks(cas) })];
  for (const ca of cas) {
    const leftMs = ca.notAfter.getTime() - now.getTime();
    if (leftMs > SOON_MS) continue;
    const over = leftMs < 0 ? `expired ${spanText(leftMs)} ago` : `ends in ${spanText(leftMs)}`;
    const only = cas.length === 1 ? ', and it is the only one' : '';
    const verdict = leftMs < 0 && cas.length === 1 ? 'problem' : 'warning';
    const what = `the CA ${ca.subject} ${over}${only}`;
    findings.push(
      finding(verdict, 'ca-rotation.expires', what, {
        remedy: '# Begin the change of the CA: its successor beside it in every kubeconfig first.',
        evidence: { cas: caMarks([ca]) },
      }),
    );
  }
  if (cas.length > MANY_CAS) {
    const what = `${String(cas.length)} CAs are trusted ${where}: whoever holds the key of any of them can play the API server`;
    findings.push(
      finding('warning', 'ca-rotation.many', what, { remedy: '# Take out those that no API server needs any more.' }),
    );
  }
  return findings;
}

/** Who brings the new CA to this node: certlet, root, or a person. */
function followFinding({ following, published }: CaRotationQuestion, { path }: TrustedBy): Finding {
  const id = 'ca-rotation.follow';
  const { source, byRoot } = following;
  const remedy: Remedy = followRemedy(following, published);
  if (byRoot) {
    const told = source === 'off' ? '' : '; certlet tells when it is time';
    const what = `root writes ${path}, and certlet changes no CA in it: the new one is brought by hand, before the servers switch${told}`;
    return finding(source === 'off' ? 'warning' : 'note', id, what, { remedy });
  }
  if (source === 'off') {
    const what = `followClusterCA is off: the new CA has to be put into ${path} by hand, and the kubelet restarted, before the servers switch`;
    const nowhere = published.kind === 'failed' && !isCertletError(published.error, 'ERR_API_FORBIDDEN');
    const rejoin = rejoinRemedy(
      { byRoot },
      'on this node, with the hashes of both CAs, once cluster-info has them; identity and key stay',
    );
    return finding('warning', id, what, { remedy: nowhere ? rejoin : remedy });
  }
  if (published.kind === 'read') {
    const what = `certlet follows the CAs that the cluster publishes (${source}), and can read them now`;
    return good(id, what, { cas: caMarks(published.cas) });
  }
  if (published.kind === 'unasked') {
    const what = `followClusterCA is ${source}, and no server could be asked now over a connection that ${path} verifies`;
    return finding('skipped', id, what, { remedy: 'certlet check   # its steps on network and TLS say why' });
  }
  const { message, remedy: fix } = published.error;
  const what = `followClusterCA is ${source}, and what the cluster publishes cannot be read now: ${message}`;
  return finding('problem', id, what, { remedy: fix, evidence: { code: published.error.code } });
}

/** A file that certlet did not make may be the kubelet's `clientCAFile`, too. */
function foreignFindings({ following: { source, byRoot, foreignFile } }: CaRotationQuestion): readonly Finding[] {
  if (source === 'off' || byRoot || foreignFile === undefined) return [];
  const what = `the kubeconfig has its CA in ${foreignFile}, which certlet did not make and does not write: no CA is added`;
  const remedy: Remedy = inSettings(
    'caFile: true',
    'then systemctl reload certlet; the CAs go into a file of their own',
  );
  return [finding('problem', 'ca-rotation.ca-file', what, { remedy })];
}

/** No kubelet reads embedded CAs again, and a file only from 1.36 on: without a restart it has no heartbeat once the servers switch. */
function rereadFinding(
  { kubeletVersion, kubeletUnit, kubeletRestart, following }: CaRotationQuestion,
  { caPath, path }: TrustedBy,
): Finding {
  const id = 'ca-rotation.kubelet';
  const minor = minorOf(kubeletVersion);
  const canReread = minor !== undefined && minor >= FIRST_MINOR_THAT_REREADS;
  if (canReread && caPath !== undefined) {
    const what = `kubelet ${String(kubeletVersion)} reads ${caPath} again while it runs, within about five minutes`;
    return good(id, what);
  }
  const holds =
    caPath === undefined
      ? `a CA inside ${path} is never read again by a running kubelet`
      : `kubelet ${kubeletVersion ?? 'of unknown version'} reads ${caPath} at its start alone`;
  const { source, byRoot, rootCommand } = following;
  const spared = canReread && !byRoot ? '; with caFile: true this one would need none' : '';
  if (source !== 'off' && !byRoot && kubeletRestart !== 'never')
    return finding('note', id, `${holds}: certlet has it restarted once the new CA is there${spared}`);
  const restart: CommandText = `systemctl restart ${unitWord(kubeletUnit)}`;
  return finding(
    'warning',
    id,
    `${holds}: without a restart between the new CA and the switch of the servers this node loses its heartbeat${spared}`,
    {
      remedy: explained(
        byRoot ? rootCommand([]) : restart,
        'after the new CA is there, before the API servers show a certificate of it',
      ),
    },
  );
}

/** A node that comes back after its certificate has ended asks with the bootstrap credential, by the CAs of that kubeconfig. */
function bootstrapFindings(
  { bootstrap, following: { byRoot } }: CaRotationQuestion,
  node: TrustedBy,
): readonly Finding[] {
  if (bootstrap === undefined || bootstrap.cas.length === 0) return [];
  const missing = withoutCas(node.cas, bootstrap.cas);
  if (missing.length === 0)
    return [good('ca-rotation.bootstrap', `${bootstrap.path} trusts what the node's kubeconfig trusts`)];
  const what = `${bootstrap.path} lacks what the node's kubeconfig trusts: ${namesAndEnds(missing)}; once the servers switch, this node cannot come back by it`;
  return [
    finding('warning', 'ca-rotation.bootstrap', what, {
      remedy: rejoinRemedy(
        { byRoot },
        'with the hash of the new CA and the next token; certlet never writes that file',
      ),
      evidence: { missing: caMarks(missing) },
    }),
  ];
}

/** Whom the kubelet believes: a person's to change, before the API servers get client certificates of the new CA. */
function clientCa(question: CaRotationQuestion, node: TrustedBy): readonly Finding[] {
  const { clientCa: file, published, now } = question;
  if (file === undefined) return [];
  const wanted = wantedCas({ node, published, now });
  const whose = published.kind === 'read' ? `${node.path} and of what the cluster publishes` : node.path;
  return clientCaFindings({ id: 'ca-rotation.client-ca', outlook: ' --for ca-rotation', file, wanted, whose });
}
