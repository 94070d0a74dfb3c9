import { type Remedy, byHand, editing } from '../remedy.ts';
import { CertletError } from '../errors.ts';
import type { YamlDocument, YamlPath } from './yaml.ts';

/**
 * One value of a kubeconfig and where it stands, so that every complaint names file, line, column and field.
 * `null` counts as absent, as in Go. Unknown fields are never looked at: client-go ignores them too.
 */
export class Field {
  readonly file: string;
  readonly path: YamlPath;
  readonly value: unknown;
  readonly #document: YamlDocument;

  constructor(file: string, document: YamlDocument, ...at: [] | [path: YamlPath, value: unknown]) {
    this.file = file;
    this.path = at[0] ?? [];
    this.value = (at.length === 0 ? document.value : at[1]) ?? undefined;
    this.#document = document;
  }

  /** Field path for people, such as `users[0].user.token`. */
  get name(): string {
    return this.path
      .map((segment, index) =>
        typeof segment === 'number' ? `[${String(segment)}]` : `${index === 0 ? '' : '.'}${segment}`,
      )
      .join('');
  }

  /** `file:line:column` of the value, or of what should hold it. */
  get place(): string {
    const position = this.#document.locate(this.path);
    return position === undefined ? this.file : `${this.file}:${String(position.line)}:${String(position.column)}`;
  }

  get present(): boolean {
    return this.value !== undefined;
  }

  /** A field of a map; throws when this is neither a map nor absent. */
  at(key: string): Field {
    const map = this.#map();
    const value = map !== undefined && Object.hasOwn(map, key) ? map[key] : undefined;
    return new Field(this.file, this.#document, [...this.path, key], value);
  }

  /** The items of a list; none when absent. */
  items(): readonly Field[] {
    if (this.value === undefined) return [];
    if (!Array.isArray(this.value)) throw this.wrongType('a list');
    const items: readonly unknown[] = this.value;
    return items.map((item, index) => new Field(this.file, this.#document, [...this.path, index], item));
  }

  /** Text, undefined when absent or empty (client-go makes no difference between the two). */
  text(): string | undefined {
    if (this.value === undefined || this.value === '') return undefined;
    if (typeof this.value !== 'string') throw this.wrongType('text');
    return this.value;
  }

  /** `true` or `false`; absent means false. */
  flag(): boolean {
    if (this.value === undefined) return false;
    if (typeof this.value !== 'boolean') throw this.wrongType('true or false');
    return this.value;
  }

  /** The error for this field, mended in the file as the sentence `what` says. Neither text may quote a value that could be secret. */
  invalid(problem: string, what: string, cause?: unknown): CertletError {
    return this.wrong(problem, editing(this.file, what, this.#document.locate(this.path)?.line), cause);
  }

  /** The error for this field where something else than an editor ends it. */
  wrong(problem: string, remedy: Remedy, cause?: unknown): CertletError {
    const where = this.name === '' ? this.place : `${this.place}: ${this.name}`;
    return new CertletError('ERR_KUBECONFIG_INVALID', `${where}: ${problem}`, { remedy, cause });
  }

  /** The error for a value of another type than `wanted`. */
  wrongType(wanted: string): CertletError {
    const actual = kindOf(this.value);
    const quotes = wanted === 'text' && (actual === 'a number' || actual === 'true or false');
    return this.invalid(
      `expected ${wanted}, got ${actual}`,
      quotes ? `Put the value of ${this.name} in quotes.` : `Write ${this.name} as ${wanted}.`,
    );
  }

  #map(): Readonly<Record<string, unknown>> | undefined {
    const value = this.value;
    if (value === undefined) return undefined;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw this.path.length === 0
        ? new CertletError('ERR_KUBECONFIG_INVALID', `${this.place}: expected a kubeconfig, got ${kindOf(value)}`, {
            remedy: byHand(`Put a kubeconfig (kind: Config) into ${this.file}.`),
          })
        : this.wrongType('a map');
    }
    return value as Readonly<Record<string, unknown>>;
  }
}

const KINDS: Readonly<Record<string, string>> = {
  undefined: 'nothing',
  string: 'text',
  number: 'a number',
  bigint: 'a number',
  boolean: 'true or false',
};

function kindOf(value: unknown): string {
  return Array.isArray(value) ? 'a list' : (KINDS[typeof value] ?? 'a map');
}
