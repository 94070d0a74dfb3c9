import { onControlPlane, type Remedy } from '../../remedy.ts';
import { X509Certificate } from 'node:crypto';
import { type CertletError, isCertletError } from '../../errors.ts';
import { hostPort } from '../../kubeconfig/url-host.ts';
import { oneLine, splitCertificates } from '../../pki/certificate.ts';
import type { ServerGlimpse } from '../../ports.ts';
import { joinAgain } from '../../rotation/ca/missing-ca.ts';
import { NAMED_SKEW_MS, skewText } from '../../rotation/rules/clock-judge.ts';
import { spanText, timestamp } from '../../timestamp.ts';
import type { Target } from '../facts.ts';
import { type Cause, type Evidence, type Finding, finding, good, unitWord } from '../finding.ts';
import { fromError } from '../walk.ts';

/** What a first request without a credential, and a look without verification, have shown of one server. */
export interface TlsSeen {
  readonly target: Target;
  /** What the verified request came to; undefined when an API server answered, whatever it answered. */
  readonly error: CertletError | undefined;
  readonly glimpse: ServerGlimpse | undefined;
  /** This host's clock when it was seen. */
  readonly at: Date;
  readonly weight: 'problem' | 'warning';
}

/** An API server's certificate is renewed long before; later than this somebody has forgotten it. */
const SOON_MS = 7 * 86_400_000;

/** Whether what was seen lets requests through: TLS holds, and no stranger answers. */
export const isThrough = (error: CertletError | undefined): boolean =>
  error === undefined || isCertletError(error, 'ERR_API_SERVER', 'ERR_API_UNAUTHORIZED', 'ERR_API_THROTTLED');

/** Of the settings, for the commands that a person is told. */
export interface TlsHost {
  readonly kubeletUnit: string;
  /** Root writes the node's kubeconfig. */
  readonly byRoot: boolean;
}

/** What TLS with each server came to. Two ways to one server that differ in trust explain each other. */
export function tlsFindings(seen: readonly TlsSeen[], host: TlsHost): readonly Finding[] {
  return seen.flatMap((one) => {
    const { error } = one;
    if (error === undefined) return certificateFindings(one);
    switch (error.code) {
      case 'ERR_API_TLS':
        return [untrustedFinding(one, error, { all: seen, host })];
      case 'ERR_API_TLS_NO_NAMES':
        return [fromError('tls.no-names', error, one.weight)];
      case 'ERR_API_TLS_DATES':
        return [datesFinding(one, error)];
      case 'ERR_API_UNAUTHORIZED':
        return [good('tls', `TLS with ${one.target.cluster.server}: the server demands a client certificate`)];
      case 'ERR_API_PROTOCOL':
        return [strangerFinding(one, error)];
      case 'ERR_API_SERVER':
        return [fromError('tls.server-fails', error, one.weight)];
      default:
        return [fromError('tls.unreachable', error, one.weight)];
    }
  });
}

function certificateFindings({ target, glimpse, at: now }: TlsSeen): readonly Finding[] {
  const { server } = target.cluster;
  const certificate = glimpse?.certificate;
  const evidence = { server, ...shown(glimpse) };
  if (certificate !== undefined && certificate.notAfter.getTime() - now.getTime() < SOON_MS) {
    const what = `the certificate of ${server} expires in ${spanText(certificate.notAfter.getTime() - now.getTime())}`;
    return [
      finding('warning', 'tls.expires-soon', what, {
        remedy: onControlPlane('kubeadm certs renew apiserver', 'and on each other'),
        evidence,
      }),
    ];
  }
  return [good('tls', `TLS with ${server}: its certificate is trusted and names it`, evidence)];
}

function shown(glimpse: ServerGlimpse | undefined): Readonly<Record<string, string>> {
  const certificate = glimpse?.certificate;
  if (certificate === undefined) return {};
  const { subject, issuer, names, notBefore, notAfter, serial, fingerprint, issuerFingerprint, issuerKeyId } =
    certificate;
  return {
    subject,
    issuer,
    names,
    notBefore: timestamp(notBefore),
    notAfter: timestamp(notAfter),
    ...(serial === undefined ? {} : { serial }),
    ...(fingerprint === undefined ? {} : { fingerprint }),
    ...(issuerFingerprint === undefined ? {} : { issuerFingerprint }),
    ...(issuerKeyId === undefined ? {} : { issuerKeyId }),
  };
}

function untrustedFinding(
  one: TlsSeen,
  error: CertletError,
  { all, host }: { readonly all: readonly TlsSeen[]; readonly host: TlsHost },
): Finding {
  const { target, glimpse, weight } = one;
  const evidence = {
    server: target.cluster.server,
    source: target.source,
    trusted: trustedSubjects(target),
    ...shown(glimpse),
  };
  if (error.reason === 'other name') {
    return finding(weight, 'tls.name', error.message, { remedy: error.remedy, evidence });
  }
  if (error.reason !== 'not signed') return fromError('tls.failed', error, weight);
  const other = all.find(
    (each) => each !== one && isThrough(each.error) && each.target.cluster.server === target.cluster.server,
  );
  if (other !== undefined && target.role === 'node') {
    const { server } = target.cluster;
    return finding(
      weight,
      'tls.stale-kubeconfig',
      `${target.source} is from before the cluster's CA changed, or from another cluster: ${server} is trusted by the CA in ${other.target.source}, not by the CA in it`,
      { causes: staleCauses(other.target, host), evidence },
    );
  }
  return finding(weight, 'tls.wrong-ca', error.message, { evidence, causes: caCauses(one, host) });
}

/** What forgets identity and key: for a node that changes clusters, and for nothing else. */
const leave = ({ kubeletUnit }: TlsHost): Remedy => {
  const unit = unitWord(kubeletUnit);
  return `systemctl stop ${unit} certlet && certlet reset && systemctl start certlet ${unit}   # a new identity and key, with a bootstrap kubeconfig of this cluster`;
};

function staleCauses(other: Target, host: TlsHost): readonly Cause[] {
  const takeOver: Remedy = host.byRoot
    ? `certlet join --write-kubeconfig && systemctl restart ${unitWord(host.kubeletUnit)}`
    : 'systemctl restart certlet';
  return [
    {
      what: `the cluster's CA has changed; once the cluster accepts the node's certificate, the CA in ${other.source} is taken over, and identity and key stay`,
      sure: 'likely',
      remedy: takeOver,
    },
    { what: 'this node was of another cluster', sure: 'possible', remedy: leave(host) },
  ];
}

function caCauses({ target, glimpse }: TlsSeen, host: TlsHost): readonly Cause[] {
  const { role, source, cluster } = target;
  const by = identities(target, glimpse);
  const join = joinAgain(cluster, host.byRoot);
  const between: Cause = {
    what: 'a proxy or load balancer between shows a certificate of its own',
    sure: 'possible',
    remedy: `openssl s_client -connect ${hostPort(new URL(cluster.server))} -showcerts </dev/null`,
  };
  if (role === 'bootstrap') {
    const what = `${source} is from another cluster, or the cluster's CA has changed${by}`;
    return [{ what, sure: 'likely', remedy: join }, between];
  }
  return [
    { what: `the cluster's CA has changed since ${source} was written${by}`, sure: 'likely', remedy: join },
    { what: `${source} is from another cluster`, sure: 'possible', remedy: leave(host) },
    between,
  ];
}

/** Every cluster's CA is called `CN=kubernetes`: serial and fingerprint tell them apart. */
function identities(target: Target, glimpse: ServerGlimpse | undefined): string {
  const { issuer, serial, fingerprint, issuerFingerprint, issuerKeyId } = glimpse?.certificate ?? {};
  if (issuer === undefined) return '';
  const marks = [
    ...(issuerKeyId === undefined ? [] : [`key id ${issuerKeyId}`]),
    ...(issuerFingerprint === undefined ? [] : [`sha256 ${short(issuerFingerprint)}`]),
  ];
  const sent = marks.length === 0 ? '' : ` with ${marks.join(', ')}`;
  const shown =
    serial === undefined || fingerprint === undefined ? '' : ` (serial ${serial}, sha256 ${short(fingerprint)})`;
  return `: it trusts ${trustedSubjects(target).join(', ')}; the server's certificate${shown} is from ${issuer}${sent}`;
}

/** Enough to compare with what `openssl x509 -noout -fingerprint -sha256` prints. */
const short = (fingerprint: string): string => `${fingerprint.slice(0, 23)}…`;

/** Subjects of the CAs that a kubeconfig gives, to hold against the issuer that was seen. */
function trustedSubjects(target: Target): readonly string[] {
  const { caPem } = target.cluster;
  if (caPem === undefined) return ["the host's own roots"];
  try {
    return splitCertificates(caPem).map((pem) => {
      const { subject, serialNumber, fingerprint256 } = new X509Certificate(pem);
      return `${oneLine(subject)} (serial ${serialNumber}, sha256 ${short(fingerprint256)})`;
    });
  } catch (error) {
    if (isCertletError(error)) return [];
    throw error;
  }
}

/** Whose dates are off: the server's certificate by the server's own clock, or this host's clock. */
function datesFinding(seen: TlsSeen, error: CertletError): Finding {
  const { target, glimpse, weight, at } = seen;
  const serverDate = glimpse?.serverDate;
  const skewMs = serverDate === undefined ? 0 : at.getTime() - serverDate.getTime();
  const evidence = {
    server: target.cluster.server,
    now: timestamp(at),
    serverDate: serverDate && timestamp(serverDate),
    ...shown(glimpse),
  };
  if (Math.abs(skewMs) >= NAMED_SKEW_MS) {
    const what = `TLS fails on dates: this host's clock is ${skewText(skewMs)} the server's, by which its certificate is ${validAt(glimpse)}`;
    const remedy: Remedy = 'timedatectl set-ntp true   # compare with: date -u';
    return finding(weight, 'tls.clock', what, { sure: 'likely', remedy, evidence });
  }
  const certificate = glimpse?.certificate;
  // Within its dates: then it is an intermediate, or the CA, that is outside of its own.
  const within = certificate !== undefined && at >= certificate.notBefore && at <= certificate.notAfter;
  if (certificate === undefined || within) return fromError('tls.dates', error, weight);
  return serverDatesFinding(seen, certificate, evidence);
}

function serverDatesFinding(
  { target, weight, at, glimpse }: TlsSeen,
  certificate: NonNullable<ServerGlimpse['certificate']>,
  evidence: Evidence,
): Finding {
  const known = glimpse?.serverDate !== undefined;
  const agreed = known ? '; the clocks agree' : '';
  const details = { sure: known ? 'certain' : 'likely', evidence } as const;
  const { notBefore, notAfter } = certificate;
  const { server } = target.cluster;
  if (at > notAfter) {
    const age = spanText(at.getTime() - notAfter.getTime());
    const what = `the certificate of ${server} expired ${age} ago (${timestamp(notAfter)})${agreed}`;
    const remedy: Remedy = onControlPlane('kubeadm certs renew apiserver', 'then restart kube-apiserver');
    return finding(weight, 'tls.server-expired', what, { ...details, remedy });
  }
  const what = `the certificate of ${server} is not valid before ${timestamp(notBefore)}, in ${spanText(notBefore.getTime() - at.getTime())}${agreed}`;
  return finding(weight, 'tls.server-early', what, { ...details, remedy: 'date -u   # on the control plane and here' });
}

function validAt({ certificate, serverDate: at }: ServerGlimpse = {}): string {
  if (certificate === undefined || at === undefined) return 'unknown';
  return at >= certificate.notBefore && at <= certificate.notAfter ? 'valid' : 'outside its dates as well';
}

function strangerFinding({ target, weight, glimpse }: TlsSeen, error: CertletError): Finding {
  const what = `${target.cluster.server} does not answer as an API server does: ${error.message}`;
  return finding(weight, 'tls.stranger', what, {
    sure: 'certain',
    remedy: `curl -k ${target.cluster.server}/version   # a proxy, load balancer or login page answers; NO_PROXY excepts a host`,
    evidence: { server: target.cluster.server, ...shown(glimpse) },
  });
}

/** Signers set NotBefore five minutes back: with a larger skew fresh certificates are not valid yet where they are used. */
const HARMFUL_SKEW_MS = 5 * 60_000;

/** This host's clock against the server's. */
export function clockFindings(skewMs: number | undefined): readonly Finding[] {
  if (skewMs === undefined) return [];
  const evidence = { skewSeconds: Math.round(skewMs / 1000) };
  if (Math.abs(skewMs) < NAMED_SKEW_MS)
    return [good('clock', "this host's clock agrees with the API server's", evidence)];
  const what = `this host's clock is ${skewText(skewMs)} the API server's`;
  return [
    finding(Math.abs(skewMs) < HARMFUL_SKEW_MS ? 'warning' : 'problem', 'clock.skew', what, {
      remedy:
        'timedatectl set-ntp true   # or chronyc makestep; the server may be the one that is wrong: date -u there',
      evidence,
    }),
  ];
}
