import { CertletError, isCertletError } from '../../errors.ts';
import { type RotationContext, judgedNow } from '../rotation-context.ts';
import type { ManagerState } from '../manager-state.ts';
import { isNoName } from '../../csr/node-name.ts';
import type { CertificateFacts } from '../../pki/certificate.ts';

/** Whether another program writes under the prefix of this certificate; says so and holds it, or lets go when the files are gone. */
export async function checkWriters(context: RotationContext, state: ManagerState): Promise<void> {
  const { name: purpose, files: place } = state.spec;
  const files = state.accepting ? [] : await context.store.foreign(purpose);
  if (files.length === 0) {
    if (state.hold?.code === 'ERR_STORE_FOREIGN') letGo(state);
    return;
  }
  if (state.hold?.code === 'ERR_STORE_FOREIGN') return;
  const { kubelet } = place;
  const error = new CertletError('ERR_STORE_FOREIGN', `another program writes here too: ${files.join(', ')}`, {
    remedy:
      kubelet === undefined
        ? `stop what writes there, then: certlet renew ${purpose}`
        : `set ${kubelet.rotatedBy}: false in the kubelet's configuration and restart it, then: certlet renew ${purpose}`,
  });
  state.hold = error;
  state.recordFailure(error, context.clock.now());
  const event =
    kubelet === undefined
      ? 'Another program writes here too; leaving this certificate alone'
      : 'The kubelet rotates here too; leaving this certificate alone';
  context.log.log('warn', event, { purpose, files, remedy: error.remedy });
}

/** The hold is over, and what it told with it. */
export function letGo(state: Pick<ManagerState, 'hold' | 'lastError'>): void {
  if (state.hold === undefined) return;
  if (state.lastError?.code === state.hold.code) state.lastError = undefined;
  state.hold = undefined;
}

/** Writes down that the files of another program are fine; where the disk cannot take that, it is tried again at each look at the files. */
export async function keepDecision(
  context: RotationContext,
  state: Pick<ManagerState, 'accepting' | 'spec'>,
): Promise<void> {
  if (!state.accepting) return;
  const { name: purpose } = state.spec;
  try {
    await context.store.acceptAll(purpose);
    state.accepting = false;
  } catch (error) {
    if (!isCertletError(error)) throw error;
    const { code, message, remedy } = error;
    const event = 'Could not write down that the files of another program are fine';
    context.log.log('debug', event, { purpose, code, error: message, remedy });
  }
}

/** What speaks for and against a host that has another name than its certificate. */
export interface NameQuestion {
  readonly current: Pick<CertificateFacts, 'commonName' | 'notAfter' | 'selfSigned'> | undefined;
  readonly nodeName: string;
  /** The name is the host's own, not one from the settings. */
  readonly namedByHost: boolean;
  /** The earliest reading of the clock. */
  readonly earliest: Date;
  /** An administrator asked for a certificate of the new name. */
  readonly forced: boolean;
  /** The machine that the pair was last used on, and this one; undefined where that is not known. */
  readonly recorded: string | undefined;
  readonly machine: string | undefined;
}

/**
 * The other node whose valid certificate is in hand, where that may only mean that this host is called otherwise for a moment (DHCP, a rescue boot):
 * nothing is asked for then. Undefined where the name is sure, where the pair is of no use, and on another machine, which is a clone.
 */
export function heldNodeName(question: NameQuestion): string | undefined {
  const { current, nodeName, namedByHost, forced, recorded, machine } = question;
  if (!namedByHost || forced || current === undefined || !isInForce(current, question.earliest)) return undefined;
  const held = /^system:node:(.+)$/.exec(current.commonName)?.[1];
  if (held === undefined || held === nodeName || isNoName(held)) return undefined;
  const clone = recorded !== undefined && machine !== undefined && recorded !== machine;
  return clone ? undefined : held;
}

const isInForce = ({ selfSigned, notAfter }: NonNullable<NameQuestion['current']>, earliest: Date): boolean =>
  !selfSigned && earliest <= notAfter;

/** Why the client certificate is left alone for the host's name; undefined when it is not. */
function nameHold(context: RotationContext, state: ManagerState): CertletError | undefined {
  const { nodeName, namedByHost = false, machine } = context.options;
  const current = state.current?.chain.leaf;
  const held = heldNodeName({
    current,
    nodeName,
    namedByHost,
    earliest: judgedNow(context).earliest,
    forced: state.forced,
    recorded: state.history.machine,
    machine,
  });
  if (held === undefined) return undefined;
  const until = current?.notAfter.toISOString() ?? '';
  return new CertletError(
    'ERR_NODE_NAME',
    `this host is called ${nodeName} now, and holds a certificate of node ${held} until ${until}`,
    {
      remedy: `hostnamectl set-hostname ${held}, or hostnameOverride: ${held} in the settings; if this is node ${nodeName} from now on: certlet renew ${state.spec.name}`,
    },
  );
}

/** Writes down which machine works with the pair of this node, so that a clone of its disk is told from a host with a passing name. */
async function noteMachine(context: RotationContext, state: ManagerState): Promise<void> {
  const { nodeName, machine } = context.options;
  const { history, current } = state;
  const own = current?.chain.leaf.commonName === `system:node:${nodeName}`;
  if (machine === undefined || !own || history.machine === machine) return;
  try {
    await state.rewriteHistory(context.store, { ...history, machine });
  } catch (error) {
    if (!isCertletError(error)) throw error;
    const { code, message, remedy } = error;
    context.log.log('debug', 'Could not write down the machine', {
      purpose: state.spec.name,
      code,
      error: message,
      remedy,
    });
  }
}

/** Holds the client certificate of another node, or lets go when that is over, and says so. */
export async function checkName(context: RotationContext, state: ManagerState): Promise<void> {
  await noteMachine(context, state);
  if (state.hold?.code === 'ERR_STORE_FOREIGN') return;
  const error = nameHold(context, state);
  if (error !== undefined && state.hold?.message === error.message) return;
  letGo(state);
  if (error === undefined) return;
  state.hold = error;
  state.recordFailure(error, context.clock.now());
  const { message, remedy } = error;
  const event = 'This host has another name than its certificate; leaving that alone';
  context.log.log('warn', event, { purpose: state.spec.name, error: message, remedy });
}
