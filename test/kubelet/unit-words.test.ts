import t from 'tap';
import { expandWords, splitWords } from '../../src/kubelet/unit-words.ts';

for (const row of [
  { name: 'blanks of every kind', text: ' a\tb \n c ', words: ['a', 'b', 'c'] },
  { name: 'double quotes', text: '"a b" c', words: ['a b', 'c'] },
  { name: 'single quotes', text: "'a b' c", words: ['a b', 'c'] },
  { name: 'quotes inside a word', text: '--labels="a b"=c', words: ['--labels=a b=c'] },
  { name: 'the other quote inside quotes', text: `"it's" 'say "x"'`, words: ["it's", 'say "x"'] },
  { name: 'an empty word', text: `a "" b`, words: ['a', '', 'b'] },
  { name: 'an escaped quote', text: String.raw`"a\"b" c\'d`, words: ['a"b', "c'd"] },
  { name: 'an escaped blank', text: String.raw`a\sb`, words: ['a b'] },
  { name: 'codes', text: String.raw`\x41\102\u0043`, words: ['ABC'] },
  { name: 'line breaks and tabs', text: String.raw`a\nb\tc`, words: ['a\nb\tc'] },
  { name: 'a backslash', text: String.raw`a\\b`, words: [String.raw`a\b`] },
  { name: 'an unknown escape is kept', text: String.raw`a\qb`, words: [String.raw`a\qb`] },
  { name: 'a quote that is never closed', text: 'a "b c', words: ['a', 'b c'] },
  { name: 'nothing', text: '', words: [] },
]) {
  t.test(`split: ${row.name}`, async (t) => {
    t.strictSame(splitWords(row.text), row.words);
  });
}

const environment = new Map([
  ['ARGS', '--a=1 "--b=x y"'],
  ['ONE', 'one'],
  ['EMPTY', ''],
  ['ESCAPED', String.raw`a\nb\ c`],
]);
for (const row of [
  { name: 'a variable alone becomes several words', words: ['k', '$ARGS'], want: ['k', '--a=1', '--b=x y'] },
  { name: 'escapes in a value stand for their character', words: ['$ESCAPED'], want: ['anb c'] },
  { name: 'an unset variable alone becomes no word', words: ['k', '$UNSET', '$EMPTY'], want: ['k'] },
  { name: 'braces keep it one word', words: ['${ARGS}'], want: ['--a=1 "--b=x y"'] },
  { name: 'braces inside a word', words: ['--x=${ONE}/${ONE}'], want: ['--x=one/one'] },
  { name: 'unset in braces is empty', words: ['--x=${UNSET}'], want: ['--x='] },
  { name: 'no braces inside a word stays', words: ['--x=$ONE'], want: ['--x=$ONE'] },
  { name: 'two dollars are one', words: ['a$$b', '$$ONE'], want: ['a$b', '$ONE'] },
  { name: 'specifiers stay', words: ['%H', '%%'], want: ['%H', '%%'] },
]) {
  t.test(`expand: ${row.name}`, async (t) => {
    t.strictSame(expandWords(row.words, environment), row.want);
  });
}
