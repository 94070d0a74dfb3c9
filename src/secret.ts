/**
 * Text that must never be printed: private keys, tokens, proxy passwords. Every road to a log, an error,
 * a status document or JSON shows `[secret]`; only `reveal()` gives the text, so its uses can be searched for.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself. Call it only where the bytes go to the wire, to a 0600 file or into `node:crypto`. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  /** `util.inspect` and `console.log` ask for this. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return '[secret]';
  }
}
