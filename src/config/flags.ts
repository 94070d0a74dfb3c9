import type { Codec, FlagKind, SettingPath } from './codec.ts';
import { SETTINGS_CODEC } from './fields.ts';

/** Values of setting flags, by flag name without dashes. A later flag has already won over an earlier one. */
export type FlagValues = Readonly<Record<string, string | boolean | readonly string[]>>;

/** One setting that is no group. */
export interface SettingLeaf {
  readonly path: SettingPath;
  /** Name of its flag without dashes; undefined for what only a file can say. */
  readonly flag: string | undefined;
  readonly kind: FlagKind;
  readonly codec: Codec<unknown>;
  readonly fallback: unknown;
}

/** Groups that only a file can give. */
const FILE_ALONE: readonly string[] = ['plainFiles', 'approve'];

/** Every setting in the order of the table, groups opened. */
export function settingLeaves(): readonly SettingLeaf[] {
  return LEAVES;
}

/** `nodeIP` is `node-ip`, `rotation.minimumSpacing` is `rotation-minimum-spacing`: the kubelet's names where it has one. */
export function flagName(path: SettingPath): string {
  return path
    .map((part) =>
      String(part)
        .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
        // An abbreviation ends where a word begins: clusterCARefresh.
        .replace(/([A-Z])([A-Z][a-z])/g, '$1-$2')
        .toLowerCase(),
    )
    .join('-');
}

function leavesOf(codec: Codec<unknown>, path: SettingPath): readonly SettingLeaf[] {
  return Object.entries(codec.fields ?? {}).flatMap(([name, field]) => {
    const here = [...path, name];
    if (field.codec.fields !== undefined) return leavesOf(field.codec, here);
    const flag = field.codec.flag === 'none' || FILE_ALONE.includes(String(here[0])) ? undefined : flagName(here);
    return [{ path: here, flag, kind: field.codec.flag, codec: field.codec, fallback: field.fallback }];
  });
}

/** Three readers of a command line want them. */
const LEAVES = leavesOf(SETTINGS_CODEC, []);
