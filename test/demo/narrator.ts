import { BOLD, DIM, paintFor } from '../../src/status/paint.ts';
import { type Column, tableLines } from '../../src/status/table.ts';
import { wrapped } from '../../src/status/wrapped.ts';

/** Where the story is told. */
export interface Screen {
  readonly columns: number;
  readonly colour: boolean;
  /** A line may be written over: there is a person before a terminal. */
  readonly live: boolean;
  readonly write: (text: string) => void;
  readonly now: () => number;
}

const GREEN = 32;
const CYAN = 36;
/** Of the seconds since the beginning, which stand before what happens. */
const TIME_WIDTH = 8;
const INDENT = ' '.repeat(TIME_WIDTH + 2);
const LEAST = 30;

/** Tells chapters, what happens in them with its second, and what a person would type. No line is longer than the screen, but for what is copied. */
export class Narrator {
  readonly #screen: Screen;
  readonly #paint: ReturnType<typeof paintFor>;
  readonly #begun: number;
  #chapters = 0;

  constructor(screen: Screen) {
    this.#screen = screen;
    this.#paint = paintFor(screen.colour);
    this.#begun = screen.now();
  }

  title(text: string, remark: string): void {
    this.#line(this.#paint(BOLD, text));
    for (const line of wrapped(remark, this.#screen.columns)) this.#line(this.#paint(DIM, line));
  }

  chapter(title: string, ...paragraphs: readonly string[]): void {
    this.#chapters += 1;
    this.#line('');
    this.#line(this.#paint(BOLD, `${String(this.#chapters)}. ${title}`));
    for (const paragraph of paragraphs) {
      for (const line of wrapped(paragraph, Math.max(LEAST, this.#screen.columns - 3))) this.#line(`   ${line}`);
    }
  }

  /** What has just happened. */
  event(text: string): void {
    const seconds = `${((this.#screen.now() - this.#begun) / 1000).toFixed(1)} s`.padStart(TIME_WIDTH);
    const [first, ...rest] = wrapped(text, Math.max(LEAST, this.#screen.columns - INDENT.length));
    this.#line(`${this.#paint(GREEN, seconds)}  ${first}`);
    for (const line of rest) this.#line(INDENT + line);
  }

  /** What there is to know of it. */
  remark(text: string): void {
    for (const line of wrapped(text, Math.max(LEAST, this.#screen.columns - INDENT.length))) this.#line(INDENT + line);
  }

  /** What a person types. */
  command(text: string): void {
    this.#line(`${INDENT}${this.#paint(CYAN, `$ ${text}`)}`);
  }

  /** Files and the like, as they are. */
  lines(lines: readonly string[]): void {
    for (const line of lines) this.#line(`   ${line}`.slice(0, this.#screen.columns));
  }

  table(columns: readonly Column[]): void {
    const look = { paint: this.#paint, columns: this.#screen.columns - 3 };
    for (const line of tableLines(columns, look)) this.#line(`   ${line}`);
  }

  /** How long it still takes, on one line that is gone afterwards; nothing where there is nobody to see it. */
  countdown(what: string, leftMs: number): void {
    if (!this.#screen.live) return;
    const text = `${INDENT}${what} in ${String(Math.max(0, Math.ceil(leftMs / 1000)))} s`;
    this.#screen.write(`\r${this.#paint(DIM, text.slice(0, this.#screen.columns - 1))}\u001b[K`);
  }

  countdownOver(): void {
    if (this.#screen.live) this.#screen.write('\r\u001b[K');
  }

  #line(text: string): void {
    this.#screen.write(`${text}\n`);
  }
}
