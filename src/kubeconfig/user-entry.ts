import { onControlPlane } from '../remedy.ts';
import { Secret } from '../secret.ts';
import { originOf, readMaterial, resolveBeside } from './cluster-entry.ts';
import { readExec } from './exec-entry.ts';
import type { Field } from './fields.ts';
import type { UserEntry } from './model.ts';

/**
 * Checks the `user` map of a named user. Where it names several credentials the one that the API server would look at
 * first is taken: certificate, then token, then exec plugin. Throws `ERR_KUBECONFIG_INVALID`.
 */
export function readUser(user: Field, cluster: Field): UserEntry {
  refuseWhatCannotWork(user);
  const certificate = readCertificate(user);
  const token = readToken(user);
  const exec = user.at('exec');
  const candidates: UserEntry[] = [
    ...(certificate === undefined ? [] : [certificate]),
    ...(token === undefined ? [] : [token]),
    ...(exec.present ? [{ kind: 'exec', plugin: readExec(exec, cluster), warnings: [] } as const] : []),
  ];
  const [first, ...rest] = candidates;
  if (first === undefined) return { kind: 'none', warnings: [] };
  if (rest.length === 0) return first;
  const ignored = rest.map((entry) => entry.kind).join(' and ');
  return {
    ...first,
    warnings: [
      ...first.warnings,
      `${user.place}: ${user.name} names several credentials: the ${first.kind} is used, the ${ignored} is not`,
    ],
  };
}

function refuseWhatCannotWork(user: Field): void {
  const bootstrap = onControlPlane('kubeadm token create', 'use a bootstrap token, or a client certificate');
  for (const key of ['username', 'password']) {
    const field = user.at(key);
    if (field.text() !== undefined)
      throw field.wrong('password authentication was removed in Kubernetes 1.19', bootstrap);
  }
  const provider = user.at('auth-provider');
  if (provider.present) {
    throw provider.invalid(
      'auth providers were removed in Kubernetes 1.26',
      'Use an exec credential plugin, a bootstrap token or a client certificate.',
    );
  }
  for (const key of ['as', 'as-uid', 'as-groups', 'as-user-extra']) {
    const field = user.at(key);
    if (field.present && !isEmpty(field.value))
      throw field.invalid('a node asks for itself: impersonation is not supported', `Delete ${field.name}.`);
  }
}

/** Present but empty is absent to Go. */
function isEmpty(value: unknown): boolean {
  return value === '' || (typeof value === 'object' && value !== null && Object.keys(value).length === 0);
}

function readCertificate(user: Field): UserEntry | undefined {
  const certificate = readMaterial(user, 'client-certificate');
  if (certificate.material === undefined) return undefined;
  const key = readMaterial(user, 'client-key');
  if (key.material === undefined) {
    throw user
      .at('client-key')
      .invalid('missing: a client certificate is given without its key', 'Add client-key or client-key-data.');
  }
  return {
    kind: 'certificate',
    certificate: certificate.material,
    key: key.material,
    warnings: [...certificate.warnings, ...key.warnings],
  };
}

function readToken(user: Field): UserEntry | undefined {
  const field = user.at('token');
  const text = field.text();
  if (text !== undefined) checkToken(field, text);
  const token = text === undefined ? undefined : new Secret(text);
  const file = user.at('tokenFile');
  const path = file.text();
  if (path !== undefined) {
    return {
      kind: 'tokenFile',
      file: { kind: 'file', path: resolveBeside(file, path), origin: originOf(file) },
      token,
      warnings: [],
    };
  }
  return token === undefined ? undefined : { kind: 'token', token, warnings: [] };
}

/** Of shells, templates and manuals. Sent as it is, it is answered as a token that has expired. */
const PLACE_FOR_A_TOKEN = /^(?:\$\{?\w+\}?|<[^<>]*>|\{\{.*\}\}|\[\[.*\]\]|__\w+__)$/;

function checkToken(field: Field, text: string): void {
  if (PLACE_FOR_A_TOKEN.test(text)) {
    throw field.invalid('is a place for a token that was not filled in', 'Write the token itself there.');
  }
  if (/^[\x21-\x7e]+$/.test(text)) return;
  throw field.invalid(
    'has a blank, a line break or a character beyond ASCII',
    'Write the token exactly as it was printed, on one line.',
  );
}
