import type { Row, Scene } from './row.ts';

/** Maps whose undefined values are left out, as JSON does. */
export type Fields = Readonly<Record<string, unknown>>;

export interface Parts {
  /** Over server and CA. */
  readonly cluster?: Fields;
  /** Over the token. */
  readonly user?: Fields;
  readonly context?: Fields;
  /** Over everything else. */
  readonly top?: Fields;
}

export const TOKEN = 'abcdef.0123456789abcdef';

export const base64 = (text: string | Uint8Array): string => Buffer.from(text).toString('base64');

/** A whole kubeconfig as plain data; a field of `parts` replaces, and with undefined removes, the right one. */
export function configObject(scene: Scene, parts: Parts = {}): Fields {
  const cluster = {
    server: scene.server,
    'certificate-authority-data': base64(scene.materials.ca.pem),
    ...parts.cluster,
  };
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'u', user: { token: TOKEN, ...parts.user } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', ...parts.context } }],
    'current-context': 'x',
    ...parts.top,
  };
}

/** The same as JSON, which is YAML. */
export const configJson = (scene: Scene, parts: Parts = {}): string =>
  JSON.stringify(configObject(scene, parts), null, 1);

/** A kubeconfig as people write it. */
export function configYaml(scene: Scene): string {
  return `apiVersion: v1
kind: Config
clusters:
- name: c
  cluster:
    server: ${scene.server}
    certificate-authority-data: ${base64(scene.materials.ca.pem)}
contexts:
- name: x
  context:
    cluster: c
    user: u
current-context: x
users:
- name: u
  user:
    token: ${TOKEN}
`;
}

/** A row whose kubeconfig is the right one with other fields. */
export function fieldsRow(
  kind: string,
  name: string,
  parts: Parts | ((scene: Scene) => Parts),
  more: Partial<Row> = {},
): Row {
  const of = (scene: Scene): Parts => (typeof parts === 'function' ? parts(scene) : parts);
  return { table: 'kubeconfig', kind, name, files: (scene) => ({ config: configJson(scene, of(scene)) }), ...more };
}

/** A row whose kubeconfig is the right YAML text, edited. */
export function textRow(
  kind: string,
  name: string,
  edit: (text: string, scene: Scene) => string | Uint8Array,
  more: Partial<Row> = {},
): Row {
  return { table: 'kubeconfig', kind, name, files: (scene) => ({ config: edit(configYaml(scene), scene) }), ...more };
}

/** As `text.replace`, but an edit that finds nothing is a mistake of the row. */
export function edited(text: string, from: string | RegExp, to: string): string {
  const result = text.replace(from, to);
  if (result === text) throw new Error(`nothing to edit: ${String(from)}`);
  return result;
}
