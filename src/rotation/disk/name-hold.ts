import { CertletError, isCertletError } from '../../errors.ts';
import { isNoName } from '../../csr/node-name.ts';
import type { CertificateFacts } from '../../pki/certificate.ts';
import { judgedNow, type RotationContext } from '../context.ts';
import { letGo } from './foreign-writers.ts';
import type { ManagerState } from '../manager-state.ts';

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
