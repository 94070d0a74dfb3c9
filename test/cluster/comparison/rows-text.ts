/** Kubeconfigs as texts: encodings, the shapes of YAML, its booleans. */
import { base64, configJson, configYaml, edited, fieldsRow, textRow, TOKEN } from './config-text.ts';
import type { Row } from './row.ts';

const swapped = (bytes: Buffer): Buffer => Buffer.from(bytes).swap16();
const utf16 = (text: string): Buffer => Buffer.from(text, 'utf16le');

function encodings(): readonly Row[] {
  const row = (name: string, edit: (text: string) => string | Uint8Array): Row => textRow('encoding', name, edit);
  const comment = (bytes: readonly number[]) => (text: string) =>
    Buffer.concat([Buffer.from('# '), Buffer.from(bytes), Buffer.from(`\n${text}`)]);
  return [
    row('plain', (text) => text),
    row('UTF-8 with byte order mark', (text) => `\uFEFF${text}`),
    row('UTF-16 little endian with byte order mark', (text) => utf16(`\uFEFF${text}`)),
    row('UTF-16 big endian with byte order mark', (text) => swapped(utf16(`\uFEFF${text}`))),
    row('UTF-16 without byte order mark', utf16),
    row('Windows line ends', (text) => text.replaceAll('\n', '\r\n')),
    row('old Mac line ends', (text) => text.replaceAll('\n', '\r')),
    row('no line end at the end', (text) => text.trimEnd()),
    row('a comment in Latin-1', comment([0xe4, 0xf6])),
    row('a comment in UTF-8', comment([0xc3, 0xa4])),
    row('a NUL in a comment', comment([0])),
    row('an escape character in a comment', comment([0x1b])),
    row('a DEL in a comment', comment([0x7f])),
    row('a C1 control in a comment', comment([0xc2, 0x80])),
    row('a next-line character in a comment', comment([0xc2, 0x85])),
    row('a line separator in a comment', comment([0xe2, 0x80, 0xa8])),
    row('an emoji in a comment', comment([0xf0, 0x9f, 0x98, 0x80])),
    row('a half surrogate in a comment', comment([0xed, 0xa0, 0x80])),
    row('a byte order mark in the middle of a comment', comment([0xef, 0xbb, 0xbf])),
    row('two byte order marks', (text) => `\uFEFF\uFEFF${text}`),
    row('a NUL at the end', (text) => `${text}\0`),
    row('blank lines before', (text) => `\n\n  \n${text}`),
    row('empty file', () => ''),
    row('comment alone', () => '# nothing\n'),
    { ...row('JSON with byte order mark', (text) => text), files: (s) => ({ config: `\uFEFF${configJson(s)}` }) },
    { ...row('JSON in UTF-16', (text) => text), files: (s) => ({ config: utf16(`\uFEFF${configJson(s)}`) }) },
  ];
}

function documents(): readonly Row[] {
  const row = (name: string, edit: (text: string) => string): Row => textRow('documents', name, edit);
  return [
    row('a document mark before', (text) => `---\n${text}`),
    row('a document mark behind', (text) => `${text}---\n`),
    row('an end mark behind', (text) => `${text}...\n`),
    row('a YAML 1.1 directive', (text) => `%YAML 1.1\n---\n${text}`),
    row('a YAML 1.2 directive', (text) => `%YAML 1.2\n---\n${text}`),
    row('an unknown directive', (text) => `%FOO bar\n---\n${text}`),
    row('an empty document first', (text) => `---\n---\n${text}`),
    row('a comment as first document', (text) => `# a\n---\n${text}`),
    row('a second document of another kind', (text) => `${text}---\nkind: Pod\n`),
    row('a broken second document', (text) => `${text}---\n[\n`),
    row('a broken line behind', (text) => `${text}]\n`),
    row('a list', (text) => `- ${text.replaceAll('\n', '\n  ')}`),
    row('text', () => 'kubeconfig\n'),
    row('a number', () => '1\n'),
  ];
}

function shapes(): readonly Row[] {
  const row = (name: string, from: string | RegExp, to: string): Row =>
    textRow('YAML', name, (text) => edited(text, from, to));
  const whole = (name: string, edit: (text: string) => string): Row => textRow('YAML', name, edit);
  return [
    row('token in double quotes', TOKEN, `"${TOKEN}"`),
    row('token in single quotes', TOKEN, `'${TOKEN}'`),
    row('token as literal block', ` ${TOKEN}`, ` |-\n      ${TOKEN}`),
    row('token as folded block with line end', ` ${TOKEN}`, ` >\n      ${TOKEN}`),
    row('token with an escape', TOKEN, '"\\x61bcdef.0123456789abcdef"'),
    row('token on the next line', ` ${TOKEN}`, `\n      ${TOKEN}`),
    row('token over two lines', TOKEN, 'abcdef.0123456789\n      abcdef'),
    row('a flow map', `  user:\n    token: ${TOKEN}`, `  user: {token: ${TOKEN}}`),
    row('a flow map with trailing comma', `  user:\n    token: ${TOKEN}`, `  user: {token: ${TOKEN},}`),
    row('a trailing comment', TOKEN, `${TOKEN} # mine`),
    row('a comment without blank before', TOKEN, `${TOKEN}#mine`),
    row('a tab before a value', `token: `, 'token:\t'),
    row('a tab after a value', TOKEN, `${TOKEN}\t`),
    row('a tab as indentation', '    token', '\ttoken'),
    row('a tab in an empty line', '\nusers', '\n\t\nusers'),
    row('no blank after a colon', 'token: ', 'token:'),
    row('a blank before a colon', 'token: ', 'token : '),
    row('wrong indentation', '    token', '   x: y\n    token'),
    row('lists indented', /^- name: x\n {2}context/m, '  - name: x\n    context'),
    row('an anchor and an alias', /current-context: x\n/, 'current-context: &c x\nextra: *c\n'),
    row('an unknown alias', TOKEN, '*nowhere'),
    whole('a merge key', (text) =>
      edited(text, /users:[^]*/, `defs: &u\n  token: ${TOKEN}\nusers:\n- name: u\n  user:\n    <<: *u\n`),
    ),
    whole('an alias as user', (text) =>
      edited(text, /users:[^]*/, `defs: &u\n  token: ${TOKEN}\nusers:\n- name: u\n  user: *u\n`),
    ),
    row('the tag !!str', TOKEN, `!!str ${TOKEN}`),
    row('the tag !!binary for text', TOKEN, `!!binary ${base64(TOKEN)}`),
    row('an unknown tag', TOKEN, `!mine ${TOKEN}`),
    row('a key twice with one value', `    token: ${TOKEN}`, `    token: ${TOKEN}\n    token: ${TOKEN}`),
    row('a key twice, the second counts', `    token: ${TOKEN}`, `    token: other\n    token: ${TOKEN}`),
    row('a list twice', 'current-context', 'contexts: []\ncurrent-context'),
    row('a quoted key', '    token', '    "token"'),
    row('a complex key', '    token: ', '    ? token\n    : '),
    row('a number as key', '    token', '    1: 2\n    token'),
    row('null as key', '    token', '    ~: 2\n    token'),
    row('a map as key', '    token', '    ? {a: b}\n    : 2\n    token'),
    row('an unknown field', '    token', '    tokne: x\n    token'),
    row('a field in other case', '    token', '    Token'),
    row('a plain value that begins with @', TOKEN, '@abc'),
    row('a plain value that begins with %', TOKEN, '%abc'),
    row('a plain value with a colon and blank', TOKEN, 'abc: def'),
    row('a quote left open', TOKEN, `"${TOKEN}`),
    row('an unknown escape', TOKEN, '"\\q"'),
  ];
}

/** Values of a boolean field, each where only true, and where only false, can connect. */
function booleans(): readonly Row[] {
  const words = [
    'true',
    'True',
    'TRUE',
    'yes',
    'Yes',
    'YES',
    'on',
    'On',
    'y',
    'Y',
    'tRUE',
    'false',
    'False',
    'no',
    'No',
    'off',
    'OFF',
    'n',
  ];
  const others = ['"true"', '"yes"', '1', '0', '~', 'null', '""', '!!bool yes', '!!str true', '[]', '{}', '"false"'];
  const safe = (value: string): Row =>
    textRow('boolean', `insecure-skip-tls-verify: ${value}, CA given`, (text) =>
      edited(
        text,
        '    certificate-authority-data',
        `    insecure-skip-tls-verify: ${value}\n    certificate-authority-data`,
      ),
    );
  const unsafe = (value: string): Row =>
    textRow('boolean', `insecure-skip-tls-verify: ${value}, no CA`, (text) =>
      edited(text, /certificate-authority-data: .*/, `insecure-skip-tls-verify: ${value}`),
    );
  return [
    ...[...words, ...others].flatMap((value) => [safe(value), unsafe(value)]),
    textRow('boolean', 'disable-compression: yes', (text) =>
      edited(
        text,
        'clusters:\n- name: c\n  cluster:\n',
        'clusters:\n- name: c\n  cluster:\n    disable-compression: yes\n',
      ),
    ),
    textRow('boolean', 'disable-compression: maybe', (text) =>
      edited(
        text,
        'clusters:\n- name: c\n  cluster:\n',
        'clusters:\n- name: c\n  cluster:\n    disable-compression: maybe\n',
      ),
    ),
  ];
}

/** Plain words that YAML 1.1 takes for something else than text. */
function words(): readonly Row[] {
  const named = (value: string): Row =>
    textRow('plain word', `the context is named ${value}`, (text) =>
      edited(edited(text, 'name: x', `name: ${value}`), 'current-context: x', `current-context: ${value}`),
    );
  const token = (value: string): Row => textRow('plain word', `token: ${value}`, (text) => edited(text, TOKEN, value));
  return [
    ...[
      'yes',
      'no',
      'on',
      'y',
      'n',
      'true',
      'null',
      '~',
      '1',
      '1.5',
      '1e3',
      '0x10',
      '0o7',
      '012',
      '1_000',
      '.inf',
      '12:30',
      '2001-01-01',
      '=',
      '<<',
    ].map(named),
    ...[
      'yes',
      'n',
      '123456',
      '1e3',
      '190:20:30',
      '2001-12-14',
      '0b1',
      '+1',
      '.5',
      '123abc',
      '"123"',
      '2001-12-14t21:59:43.10-05:00',
    ].map(token),
  ];
}

/** All of this file. */
export function textRows(): readonly Row[] {
  return [
    ...encodings(),
    ...documents(),
    ...shapes(),
    ...booleans(),
    ...words(),
    fieldsRow('documents', 'JSON', {}),
    {
      ...fieldsRow('documents', 'JSON on one line', {}),
      files: (s) => ({ config: configJson(s).replaceAll('\n', '') }),
    },
    {
      ...fieldsRow('documents', 'JSON with a trailing comma', {}),
      files: (s) => ({ config: edited(configJson(s), /\n\}$/, ',\n}') }),
    },
    { ...fieldsRow('documents', 'JSON and more behind', {}), files: (s) => ({ config: `${configJson(s)}\n{}` }) },
    {
      ...fieldsRow('documents', 'YAML and JSON', {}),
      files: (s) => ({ config: `${configYaml(s)}---\n${configJson(s)}` }),
    },
  ];
}
