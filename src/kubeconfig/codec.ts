import { hash } from 'node:crypto';
import { filledIn, type Remedy, byHand, shellWord } from '../remedy.ts';
import { readCluster } from './cluster-entry.ts';
import { Field } from './fields.ts';
import type { Kubeconfig } from './model.ts';
import { readUser } from './user-entry.ts';
import { parseYaml } from './yaml.ts';
import type { YamlDocument } from './yaml.ts';

interface Parsed {
  /** SHA-256: the text may hold a token, and its secrets are kept apart in `kubeconfig`. */
  readonly digest: string;
  readonly chosen: string | undefined;
  readonly kubeconfig: Kubeconfig;
}

/** What each file said last: a start reads the same ones four times, and each round of the daemon again. */
const parsed = new Map<string, Parsed>();
/** A host has two or three. */
const MOST_PARSED = 8;

/**
 * Reads the current context of a kubeconfig, or the one that was chosen, as client-go does. `path` is the file's absolute path: relative paths
 * inside count from its folder. Throws `ERR_KUBECONFIG_INVALID` with file, line, column, field and remedy. A text that was read before is not
 * parsed again.
 */
export function parseKubeconfig(text: string, path: string, chosen?: string): Kubeconfig {
  const before = parsed.get(path);
  const digest = hash('sha256', text);
  if (before?.digest === digest && before.chosen === chosen) return before.kubeconfig;
  const kubeconfig = parse(text, path, chosen);
  if (parsed.size >= MOST_PARSED) parsed.clear();
  parsed.set(path, { digest, chosen, kubeconfig });
  return kubeconfig;
}

function parse(text: string, path: string, chosen: string | undefined): Kubeconfig {
  const document = parseYaml(text, path);
  const root = new Field(path, document);
  if (!root.present) {
    const what = document.more === undefined ? 'the file is empty' : 'the first of its YAML documents is empty';
    throw root.wrong(what, byHand(`Put a kubeconfig into ${path}.`));
  }
  checkKind(root);
  const context = chosen ?? root.at('current-context').text();
  if (context === undefined) {
    throw root
      .at('current-context')
      .wrong('missing', filledIn(`kubectl --kubeconfig ${shellWord(path)} config use-context NAME`, 'chooses one'));
  }
  const entry = named(root, 'contexts', 'context', context);
  if (entry === undefined && chosen !== undefined) {
    const remedy: Remedy = `kubectl --kubeconfig ${shellWord(path)} config get-contexts   # choose one of these`;
    throw root.at('contexts').wrong(`has no context ${JSON.stringify(chosen)}`, remedy);
  }
  if (entry === undefined) {
    throw root
      .at('current-context')
      .wrong(
        `names the context ${JSON.stringify(context)}, which is not in contexts`,
        filledIn(`kubectl --kubeconfig ${shellWord(path)} config use-context NAME`, 'chooses one'),
      );
  }
  const cluster = readClusterOf(root, entry);
  return {
    path,
    context,
    cluster: readCluster(cluster),
    user: readUserOf(root, entry, cluster),
    warnings: moreWarnings(document, path),
  };
}

/** kubectl and the kubelet ignore it without a word; whoever appended a second kubeconfig here meant something. */
function moreWarnings({ more }: YamlDocument, path: string): readonly string[] {
  if (more === undefined) return [];
  const place = `${path}:${String(more.line)}:${String(more.column)}`;
  return [`${place}: only the first YAML document is read, as kubectl does; what follows here is ignored`];
}

function checkKind(root: Field): void {
  const kind = root.at('kind');
  const text = kind.text();
  if (text !== undefined && text !== 'Config')
    throw kind.invalid('is not Config', 'Write kind: Config, if this file is a kubeconfig.');
  const apiVersion = root.at('apiVersion');
  const version = apiVersion.text();
  if (version !== undefined && version !== 'v1') throw apiVersion.invalid('is not v1', 'Write apiVersion: v1.');
}

function readClusterOf(root: Field, context: Field): Field {
  const field = context.at('cluster');
  const name = field.text();
  if (name === undefined) throw field.invalid('missing', 'Name one of the entries of clusters.');
  const found = named(root, 'clusters', 'cluster', name);
  if (found === undefined)
    throw field.invalid(
      `names the cluster ${JSON.stringify(name)}, which is not in clusters`,
      'Add it, or name another.',
    );
  return found;
}

function readUserOf(root: Field, context: Field, cluster: Field): Kubeconfig['user'] {
  const field = context.at('user');
  const name = field.text();
  if (name === undefined) return { kind: 'none', warnings: [] };
  const found = named(root, 'users', 'user', name);
  if (found === undefined)
    throw field.invalid(`names the user ${JSON.stringify(name)}, which is not in users`, 'Add it, or name another.');
  return readUser(found, cluster);
}

/** The map of a named list's entry. Names must be unique, as client-go demands. */
function named(root: Field, list: string, key: string, name: string): Field | undefined {
  const seen = new Set<string>();
  let found: Field | undefined;
  for (const item of root.at(list).items()) {
    const field = item.at('name');
    const itemName = field.text() ?? '';
    if (seen.has(itemName))
      throw field.invalid(`${JSON.stringify(itemName)} stands twice in ${list}`, 'Rename or delete one of the two.');
    seen.add(itemName);
    if (itemName === name) found = item.at(key);
  }
  return found;
}
