import { filledIn, type Remedy, byHand, editing } from './remedy.ts';
import { escaped } from './adapters/log/printable.ts';
import { CertletError } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import { isNoName } from './csr/node-name.ts';
import { parseOnlyYaml } from './kubeconfig/yaml.ts';
import type { YamlDocument } from './kubeconfig/yaml.ts';
import type { ApproveSettings } from './approve/settings.ts';
import { approveProblems, approveSettings } from './config/approve.ts';
import { certificateProblems } from './config/certificates.ts';
import { dotted, type Problem, type SettingPath } from './config/codec.ts';
import { SETTINGS_CODEC } from './config/fields.ts';
import type { SettingsFile } from './config/fields.ts';
import { settingLeaves } from './config/flags.ts';
import type { FlagValues } from './config/flags.ts';
import { resolveSettings } from './config/resolve.ts';
import { combinationProblems } from './config/rules.ts';
import type { Settings } from './config/settings.ts';
import { isNodeName } from './pki/dns-name.ts';

export type { FlagValues } from './config/flags.ts';
export type { Settings } from './config/settings.ts';

/** Where settings are looked for without `--config`. */
export const DEFAULT_SETTINGS_PATH = '/etc/certlet/config.yaml';

export interface SettingsSources {
  readonly flags: FlagValues;
  /** The file's text; undefined when there is no file. */
  readonly fileText: string | undefined;
  readonly filePath: string;
  /** What the operating system calls this host. */
  readonly osHostname: string;
}

/**
 * Settings from flags, then file, then defaults. Throws `ERR_CONFIG_INVALID` that lists every problem with its place,
 * one a line, `ERR_USAGE` that does so where flags alone are wrong, or `ERR_NODE_NAME` when only the node's name is missing.
 */
export function loadSettings(sources: SettingsSources): Settings {
  const { filePath, fileText, flags } = sources;
  const document = fileText === undefined ? undefined : parseOnlyYaml(fileText, filePath, 'ERR_CONFIG_INVALID');
  // A file with nothing but comments in it is an empty map.
  const fromFile = document?.value ?? {};
  const merged = withFlags(fromFile, flags);
  const places: Places = { filePath, document, flags: merged.flags };
  const fileProblems: Problem[] = [];
  const flagProblems: Problem[] = [];
  // The file is judged by itself too: a flag that hides a wrong value today is gone tomorrow.
  SETTINGS_CODEC.read(fromFile, [], fileProblems);
  const file = SETTINGS_CODEC.read(merged.tree, [], flagProblems);
  const problems = [
    ...described(fileProblems, { ...places, flags: [] }),
    ...described(
      flagProblems.filter(({ path }) => flagAt(merged.flags, path) !== undefined),
      places,
    ),
  ];
  if (file === undefined || problems.length > 0) throw invalid(problems, filePath);

  const name = nodeName(file, sources.osHostname);
  const byDefault = Object.hasOwn(Object(merged.tree) as object, 'certDir') ? {} : { certDirByDefault: true };
  const settings = { ...settingsOf(file, name ?? '', fileText === undefined ? undefined : filePath), ...byDefault };
  const conflicts = described([...combinationProblems(settings), ...certificateProblems(file, name ?? '')], places);
  if (conflicts.length > 0) throw invalid(conflicts, filePath);
  if (name === undefined) throw noNodeName(sources.osHostname);
  return settings;
}

/** What `certlet approve` reads of the settings. */
export interface ApproverSettings {
  readonly approve: ApproveSettings;
  readonly log: Settings['log'];
}

/** The settings of `certlet approve`: the same file, of which nothing is asked that concerns a node. Throws `ERR_CONFIG_INVALID`. */
export function loadApproverSettings(fileText: string | undefined, filePath: string): ApproverSettings {
  const document = fileText === undefined ? undefined : parseOnlyYaml(fileText, filePath, 'ERR_CONFIG_INVALID');
  const problems: Problem[] = [];
  const file = SETTINGS_CODEC.read(document?.value ?? {}, [], problems);
  if (file !== undefined && problems.length === 0) problems.push(...approveProblems(file.approve));
  if (file === undefined || problems.length > 0)
    throw invalid(described(problems, { filePath, document, flags: [] }), filePath, inAnyHome);
  return { approve: approveSettings(file.approve), log: file.log };
}

function settingsOf(file: SettingsFile, name: string, source: string | undefined): Settings {
  const settings = resolveSettings(file, name, source);
  return (file.hostnameOverride ?? '') === '' ? { ...settings, namedByHost: true } : settings;
}

/** The kubelet's rule: override, else the host's name; trimmed and in lower case, never shortened. What hosts are called while they have no name is none. */
function nodeName(file: SettingsFile, osHostname: string): string | undefined {
  const override = file.hostnameOverride ?? '';
  const name = override === '' ? osHostname.trim().toLowerCase() : override;
  if (override === '' && isNoName(name)) return undefined;
  return isNodeName(name) ? name : undefined;
}

function noNodeName(osHostname: string): CertletError {
  const seen = osHostname.trim();
  const given = JSON.stringify(seen);
  const none = seen === '' ? 'this host has no name' : `this host has no name of its own yet (it is called ${given})`;
  const why = isNoName(seen.toLowerCase()) ? none : `the name of this host (${given}) is no DNS name`;
  return new CertletError('ERR_NODE_NAME', `no usable node name: ${why} and hostnameOverride is not set`, {
    remedy: filledIn(
      'hostnamectl set-hostname NAME',
      'or set hostnameOverride (--hostname-override) to the name of the Node object',
    ),
  });
}

interface FlagPlace {
  readonly path: SettingPath;
  readonly flag: string;
}

function withFlags(
  tree: unknown,
  values: FlagValues,
): { readonly tree: unknown; readonly flags: readonly FlagPlace[] } {
  let result = tree;
  const flags: FlagPlace[] = [];
  for (const leaf of settingLeaves()) {
    if (leaf.flag === undefined) continue;
    const value = values[leaf.flag];
    if (value === undefined) continue;
    const number = leaf.kind === 'number' && typeof value === 'string' && /^-?[0-9]{1,15}$/.test(value);
    result = replaceAt(result, leaf.path, number ? Number(value) : value);
    flags.push({ path: leaf.path, flag: leaf.flag });
  }
  return { tree: result, flags };
}

/** A copy of `tree` with one value put in. What stands in the way and is no map has been reported with the file. */
function replaceAt(tree: unknown, path: SettingPath, value: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  const map = typeof tree === 'object' && tree !== null && !Array.isArray(tree) ? tree : {};
  return { ...map, [key]: replaceAt((map as Record<string, unknown>)[key], rest, value) };
}

function flagAt(flags: readonly FlagPlace[], path: SettingPath): string | undefined {
  return flags.find((place) => place.path.every((part, index) => part === path[index]))?.flag;
}

interface Places {
  readonly filePath: string;
  readonly document: YamlDocument | undefined;
  readonly flags: readonly FlagPlace[];
}

/** One problem as people are told it. */
interface Described {
  /** `place: problem`. */
  readonly text: string;
  /** Of the file, where it stands in it. */
  readonly line: number | undefined;
  /** A flag is to blame, not the file. */
  readonly byFlag: boolean;
}

/** In the order of the file. */
function described(problems: readonly Problem[], places: Places): readonly Described[] {
  return problems
    .map(({ path, text }) => {
      const flag = flagAt(places.flags, path);
      const line = flag === undefined ? lineOf(path, places.document) : undefined;
      const file = line === undefined ? '' : `${places.filePath}:${String(line)}: `;
      return {
        line,
        // Keys and values are whoever's who wrote the file: no line of their own, no colour.
        text: escaped(`${flag === undefined ? file + dotted(path) : `--${flag}`}: ${text}`),
        byFlag: flag !== undefined,
      };
    })
    .sort((a, b) => (a.line ?? Number.MAX_SAFE_INTEGER) - (b.line ?? Number.MAX_SAFE_INTEGER));
}

/** Where a setting stands in the file; a default has no line. */
function lineOf(path: SettingPath, document: YamlDocument | undefined): number | undefined {
  const root = path[0];
  const written = root === undefined || Object.hasOwn(Object(document?.value) as object, root);
  return written ? document?.locate(path)?.line : undefined;
}

interface Blame {
  readonly code: ErrorCode;
  readonly remedy: Remedy;
}

const DESCRIBED = 'certlet-config(5) and config.schema.json describe every setting.';

type Mend = (filePath: string, line: number | undefined) => Remedy;

const onHost: Mend = (filePath, line) => editing(filePath, `Mend what is listed; ${DESCRIBED}`, line);
/** In a pod the file is a ConfigMap's, and no editor could write it. */
const inAnyHome: Mend = (filePath) =>
  byHand(`Mend what is listed, in ${filePath} or in the ConfigMap that it comes from; ${DESCRIBED}`);
const FLAGS_WRONG: Blame = {
  code: 'ERR_USAGE',
  remedy: 'certlet run --help',
};

function invalid(problems: readonly Described[], filePath: string, mend: Mend = onHost): CertletError {
  const first = problems.find(({ line }) => line !== undefined)?.line;
  const { code, remedy }: Blame = problems.every(({ byFlag }) => byFlag)
    ? FLAGS_WRONG
    : { code: 'ERR_CONFIG_INVALID', remedy: mend(filePath, first) };
  const lines = problems.map(({ text }) => text);
  const [only] = lines;
  const message =
    lines.length === 1 && only !== undefined
      ? `settings: ${only}`
      : [`settings: ${String(lines.length)} problems:`, ...lines].join('\n');
  return new CertletError(code, message, { remedy });
}
