import { isCertletError } from '../../errors.ts';
import type { CheckContext, Step, StepOutcome, Target } from '../facts.ts';
import type { Finding } from '../finding.ts';
import { serverFinding } from '../rules/servers.ts';
import { withApi } from '../targets.ts';
import { NO_SETTINGS } from './host.ts';

const QUESTION = { verb: 'create', group: 'certificates.k8s.io', resource: 'certificatesigningrequests' } as const;

/** Each further API server of the settings, as certlet would ask it. Takes no time where there is none. */
export const serversStep: Step = {
  id: 'servers',
  title: 'Further API servers',
  async run(context): Promise<StepOutcome | string> {
    const { settings, targets = [], accepted = [] } = context.facts;
    if (settings === undefined) return NO_SETTINGS;
    if (settings.servers.length === 0) return { findings: [] };
    const target = accepted.find(({ inUse }) => inUse) ?? targets.find(({ inUse }) => inUse);
    if (target === undefined) return 'there is no credential to ask them with';
    const others = settings.servers.filter((server) => server !== target.cluster.server);
    return { findings: await Promise.all(others.map((server) => lookAt(context, target, server))) };
  },
};

async function lookAt(context: CheckContext, target: Target, server: string): Promise<Finding> {
  try {
    const there = { ...target, cluster: { ...target.cluster, server } };
    await withApi(context, there, (api) => api.mayI(QUESTION, context.signal));
    return serverFinding(server, undefined);
  } catch (error) {
    if (!isCertletError(error)) throw error;
    return serverFinding(server, error);
  }
}
