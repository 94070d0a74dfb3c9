import type { X509Certificate } from 'node:crypto';
import { timestamp } from '../../timestamp.ts';
import { minorOf } from '../../kubelet/facts.ts';
import { oneLine } from '../../pki/certificate.ts';
import { spanText } from '../../status/times.ts';
import { type Finding, finding, good, unitWord } from '../finding.ts';

/** What a kubeconfig trusts. */
export interface TrustedBy {
  readonly path: string;
  readonly cas: readonly X509Certificate[];
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
  /** What the kubelet verifies its callers by, and what is in it; undefined where it names none, or nobody can tell. */
  readonly clientCa: { readonly path: string; readonly cas: readonly X509Certificate[] } | undefined;
  /** Root writes the kubeconfig. */
  readonly byRoot: boolean;
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
    rereadFinding(question, node),
    ...bootstrapFindings(question, node),
    ...clientCaFindings(question, node),
  ];
}

const nameOf = (ca: X509Certificate): string =>
  `${oneLine(ca.subject)}, SHA-256 ${ca.fingerprint256}, until ${timestamp(ca.validToDate)}`;

function trustedFindings({ now }: CaRotationQuestion, { cas, caPath, path }: TrustedBy): readonly Finding[] {
  const where = caPath === undefined ? `inside ${path}` : `in ${caPath}, which ${path} names`;
  const count = cas.length === 1 ? 'one CA' : `${String(cas.length)} CAs`;
  const findings = [good('ca-rotation.trusted', `this node trusts ${count}, ${where}`, { cas: cas.map(nameOf) })];
  for (const ca of cas) {
    const leftMs = ca.validToDate.getTime() - now.getTime();
    if (leftMs > SOON_MS) continue;
    const over = leftMs < 0 ? `expired ${spanText(leftMs)} ago` : `ends in ${spanText(leftMs)}`;
    const only = cas.length === 1 ? ', and it is the only one' : '';
    const verdict = leftMs < 0 && cas.length === 1 ? 'problem' : 'warning';
    const what = `the CA ${oneLine(ca.subject)} ${over}${only}`;
    findings.push(
      finding(verdict, 'ca-rotation.expires', what, {
        remedy: 'begin the change of the CA: its successor beside it in every kubeconfig first',
        evidence: { ca: nameOf(ca) },
      }),
    );
  }
  if (cas.length > MANY_CAS) {
    const what = `${String(cas.length)} CAs are trusted ${where}: whoever holds the key of any of them can play the API server`;
    findings.push(
      finding('warning', 'ca-rotation.many', what, { remedy: 'take out those that no API server needs any more' }),
    );
  }
  return findings;
}

/** No kubelet reads embedded CAs again, and a file only from 1.36 on: without a restart it has no heartbeat once the servers switch. */
function rereadFinding(
  { kubeletVersion, kubeletUnit, byRoot }: CaRotationQuestion,
  { caPath, path }: TrustedBy,
): Finding {
  const minor = minorOf(kubeletVersion);
  const rereads = caPath !== undefined && minor !== undefined && minor >= FIRST_MINOR_THAT_REREADS;
  if (rereads) {
    const what = `kubelet ${String(kubeletVersion)} reads ${caPath} again while it runs, within about five minutes`;
    return good('ca-rotation.kubelet', what);
  }
  const holds =
    caPath === undefined
      ? `a CA inside ${path} is never read again by a running kubelet`
      : `kubelet ${kubeletVersion ?? 'of unknown version'} reads ${caPath} at its start alone`;
  const root = byRoot ? 'certlet join --write-kubeconfig && ' : '';
  return finding(
    'warning',
    'ca-rotation.kubelet',
    `${holds}: without a restart between the new CA and the switch of the servers this node loses its heartbeat`,
    {
      remedy: `${root}systemctl restart ${unitWord(kubeletUnit)}   # after the new CA is there, before the API servers show a certificate of it`,
    },
  );
}

const lacking = (wanted: readonly X509Certificate[], has: readonly X509Certificate[]): readonly X509Certificate[] =>
  wanted.filter((ca) => !has.some(({ fingerprint256 }) => fingerprint256 === ca.fingerprint256));

/** A node that comes back after its certificate has ended asks with the bootstrap credential, by the CAs of that kubeconfig. */
function bootstrapFindings({ bootstrap }: CaRotationQuestion, node: TrustedBy): readonly Finding[] {
  if (bootstrap === undefined || bootstrap.cas.length === 0) return [];
  const missing = lacking(node.cas, bootstrap.cas);
  if (missing.length === 0)
    return [good('ca-rotation.bootstrap', `${bootstrap.path} trusts what the node's kubeconfig trusts`)];
  const what = `${bootstrap.path} lacks a CA that the node's kubeconfig trusts: once the servers switch, this node cannot come back by it`;
  return [
    finding('warning', 'ca-rotation.bootstrap', what, {
      remedy: 'certlet join --force   # with the hash of the new CA, or add the CA to that file',
      evidence: { missing: missing.map(nameOf) },
    }),
  ];
}

/** What vouches for servers must not authorise callers by itself, so certlet never writes this file: a person decides. */
function clientCaFindings({ clientCa }: CaRotationQuestion, node: TrustedBy): readonly Finding[] {
  if (clientCa === undefined) return [];
  const { path, cas } = clientCa;
  const missing = lacking(node.cas, cas);
  const same = `${path} authenticates callers of the kubelet, and certlet never writes it`;
  if (missing.length === 0) {
    return [
      good(
        'ca-rotation.client-ca',
        `${same}; it has every CA of the node's kubeconfig, and is read again while the kubelet runs`,
      ),
    ];
  }
  return [
    finding(
      'note',
      'ca-rotation.client-ca',
      `${same}; where a CA that it lacks will sign the API server's client certificate, add it by hand before`,
      {
        evidence: { missing: missing.map(nameOf), pem: missing.map((ca) => ca.toString()) },
      },
    ),
  ];
}
