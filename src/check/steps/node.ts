import { RESTART_HOOK } from '../../adapters/hooks/hook-record.ts';
import { isCertletError } from '../../errors.ts';
import type { NodeFacts } from '../../ports.ts';
import { receivedAt } from '../../rotation/rules/schedule.ts';
import type { OwnUnits } from '../../adapters/own-units.ts';
import type { Settings } from '../../config.ts';
import type { CheckContext, DaemonState, Facts, Step, StepOutcome } from '../facts.ts';
import { type Finding, finding, good } from '../finding.ts';
import { daemonFindings, restartedUnitFindings } from '../rules/daemon.ts';
import { kubeletFindings } from '../rules/kubelet.ts';
import { certificateNameFindings } from '../rules/names.ts';
import { lastRuns } from './last-runs.ts';
import {
  DAEMON_UNIT,
  failedStart,
  ONCE_UNIT,
  tellsOfDaemon,
  tellsOfKubeletUnit,
  TIMER_UNIT,
  unitFindings,
} from '../rules/units.ts';
import { timerFindings } from '../rules/timer.ts';
import { withApi } from '../targets.ts';
import { fromError } from '../walk.ts';
import { serviceName } from '../../kubelet/restart-unit-file.ts';
import { NO_SETTINGS } from './host.ts';

/** Node name against the certificate that the kubeconfig names, and the Node object. */
export const nameStep: Step = {
  id: 'name',
  title: 'Node name',
  async run(context): Promise<StepOutcome | string> {
    const { settings, node, pairs, accepted = [] } = context.facts;
    if (settings === undefined) return NO_SETTINGS;
    const names = certificateNameFindings(
      settings.nodeName,
      node,
      pairs?.find(({ spec }) => spec.isIdentity)?.view.link,
    );
    const own = accepted.find(({ role }) => role === 'node');
    if (own === undefined)
      return { findings: [...names, ...(names.length === 0 ? [good('name', `node name ${settings.nodeName}`)] : [])] };
    const { findings, nodeObject } = await readNode(context, own, settings.nodeName);
    return { findings: [...names, ...findings], ...(nodeObject === undefined ? {} : { facts: { nodeObject } }) };
  },
};

async function readNode(
  context: CheckContext,
  own: Parameters<typeof withApi>[1],
  nodeName: string,
): Promise<{ readonly findings: readonly Finding[]; readonly nodeObject: NodeFacts | undefined }> {
  try {
    const nodeObject = await withApi(context, own, (api) => api.getNode(nodeName, context.signal));
    const found =
      nodeObject === undefined
        ? finding('note', 'name.no-node', `there is no Node named ${nodeName} in the cluster yet; its kubelet makes it`)
        : good('name', `the cluster has a Node named ${nodeName}`, {
            addresses: nodeObject.addresses.map(({ type, address }) => `${type}=${address}`),
            kubelet: nodeObject.kubeletVersion,
          });
    return { findings: [found], nodeObject };
  } catch (error) {
    if (!isCertletError(error, 'ERR_API_FORBIDDEN')) throw error;
    const what = `the client certificate may not read the Node ${nodeName}: ${error.message}`;
    return {
      findings: [finding('warning', 'name.node-forbidden', what, { remedy: error.remedy })],
      nodeObject: undefined,
    };
  }
}

/** The kubelet of this host: a second writer, other paths, another name. */
export const kubeletStep: Step = {
  id: 'kubelet',
  title: 'Kubelet of this host',
  async run(context): Promise<StepOutcome | string> {
    const { settings } = context.facts;
    if (settings === undefined) return NO_SETTINGS;
    const host = await context.ports.readKubelet(settings);
    const store = context.ports.openStore(settings);
    const foreign = await Promise.all(
      settings.specs.map(async (spec) => ({ spec, files: await store.foreign(spec.name) })),
    );
    return {
      findings: kubeletFindings({
        ...settings,
        host,
        unit: settings.kubelet.unit,
        serving: settings.rotateServerCertificates,
        restart: settings.kubelet.restart,
        foreign,
      }),
      facts: { kubelet: host },
    };
  },
};

async function ofDaemon(
  ports: CheckContext['ports'],
  settings: Settings,
  { state, units }: { readonly state: DaemonState; readonly units: OwnUnits },
): Promise<readonly Finding[]> {
  try {
    const document = await (state === 'running' ? ports.daemonStatus(settings) : ports.lastRun(settings));
    return daemonFindings({ state, units, document, now: ports.now() });
  } catch (error) {
    if (!isCertletError(error, 'ERR_CONTROL')) throw error;
    return [fromError('daemon.elsewhere', error)];
  }
}

/** Whether anybody renews. */
export const daemonStep: Step = {
  id: 'daemon',
  title: 'The certlet daemon',
  async run(context): Promise<StepOutcome | string> {
    const { settings, pairs } = context.facts;
    if (settings === undefined) return NO_SETTINGS;
    const units = await context.ports.ownUnits();
    const timer = timerFindings(units, pairs === undefined ? [] : wholePairs(pairs));
    const { ports } = context;
    const state = await ports.daemon(settings);
    const own = await ofDaemon(ports, settings, { state, units });
    const bySystemd = await unitsFound(context, settings, units);
    const restarted = await kubeletUnit(context, settings, { units, failed: own.some(isRestart) });
    const told = new Set(
      own.flatMap(({ evidence }) => (typeof evidence?.['hook'] === 'string' ? [evidence['hook']] : [])),
    );
    const runs = await lastRuns(context, settings, told);
    return {
      findings: [
        ...bySystemd,
        // Why it is stopped is said already, and so is a unit that cannot be restarted.
        ...[...own, ...runs]
          .filter(({ id }) => !tellsOfDaemon(bySystemd) || !['daemon.stopped', 'daemon.down'].includes(id))
          .filter((found) => !isRestart(found) || !tellsOfKubeletUnit([...bySystemd, ...restarted])),
        ...timer,
        ...restarted,
      ],
    };
  },
};

async function unitsFound(
  { ports, signal }: CheckContext,
  { kubelet: { unit, restart } }: Settings,
  units: OwnUnits,
): Promise<readonly Finding[]> {
  const kubelet = restart === 'never' ? undefined : ((await ports.reloads()).restarted ?? serviceName(unit));
  const names = [DAEMON_UNIT, TIMER_UNIT, ONCE_UNIT, ...(kubelet === undefined ? [] : [kubelet])];
  const states = await ports.unitStates(names, signal);
  const failed = failedStart(states, units);
  const errors = failed === undefined ? [] : await ports.lastErrors(failed, signal);
  return unitFindings({ states, units, kubelet, errors });
}

/** The restart of the kubelet is what failed. */
const isRestart = ({ evidence }: Finding): boolean => evidence?.['hook'] === RESTART_HOOK;

const isKubeletHere = ({ kubelet }: Facts): boolean =>
  kubelet?.facts !== undefined || kubelet?.distribution !== undefined;

/** Whoever names a unit, asks for restarts or gives them a window has a kubelet in mind. */
const isKubeletMeant = ({ restart, restartWindow, unit }: Settings['kubelet'], restarted: string): boolean =>
  restart === 'always' ||
  restartWindow !== undefined ||
  [restarted, serviceName(unit)].some((name) => name !== 'kubelet.service');

/** Judged where certlet has units itself: elsewhere nobody reads the flag that restarts. */
async function kubeletUnit(
  { ports, facts }: CheckContext,
  { kubelet }: Settings,
  { units: { sandbox }, failed }: { readonly units: OwnUnits; readonly failed: boolean },
): Promise<readonly Finding[]> {
  if (sandbox === undefined || kubelet.restart === 'never') return [];
  const root = await ports.reloads();
  const named = serviceName(kubelet.unit);
  const restarted = root.restarted ?? named;
  const there = new Set<string>();
  for (const unit of [restarted, named]) if (await root.hasUnit(unit)) there.add(unit);
  const wanted = failed || isKubeletHere(facts) || isKubeletMeant(kubelet, restarted);
  return restartedUnitFindings({ restarted, named, hasUnit: (unit) => there.has(unit), wanted });
}

const wholePairs = (pairs: NonNullable<Facts['pairs']>): Parameters<typeof timerFindings>[1] =>
  pairs.flatMap(({ spec: { name: purpose }, view: { reading }, history }) => {
    if (reading.kind !== 'whole') return [];
    const facts = reading.pair.chain.leaf;
    return [{ purpose, facts, receivedAt: receivedAt(facts, history) }];
  });
