import { editing } from '../remedy.ts';
import { CertletError } from '../errors.ts';
import { JsonFields } from '../csr/json-fields.ts';
import { NODE_NAME } from '../csr/spec.ts';
import { parseOnlyYaml, type YamlDocument, type YamlPath } from '../kubeconfig/yaml.ts';
import { isHostName, isNodeName } from '../pki/dns-name.ts';
import { parseIpAddress } from '../pki/ip-address.ts';
import { type IpRange, parseIpRange, rangeHolds } from '../pki/ip-range.ts';

/** Which names and addresses nodes may have, as an administrator wrote it. */
export interface Inventory {
  /** The file as it was read, to tell whether another reading is another inventory. */
  readonly text: string;
  /** Whether an entry about this node has this DNS name or address; a node's own name is always its. */
  allows(nodeName: string, text: string): boolean;
  /** Whether an entry of this very node lists this very name or address: expressions and ranges are for many. */
  names(nodeName: string, text: string): boolean;
}

interface Entry {
  readonly matches: (nodeName: string) => boolean;
  /** Undefined for an entry of many. */
  readonly nodeName: string | undefined;
  readonly names: readonly string[];
  readonly patterns: readonly RegExp[];
  readonly ranges: readonly IpRange[];
}

/** Longer patterns are no names of hosts. */
const MAX_PATTERN = 512;

/**
 * Reads an inventory file (YAML or JSON):
 * `nodes: [{name | nameMatches, addresses: [IP or CIDR], names: [...], namesMatch: [...]}]`. Regular expressions match a whole name; `{nodeName}`
 * stands for the node's. Throws `ERR_CONFIG_INVALID` with file, line and field.
 */
export function parseInventory(text: string, path: string): Inventory {
  const document = parseOnlyYaml(text, path, 'ERR_CONFIG_INVALID');
  const root = new JsonFields(document.value ?? {}, path, 'ERR_CONFIG_INVALID');
  root.only('nodes');
  const entries = root.objects('nodes').map((node, index) => readEntry(node, { path, document, index }));
  const of = (nodeName: string): readonly Entry[] => entries.filter(({ matches }) => matches(nodeName));
  return {
    text,
    allows: (nodeName, text) =>
      of(nodeName).some(
        ({ names, patterns, ranges }) =>
          text === nodeName ||
          names.some((given) => given.replaceAll(NODE_NAME, nodeName) === text) ||
          (!isAddress(text) && patterns.some((pattern) => pattern.test(text))) ||
          ranges.some((range) => rangeHolds(range, text)),
      ),
    names: (nodeName, text) =>
      entries
        .filter((entry) => entry.nodeName === nodeName)
        .some(
          ({ names, ranges }) =>
            text === nodeName ||
            names.some((given) => given.replaceAll(NODE_NAME, nodeName) === text) ||
            ranges.some((range) => isOneAddress(range) && rangeHolds(range, text)),
        ),
  };
}

/** Expressions are for names: `.+` would else be every address, too. */
const isAddress = (text: string): boolean => parseIpAddress(text) !== undefined;

const isOneAddress = ({ network, prefixLength }: IpRange): boolean => prefixLength === network.length * 8;

interface Place {
  readonly path: string;
  readonly document: YamlDocument;
  readonly index: number;
}

function readEntry(node: JsonFields, place: Place): Entry {
  node.only('name', 'nameMatches', 'addresses', 'names', 'namesMatch');
  // Kubelets register theirs in lower case.
  const name = node.optionalText('name')?.toLowerCase();
  const matching = node.optionalText('nameMatches');
  if ((name === undefined) === (matching === undefined))
    throw wrong(place, [], 'has to have one of name and nameMatches');
  if (name !== undefined && !isNodeName(name))
    throw wrong(place, ['name'], `expected the name of a Node, got ${shown(name)}`);
  const pattern = matching === undefined ? undefined : patternOf(matching, place, ['nameMatches']);
  return {
    nodeName: name,
    matches: (nodeName) => (pattern === undefined ? nodeName === name : pattern.test(nodeName)),
    names: node.texts('names').map((given, index) => nameOf(given, place, ['names', index])),
    patterns: node.texts('namesMatch').map((given, index) => patternOf(given, place, ['namesMatch', index])),
    ranges: node.texts('addresses').map((given, index) => {
      const range = parseIpRange(given);
      if (range !== undefined) return range;
      throw wrong(
        place,
        ['addresses', index],
        `expected an address or a range such as 192.0.2.0/24, got ${shown(given)}`,
      );
    }),
  };
}

const shown = (text: string): string => JSON.stringify(text.slice(0, 80));

function nameOf(given: string, place: Place, at: YamlPath): string {
  const name = given.toLowerCase().replaceAll(NODE_NAME.toLowerCase(), NODE_NAME);
  if (isHostName(name.replaceAll(NODE_NAME, 'n'))) return name;
  throw wrong(place, at, `expected a DNS name, got ${shown(given)}; expressions stand in namesMatch`);
}

/** Who backtracks over a repeated group can take for ever over a name that a node has chosen for that. */
const REPEATED_GROUP = /\)[*+{]/;
/** Each of these has up to 253 ways to read a name, all of them in order, so 2^7 on average. */
const LOOPS = /(?<!\\)(?:[*+]|\{\d+,)/g;
const BITS_A_LOOP = 7;
/** Each of these doubles the ways where their parts overlap: `a?a?a?aaa`, `(a|a)(a|a)`. */
const CHOICES = /(?<!\\)(?:(?<![*+?}])\?|\()/g;
/** 2^24 ways are gone through within a second. */
const MAX_BITS = 24;
const SLOW =
  'can take very long: groups may not be repeated, three of * + {n,} may stand in it with few of ? and groups beside, and no backreferences or lookaround';

/** How many ways there are to read a name, as a power of two. */
function bitsOf(pattern: string): number {
  const count = (part: RegExp): number => pattern.match(part)?.length ?? 0;
  return count(LOOPS) * BITS_A_LOOP + count(CHOICES);
}

function patternOf(text: string, place: Place, at: YamlPath): RegExp {
  if (text.length > MAX_PATTERN || /\\[1-9k]|\(\?/.test(text) || REPEATED_GROUP.test(text) || bitsOf(text) > MAX_BITS)
    throw wrong(place, at, SLOW);
  try {
    // By itself first: `a)|(b` is an expression only within the group that anchors it, and takes the anchors apart.
    void new RegExp(text, 'u');
    return new RegExp(`^(?:${text})$`, 'u');
  } catch (error) {
    // `Invalid regular expression: /…/u: Unterminated group`; what they wrote is quoted by us.
    const why = error instanceof Error ? error.message.replace(/^.*: /su, '') : '';
    throw wrong(place, at, `is no regular expression (${why}): ${shown(text)}`);
  }
}

function wrong({ path, document, index }: Place, at: YamlPath, problem: string): CertletError {
  const line = document.locate(['nodes', index, ...at])?.line ?? 1;
  const field = [
    'nodes',
    `[${String(index)}]`,
    ...at.map((part) => (typeof part === 'number' ? `[${String(part)}]` : `.${part}`)),
  ];
  return new CertletError('ERR_CONFIG_INVALID', `${path}:${String(line)}: ${field.join('')}: ${problem}`, {
    remedy: editing(path, 'Mend the inventory; docs/approve.md shows its form.', line),
  });
}
