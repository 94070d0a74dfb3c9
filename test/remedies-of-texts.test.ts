/** Remedies for texts that a person writes, pasted from the error into a shell: what was wrong is read. */
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { apiError } from '../src/adapters/api/api-errors.ts';
import { credentialSource } from '../src/adapters/api/credential-source.ts';
import { loadSettings } from '../src/config.ts';
import { problemOf } from '../src/errors.ts';
import { clientConfig } from '../src/kubeconfig/client-config.ts';
import { parseKubeconfig } from '../src/kubeconfig/codec.ts';
import { Secret } from '../src/secret.ts';
import { Pasted } from './fixtures/remedies/pasted.ts';

const pastes = new Pasted('remedies-of-texts');
const TOKEN = 'abcdef.0123456789abcdef';

/** Pastes the remedy of what `read` refuses, then reads again. `typed` is what a person types at the terminal of the command. */
async function mended<T>(
  source: string,
  read: () => T | Promise<T>,
  { typed = '', editor = 'false' }: { readonly typed?: string; readonly editor?: string },
): Promise<T> {
  const error = await problemOf(async () => read());
  if (error?.remedy === undefined) throw new Error(`no remedy: ${String(error?.message)}`);
  pastes.note(source, error.remedy);
  execFileSync('bash', ['-c', error.remedy], {
    input: typed,
    env: { PATH: process.env['PATH'], EDITOR: editor },
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  return read();
}

/** An editor that writes `text` into the line that it is told to open. */
function editorIn(folder: string, text: string): string {
  const path = join(folder, 'editor');
  writeFileSync(path, `#!/bin/sh\nexec sed -i "\${1#+}"'s|.*|${text}|' "$2"\n`);
  chmodSync(path, 0o755);
  return path;
}

const KUBECONFIG = `apiVersion: v1
kind: Config
current-context: a
contexts: [{ name: a, context: { cluster: a, user: a } }]
clusters: [{ name: a, cluster: { server: "https://a:6443" } }]
users: [{ name: a, user: { tokenFile: token } }]
`;

for (const { what, wrong, line } of [
  { what: 'no YAML', wrong: 'kind: Config', line: 'kind: Config: x' },
  { what: 'of another kind', wrong: 'kind: Config', line: 'kind: Pod' },
  { what: 'with a URL that is none', wrong: '"https://a:6443"', line: '"https//a"' },
]) {
  t.test(`a kubeconfig that is ${what}: the editor opens the line`, async (t) => {
    const folder = t.testdir({ "a node's.conf": KUBECONFIG.replace(wrong, line) });
    const path = join(folder, "a node's.conf");
    const right = KUBECONFIG.split('\n').find((each) => each.includes(wrong)) ?? '';
    const read = (): string => parseKubeconfig(readFileSync(path, 'utf8'), path).context;
    t.equal(await mended('remedy.ts', read, { editor: editorIn(folder, right) }), 'a');
    t.equal(readFileSync(path, 'utf8'), KUBECONFIG);
  });
}

t.test('settings that are wrong: the editor opens the first line that is', async (t) => {
  const folder = t.testdir({ 'config.yaml': '# Of this host.\nhostnameOverride: a\ncertDir: relative\n' });
  const filePath = join(folder, 'config.yaml');
  const read = (): string =>
    loadSettings({ filePath, fileText: readFileSync(filePath, 'utf8'), flags: {}, osHostname: '' }).certDir;
  t.equal(await mended('remedy.ts', read, { editor: editorIn(folder, 'certDir: /srv/certlet') }), '/srv/certlet');
});

t.test('a token file that is empty is written as it is, with its mode', async (t) => {
  const folder = t.testdir({ token: '' });
  const path = join(folder, 'token');
  chmodSync(path, 0o600);
  const kubeconfig = parseKubeconfig(KUBECONFIG, join(folder, 'node.conf'));
  const read = (): string =>
    clientConfig(kubeconfig, new Map([[path, new Secret(readFileSync(path, 'utf8'))]])).credential.kind;
  t.equal(await mended('kubeconfig/client-config.ts', read, { typed: `${TOKEN}\n` }), 'tokenFile');
  t.equal(statSync(path).mode & 0o777, 0o600);
});

t.test('a token file that holds more than a token', async (t) => {
  const path = join(t.testdir({ token: 'two words' }), 'token');
  const source = credentialSource({ kind: 'tokenFile', path, token: new Secret('') }, {
    now: () => new Date(0),
  } as Parameters<typeof credentialSource>[1]);
  const read = async (): Promise<string | undefined> => {
    const { token } = await source.present(new AbortController().signal);
    return token?.reveal();
  };
  t.equal(await mended('adapters/api/credential-source.ts', read, { typed: `${TOKEN}\n` }), TOKEN);
});

t.test('a token file that is not there was made so that every user of the host could read it', async (t) => {
  const path = join(t.testdir({}), 'token');
  const source = credentialSource({ kind: 'tokenFile', path, token: new Secret('') }, {
    now: () => new Date(0),
  } as Parameters<typeof credentialSource>[1]);
  const read = async (): Promise<string | undefined> => {
    const { token } = await source.present(new AbortController().signal);
    return token?.reveal();
  };
  t.equal(await mended('adapters/api/credential-source.ts', read, { typed: `${TOKEN}\n` }), TOKEN);
  t.equal(statSync(path).mode & 0o777, 0o600);
});

t.test('a token in a file that the API server refuses', async (t) => {
  const path = join(t.testdir({ 'a token': 'old' }), 'a token');
  const read = async (): Promise<string> => {
    const token = readFileSync(path, 'utf8').trim();
    if (token === TOKEN) return token;
    const identity = { kind: 'tokenFile', label: `token in ${path}` } as const;
    throw apiError(
      { what: 'GET /x', server: 'https://a', identity },
      { status: 401, body: '', retryAfterMs: undefined },
    );
  };
  t.equal(await mended('adapters/api/api-errors.ts', read, { typed: `${TOKEN}\n` }), TOKEN);
});

t.test('every remedy that the registry names this file for was pasted', async (t) => pastes.all(t));
