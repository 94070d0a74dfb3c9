import { setTimeout as delay } from 'node:timers/promises';
import { shellWord, withCarried } from '../../remedy.ts';
import { answeredError, callControl, type ControlReply } from '../../adapters/control/client.ts';
import { controlSocketPath } from '../../adapters/control/server.ts';
import type { Settings } from '../../config.ts';
import { CertletError, EXIT } from '../../errors.ts';
import { diskStatus } from '../../status/disk.ts';
import { decodeStatus } from '../../status/codec.ts';
import { type CertificateStatus, type StatusDocument, statusDocument } from '../../status/document.ts';
import { RenewalWatch } from '../../status/renewal.ts';
import { ANSWER_VERSION, encodeAnswer, wordsFor } from '../answer.ts';
import type { RenewArguments } from '../command.ts';
import type { CommandContext } from '../command-context.ts';
import { daemonsCertDirWords } from '../daemons-cert-dir.ts';
import { type Mine, refuseForeignOrder } from '../../foreign-daemon.ts';
import { daemonsCertDir } from '../told-cert-dir.ts';
import { typedLine } from '../carried.ts';
import { managedPurposes } from '../managed-purposes.ts';
import { VERSION } from '../version.ts';

/** How often the daemon is asked how far it is. */
const ASK_MS = 500;
/** A daemon knows what it has as soon as the disk has been read; a slow disk takes its time. */
const START_TRIES = 20;

/**
 * `certlet renew`: through the daemon where one runs, by itself where not; by itself it always waits, since nobody else would go on. 0 when asked for
 * (with `--wait` or by itself: when in place), 75 while it still waits at the timeout.
 */
export async function runRenew(context: CommandContext, args: RenewArguments): Promise<number> {
  const settings = await context.loadSettings();
  const purposes = managedPurposes(settings, args.certificate, context.edge.argv);
  if (args.restartNow) return restartNow(context, settings, args);
  if (args.dryRun) return dryRun(context, settings, purposes, args);
  const say = wordsFor(context, args.output);
  const place = placeOf(context, settings);
  const { socket } = place;
  const before = await knownDaemon(place, context.signal);
  const reply =
    before === 'absent'
      ? before
      : await callControl(socket, { method: 'POST', path: '/renew', body: { purposes }, by: whoAsks(context.edge) });
  if (reply === 'absent' || reply.kind === 'absent') {
    const watch = await renewAlone(context, settings, purposes, args);
    return conclude(context, args, { purposes, through: 'itself', watch });
  }
  refuseForbidden(reply, place);
  if (reply.status !== 202) throw refused(reply.text);
  say(await askedWords(context, settings, purposes));
  const watch = new RenewalWatch(purposes, before === 'absent' ? [] : before);
  if (args.wait) await follow(context, place, watch, args);
  return conclude(context, args, { purposes, through: 'daemon', watch: args.wait ? watch : undefined });
}

/** What was asked of the daemon, and of which where the settings do not say. */
async function askedWords({ edge }: CommandContext, settings: Settings, purposes: readonly string[]): Promise<string> {
  const elsewhere = await daemonsCertDir(settings, edge);
  const [what, noun] = purposes.length === 1 ? ['a new', 'certificate'] : ['new', 'certificates'];
  const asked = `asked the daemon for ${what} ${purposes.join(' and ')} ${noun}\n`;
  return elsewhere === undefined ? asked : daemonsCertDirWords(elsewhere) + asked;
}

/** Of a timer's runs the next one sees that the kubelet was restarted by hand. */
async function restartNow(context: CommandContext, settings: Settings, args: RenewArguments): Promise<number> {
  if (args.dryRun || args.wait || args.certificate !== undefined)
    throw new CertletError('ERR_USAGE', '--restart-now renews nothing and goes with no name, --wait or --dry-run');
  const place = placeOf(context, settings);
  const before = await knownDaemon(place, context.signal);
  const reply =
    before === 'absent'
      ? ({ kind: before } as const)
      : await callControl(place.socket, { method: 'POST', path: '/restart-kubelet', by: whoAsks(context.edge) });
  if (reply.kind === 'absent')
    throw new CertletError('ERR_CONTROL', 'no daemon runs that could end the wait', {
      remedy: `systemctl restart ${shellWord(settings.kubelet.unit)}`,
    });
  refuseForbidden(reply, place);
  if (reply.status !== 202) throw refused(reply.text);
  const { restarts } = JSON.parse(reply.text) as { readonly restarts: readonly string[] };
  if (args.output !== 'text') context.print(encodeAnswer({ version: ANSWER_VERSION, restarts }, args.output));
  else
    context.print(
      restarts.length === 0
        ? 'no restart of the kubelet waits\n'
        : `the kubelet is restarted now, for ${restarts.join(' and ')}\n`,
    );
  return EXIT.ok;
}

/** For the journal of the daemon, whose socket root and its own user alone may open. */
function whoAsks({ userId, environment }: CommandContext['edge']): string {
  const user = userId === 0 ? 'root' : `user ${String(userId)}`;
  const behind = environment['SUDO_USER'] ?? '';
  return /^[\w.-]{1,64}$/.test(behind) ? `${user}, sudo of ${behind}` : user;
}

async function dryRun(
  context: CommandContext,
  settings: Settings,
  purposes: readonly string[],
  { output }: RenewArguments,
): Promise<number> {
  const { describePlan, planRenewal } = await import('../renewal-plan.ts');
  const plans = await planRenewal(settings, purposes, context.edge);
  if (output === 'text') for (const plan of plans) context.print(describePlan(plan));
  else {
    const requests = plans.map(({ template, ...plan }) => ({ ...template, ...plan }));
    context.print(encodeAnswer({ version: ANSWER_VERSION, requests }, output));
  }
  return EXIT.ok;
}

interface Renewal {
  readonly purposes: readonly string[];
  readonly through: 'daemon' | 'itself';
  /** Undefined when nobody waited. */
  readonly watch: RenewalWatch | undefined;
}

/** The document, where one is wanted, then how it went. */
function conclude(context: CommandContext, { output, timeoutMs }: RenewArguments, renewal: Renewal): number {
  const { purposes, through, watch } = renewal;
  if (output !== 'text') {
    const seen = watch && { inPlace: watch.done, certificates: watch.certificates };
    context.print(encodeAnswer({ version: ANSWER_VERSION, asked: purposes, through, ...seen }, output));
  }
  if (watch === undefined || watch.done) return EXIT.ok;
  if (watch.hopeless !== undefined) throw watch.hopeless;
  if (context.signal.aborted) return EXIT.tempFail;
  throw watch.timeout(timeoutMs);
}

/** What the daemon has now; empty while it starts. */
async function daemonStatus(place: Place): Promise<readonly CertificateStatus[] | 'absent'> {
  const reply = await askStatus(place);
  if (reply === 'absent') return reply;
  return reply.status === 200 ? certificatesOf(place, reply) : [];
}

async function askStatus(place: Place): Promise<Answer | 'absent'> {
  const reply = await callControl(place.socket, { method: 'GET', path: '/status' });
  if (reply.kind === 'absent') return 'absent';
  refuseForbidden(reply, place);
  return reply;
}

/** Throws `ERR_CONTROL` where it is another node's daemon: nothing may be asked of that one. */
async function certificatesOf({ socket, mine }: Place, { text }: Answer): Promise<readonly CertificateStatus[]> {
  const document = decodeStatus(text, socket);
  await refuseForeignOrder(document, mine, `what answers at ${socket}`);
  return document.certificates;
}

/** What the daemon has before anything is asked of it. One that has just started is waited for: it cannot tell yet whose node it is. */
async function knownDaemon(place: Place, signal: AbortSignal): Promise<readonly CertificateStatus[] | 'absent'> {
  for (let tries = 1; ; tries += 1) {
    const reply = await askStatus(place);
    if (reply === 'absent') return reply;
    if (reply.status === 200) return certificatesOf(place, reply);
    if (signal.aborted || tries >= START_TRIES) throw refused(reply.text);
    await delay(ASK_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** Where the daemon is asked, and what is typed to ask again. */
interface Place {
  readonly socket: string;
  readonly again: string;
  /** Whose daemon it should be. */
  readonly mine: Mine;
}

const placeOf = ({ edge }: CommandContext, settings: Settings): Place => ({
  socket: controlSocketPath(settings.runtimeDir),
  mine: settings,
  again: typedLine(edge.argv),
});

type Answer = Extract<ControlReply, { readonly kind: 'answer' }>;

function refuseForbidden(reply: ControlReply, { socket, again }: Place): asserts reply is Answer {
  if (reply.kind === 'answer') return;
  const cause = Object.assign(new Error('EACCES'), { code: 'EACCES' });
  throw new CertletError('ERR_CONTROL', `${socket} is for its owner and root alone`, {
    cause,
    remedy: `sudo ${again}`,
  });
}

function refused(text: string): CertletError {
  const { field, message, remedy } = answeredError(text);
  const why = [field, message].filter((part) => part !== undefined).join(': ');
  return new CertletError('ERR_CONTROL', `the daemon refused: ${why}`, remedy === undefined ? {} : { remedy });
}

/** Until the end that `watch` waits for, the timeout, or the signal. */
async function follow(
  context: CommandContext,
  place: Place,
  watch: RenewalWatch,
  { output, timeoutMs }: RenewArguments,
): Promise<void> {
  const { signal, edge } = context;
  const say = wordsFor(context, output);
  const endMs = edge.now().getTime() + timeoutMs;
  while (!signal.aborted) {
    const certificates = await daemonStatus(place);
    // The daemon reads its settings anew or is restarted: it will be back.
    if (certificates !== 'absent')
      for (const line of watch.see({ certificates })) say(`${withCarried(line, context.carried)}\n`);
    if (watch.settled || edge.now().getTime() >= endMs) return;
    await delay(ASK_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function renewAlone(
  context: CommandContext,
  settings: Settings,
  purposes: readonly string[],
  { output, timeoutMs }: RenewArguments,
): Promise<RenewalWatch> {
  // Late: through a daemon none of this is needed.
  const { runOwnAgent } = await import('../own-agent.ts');
  // What goes on is told on standard output; the log has what needs attention.
  const level = settings.log.level === 'debug' ? 'debug' : 'warn';
  const log = await context.openLog({ ...settings.log, level });
  const say = wordsFor(context, output);
  const watch = new RenewalWatch(purposes, (await onDisk(context, settings, purposes)).certificates);
  say('no daemon runs: asking by itself\n');
  await runOwnAgent(context, settings, {
    command: 'renew',
    log,
    timeoutMs,
    renew: purposes,
    seen: (snapshot) => {
      const about = { command: 'renew', pid: 0, version: VERSION, now: snapshot.at, hooks: [] } as const;
      for (const line of watch.see(statusDocument(snapshot, about))) say(`${withCarried(line, context.carried)}\n`);
      return watch.settled;
    },
  });
  return watch;
}

async function onDisk(
  context: CommandContext,
  settings: Settings,
  purposes: readonly string[],
): Promise<StatusDocument> {
  const { certificateOnDisk, storeOnDisk } = await import('../../disk-pairs.ts');
  const view = storeOnDisk(settings, context.edge.userId);
  const wanted = settings.specs.filter(({ name }) => purposes.includes(name));
  const certificates = await Promise.all(wanted.map((spec) => certificateOnDisk(view, spec)));
  return diskStatus(certificates, { nodeName: settings.nodeName, version: VERSION, now: context.edge.now() });
}
