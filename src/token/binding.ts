import { createHash } from 'node:crypto';

/** Group names of bootstrap tokens allow no dots (`system:bootstrappers:` and a-z, 0-9, `:`, `-`), so a node stands in them as a hash. */
const PREFIX = 'system:bootstrappers:certlet-node:';
const HEX_DIGITS = 32;

/** The group that binds a token to a node: 128 bits of SHA-256 of its name, which nobody finds a second name for. */
export function bindingGroup(nodeName: string): string {
  return `${PREFIX}${createHash('sha256').update(nodeName, 'utf8').digest('hex').slice(0, HEX_DIGITS)}`;
}
