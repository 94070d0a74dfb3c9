import { CertletError, type ErrorCode } from '../errors.ts';

type Fields = Readonly<Record<string, unknown>>;

/**
 * Checked reading of one JSON object: each method gives a value of the type it names or throws an error of `code` that tells the
 * field's path. `null` counts as absent, since Go writes empty lists and times so. Messages hold types, never values.
 */
export class JsonFields {
  readonly #fields: Fields;
  readonly #path: string;
  readonly #code: ErrorCode;

  constructor(value: unknown, path: string, code: ErrorCode) {
    this.#path = path;
    this.#code = code;
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw this.#unexpected('', 'an object', value);
    this.#fields = value as Fields;
  }

  /** Throws unless every key is one of `keys`. */
  only(...keys: readonly string[]): void {
    const unknown = Object.keys(this.#fields).find((key) => !keys.includes(key));
    // Whatever it is called, on one line.
    if (unknown !== undefined)
      throw this.failure(
        /^[\w-]{1,80}$/.test(unknown) ? unknown : JSON.stringify(unknown.slice(0, 80)),
        'unknown field',
      );
  }

  has(key: string): boolean {
    return this.#value(key) !== undefined;
  }

  text(key: string): string {
    const value = this.#value(key);
    if (typeof value !== 'string') throw this.#unexpected(key, 'text', value);
    return value;
  }

  optionalText(key: string): string | undefined {
    return this.has(key) ? this.text(key) : undefined;
  }

  /** A text that is not empty. */
  filledText(key: string): string {
    const value = this.text(key);
    if (value === '') throw this.failure(key, 'empty');
    return value;
  }

  oneOf<const T extends string>(key: string, allowed: readonly T[]): T {
    const value = this.text(key);
    const found = allowed.find((entry) => entry === value);
    if (found === undefined) throw this.failure(key, `expected one of ${allowed.join(', ')}`);
    return found;
  }

  /** An ISO time exactly as `Date.toISOString` writes it. */
  date(key: string): Date {
    const value = this.text(key);
    const date = new Date(value);
    if (Number.isNaN(date.getTime()) || date.toISOString() !== value)
      throw this.failure(key, 'expected an ISO time in UTC');
    return date;
  }

  integer(key: string): number {
    const value = this.#value(key);
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw this.#unexpected(key, 'a whole number', value);
    return value;
  }

  truth(key: string): boolean {
    const value = this.#value(key);
    if (typeof value !== 'boolean') throw this.#unexpected(key, 'true or false', value);
    return value;
  }

  /** A list of texts; absent means empty. */
  texts(key: string): readonly string[] {
    return this.#list(key).map((entry, index) => {
      if (typeof entry !== 'string') throw this.#unexpected(`${key}[${String(index)}]`, 'text', entry);
      return entry;
    });
  }

  /** A list of texts that are all among `allowed`; absent means empty. */
  eachOneOf<const T extends string>(key: string, allowed: readonly T[]): readonly T[] {
    return this.texts(key).map((value, index) => {
      const found = allowed.find((entry) => entry === value);
      if (found === undefined) throw this.failure(`${key}[${String(index)}]`, `expected one of ${allowed.join(', ')}`);
      return found;
    });
  }

  /** A list of objects; absent means empty. */
  objects(key: string): readonly JsonFields[] {
    return this.#list(key).map(
      (entry, index) => new JsonFields(entry, this.#at(`${key}[${String(index)}]`), this.#code),
    );
  }

  /** The value as it is, of whatever type; undefined where it is absent. */
  plain(key: string): unknown {
    return this.#value(key);
  }

  object(key: string): JsonFields {
    return new JsonFields(this.#value(key), this.#at(key), this.#code);
  }

  /** Base64 as Go's encoding/json writes bytes, as the text that they are in UTF-8. */
  base64Text(key: string): string {
    const encoded = this.text(key).replaceAll(/[\r\n]/g, '');
    const bytes = Buffer.from(encoded, 'base64');
    if (bytes.toString('base64') !== encoded) throw this.failure(key, 'no base64');
    return bytes.toString('utf8');
  }

  /** The error for a field whose value is wrong for a reason that only the caller knows. */
  failure(key: string, what: string): CertletError {
    return new CertletError(this.#code, `${this.#at(key)}: ${what}`);
  }

  #value(key: string): unknown {
    const value = this.#fields[key];
    return value === null ? undefined : value;
  }

  #list(key: string): readonly unknown[] {
    const value = this.#value(key) ?? [];
    if (!Array.isArray(value)) throw this.#unexpected(key, 'a list', value);
    return value as readonly unknown[];
  }

  #at(key: string): string {
    return key === '' ? this.#path : `${this.#path}.${key}`;
  }

  #unexpected(key: string, expected: string, value: unknown): CertletError {
    return this.failure(key, `expected ${expected}, found ${kindOf(value)}`);
  }
}

function kindOf(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (typeof value === 'string') return 'text';
  return Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
