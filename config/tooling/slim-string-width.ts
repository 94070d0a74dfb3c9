/**
 * string-width, of which yargs and its columns bring one each, without what both make before anybody asks for a width: a segmenter and the pattern of
 * all emoji cost each start of the program some tens of milliseconds. They are made by the first text that needs them.
 */
import { readFileSync } from 'node:fs';
import type { Plugin } from 'esbuild';

const MODULE = /node_modules\/string-width\/index\.js$/;
const SEGMENTER = 'const segmenter = new Intl.Segmenter();';
const EMOJI = String.raw`const rgiEmojiRegex = /^\p{RGI_Emoji}$/v;`;
const LATE_SEGMENTER =
  'let madeSegmenter; const segmenter = { segment: (text) => (madeSegmenter ??= new Intl.Segmenter()).segment(text) };';
const LATE_EMOJI = String.raw`let madeEmoji; const rgiEmojiRegex = { test: (text) => (madeEmoji ??= /^\p{RGI_Emoji}$/v).test(text) };`;

/** The module's text with both made late. Throws where the module is another than the one that was looked at. */
export function lateWidths(text: string, path: string): string {
  if (!text.includes(SEGMENTER) || (text.includes('RGI_Emoji}$/v') && !text.includes(EMOJI)))
    throw new Error(`${path}: what it makes when it is loaded is not where slim-string-width.ts looks for it`);
  return text.replace(SEGMENTER, () => LATE_SEGMENTER).replace(EMOJI, () => LATE_EMOJI);
}

/** Puts such a module in its place. */
export const slimStringWidth: Plugin = {
  name: 'slim-string-width',
  setup(builder) {
    builder.onLoad({ filter: MODULE }, ({ path }) => ({
      contents: lateWidths(readFileSync(path, 'utf8'), path),
      loader: 'js',
    }));
  },
};
