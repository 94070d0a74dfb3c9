import { nearest } from './nearest.ts';

/** Keys and list indexes from the root of the settings to a value. */
export type SettingPath = readonly (string | number)[];

/** As a person writes it: `certificates[0].name`. */
export function dotted(path: SettingPath): string {
  if (path.length === 0) return 'the file';
  return path
    .map((part, index) => {
      if (typeof part === 'number') return `[${String(part)}]`;
      return `${index === 0 ? '' : '.'}${cut(part)}`;
    })
    .join('');
}

/** One thing that is wrong, at its place. */
export interface Problem {
  readonly path: SettingPath;
  readonly text: string;
}

export type JsonSchema = Readonly<Record<string, unknown>>;

/** How a setting is given on a command line; `none`: in the file alone. */
export type FlagKind = 'text' | 'list' | 'boolean' | 'number' | 'none';

/** Reads one kind of value, and says as JSON Schema what it reads. */
export interface Codec<T> {
  readonly schema: JsonSchema;
  readonly flag: FlagKind;
  /** Settings below this one, where it is a group. */
  readonly fields?: Fields;
  /** What the list holds, where it is one. */
  readonly items?: Codec<unknown>;
  /** Adds to `problems` whatever is wrong; the result is undefined then. */
  read(value: unknown, path: SettingPath, problems: Problem[]): T | undefined;
}

/** A setting with what stands in for it when it is absent. */
export interface Field<T, Optional extends boolean = boolean> {
  readonly codec: Codec<T>;
  readonly optional: Optional;
  /** As it would be written in the file. */
  readonly fallback?: unknown;
}

export type Fields = Readonly<Record<string, Field<unknown>>>;

/** What reading a group gives. */
export type Values<F> = {
  readonly [K in keyof F]: F[K] extends Field<infer T, infer Optional>
    ? Optional extends true
      ? T | undefined
      : T
    : never;
};

/** A setting that has a default, written as in the file. */
export function defaulted<T>(codec: Codec<T>, fallback: unknown): Field<T, false> {
  return { codec, optional: false, fallback };
}

/** A setting that may be absent. */
export function optional<T>(codec: Codec<T>): Field<T, true> {
  return { codec, optional: true };
}

/** A setting that must be given. */
export function required<T>(codec: Codec<T>): Field<T, false> {
  return { codec, optional: false };
}

/** A map with these settings and no others. */
export function group<F extends Fields>(fields: F): Codec<Values<F>> {
  const names = Object.keys(fields);
  const needed = names.filter((name) => fields[name]?.optional === false && fields[name].fallback === undefined);
  return {
    flag: 'none',
    fields,
    schema: {
      type: 'object',
      additionalProperties: false,
      properties: Object.fromEntries(names.map((name) => [name, fieldSchema(fields[name])])),
      ...(needed.length === 0 ? {} : { required: needed }),
    },
    read(value, path, problems) {
      if (!isMap(value)) return reject(problems, path, `expected a map of settings, got ${shown(value)}`);
      for (const key of Object.keys(value)) {
        if (!Object.hasOwn(fields, key)) problems.push({ path: [...path, key], text: unknownKey(key, names) });
      }
      return Object.fromEntries(
        names.map((name) => [name, readField(fields[name], value, [...path, name], problems)]),
      ) as Values<F>;
    },
  };
}

/** A list whose entries are all of one kind. */
export function list<T>(items: Codec<T>, limits: { readonly min: number } = { min: 0 }): Codec<readonly T[]> {
  return {
    flag: items.flag === 'text' ? 'list' : 'none',
    items,
    schema: { type: 'array', items: items.schema, ...(limits.min === 0 ? {} : { minItems: limits.min }) },
    read(value, path, problems) {
      if (!Array.isArray(value)) return reject(problems, path, `expected a list, got ${shown(value)}`);
      if (value.length < limits.min) return reject(problems, path, 'expected at least one entry, got an empty list');
      return value.map((entry, index) => items.read(entry, [...path, index], problems)) as readonly T[];
    },
  };
}

/** Adds a problem; the result of a codec that could not read. */
export function reject(problems: Problem[], path: SettingPath, text: string): undefined {
  problems.push({ path, text });
  return undefined;
}

/** A value as it may stand in a message: short, on one line. */
export function shown(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  if (typeof value === 'string') return JSON.stringify(cut(value));
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : typeof value;
}

const cut = (text: string): string => (text.length > 80 ? `${text.slice(0, 80)}…` : text);

function readField(
  field: Field<unknown> | undefined,
  source: Readonly<Record<string, unknown>>,
  path: SettingPath,
  problems: Problem[],
): unknown {
  const key = String(path.at(-1));
  const given = Object.hasOwn(source, key) ? source[key] : field?.fallback;
  if (given !== undefined) return field?.codec.read(given, path, problems);
  return field?.optional === true ? undefined : reject(problems, path, 'is missing');
}

function fieldSchema(field: Field<unknown> | undefined): JsonSchema {
  const plain = field?.fallback !== undefined && field.codec.fields === undefined;
  return { ...field?.codec.schema, ...(plain ? { default: field.fallback } : {}) };
}

function unknownKey(key: string, names: readonly string[]): string {
  const meant = nearest(key, names);
  return meant === undefined ? 'is not a setting' : `is not a setting; did you mean ${meant}?`;
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
