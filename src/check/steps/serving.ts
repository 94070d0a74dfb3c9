import { missingNames, templateOf } from '../../csr/template.ts';
import type { CertificateFacts } from '../../pki/certificate.ts';
import { gainedNames, heldBack, withoutNames } from '../../rotation/rules/gains.ts';
import { nameLimit } from '../../rotation/rules/name-limits.ts';
import {
  allIgnored,
  givenNames,
  ignoredFirstAddress,
  type NameSources,
  servingNamesOf,
} from '../../rotation/rules/names.ts';
import type { CheckContext, Step, StepOutcome, ViewedPair } from '../facts.ts';
import type { Finding } from '../finding.ts';
import { heldBackFinding, namesFindings, servingFindings } from '../rules/serving.ts';
import { NO_SETTINGS } from './host.ts';

/** The names that the node has against the settings, and the serving certificate against both. */
export const servingStep: Step = {
  id: 'serving',
  title: 'Serving certificate',
  async run(context): Promise<StepOutcome | string> {
    const { settings, pairs } = context.facts;
    if (settings === undefined) return NO_SETTINGS;
    const named = (pairs ?? []).filter(({ spec }) => spec.names.ofNode);
    if (named.length === 0) return { findings: [] };
    const sources = await nameSources(context, settings);
    const rules = namesFindings({
      limit: firstLimit(named, sources, settings.maxNames),
      ignoredFirst: ignoredFirstAddress(sources),
      cloud: { kubelet: context.facts.kubelet?.facts?.cloudProvider, settings: settings.kubelet.cloudProvider },
    });
    const judged = judgedPairs(context, named, sources);
    if (typeof judged !== 'string') return { findings: [...rules, ...judged] };
    return rules.length === 0 ? judged : { findings: rules };
  },
};

/** Names and addresses by what can be seen from here: the settings, the Node, and the route to the API server. */
export async function nameSources(
  { facts, ports }: CheckContext,
  settings: NonNullable<CheckContext['facts']['settings']>,
): Promise<NameSources> {
  const server = facts.targets?.[0]?.cluster.server;
  const routeAddress = server === undefined ? undefined : await ports.route.localAddress(server);
  return { ...settings, node: facts.nodeObject, routeAddress };
}

function firstLimit(
  named: readonly ViewedPair[],
  sources: NameSources,
  maxNames: number | undefined,
): ReturnType<typeof nameLimit> {
  const limits = named.map(({ spec }) => {
    const template = templateOf(spec, { nodeName: sources.nodeName, nodeNames: servingNamesOf(sources) });
    return nameLimit(template, { maxNames, allIgnored: allIgnored(sources) });
  });
  return limits.find((limit) => limit !== undefined);
}

/** A text says why there is nothing to judge. */
function judgedPairs(
  { facts, ports }: CheckContext,
  named: readonly ViewedPair[],
  sources: NameSources,
): readonly Finding[] | string {
  const whole = named.flatMap((pair) =>
    pair.view.reading.kind === 'whole' ? [{ pair, leaf: pair.view.reading.pair.chain.leaf }] : [],
  );
  if (whole.length === 0) return 'there is no serving certificate to look at';
  const issued = whole.filter(({ leaf }) => !leaf.selfSigned);
  if (issued.length === 0) return 'a self-signed one stands in, and the first request asks for all names';
  const nodeKnown = facts.nodeObject !== undefined;
  return issued.flatMap(({ pair, leaf }) => pairFindings(pair, leaf, { sources, nodeKnown, now: ports.now() }));
}

function pairFindings(
  { spec, history }: ViewedPair,
  leaf: CertificateFacts,
  at: { readonly sources: NameSources; readonly nodeKnown: boolean; readonly now: Date },
): readonly Finding[] {
  const { sources, nodeKnown } = at;
  const wanted = templateOf(spec, { nodeName: sources.nodeName, nodeNames: servingNamesOf(sources) });
  const held = heldBack(history.gains, gainedNames(leaf, wanted, givenNames(sources)), at.now);
  const missing = missingNames(leaf, withoutNames(wanted, held?.names ?? []));
  const found = servingFindings({ spec, leaf, missing, nodeKnown });
  return held === undefined ? found : [...found, heldBackFinding(spec, held)];
}
