import { timestamp } from '../../timestamp.ts';
import { isNoName } from '../../csr/node-name.ts';
import type { CertificateSpec } from '../../csr/spec.ts';
import { CertletError } from '../../errors.ts';
import { byHand } from '../../remedy.ts';
import type { CertificateFacts } from '../../pki/certificate.ts';

/** Why a certificate is left alone while another program writes `files` under its prefix; undefined when there are none. */
export function writersHold(
  { name, files: { kubelet } }: Pick<CertificateSpec, 'name' | 'files'>,
  files: readonly string[],
): CertletError | undefined {
  if (files.length === 0) return undefined;
  return new CertletError('ERR_STORE_FOREIGN', `another program writes here too: ${files.join(', ')}`, {
    remedy:
      kubelet === undefined
        ? byHand(`Stop what writes there.   # then certlet renew ${name}`)
        : byHand(
            `Set ${kubelet.rotatedBy}: false in the kubelet's configuration and restart it.   # then certlet renew ${name}`,
          ),
  });
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
export function nameHold(question: NameQuestion, purpose: string): CertletError | undefined {
  const held = heldNodeName(question);
  if (held === undefined) return undefined;
  const { nodeName, current } = question;
  const until = current === undefined ? '' : timestamp(current.notAfter);
  return new CertletError(
    'ERR_NODE_NAME',
    `this host is called ${nodeName} now, and holds a certificate of node ${held} until ${until}`,
    {
      remedy: `hostnamectl set-hostname ${held}   # or hostnameOverride: ${held} in the settings; if this is node ${nodeName} from now on: certlet renew ${purpose}`,
    },
  );
}
