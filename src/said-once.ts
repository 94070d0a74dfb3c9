/** Where the things are named by texts of others, such as error messages or fingerprints, they do not fill the memory: the one said first is news again. */
const MOST_THINGS = 256;

/** What has been said about what: the same text about the same thing is news once, and again when it has changed or was over in between. */
export class SaidOnce {
  readonly #said = new Map<string, string>();

  /** True when `text` is to be said about `thing` now. */
  isNews(thing: string, text: string): boolean {
    if (this.#said.get(thing) === text) return false;
    this.#said.set(thing, text);
    const [oldest] = this.#said.keys();
    if (this.#said.size > MOST_THINGS && oldest !== undefined) this.#said.delete(oldest);
    return true;
  }

  /** There is nothing to say about it any more. */
  over(thing: string): void {
    this.#said.delete(thing);
  }
}
