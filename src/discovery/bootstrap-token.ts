import { onControlPlane } from '../remedy.ts';
import { CertletError } from '../errors.ts';
import { Secret } from '../secret.ts';

/** A bootstrap token in its two halves. The id is public (it names the signature and the Secret), the other half is not. */
export interface BootstrapToken {
  readonly id: string;
  readonly secret: Secret;
}

/** The form that the API server's bootstrap token authenticator takes (cluster-bootstrap/token/api). */
const TOKEN_FORM = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;

/**
 * Reads `<id>.<secret>`, with or without blanks and a line break around it, as files have it.
 * `source` says where the text came from (`--token`, a path) and is all that the error shows: the text may be a mistyped
 * token, so it is never repeated. Throws `ERR_USAGE`.
 */
export function parseBootstrapToken(text: string, source: string): BootstrapToken {
  const match = TOKEN_FORM.exec(text.trim());
  const [, id, secret] = match ?? [];
  if (id === undefined || secret === undefined) {
    throw new CertletError(
      'ERR_USAGE',
      `${source}: not a bootstrap token (want 6 and 16 of a-z and 0-9, a dot between)`,
      {
        remedy: onControlPlane('kubeadm token create --print-join-command'),
      },
    );
  }
  return { id, secret: new Secret(secret) };
}

/** The whole token as the API server wants it in the `Authorization` header. */
export function bearerToken(token: BootstrapToken): Secret {
  return new Secret(`${token.id}.${token.secret.reveal()}`);
}
