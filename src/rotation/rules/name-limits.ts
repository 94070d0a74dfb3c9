import type { CertificateTemplate } from '../../csr/template.ts';
import { CertletError } from '../../errors.ts';
import { byHand } from '../../remedy.ts';

/** So many names in a message; the rest is counted. */
const SHOWN = 20;

/** Why no request with these names may be made; undefined when one may. Names are never left out: a certificate that lacks one fails for whoever dials it. */
export function nameLimit(
  { purpose, dnsNames, ipAddresses }: Pick<CertificateTemplate, 'purpose' | 'dnsNames' | 'ipAddresses'>,
  limits: {
    readonly maxNames: number | undefined;
    /** Every address that the node has, when all of them are ignored. */
    readonly allIgnored: readonly string[];
  },
): CertletError | undefined {
  const { maxNames, allIgnored } = limits;
  if (allIgnored.length > 0) {
    return new CertletError('ERR_NAMES', `ignoreAddresses holds every address of this node: ${listed(allIgnored)}`, {
      remedy: byHand('Narrow ignoreAddresses in the settings, or set nodeIP.   # then systemctl reload certlet'),
    });
  }
  const names = [...dnsNames, ...ipAddresses];
  if (maxNames === undefined || names.length <= maxNames) return undefined;
  const message = `the ${purpose} certificate would have ${String(names.length)} names, and maxNames is ${String(maxNames)}: ${listed(names)}`;
  return new CertletError('ERR_NAMES', message, {
    remedy: byHand(
      'Raise maxNames in the settings, or leave some out with addressTypes or ignoreAddresses.   # then systemctl reload certlet',
    ),
  });
}

function listed(names: readonly string[]): string {
  const more = names.length - SHOWN;
  return `${names.slice(0, SHOWN).join(', ')}${more > 0 ? ` and ${String(more)} more` : ''}`;
}
