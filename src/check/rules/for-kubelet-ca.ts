import { filledIn, type Remedy, inSettings } from '../../remedy.ts';
import type { X509Certificate } from 'node:crypto';
import { timestamp } from '../../timestamp.ts';
import { NODE_ADDRESS_TYPES, type NodeAddressType } from '../../kubelet/node-addresses.ts';
import { type CertificateChain, isIssuedBy, oneLine } from '../../pki/certificate.ts';
import { namesHost } from '../../pki/server-names.ts';
import type { NodeFacts } from '../../ports.ts';
import type { Served } from '../../kubelet/served.ts';
import { type Finding, finding, good, unitWord } from '../finding.ts';

/** What an API server with `--kubelet-certificate-authority` would go by. */
export interface KubeletCaQuestion {
  readonly nodeName: string;
  readonly now: Date;
  /** Behind the serving link; undefined where there is none that the cluster has issued. */
  readonly chain: CertificateChain | undefined;
  /** The CAs that the API server would be given, and where they come from. */
  readonly cas: readonly X509Certificate[];
  readonly caSource: string;
  /** The cluster's own CA stands in, since nobody has said which one it will be. */
  readonly assumed: boolean;
  /** Undefined where the Node does not exist or could not be read. */
  readonly node: NodeFacts | undefined;
  /** What the kubelet shows on its port; undefined where nobody looked. */
  readonly served: Served | undefined;
  readonly kubeletUnit: string;
}

/** `--kubelet-preferred-address-types` as API servers have it by themselves, and as kubeadm sets it. */
const ORDERS: readonly (readonly [string, readonly NodeAddressType[]])[] = [
  ["an API server's own order", NODE_ADDRESS_TYPES],
  ['the order that kubeadm sets', ['InternalIP', 'ExternalIP', 'Hostname']],
];

/** Whether an API server that verifies the kubelet's certificate still reaches this node: chain, dates, usage, names, common name. */
export function kubeletCaFindings(question: KubeletCaQuestion): readonly Finding[] {
  const { chain } = question;
  if (chain === undefined) {
    const what =
      'there is no serving certificate that the cluster has issued; logs, exec and top of its pods end with "certificate signed by unknown authority"';
    return [finding('problem', 'kubelet-ca.unissued', what, { remedy: 'certlet renew serving --wait' })];
  }
  const certificate = [chainFinding(question, chain), ...leafFindings(question, chain)];
  const findings = [...certificate, ...nameFindings(question, chain), ...servedFindings(question)];
  const through = findings.every(({ verdict }) => verdict === 'ok' || verdict === 'note');
  const what = 'an API server that verifies kubelets still reaches this node';
  return through ? [...findings, good('kubelet-ca', what)] : findings;
}

function chainFinding({ cas, caSource, assumed, now }: KubeletCaQuestion, chain: CertificateChain): Finding {
  const signer = signerOf(chain.certificates, cas);
  const { leaf } = chain;
  const known = cas.map(({ subject, fingerprint256 }) => `${oneLine(subject)} (${fingerprint256})`);
  if (signer === undefined) {
    const what = `no CA of ${caSource} has signed the serving certificate, which ${leaf.issuer} issued: an API server that trusts these alone refuses it`;
    const remedy: Remedy = assumed
      ? filledIn(
          'certlet check --for kubelet-ca --kubelet-certificate-authority FILE',
          "the file that --kubelet-certificate-authority will name; the signer's CA belongs into it",
        )
      : `# Add the CA of ${leaf.issuer} to that file.`;
    return finding('problem', 'kubelet-ca.chain', what, { remedy, evidence: { issuer: leaf.issuer, cas: known } });
  }
  if (signer.validToDate < now) {
    const what = `the CA that has signed the serving certificate, ${oneLine(signer.subject)}, expired at ${timestamp(signer.validToDate)}`;
    return finding('problem', 'kubelet-ca.chain', what, { remedy: '# Renew the CA of the signer first.' });
  }
  const what = `${oneLine(signer.subject)} of ${caSource} has signed the serving certificate`;
  return assumed
    ? finding(
        'note',
        'kubelet-ca.chain',
        `${what}; name the CA that the API server will get with --kubelet-certificate-authority`,
      )
    : good('kubelet-ca.chain', what);
}

/** The CA that stands above the chain as it is served, with each certificate signed by the one after it on the way there. */
function signerOf(
  certificates: readonly X509Certificate[],
  cas: readonly X509Certificate[],
): X509Certificate | undefined {
  for (const [index, certificate] of certificates.entries()) {
    const found = cas.find((ca) => isIssuedBy(certificate, ca) || certificate.fingerprint256 === ca.fingerprint256);
    if (found !== undefined) return found;
    const next = certificates[index + 1];
    if (next === undefined || !isIssuedBy(certificate, next)) return undefined;
  }
  return undefined;
}

function leafFindings({ nodeName, now }: KubeletCaQuestion, { leaf }: CertificateChain): readonly Finding[] {
  const findings: Finding[] = [];
  const renew = 'certlet renew serving --wait';
  if (now > leaf.notAfter || now < leaf.notBefore) {
    const what = `the serving certificate is valid from ${timestamp(leaf.notBefore)} to ${timestamp(leaf.notAfter)}, and not now`;
    findings.push(finding('problem', 'kubelet-ca.dates', what, { remedy: renew }));
  }
  if (!leaf.extendedKeyUsages.includes('server auth')) {
    const what = 'the serving certificate has no usage "server auth"';
    findings.push(finding('problem', 'kubelet-ca.usage', what, { remedy: renew }));
  }
  const wanted = `system:node:${nodeName}`;
  findings.push(
    leaf.commonName === wanted
      ? good(
          'kubelet-ca.common-name',
          `its common name is ${wanted}, which API servers that validate it want (KEP-4872)`,
        )
      : finding(
          'warning',
          'kubelet-ca.common-name',
          `its common name is ${leaf.commonName || 'empty'}, not ${wanted}: API servers that validate it (KEP-4872, where enabled) refuse that`,
          { remedy: renew },
        ),
  );
  return findings;
}

/** An API server sees what the port shows, whatever lies behind the link. */
function servedFindings({ served, kubeletUnit }: KubeletCaQuestion): readonly Finding[] {
  const id = 'kubelet-ca.served';
  switch (served?.kind) {
    case undefined:
      return [];
    case 'current':
      return [good(id, 'the kubelet shows this certificate on its port')];
    case 'stale': {
      const what = `the kubelet shows another certificate, with serial ${served.serial}, to ${served.to}: that is what an API server verifies, not the current one`;
      const remedy: Remedy = `systemctl restart ${unitWord(kubeletUnit)}   # if that is not enough, its tlsCertFile is another file: certlet adopt`;
      return [finding('problem', id, what, { remedy, evidence: { served: served.serial } })];
    }
    case 'absent': {
      const what = 'nothing listens on the port of the kubelet now, so what it will show is not known';
      return [
        finding('skipped', id, what, { remedy: `systemctl start ${unitWord(kubeletUnit)}   # then the same again` }),
      ];
    }
    case 'unclear': {
      const what = `what the kubelet shows on its port is not known: ${served.error}`;
      const remedy = inSettings(
        'kubelet: { port: 10250 }',
        'where the kubelet listens elsewhere; then systemctl reload certlet',
      );
      return [finding('warning', id, what, { remedy })];
    }
  }
}

/** The first address of each type is what an API server dials, by the first type in its order that the Node has. */
function nameFindings({ node, nodeName }: KubeletCaQuestion, { leaf }: CertificateChain): readonly Finding[] {
  if (node === undefined) {
    const what = `the Node ${nodeName} could not be read, so nobody can tell by which addresses an API server dials it`;
    return [finding('skipped', 'kubelet-ca.names', what, { remedy: `kubectl get node ${nodeName} -o wide` })];
  }
  const firsts = NODE_ADDRESS_TYPES.flatMap((type) => {
    const found = node.addresses.find((each) => each.type === type && each.address !== '');
    return found === undefined ? [] : [{ type, address: found.address }];
  });
  if (firsts.length === 0) {
    const what = `the Node ${nodeName} has no address: no API server can dial its kubelet`;
    return [finding('problem', 'kubelet-ca.names', what, { remedy: `kubectl get node ${nodeName} -o wide` })];
  }
  const lacking = firsts.filter(({ address }) => !namesHost(leaf, address));
  const names = [...leaf.dnsNames, ...leaf.ipAddresses];
  if (lacking.length === 0) {
    const dialled = firsts.map(({ type, address }) => `${address} (${type})`).join(', ');
    return [
      good('kubelet-ca.names', `the serving certificate has whatever an API server may dial: ${dialled}`, { names }),
    ];
  }
  return lacking.map(({ type, address }) => lackingFinding({ type, address }, firsts, names));
}

type Dialled = { readonly type: NodeAddressType; readonly address: string };

function lackingFinding({ type, address }: Dialled, firsts: readonly Dialled[], names: readonly string[]): Finding {
  const first = ORDERS.filter(([, order]) => order.find((each) => firsts.some((one) => one.type === each)) === type);
  const when =
    first.length > 0
      ? `which is dialled first in ${first.map(([text]) => text).join(' and in ')}`
      : `which is dialled where --kubelet-preferred-address-types puts ${type} first`;
  const what = `the serving certificate lacks ${address}, the Node's first ${type}, ${when}`;
  return finding(first.length > 0 ? 'problem' : 'warning', 'kubelet-ca.names', what, {
    remedy: `certlet renew serving --wait   # where the settings leave ${type} out, see addressTypes and ignoreAddresses`,
    evidence: { type, address, names },
  });
}
