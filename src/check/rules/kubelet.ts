import { takeOver } from './pairs.ts';
import { type Remedy, inSettings } from '../../remedy.ts';
import { join, resolve } from 'node:path';
import type { HostKubelet } from '../../adapters/host-kubelet.ts';
import { type CertificateSpec, rotatedByKubelet } from '../../csr/spec.ts';
import type { KubeletFacts } from '../../kubelet/facts.ts';
import { kubeletPlan, type RestartSetting } from '../../kubelet/restart.ts';
import { type Finding, finding, good, unitWord } from '../finding.ts';

/** The part of certlet's settings that a kubelet has to fit. */
export interface KubeletQuestion {
  readonly host: HostKubelet;
  readonly nodeName: string;
  readonly certDir: string;
  readonly kubeconfig: string;
  /** Of the settings. */
  readonly unit: string;
  readonly serving: boolean;
  readonly restart: RestartSetting;
  /** Every certificate that is managed. */
  readonly specs: readonly CertificateSpec[];
  /** Files under our prefixes that certlet did not write. */
  readonly foreign: readonly { readonly spec: CertificateSpec; readonly files: readonly string[] }[];
}

const SHOWN_FIRST = '   # without --write it shows what would change';
const adopt = (unit: string): Remedy =>
  `certlet adopt --write && systemctl daemon-reload && systemctl restart ${unitWord(unit)}${SHOWN_FIRST}`;

/** How the kubelet of this host and certlet fit together. */
export function kubeletFindings(question: KubeletQuestion): readonly Finding[] {
  const { host } = question;
  const { facts, distribution } = host;
  const warnings = host.warnings.map(({ kind, text }) =>
    kind === 'unreadable'
      ? finding('skipped', 'kubelet.unreadable', text, { denied: true, remedy: 'sudo certlet check' })
      : finding('warning', 'kubelet.warning', text),
  );
  if (facts === undefined) {
    const what =
      distribution === undefined
        ? 'no kubelet was found on this host'
        : `the kubelet of ${distribution.name} cannot be seen from outside`;
    return [...foreignFindings(question, 'unseen'), finding('note', 'kubelet.none', what), ...warnings];
  }
  const found = [
    ...nameFindings(question, facts),
    ...writerFindings(question, facts),
    ...foreignFindings(question, 'seen'),
    ...pathFindings(question, facts),
    ...warnings,
  ];
  return [
    ...(found.length === 0
      ? [good('kubelet', 'the kubelet uses what certlet writes and rotates nothing itself')]
      : found),
    ...restartFindings(question),
  ];
}

/** The kubelet's own rule: override or host name, trimmed and in lower case (pkg/util/node GetHostname). */
function nameFindings({ host, nodeName }: KubeletQuestion, facts: KubeletFacts): readonly Finding[] {
  const name = (facts.hostnameOverride ?? host.hostname).trim().toLowerCase();
  // An in-tree cloud provider names the node itself.
  if (name === '' || name === nodeName || (facts.cloudProvider !== undefined && facts.cloudProvider !== 'external'))
    return [];
  const source = facts.hostnameOverride === undefined ? "this host's name" : '--hostname-override';
  return [
    finding(
      'problem',
      'name.kubelet',
      `the kubelet calls this node ${name} (${source}), certlet calls it ${nodeName}: its certificates do not fit`,
      {
        remedy: inSettings(
          `hostnameOverride: ${name}`,
          'then systemctl reload certlet; or give both the same --hostname-override',
        ),
        evidence: { kubelet: name, certlet: nodeName },
      },
    ),
  ];
}

function writerFindings({ certDir, serving, unit }: KubeletQuestion, facts: KubeletFacts): readonly Finding[] {
  const same = resolve(facts.certDir) === resolve(certDir);
  const { rotatesClient, rotatesServing } = facts;
  const rotated = rotatedByKubelet({ rotatesClient, rotatesServing: rotatesServing && serving });
  if (rotated.length === 0) return [];
  const which = rotated.join(' and ');
  return same
    ? [
        finding(
          'problem',
          'kubelet.rotates',
          `the kubelet rotates its ${which} certificate in the same folder, ${certDir}: two programs write there`,
          { remedy: adopt(unit) },
        ),
      ]
    : [
        finding(
          'warning',
          'kubelet.rotates-elsewhere',
          `the kubelet rotates its own ${which} certificate in ${facts.certDir} and does not use certlet's`,
          { remedy: adopt(unit) },
        ),
      ];
}

/** Without a kubelet in sight there is nothing to adopt: something else writes there. */
function foreignFindings({ foreign, unit }: KubeletQuestion, kubelet: 'seen' | 'unseen'): readonly Finding[] {
  return foreign.flatMap(({ spec, files }) => {
    const { name: purpose } = spec;
    if (files.length === 0) return [];
    return [
      finding(
        'problem',
        `kubelet.foreign-${purpose}`,
        `another program writes ${purpose} pairs in ${spec.files.folder}: ${files.join(', ')}; certlet leaves the ${purpose} certificate alone`,
        {
          remedy:
            spec.files.kubelet === undefined || kubelet === 'unseen'
              ? takeOver(purpose)
              : `certlet adopt --write && systemctl daemon-reload && systemctl restart ${unitWord(unit)} && certlet renew ${purpose}${SHOWN_FIRST}`,
          evidence: { files },
        },
      ),
    ];
  });
}

function pathFindings(
  { kubeconfig, certDir, serving, host, unit }: KubeletQuestion,
  facts: KubeletFacts,
): readonly Finding[] {
  const link = join(certDir, 'kubelet-server-current.pem');
  const findings: Finding[] = [];
  if (facts.kubeconfig !== undefined && resolve(facts.kubeconfig) !== resolve(kubeconfig)) {
    findings.push(
      finding('warning', 'kubelet.kubeconfig', `the kubelet reads ${facts.kubeconfig}, certlet writes ${kubeconfig}`, {
        remedy: inSettings(`kubeconfig: ${facts.kubeconfig}`, 'then systemctl restart certlet'),
      }),
    );
  }
  if (serving && !facts.rotatesServing && facts.tlsCertFile !== link) {
    const told = facts.tlsCertFile === undefined ? 'makes a self-signed one of its own' : `uses ${facts.tlsCertFile}`;
    findings.push(
      finding(
        'warning',
        'kubelet.serving-file',
        `the kubelet does not use the serving certificate ${link}: it ${told}`,
        { remedy: adopt(unit) },
      ),
    );
  }
  if (host.kubeconfigEmbedsCertificate) {
    findings.push(
      finding(
        'warning',
        'kubelet.embedded',
        `${facts.kubeconfig ?? kubeconfig} has the client certificate inside: the kubelet never reads it again while it runs`,
        { remedy: `systemctl restart ${unitWord(unit)}   # once, after certlet has rewritten the file` },
      ),
    );
  }
  return findings;
}

/** What it serves is looked at by a step of its own; here its version decides. */
function restartFindings({ host, restart, specs }: KubeletQuestion): readonly Finding[] {
  const needed = specs
    .map(({ name: purpose, after }) => ({ purpose, after, kubeletVersion: host.version }))
    .filter((change) => kubeletPlan(change, 'auto').kind === 'restart')
    .map(({ purpose }) => purpose);
  if (needed.length === 0 || restart !== 'never' || host.version === undefined) return [];
  return [
    finding(
      'warning',
      'kubelet.restart-off',
      `kubelet ${host.version} must be restarted for a new ${needed.join(' and ')} certificate, and the settings forbid it`,
      { remedy: inSettings('kubelet: { restart: auto }') },
    ),
  ];
}
