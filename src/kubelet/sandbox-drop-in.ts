import { HIDDEN_BESIDES, type OpenedPki } from './opened-pki.ts';
import { isBelow } from './shared-folders.ts';
import { mergeSandbox, type ServiceSandbox } from './unit-file.ts';

/** A file of certlet's own that goes onto a host. */
export interface PlannedFile {
  readonly path: string;
  readonly text: string;
}

/** The units of certlet that write certificates: the daemon, and the service that the timer starts. */
export const WRITING_UNITS: readonly string[] = ['certlet.service', 'certlet-once.service'];

/** What a drop-in changes in the sandbox of those units. */
export interface SandboxChange {
  /** Name of the drop-in: they count in the order of their names. */
  readonly name: string;
  /** First lines, without `#`. */
  readonly heading: readonly string[];
  /** Forgets what the unit and earlier drop-ins have opened. */
  readonly reset: boolean;
  readonly writable: readonly string[];
  readonly readOnly: readonly string[];
  /** What is shown of the folder of the cluster's keys. */
  readonly pki?: OpenedPki;
}

/** The drop-in of each unit that writes. A folder that is absent at the start keeps no unit from starting. */
export function sandboxDropIns(change: SandboxChange): readonly PlannedFile[] {
  const text = [
    ...change.heading.map((line) => `# ${line}`),
    '[Service]',
    ...(change.reset ? ['ReadWritePaths='] : []),
    ...change.writable.map((folder) => `ReadWritePaths=${unitWord(`-${folder}`)}`),
    ...change.readOnly.map((path) => `ReadOnlyPaths=${unitWord(`-${path}`)}`),
    ...(change.pki === undefined ? [] : pkiLines(change.pki)),
    '',
  ].join('\n');
  return WRITING_UNITS.map((unit) => ({ path: dropInPath(unit, change.name), text }));
}

/** All of the folder is replaced by an empty one, into which the rest is bound: what is not named does not exist for the service. */
function pkiLines({ root, writable, readable }: OpenedPki): readonly string[] {
  return [
    `# Of ${root} this alone is seen. A single file that is replaced there is seen after the next start.`,
    'InaccessiblePaths=',
    ...HIDDEN_BESIDES.map((path) => `InaccessiblePaths=-${path}`),
    `TemporaryFileSystem=${root}:ro`,
    ...readable.map((path) => `BindReadOnlyPaths=${unitWord(`-${path}`)}`),
    ...writable.flatMap((path) => [`BindPaths=${unitWord(`-${path}`)}`, `ReadWritePaths=${unitWord(`-${path}`)}`]),
  ];
}

/** Where a drop-in of root's lies. */
export const dropInPath = (unit: string, name: string): string => `/etc/systemd/system/${unit}.d/${name}`;

/** `certlet allow DIR` writes this one. It comes after those that empty the list (`10-kubeconfig-by-root.conf`, `20-adopted-paths.conf`, `own-user.conf`). */
export const ALLOWED_DROP_IN = 'zz-allowed-folders.conf';

/** The drop-ins that open these folders, sorted, for `certlet allow`. */
export function allowedDropIns(folders: readonly string[]): readonly PlannedFile[] {
  return sandboxDropIns({
    name: ALLOWED_DROP_IN,
    heading: ['Written by "certlet allow": folders that the service may write besides its own.'],
    reset: false,
    writable: [...new Set(folders)].sort(),
    readOnly: [],
  });
}

/** The folders that such a drop-in opens. */
export const allowedIn = (text: string, file: string): readonly string[] =>
  mergeSandbox([{ path: file, text }]).writable.map(({ path }) => path);

/** What decides whether a service may write at `path`: the innermost folder that is named. Undefined: nothing names it. */
export function sandboxVerdict(
  sandbox: ServiceSandbox,
  path: string,
): { readonly open: boolean; readonly at: string; readonly file: string } | undefined {
  const named = [
    ...sandbox.writable.map((each) => ({ ...each, open: true })),
    ...sandbox.closed.map((each) => ({ ...each, open: false })),
  ].filter((each) => isBelow(path, each.path));
  const [first] = named.sort((a, b) => b.path.length - a.path.length || Number(a.open) - Number(b.open));
  return first === undefined ? undefined : { open: first.open, at: first.path, file: first.file };
}

/** Whether the service may write at `path`. */
export const mayWrite = (sandbox: ServiceSandbox, path: string): boolean =>
  sandboxVerdict(sandbox, path)?.open ?? !sandbox.strict;

/** Text as one word of a unit file, specifiers taken literally. */
export function unitWord(text: string): string {
  const literal = text.replaceAll('%', '%%');
  return /[\s"'\\]/u.test(literal) ? `"${literal.replaceAll(/["\\]/gu, String.raw`\$&`)}"` : literal;
}
