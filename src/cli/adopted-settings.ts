import { isDeepStrictEqual } from 'node:util';
import { CertletError } from '../errors.ts';
import { encodeYaml, parseOnlyYaml } from '../kubeconfig/yaml.ts';

type Fields = Readonly<Record<string, unknown>>;

/**
 * The settings file with `wanted` put in. What else stands there stays, comments included as far as they are not inside of
 * a value that changes; the same text when nothing changes. Throws `ERR_CONFIG_INVALID` for a file that is no YAML map.
 */
export function mergeSettings(text: string | undefined, wanted: Fields, path: string): string {
  if (text === undefined) return `# Written by "certlet adopt".\n${encodeYaml(wanted)}`;
  const present = settingsFields(text, path);
  const merged = merge(present, wanted);
  if (isDeepStrictEqual(merged, present)) return text;
  const edited = editText(text, present, merged);
  // Text is edited to keep comments; where that did not come out right (flow style, aliases) the file is written anew.
  return isSettings(edited, merged, path) ? edited : encodeYaml(merged);
}

/** Top-level settings of a file as written; empty for an empty file. Throws `ERR_CONFIG_INVALID` for a file that is no YAML map. */
export function settingsFields(text: string, path: string): Fields {
  const { value } = parseOnlyYaml(text, path, 'ERR_CONFIG_INVALID');
  if (value === null) return {};
  if (isFields(value)) return value;
  throw new CertletError('ERR_CONFIG_INVALID', `${path}:1:1: expected a map of settings`);
}

function merge(present: Fields, wanted: Fields): Fields {
  const merged: Record<string, unknown> = { ...present };
  for (const [key, value] of Object.entries(wanted)) {
    const before = merged[key];
    merged[key] = isFields(before) && isFields(value) ? { ...before, ...value } : value;
  }
  return merged;
}

function editText(text: string, present: Fields, merged: Fields): string {
  let edited = text === '' || text.endsWith('\n') ? text : `${text}\n`;
  for (const [key, value] of Object.entries(merged)) {
    if (isDeepStrictEqual(present[key], value)) continue;
    const entry = encodeYaml({ [key]: value });
    // A key at the margin and everything below it that is indented or a list item.
    const block = new RegExp(`^${key}:.*\\n(?:(?:[ \\t]+|-).*\\n)*`, 'mu');
    edited = block.test(edited) ? edited.replace(block, () => entry) : edited + entry;
  }
  return edited;
}

function isSettings(text: string, wanted: Fields, path: string): boolean {
  try {
    return isDeepStrictEqual(settingsFields(text, path), wanted);
  } catch {
    return false;
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
