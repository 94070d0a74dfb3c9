import { byHand, editing } from '../remedy.ts';
import { isScalar, LineCounter, parseAllDocuments, parseDocument, stringify } from 'yaml';
import type { Document, ScalarTag } from 'yaml';
import { CertletError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';

/** Keys and list indexes from the root to a value. */
export type YamlPath = readonly (string | number)[];

export interface Position {
  /** Both count from 1. */
  readonly line: number;
  readonly column: number;
}

export interface YamlDocument {
  /** Plain objects, lists, text, numbers, booleans and null. */
  readonly value: unknown;
  /** Where the value at `path` stands, or its nearest ancestor that the file has; undefined for an empty file. */
  locate(path: YamlPath): Position | undefined;
  /** Where the first of the documents begins that follow and hold anything; nothing of them is read. */
  readonly more: Position | undefined;
}

/** Real kubeconfigs and settings have some kilobytes; this only keeps a wrong file from filling the memory. */
const MAX_BYTES = 1024 * 1024;
/** Characters that can begin a value or a comment. The parser needs some kilobytes for each, and a megabyte of `[` would fill a small host's memory. */
const MARKS = /[[\]{},:&*?#!'"\t\n]|- /g;
const MAX_MARKS = 20_000;
/** An alias may not stand for more than this many nodes in all ("billion laughs"). */
const MAX_ALIASES = 100;

/**
 * The first document of a YAML (or JSON) text, as Kubernetes reads its files: sigs.k8s.io/yaml decodes that one, with the booleans and
 * numbers of YAML 1.1, and looks at nothing behind it. Throws `code` (`ERR_KUBECONFIG_INVALID` unless told) with `path:line:column`
 * for syntax errors, duplicate keys, unknown tags, exploding aliases and texts above 1 MiB.
 * Messages quote nothing of the text, since it may hold a token.
 */
export function parseYaml(text: string, path: string, code: ErrorCode = 'ERR_KUBECONFIG_INVALID'): YamlDocument {
  return parse(text, path, code, OLD_WORDS);
}

/**
 * What go-yaml takes for a boolean or a number beside YAML 1.2's: `insecure-skip-tls-verify: yes` is true, and a cluster of the name `on`
 * needs quotes.
 */
const OLD_WORDS: readonly ScalarTag[] = [
  {
    tag: 'tag:yaml.org,2002:bool',
    default: true,
    test: /^(?:y|Y|yes|Yes|YES|on|On|ON|n|N|no|No|NO|off|Off|OFF)$/,
    resolve: (word) => /^(?:y|on)/i.test(word),
  },
  {
    tag: 'tag:yaml.org,2002:int',
    default: true,
    test: /^[-+]?(?:0b[01_]+|0x[0-9a-f_]+|0o?[0-7_]+|[0-9][0-9_]*)$/i,
    resolve: (word) => Number(word.replaceAll('_', '').replace(/^[-+]/, '')) * (word.startsWith('-') ? -1 : 1),
  },
];

function parse(text: string, path: string, code: ErrorCode, more: readonly ScalarTag[]): YamlDocument {
  refuseCrowds(text, path, code);
  const lines = new LineCounter();
  const options = {
    strict: true,
    uniqueKeys: true,
    prettyErrors: false,
    // Warnings are refused below; the parser would also print them, with the text that they are about.
    logLevel: 'error' as const,
    merge: true,
    lineCounter: lines,
    customTags: [...more],
  };
  const all = [...parseAllDocuments(text, options)];
  const parsed = all[0] ?? parseDocument(text, options);
  const position = (offset: number | undefined): Position | undefined => {
    if (offset === undefined) return undefined;
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const problem = parsed.errors[0] ?? parsed.warnings[0];
  if (problem !== undefined) {
    const { line, col } = lines.linePos(problem.pos[0]);
    throw new CertletError(code, `${path}:${String(line)}:${String(col)}: ${explain(problem.code, problem.message)}`, {
      remedy: editing(path, `Mend the YAML at line ${String(line)}.`, line),
    });
  }
  let value: unknown;
  try {
    value = parsed.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    throw new CertletError(code, `${path}:1:1: aliases cannot be expanded`, {
      remedy: editing(path, 'Write the values out instead of using YAML aliases.'),
      cause: error,
    });
  }
  return {
    value,
    more: position(all.slice(1).find((document) => holdsAnything(document))?.range[0]),
    locate(segments) {
      for (let length = segments.length; length >= 0; length -= 1) {
        const node: unknown = length === 0 ? parsed.contents : parsed.getIn(segments.slice(0, length), true);
        const place = position(startOf(node));
        if (place !== undefined) return place;
      }
      return undefined;
    },
  };
}

/** As `parseYaml` by YAML 1.2 alone, for files of certlet's own (`on` is a field there): a second document is refused, since it would be left out in silence. */
export function parseOnlyYaml(text: string, path: string, code: ErrorCode): YamlDocument {
  const document = parse(text, path, code, []);
  if (document.more === undefined) return document;
  const { line, column } = document.more;
  throw new CertletError(code, `${path}:${String(line)}:${String(column)}: several YAML documents in one file`, {
    remedy: editing(path, 'Leave one document in it.', line),
  });
}

function refuseCrowds(text: string, path: string, code: ErrorCode): void {
  const remedy = byHand(`Check that ${path} is the right file.`);
  if (Buffer.byteLength(text) > MAX_BYTES) throw new CertletError(code, `${path}: larger than 1 MiB`, { remedy });
  const crowded = lineOfMark(text, MAX_MARKS);
  if (crowded === undefined) return;
  throw new CertletError(code, `${path}:${String(crowded)}:1: more values than any such file has`, { remedy });
}

/** Broken text counts: somebody wrote it. A trailing `---`, a comment or `null` does not. */
function holdsAnything({ contents, errors }: Document.Parsed): boolean {
  return errors.length > 0 || !(contents === null || (isScalar(contents) && contents.value === null));
}

/** The line of the first mark beyond `limit`; undefined when there are no more than that. */
function lineOfMark(text: string, limit: number): number | undefined {
  let count = 0;
  let line = 1;
  for (const [mark] of text.matchAll(MARKS)) {
    count += 1;
    if (count > limit) return line;
    if (mark === '\n') line += 1;
  }
  return undefined;
}

const EXPLANATIONS: Readonly<Record<string, string>> = {
  // The parser calls itself for each level, and thousands of them are more than its stack holds.
  RESOURCE_EXHAUSTION: 'nests too deeply',
  DUPLICATE_KEY: 'the same key stands twice in one map',
  TAB_AS_INDENT: 'a tab is used for indentation',
  TAG_RESOLVE_FAILED: 'an unknown tag (!name) is used',
  BAD_SCALAR_START: 'a value begins with a character that needs quotes',
  BLOCK_AS_IMPLICIT_KEY: 'wrong indentation, or a value with ": " that needs quotes',
  MULTILINE_IMPLICIT_KEY: 'wrong indentation, or a value with ": " that needs quotes',
  UNEXPECTED_TOKEN: 'something follows where a value has ended; a quote or line break may be missing',
};
/** Complaints of the parser whose own text never quotes the file, which may hold a token. */
const QUOTES_NOTHING = ['BAD_INDENT', 'MISSING_CHAR', 'BLOCK_IN_FLOW'];

function explain(code: string, message: string): string {
  return EXPLANATIONS[code] ?? (QUOTES_NOTHING.includes(code) ? `not YAML: ${message}` : `not YAML (${code})`);
}

function startOf(node: unknown): number | undefined {
  if (typeof node !== 'object' || node === null || !('range' in node) || !Array.isArray(node.range)) return undefined;
  const start: unknown = node.range[0];
  return typeof start === 'number' ? start : undefined;
}

/** A key or text of `<<` is a word like others to whoever writes it, and a merge to whoever reads it without quotes. */
const MERGE_WORD: ScalarTag = { tag: 'tag:yaml.org,2002:merge', default: true, test: /^<<$/, resolve: (word) => word };

const isMerge = (tag: unknown): boolean =>
  typeof tag === 'object' && tag !== null && 'tag' in tag && tag.tag === MERGE_WORD.tag;

/**
 * YAML text of plain data, in key order, without line folding. Ends in a newline. Text that only YAML 1.1 would take
 * for something else (`yes`, `12:30`) is quoted too, because the kubelet reads YAML 1.1. What stands in several places is written in each.
 */
export function encodeYaml(value: unknown): string {
  return stringify(value, {
    lineWidth: 0,
    aliasDuplicateObjects: false,
    schema: 'yaml-1.1',
    compat: 'core',
    customTags: (tags) => [...tags.filter((tag) => !isMerge(tag)), ...OLD_WORDS, MERGE_WORD],
  });
}
