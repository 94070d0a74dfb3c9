import type { Settings } from '../../config.ts';
import { type Endpoint, judgeLooks, kubeletEndpoint, type Served } from '../../kubelet/served.ts';
import type { CheckContext, Facts, Step, StepOutcome, ViewedPair } from '../facts.ts';
import type { Finding } from '../finding.ts';
import { servedFindings, type ServedQuestion } from '../rules/served.ts';
import { NO_SETTINGS } from './host.ts';

/** What clients see, by handshakes that leave no line in the kubelet's log. */
export const servedStep: Step = {
  id: 'served',
  title: 'Certificates as they are served',
  async run(context): Promise<StepOutcome | string> {
    const { settings, pairs = [] } = context.facts;
    if (settings === undefined) return NO_SETTINGS;
    const findings: Finding[] = [];
    let servedByKubelet: Served | undefined;
    for (const pair of pairs) {
      const seen = await lookAt(context, settings, pair);
      if (seen === undefined) continue;
      findings.push(...servedFindings(seen));
      if (pair.spec.after.served === 'kubelet') servedByKubelet = seen.served;
    }
    return { findings, facts: { servedByKubelet } };
  },
};

/** Undefined for a pair that nobody is known to serve, or that is not the cluster's. */
async function lookAt(
  { ports, facts, signal }: CheckContext,
  settings: Settings,
  { spec, view }: ViewedPair,
): Promise<ServedQuestion | undefined> {
  const { served: by, reload } = spec.after;
  if (by === undefined || view.reading.kind !== 'whole') return undefined;
  const { leaf } = view.reading.pair.chain;
  if (leaf.selfSigned) return undefined;
  const kubelet = by === 'kubelet';
  const endpoint = kubelet ? kubeletOf(settings, facts) : { addresses: [by.host], port: by.port };
  const names = leaf.dnsNames.filter((name) => !name.includes('*'));
  return {
    purpose: spec.name,
    served: judgeLooks(await ports.lookServed(endpoint, names, signal), leaf),
    endpoint,
    link: view.link,
    serial: leaf.serial,
    kubeletUnit: kubelet ? settings.kubelet.unit : undefined,
    reload,
  };
}

/** The settings, as the daemon goes by them; then the flags of the kubelet itself, which the daemon does not see; then its Node. */
function kubeletOf({ kubelet, nodeIPs }: Settings, { nodeObject, kubelet: host }: Facts): Endpoint {
  const set = { address: kubelet.address ?? host?.facts?.address, port: kubelet.port ?? host?.facts?.port };
  const internal = nodeObject?.addresses.filter(({ type }) => type === 'InternalIP') ?? [];
  const addresses = internal.map(({ address }) => address);
  return kubeletEndpoint(set, { port: nodeObject?.kubeletPort, addresses }, nodeIPs);
}
