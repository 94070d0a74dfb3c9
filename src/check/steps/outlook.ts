import { filledIn } from '../../remedy.ts';
import { X509Certificate } from 'node:crypto';
import { isCertletError, unlessDefect } from '../../errors.ts';
import { errnoOf } from '../../adapters/file-errors.ts';
import { readTrustedCas } from '../../kubeconfig/trusted-ca.ts';
import { splitCertificates } from '../../pki/certificate.ts';
import type { KubeconfigReading } from '../../ports.ts';
import type { Outlook } from '../../outlooks.ts';
import type { CheckContext, CheckPorts, Facts, Step, StepOutcome } from '../facts.ts';
import { kubeletVersionOf } from '../kubelet-version.ts';
import { finding } from '../finding.ts';
import { caRotationFindings, type TrustedBy } from '../rules/for-ca-rotation.ts';
import { kubeletCaFindings } from '../rules/for-kubelet-ca.ts';
import { shortLivedFindings } from '../rules/for-short-lived.ts';
import { followingOf } from './cluster-ca.ts';
import { NO_SETTINGS } from './host.ts';

/** Well above any bundle of CAs. */
const MAX_CA_BYTES = 1024 * 1024;

/** The step that answers whether this node survives the change; it comes last, with all that was found before. */
export function outlookStep(outlook: Outlook, caFile: string | undefined): Step {
  switch (outlook) {
    case 'kubelet-ca':
      return {
        id: outlook,
        title: 'Before an API server verifies kubelets (--kubelet-certificate-authority)',
        run: (context) => kubeletCa(context, caFile),
      };
    case 'short-lived':
      return { id: outlook, title: 'Before certificates of an hour', run: shortLived };
    case 'ca-rotation':
      return { id: outlook, title: "Before the cluster's CA changes", run: caRotation };
  }
}

async function kubeletCa({ ports, facts }: CheckContext, caFile: string | undefined): Promise<StepOutcome | string> {
  const { settings, pairs = [], nodeObject: node, servedByKubelet: served } = facts;
  if (settings === undefined) return NO_SETTINGS;
  const serving = pairs.find(({ spec }) => spec.files.kubelet?.rotatedBy === 'serverTLSBootstrap');
  if (serving === undefined) {
    return 'the settings leave the serving certificate to the kubelet, whose files are not known here';
  }
  const { reading } = serving.view;
  if (reading.kind === 'unreadable') return `${serving.view.link} cannot be read by this user`;
  const chain = reading.kind === 'whole' && !reading.pair.chain.leaf.selfSigned ? reading.pair.chain : undefined;
  const named = caFile === undefined ? verifierOf(facts.node) : await readCas(ports, caFile);
  if (typeof named === 'string') {
    return {
      findings: [
        finding('problem', 'kubelet-ca.ca-file', named, {
          remedy: filledIn(
            'certlet check --for kubelet-ca --kubelet-certificate-authority FILE',
            'FILE: the CAs, as PEM',
          ),
        }),
      ],
    };
  }
  if (named === undefined || named.cas.length === 0) {
    return "no kubeconfig names the cluster's CA, and --kubelet-certificate-authority was not given";
  }
  const { cas } = named;
  const caSource = named.caPath ?? named.path;
  const { nodeName } = settings;
  const now = ports.now();
  const assumed = caFile === undefined;
  const kubeletUnit = settings.kubelet.unit;
  const question = { nodeName, now, chain, cas, caSource, assumed, node, served, kubeletUnit };
  return { findings: kubeletCaFindings(question) };
}

async function shortLived({ ports, facts }: CheckContext): Promise<StepOutcome | string> {
  const { settings, automatic, skewMs, bootstrap } = facts;
  if (settings === undefined) return NO_SETTINGS;
  const units = await ports.ownUnits();
  const kubeletVersion = kubeletVersionOf(settings, facts);
  const bootstraps = bootstrap?.kind === 'usable' && bootstrap.config.credential.kind !== 'none';
  return { findings: shortLivedFindings({ settings, automatic, units, kubeletVersion, skewMs, bootstraps }) };
}

async function caRotation({ ports, facts }: CheckContext): Promise<StepOutcome | string> {
  const { settings, node, bootstrap, clientCa, publishedCas } = facts;
  if (settings === undefined) return NO_SETTINGS;
  const usable = node?.kind === 'usable' ? node.config.cluster : undefined;
  const found = caRotationFindings({
    now: ports.now(),
    node: trustedOf(node),
    bootstrap: trustedOf(bootstrap),
    kubeletVersion: kubeletVersionOf(settings, facts),
    kubeletUnit: settings.kubelet.unit,
    kubeletRestart: settings.kubelet.restart,
    clientCa: typeof clientCa === 'string' ? undefined : clientCa,
    following: followingOf(settings, usable ?? {}),
    published: publishedCas ?? { kind: 'unasked' },
  });
  if (typeof clientCa !== 'string') return { findings: found };
  const remedy = 'sudo certlet check --for ca-rotation';
  return { findings: [...found, finding('skipped', 'ca-rotation.client-ca', clientCa, { remedy })] };
}

/** What a kubeconfig that can be used trusts, each CA once; undefined for any other. */
function trustedOf(reading: Facts['node']): TrustedBy | undefined {
  if (reading?.kind !== 'usable') return undefined;
  const { caPem, caPath } = reading.config.cluster;
  return { path: reading.path, cas: readTrustedCas(caPem), caPath };
}

/** CAs that are to verify a chain, and where they are from. */
interface Verifier {
  readonly path: string;
  readonly caPath: string | undefined;
  readonly cas: readonly X509Certificate[];
}

/** Those of a kubeconfig that can be used; undefined for any other. */
function verifierOf(reading: Facts['node']): Verifier | undefined {
  if (reading?.kind !== 'usable') return undefined;
  const { caPem, caPath } = (reading satisfies KubeconfigReading).config.cluster;
  return { path: reading.path, cas: caPem === undefined ? [] : certificatesOf(caPem), caPath };
}

/** The CAs of a file; a text says why there are none. */
async function readCas({ fs }: CheckPorts, path: string): Promise<Verifier | string> {
  try {
    const text = Buffer.from(await fs.read(path, MAX_CA_BYTES)).toString('utf8');
    return { path, cas: certificatesOf(text), caPath: path };
  } catch (error) {
    if (isCertletError(error)) return `${path} holds no CA certificate that can be used: ${error.message}`;
    unlessDefect(undefined)(error);
    return `${path} cannot be read: ${errnoOf(error) ?? 'it is no plain file'}`;
  }
}

/** Throws `ERR_CERTIFICATE_INVALID` where there is none. What cannot be parsed beside others is left out, as Go does. */
function certificatesOf(pem: string): readonly X509Certificate[] {
  return splitCertificates(pem).flatMap((block) => {
    try {
      return [new X509Certificate(block)];
    } catch (error) {
      return unlessDefect<readonly X509Certificate[]>([])(error);
    }
  });
}
