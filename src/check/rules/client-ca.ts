import { bundleOf, caName, type TrustedCa } from '../../kubeconfig/trusted-ca.ts';
import { type Remedy, shellWord } from '../../remedy.ts';
import { withoutCas } from '../../rotation/rules/cluster-ca.ts';
import { timestamp } from '../../timestamp.ts';
import type { CaFile } from '../facts.ts';
import { type Finding, finding, good } from '../finding.ts';

/** Each CA as it is told apart from others of its name: subject, SHA-256, end. */
export const namesAndEnds = (cas: readonly TrustedCa[]): string =>
  cas.map((ca) => `${caName(ca)}, until ${timestamp(ca.notAfter)}`).join('; ');

/** The same for programs, with the whole of the fingerprint. */
export const caMarks = (cas: readonly TrustedCa[]): readonly string[] =>
  cas.map(({ subject, fingerprint, notAfter }) => `${subject}, sha256 ${fingerprint}, until ${timestamp(notAfter)}`);

/** What the kubelet's `clientCAFile` is held against. */
export interface Compared {
  /** Of the finding: it stands in the command, too. */
  readonly id: string;
  /** How `certlet check` is called so that it finds this, behind its name; empty for plain. */
  readonly outlook: string;
  readonly file: CaFile;
  /** What the node's kubeconfig trusts and the cluster publishes; `whose` names that. */
  readonly wanted: readonly TrustedCa[];
  readonly whose: string;
}

/**
 * Whom the kubelet believes, against what vouches for API servers. What vouches for servers must not authorise callers by itself, so certlet never writes
 * that file: a person decides, with the command.
 */
export function clientCaFindings(compared: Compared): readonly Finding[] {
  const { id, file, wanted, whose } = compared;
  const missing = withoutCas(wanted, file.cas);
  const more = withoutCas(file.cas, wanted);
  const has = `${saysWhom(file)}: it has every CA of ${whose}`;
  return [
    missing.length === 0 ? good(id, has) : missingFinding(compared, missing),
    ...(more.length === 0 ? [] : [moreFinding(compared, more)]),
  ];
}

const saysWhom = ({ path }: CaFile): string =>
  `${path} says whom the kubelet believes (clientCAFile), and certlet never writes it`;

function missingFinding({ id, outlook, file, wanted, whose }: Compared, missing: readonly TrustedCa[]): Finding {
  const evidence = { path: file.path, missing: caMarks(missing), pem: missing.map((ca) => bundleOf([ca])) };
  if (missing.length === wanted.length) {
    const what = `${saysWhom(file)}: it has no CA of ${whose}, which is right where the API servers' client certificates are of a CA of their own`;
    return finding('note', id, what, { evidence });
  }
  const what = `${saysWhom(file)}: it lacks ${namesAndEnds(missing)}; once that signs the API servers' client certificates, logs and exec of this node end`;
  // A line end first: the file may lack its last one, and a certificate that begins on the last line of another loses both.
  const remedy: Remedy = `certlet check${outlook} --output json | jq -r '"", (.findings[] | select(.id == "${id}") | .evidence.pem[])' >> ${shellWord(file.path)}   # where these shall vouch for callers, too; the kubelet reads it again while it runs`;
  return finding('warning', id, what, { evidence, remedy });
}

function moreFinding({ id, file, whose }: Compared, more: readonly TrustedCa[]): Finding {
  const what = `${file.path} has CAs that are none of ${whose}: ${namesAndEnds(more)}; whoever holds a key of theirs can call the kubelet as an API server does`;
  return finding('note', `${id}-more`, what, { evidence: { path: file.path, more: caMarks(more) } });
}
