/** Flags of a kubelet's command line by name, without dashes; every value that a flag was given, in order. */
export type KubeletFlags = ReadonlyMap<string, readonly string[]>;

/** Names that set the same variable, so that the later of the two wins whichever it is (kubelet options.go). */
const ALIASES: Readonly<Record<string, string>> = { 'experimental-bootstrap-kubeconfig': 'bootstrap-kubeconfig' };

/**
 * Reads a kubelet's arguments as its flag library does: `--a=b`, `--a b` and bare `--a`, which means true; `_` counts as `-`
 * (the kubelet normalizes names); what follows `--` is no flag.
 *
 * No list of boolean flags is needed to tell `--a b` from a bare flag: a kubelet refuses to start with arguments that are
 * no flags, so a word without a dash can only be the value of the flag before it.
 */
export function parseKubeletFlags(args: readonly string[]): KubeletFlags {
  const flags = new Map<string, string[]>();
  const add = (name: string, value: string): void => {
    const normal = name.replaceAll('_', '-');
    const key = ALIASES[normal] ?? normal;
    const values = flags.get(key);
    // In place: a command line with a flag a million times must not cost a million copies.
    if (values === undefined) flags.set(key, [value]);
    else values.push(value);
  };
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at] ?? '';
    if (word === '--') break;
    const match = /^--?([A-Za-z][\w-]*)(?:=([\s\S]*))?$/u.exec(word);
    const [, name, value] = match ?? [];
    if (name === undefined) continue;
    const next = args[at + 1];
    if (value !== undefined) {
      add(name, value);
    } else if (next !== undefined && !next.startsWith('-')) {
      add(name, next);
      at += 1;
    } else {
      add(name, 'true');
    }
  }
  return flags;
}

/** The value that counts: the last one. Undefined when the flag is absent or was emptied. */
export function flagText(flags: KubeletFlags, name: string): string | undefined {
  const value = flags.get(name)?.at(-1);
  return value === '' ? undefined : value;
}

/** A boolean flag as Go's strconv.ParseBool reads it; undefined when absent or not a boolean. */
export function flagBoolean(flags: KubeletFlags, name: string): boolean | undefined {
  const value = flags.get(name)?.at(-1);
  if (value === undefined) return undefined;
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(value)) return true;
  return ['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(value) ? false : undefined;
}

/** `--feature-gates`, every occurrence merged, later ones over earlier ones. */
export function featureGates(flags: KubeletFlags): ReadonlyMap<string, boolean> {
  const gates = new Map<string, boolean>();
  for (const part of (flags.get('feature-gates') ?? []).flatMap((value) => value.split(','))) {
    const [name = '', value = ''] = part.split('=').map((text) => text.trim());
    if (name !== '') gates.set(name, value.toLowerCase() === 'true');
  }
  return gates;
}
