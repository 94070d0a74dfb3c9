import type { State } from './verdict.ts';

/** Puts a colour (SGR parameter) around a word, or leaves it as it is. */
export type Paint = (code: number, text: string) => string;

/** The colours of a terminal where `colour` is true. */
export const paintFor =
  (colour: boolean): Paint =>
  (code, text) =>
    colour ? `\u001b[${String(code)}m${text}\u001b[0m` : text;

export const BOLD = 1;
export const DIM = 2;
export const STATE_COLOURS: Readonly<Record<State, number>> = {
  healthy: 32,
  waiting: 33,
  expiring: 33,
  expired: 31,
  unknown: 35,
};
