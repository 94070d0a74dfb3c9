import { setTimeout as delay } from 'node:timers/promises';
import { callControl, type ControlReply } from '../../adapters/control/client.ts';
import { controlSocketPath } from '../../adapters/control/server.ts';
import type { Settings } from '../../config.ts';
import type { Purpose } from '../../csr/template.ts';
import { CertletError, EXIT } from '../../errors.ts';
import { diskStatus } from '../../status/disk.ts';
import { type CertificateStatus, decodeStatus, type StatusDocument, statusDocument } from '../../status/document.ts';
import { RenewalWatch } from '../../status/renewal.ts';
import type { RenewArguments } from '../command.ts';
import type { CommandContext } from '../context.ts';
import { VERSION } from '../version.ts';

/** How often the daemon is asked how far it is. */
const ASK_MS = 500;

/**
 * `certlet renew`: through the daemon where one runs, by itself where not; by itself it always waits, since nobody else would go on. 0 when asked for
 * (with `--wait` or by itself: when in place), 75 while it still waits at the timeout.
 */
export async function runRenew(context: CommandContext, args: RenewArguments): Promise<number> {
  const settings = await context.loadSettings();
  const purposes = managedPurposes(settings, args.purposes);
  if (args.dryRun) {
    const { describePlan, planRenewal } = await import('../renewal-plan.ts');
    for (const plan of await planRenewal(settings, purposes, context.edge)) context.print(describePlan(plan));
    return EXIT.ok;
  }
  const socket = controlSocketPath(settings.runtimeDir);
  const before = await daemonStatus(socket);
  const reply =
    before === 'absent' ? before : await callControl(socket, { method: 'POST', path: '/renew', body: { purposes } });
  if (reply === 'absent' || reply.kind === 'absent') return renewAlone(context, settings, purposes, args);
  refuseForbidden(reply, socket);
  if (reply.status !== 202) throw refused(reply.text);
  context.print(
    `asked the daemon for ${purposes.length === 1 ? 'a new' : 'new'} ${purposes.join(' and ')} ${purposes.length === 1 ? 'certificate' : 'certificates'}\n`,
  );
  if (!args.wait) return EXIT.ok;
  return follow(context, socket, new RenewalWatch(purposes, before === 'absent' ? [] : before), args.timeoutMs);
}

/** All of `all` that is managed; one that was named and is not is an error. */
function managedPurposes(settings: Settings, wanted: readonly Purpose[]): readonly Purpose[] {
  const managed = wanted.filter((purpose) => purpose === 'client' || settings.rotateServerCertificates);
  if (managed.length > 0) return managed;
  throw new CertletError('ERR_USAGE', 'the serving certificate is not managed: rotateServerCertificates is false', {
    remedy: 'Set rotateServerCertificates: true in the settings.',
  });
}

/** What the daemon has now; empty while it starts. */
async function daemonStatus(socket: string): Promise<readonly CertificateStatus[] | 'absent'> {
  const reply = await callControl(socket, { method: 'GET', path: '/status' });
  if (reply.kind === 'absent') return 'absent';
  refuseForbidden(reply, socket);
  return reply.status === 200 ? decodeStatus(reply.text, socket).certificates : [];
}

type Answer = Extract<ControlReply, { readonly kind: 'answer' }>;

function refuseForbidden(reply: ControlReply, socket: string): asserts reply is Answer {
  if (reply.kind === 'answer') return;
  const cause = Object.assign(new Error('EACCES'), { code: 'EACCES' });
  throw new CertletError('ERR_CONTROL', `${socket} is for its owner and root alone`, {
    cause,
    remedy: 'sudo certlet renew',
  });
}

function refused(text: string): CertletError {
  const answer = JSON.parse(text) as { readonly error?: { readonly field?: string; readonly message?: string } };
  const { field, message } = answer.error ?? {};
  return new CertletError(
    'ERR_CONTROL',
    `the daemon refused: ${[field, message].filter((part) => part !== undefined).join(': ')}`,
  );
}

async function follow(
  context: CommandContext,
  socket: string,
  watch: RenewalWatch,
  timeoutMs: number,
): Promise<number> {
  const { signal, edge } = context;
  const endMs = edge.now().getTime() + timeoutMs;
  while (!signal.aborted) {
    const certificates = await daemonStatus(socket);
    // The daemon reads its settings anew or is restarted: it will be back.
    if (certificates !== 'absent') for (const line of watch.see({ certificates })) context.print(`${line}\n`);
    if (watch.done) return EXIT.ok;
    if (watch.hopeless !== undefined) throw watch.hopeless;
    if (edge.now().getTime() >= endMs) throw watch.timeout(timeoutMs);
    await delay(ASK_MS, undefined, { signal }).catch(() => undefined);
  }
  return EXIT.tempFail;
}

async function renewAlone(
  context: CommandContext,
  settings: Settings,
  purposes: readonly Purpose[],
  { timeoutMs }: RenewArguments,
): Promise<number> {
  // Late: through a daemon none of this is needed.
  const { runOwnAgent } = await import('../own-agent.ts');
  // What goes on is told on standard output; the log has what needs attention.
  const level = settings.log.level === 'debug' ? 'debug' : 'warn';
  const log = await context.openLog({ ...settings.log, level });
  const watch = new RenewalWatch(purposes, (await onDisk(context, settings, purposes)).certificates);
  context.print('no daemon runs: asking by itself\n');
  await runOwnAgent(context, settings, {
    command: 'renew',
    log,
    timeoutMs,
    renew: purposes,
    seen: (snapshot) => {
      const document = statusDocument(snapshot, {
        command: 'renew',
        pid: 0,
        version: VERSION,
        now: snapshot.at,
        hooks: [],
      });
      for (const line of watch.see(document)) context.print(`${line}\n`);
      return watch.done || watch.hopeless !== undefined;
    },
  });
  if (watch.done) return EXIT.ok;
  if (watch.hopeless !== undefined) throw watch.hopeless;
  if (context.signal.aborted) return EXIT.tempFail;
  throw watch.timeout(timeoutMs);
}

async function onDisk(
  context: CommandContext,
  settings: Settings,
  purposes: readonly Purpose[],
): Promise<StatusDocument> {
  const { openStore } = await import('../../daemon.ts');
  const store = openStore(settings, { log: () => undefined });
  const certificates = await Promise.all(
    purposes.map(async (purpose) => {
      const pair = await store.current(purpose);
      return { purpose, currentPath: store.currentPath(purpose), facts: pair?.chain.leaf };
    }),
  );
  return diskStatus(certificates, { nodeName: settings.nodeName, version: VERSION, now: context.edge.now() });
}
