import { CertletError, isCertletError } from '../../errors.ts';
import type { KubeletPlan } from '../../kubelet/restart.ts';
import type { PairInUse } from '../../kubelet/restart-window.ts';
import type { Served } from '../../kubelet/served.ts';
import type { Clock, Logger, RestartFlag } from '../../ports.ts';
import { byHand, explained, shellWord } from '../../remedy.ts';
import { SaidOnce } from '../../said-once.ts';
import type { Hook, HookEvent } from './hook.ts';
import { type HookRecord, RESTART_HOOK } from './hook-record.ts';
import type { Proof } from './proof.ts';
import type { RestartHold } from './restart-hold.ts';

/** What the restart of the kubelet goes by. */
export interface KubeletRestartParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly flag: RestartFlag;
  /** Unit of the kubelet, for remedies. */
  readonly unit: string;
  /** What is to be done after this rotation, by what is known now. */
  readonly plan: (event: HookEvent) => KubeletPlan;
  readonly proof: Proof;
  readonly record: Pick<HookRecord, 'isAsked' | 'noteAsked' | 'noteRefused'>;
  /** Aborts when nobody asks the cluster any more, as in a command whose work is done: the kubelet's version will not be learnt by a wait. */
  readonly allKnown?: AbortSignal | undefined;
  /** Holds restarts for their window; undefined where the settings have none. */
  readonly hold?: Pick<RestartHold, 'until'> | undefined;
}

/** The Node is read within a few minutes of a first client certificate. */
const LEARN_AFTER_MS = [0, 300, 2_000, 10_000, 60_000, 300_000, 900_000];

/** Has the kubelet restarted where a new pair wants it: by its version, by what handshakes show, or after each rotation. One restart for each pair. */
export function restartKubeletHook(parts: KubeletRestartParts): Hook {
  const { plan, proof, record } = parts;
  const raised = new WeakSet<HookEvent>();
  const said = new SaidOnce();
  return {
    id: RESTART_HOOK,
    exclusive: false,
    reasons: (event) => (event.cause === undefined ? reasonsOf(plan(event)) : []),
    undecided: (event) => (plan(event).kind === 'learn version' ? 'version' : undefined),
    lasting: (event) => event.after.served === 'kubelet',
    async run(event, _attempt, done, signal) {
      const decided = await learned(parts, said, event, signal);
      if (decided.kind === 'none' || decided.kind === 'learn version') return;
      if (decided.kind === 'restart' && !decided.prove)
        return await restartUnseen(parts, event, { raised, done }, signal);
      if (!record.isAsked(event)) {
        const end = await restarted(parts, event, decided, signal);
        if (end !== 'asked') return end === 'later' ? end : undefined;
      }
      await restartSucceeded(parts, event, signal);
      const served = await proof.pairs.prove(event, 'kubelet', 'restart', signal);
      if (served.kind === 'stale') throw proof.failed(event, otherFiles(parts, event, served));
      proof.told(event, served);
    },
    atStart: async (event, signal) =>
      event.after.served === 'kubelet' ? await proof.atStart(event, 'kubelet', signal) : [],
  };
}

/** Of a pair that nobody shows: that the flag was taken is all that can be seen. */
async function restartUnseen(
  parts: KubeletRestartParts,
  event: HookEvent,
  { raised, done }: { readonly raised: WeakSet<HookEvent>; readonly done: () => Promise<void> },
  signal: AbortSignal,
): Promise<void | 'later'> {
  const { flag, hold } = parts;
  if (!raised.has(event)) {
    const end = await hold?.until(event, undefined, signal);
    if (end === 'later') return end;
    if (end === 'restarted') return;
    await flag.raise(event.purpose);
    raised.add(event);
  }
  // The flag and the running kubelet both end with this boot, so a raised flag is as good as a done restart.
  await done();
  try {
    await restartSucceeded(parts, event, signal);
  } catch (error) {
    if (isInVain(error)) raised.delete(event);
    throw error;
  }
}

/** One that came to nothing is owed again, also after a restart of certlet. Throws what `RestartFlag.taken` does. */
async function restartSucceeded(
  { flag, record }: Pick<KubeletRestartParts, 'flag' | 'record'>,
  event: HookEvent,
  signal: AbortSignal,
): Promise<void> {
  try {
    await flag.taken(signal);
  } catch (error) {
    if (isInVain(error)) await record.noteRefused(event, RESTART_HOOK);
    throw error;
  }
}

/** A flag that still stands need not be raised again. */
const isInVain = (error: unknown): boolean => isCertletError(error) && error.reason === 'in vain';

function reasonsOf(plan: KubeletPlan): readonly string[] {
  switch (plan.kind) {
    case 'none':
      return [];
    case 'restart':
      return [plan.reason];
    case 'prove':
      return ['what the kubelet serves is looked at'];
    case 'learn version':
      return ['the version of the kubelet decides, and is not known yet'];
  }
}

/** The plan with the version of the kubelet, which may become known only now that the node has a certificate. */
async function learned(
  { clock, log, plan, allKnown }: KubeletRestartParts,
  said: SaidOnce,
  event: HookEvent,
  signal: AbortSignal,
): Promise<KubeletPlan> {
  const began = clock.now().getTime();
  const until = allKnown === undefined ? signal : AbortSignal.any([signal, allKnown]);
  for (const afterMs of LEARN_AFTER_MS) {
    await clock.sleepUntil(new Date(began + afterMs), until);
    const decided = plan(event);
    if (decided.kind !== 'learn version' || signal.aborted) return decided;
    if (until.aborted) break;
  }
  const remedy = explained(
    byHand('Set kubelet.version in the settings to what kubelet --version prints on this node.'),
    'then systemctl reload certlet; nothing where no kubelet runs',
  );
  // Of the host, not of one certificate.
  const level = said.isNews('version', 'not known') ? 'info' : 'debug';
  log.log(level, 'The kubelet is not restarted: its version is not known', { purpose: event.purpose, remedy });
  return { kind: 'none' };
}

/**
 * `asked`: the flag has been raised, or somebody else has restarted the kubelet. `served`: it need not be. `later`: it waits for longer than this command.
 * Throws `ERR_HOOK` where a stale pair is served and must not be mended.
 */
async function restarted(
  parts: KubeletRestartParts,
  event: HookEvent,
  plan: Extract<KubeletPlan, { kind: 'restart' | 'prove' }>,
  signal: AbortSignal,
): Promise<'asked' | 'served' | 'later'> {
  const { flag, log, proof, record, unit, hold } = parts;
  const { purpose } = event;
  let shown: PairInUse | undefined;
  if (plan.kind === 'prove') {
    const served = await proof.pairs.prove(event, 'kubelet', 'reload', signal);
    if (served.kind !== 'stale') {
      proof.told(event, served);
      return 'served';
    }
    shown = served.dates;
    if (!plan.restartIfStale)
      throw proof.failed(
        event,
        new CertletError('ERR_HOOK', `${staleText(served)}, and the settings forbid to restart it`, {
          remedy: `systemctl restart ${shellWord(unit)}`,
        }),
      );
    const { serial, to } = served;
    log.log('info', 'The kubelet serves a stale pair and is restarted', { purpose, serial, to });
  }
  const end = await hold?.until(event, shown, signal);
  if (end === 'later') return 'later';
  // In the days of a wait the kubelet may have begun anew, whoever restarted it.
  if (end !== undefined && (await isServed(parts, event, signal))) return 'served';
  if (end !== 'restarted') await flag.raise(purpose);
  await record.noteAsked(event);
  return 'asked';
}

async function isServed({ proof }: KubeletRestartParts, event: HookEvent, signal: AbortSignal): Promise<boolean> {
  const served = await proof.pairs.prove(event, 'kubelet', 'first answer', signal);
  if (served.kind === 'current') proof.told(event, served);
  return served.kind === 'current';
}

const staleText = ({ serial, to }: Extract<Served, { kind: 'stale' }>): string =>
  `the kubelet serves the certificate with serial ${serial} to ${to} and not the current one`;

function otherFiles(
  { unit }: KubeletRestartParts,
  { currentPath }: HookEvent,
  { serial, to }: Extract<Served, { kind: 'stale' }>,
): CertletError {
  return new CertletError(
    'ERR_HOOK',
    `the kubelet serves the certificate with serial ${serial} to ${to} after its restart, too: its tlsCertFile is not ${currentPath}`,
    { remedy: `certlet adopt --write && systemctl daemon-reload && systemctl restart ${shellWord(unit)}` },
  );
}
